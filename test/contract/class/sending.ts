/** What send() takes, when it takes it, and what bufferedAmount says of it. */
import { type Case, eventually, noise, unspecified } from './harness.ts'

const ownErrors = 'ws: throws its own errors, no DOMException'

export const sending: Case[] = [
  {
    name: 'send() in CONNECTING throws InvalidStateError and sends nothing',
    async run(t) {
      const client = t.connect()
      const expected = t.expected('InvalidStateError', { ws: { value: 'Error', why: ownErrors } })
      t.throws(() => client.socket.send('too early'), expected, 'send')
      await client.opened()
      client.socket.send('in time')
      t.equal(await client.next(), 'in time')
    },
  },
  {
    name: 'send() without an argument throws TypeError',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const send = client.socket.send as () => void
      t.throws(
        () => send.call(client.socket),
        t.expected('TypeError', { ws: { value: 'nothing', why: 'ws: sends an empty message for nothing' } }),
        'send()',
      )
    },
  },
  {
    name: 'what is no data is sent as the text it converts to',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      if (t.subject.kind === 'ws') {
        t.differences.push('ws: takes numbers, but objects throw and null is an empty message')
        socket.send(5 as never)
        t.equal(await client.next(), '5')
        return
      }
      for (const value of [5, true, null, undefined, { toString: () => 'object' }, [1, 2]])
        socket.send(value as never)
      t.equal(await client.count(6), ['5', 'true', 'null', 'undefined', 'object', '1,2'])
    },
  },
  {
    name: 'an ArrayBuffer, every kind of view with its offset and length, and a Blob are sent as their bytes',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const buffer = noise(64).buffer
      const all: [string, BufferSource | Blob, number, number][] = [
        ['ArrayBuffer', buffer, 0, 64],
        ['Uint8Array', new Uint8Array(buffer, 3, 7), 3, 7],
        ['Uint16Array', new Uint16Array(buffer, 2, 3), 2, 6],
        ['Float64Array', new Float64Array(buffer, 8, 2), 8, 16],
        ['BigInt64Array', new BigInt64Array(buffer, 16, 1), 16, 8],
        ['DataView', new DataView(buffer, 5, 9), 5, 9],
        ['empty view', new Uint8Array(buffer, 64), 64, 0],
        ['Blob', new Blob([new Uint8Array(buffer, 1, 4), new Uint8Array(buffer, 5, 4)]), 1, 8],
        ['empty Blob', new Blob([]), 0, 0],
        ['typed Blob', new Blob([new Uint8Array(buffer, 9, 2)], { type: 'text/plain' }), 9, 2],
      ]
      for (const [, data] of all) client.socket.send(data)
      const echoed = await client.count(all.length)
      for (const [i, [name, , from, size]] of all.entries())
        t.equal(echoed[i], buffer.slice(from, from + size), name)
    },
  },
  {
    name: 'shared memory: a view of it cannot be sent as a message without being copied first',
    async run(t) {
      const client = t.connect()
      await client.opened()
      // Pages that are not isolated have no SharedArrayBuffer by name.
      const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
      const view = new Uint8Array(buffer, 0, 3)
      view.set([1, 2, 3])
      const expected = t.expected('TypeError', {
        ws: { value: 'nothing', why: 'ws: takes a copy of shared memory' },
      })
      t.throws(() => client.socket.send(view as never), expected, 'send')
      client.socket.send('after')
      const [first] = await client.count(expected === 'nothing' ? 2 : 1)
      t.equal(first, expected === 'nothing' ? new Uint8Array([1, 2, 3]).buffer : 'after')
    },
  },
  {
    name: 'data is taken when send() is called: what is changed afterwards is not sent',
    async run(t) {
      const client = t.connect()
      await client.opened()
      for (const size of [1, 100, 5000, 70_000, 300_000]) {
        const bytes = noise(size)
        client.socket.send(bytes)
        client.socket.send(bytes.buffer)
        bytes.fill(0)
      }
      const echoed = await client.count(10)
      for (const [i, size] of [1, 100, 5000, 70_000, 300_000].entries()) {
        t.equal(echoed[2 * i], noise(size).buffer, `view of ${size}`)
        t.equal(echoed[2 * i + 1], noise(size).buffer, `buffer of ${size}`)
      }
    },
  },
  {
    name: 'what the caller gave to send() is left as it was',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const bytes = noise(5000)
      client.socket.send(bytes)
      client.socket.send(bytes.buffer)
      await client.count(2)
      t.equal(bytes.buffer, noise(5000).buffer)
    },
  },
  {
    name: 'a Blob keeps its place among the messages, however long it takes to be read',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      socket.send('before')
      socket.send(new Blob([noise(300_000)]))
      socket.send('between')
      socket.send(new Blob(['x']))
      socket.send(new Uint8Array([7]))
      const [a, b, c, d, e] = await client.count(5)
      t.equal([a, c], ['before', 'between'], 'texts')
      t.equal(b, noise(300_000).buffer, 'large Blob')
      t.equal([d, e], [new Uint8Array([120]).buffer, new Uint8Array([7]).buffer], 'after')
    },
  },
  {
    name: 'bufferedAmount counts bytes of payload at once, stays for the turn, and comes back to 0',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      const counted: number[] = []
      const data = [
        'abc',
        'λ語🚀',
        new ArrayBuffer(1000),
        new Uint8Array(5),
        new Blob(['12345']),
        noise(100_000),
      ]
      for (const item of data) {
        socket.send(item)
        counted.push(socket.bufferedAmount)
      }
      await Promise.resolve()
      counted.push(socket.bufferedAmount)
      t.equal(
        counted,
        t.expected<unknown>([3, 12, 1012, 1017, 1022, 101_022, 101_022], {
          ws: { value: unspecified, why: 'ws: what the system took at once is not counted, and frames are' },
        }),
      )
      await eventually(() => socket.bufferedAmount === 0)
      await client.count(data.length)
      t.equal(socket.bufferedAmount, 0, 'at last')
    },
  },
  {
    name: 'bufferedAmount of much data falls, and never below 0, until it is 0',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      const bytes = noise(1_000_000)
      for (let i = 0; i < 4; i++) socket.send(bytes)
      let last = socket.bufferedAmount
      if (t.subject.kind !== 'ws') t.equal(last, 4_000_000, 'at once')
      await eventually(() => {
        const now = socket.bufferedAmount
        t.equal(now >= 0 && now <= last, true, `${last} then ${now}`)
        last = now
        return now === 0
      })
      await client.count(4)
    },
  },
  {
    name: 'send() after close() throws nothing and sends nothing; its bytes stay in bufferedAmount',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      socket.close(4000)
      const before = socket.bufferedAmount
      socket.send('four')
      t.equal(socket.bufferedAmount - before, 4, 'while CLOSING')
      await client.closed()
      const closed = socket.bufferedAmount
      socket.send(new Uint8Array(10))
      socket.send(new Blob(['12']))
      t.equal(socket.bufferedAmount - closed, 12, 'when CLOSED')
      const { messages, code } = await client.report()
      t.equal([messages, code], [[], 4000], 'server')
      t.equal(client.log, ['open', 'close'])
    },
  },
]
