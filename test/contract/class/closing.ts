/** The end: from either side, with every code and reason, at every moment; what the other side sees of it. */
import { type Case, hash, noise, unspecified } from './harness.ts'

const codes = [1000, 3000, 3001, 3333, 3999, 4000, 4001, 4321, 4999]
const reasons: [string, string][] = [
  ['no reason', ''],
  ['Latin', 'x'.repeat(123)],
  ['Greek', `${'λ'.repeat(61)}x`],
  ['CJK', '語'.repeat(41)],
  ['emoji', `${'🚀'.repeat(30)}xyz`],
  ['what stands in frames', '1000,"\0\r\n'],
]
const MiB = 1_048_576

const wrongCodes = [
  0,
  999,
  1001,
  1002,
  1005,
  1006,
  1011,
  1015,
  2999,
  5000,
  65_535,
  66_536,
  -1,
  Number.NaN,
  null,
  'x',
]

export const closing: Case[] = [
  {
    name: 'close(code, reason): every code reaches the server and comes back, clean',
    async run(t) {
      for (const code of codes) {
        const client = t.connect()
        await client.opened()
        client.socket.close(code, `reason ${code}`)
        t.equal(await client.closed(), { code, reason: `reason ${code}`, wasClean: true }, `${code} here`)
        const report = await client.report()
        t.equal([report.code, report.reason], [code, `reason ${code}`], `${code} on the server`)
        t.equal(client.log, ['open', 'close'], 'events')
      }
    },
  },
  {
    name: 'close(code, reason): reasons of 123 bytes of any script reach the server and come back',
    async run(t) {
      for (const [name, reason] of reasons) {
        const client = t.connect()
        await client.opened()
        client.socket.close(4000, reason)
        t.equal(await client.closed(), { code: 4000, reason, wasClean: true }, name)
        t.equal((await client.report()).reason, reason, `${name} on the server`)
      }
    },
  },
  {
    name: 'every code that the server closes with arrives, and the server sees it come back',
    async run(t) {
      for (const code of [...codes, 1001, 1008, 1011, 1013]) {
        const client = t.connect(`close=${code}&reason=because`)
        t.equal(await client.closed(), { code, reason: 'because', wasClean: true }, `${code} here`)
        t.equal(client.log, ['open', 'close'], 'events')
        t.equal((await client.report()).code, code, `${code} on the server`)
      }
    },
  },
  {
    name: 'reasons of 123 bytes of any script arrive from the server',
    async run(t) {
      for (const [name, reason] of reasons) {
        const client = t.connect(`close=4001&reason=${encodeURIComponent(reason)}`)
        t.equal(await client.closed(), { code: 4001, reason, wasClean: true }, name)
      }
    },
  },
  {
    name: 'a close without a code is 1005 on both sides, and clean',
    async run(t) {
      const own = t.connect()
      await own.opened()
      own.socket.close()
      t.equal(await own.closed(), { code: 1005, reason: '', wasClean: true }, 'ours')
      t.equal((await own.report()).code, 1005, 'ours on the server')
      const servers = t.connect('close')
      t.equal(await servers.closed(), { code: 1005, reason: '', wasClean: true }, "the server's")
    },
  },
  {
    name: 'a reason without a code is nothing',
    async run(t) {
      const client = t.connect()
      await client.opened()
      if (t.subject.kind === 'native') {
        t.differences.push('Chromium: an undefined code before a reason is code 0, and throws')
        t.throws(() => client.socket.close(undefined, 'because'), 'InvalidAccessError', 'close')
        return
      }
      client.socket.close(undefined, 'because')
      const { code, reason } = await client.closed()
      t.equal([code, reason], [1005, ''], 'here')
      const report = await client.report()
      t.equal([report.code, report.reason], [1005, ''], 'on the server')
    },
  },
  {
    name: 'codes that are not the page’s to send throw InvalidAccessError, and nothing is closed',
    async run(t) {
      const client = t.connect()
      const check = (): void => {
        for (const code of wrongCodes) {
          if (t.subject.kind === 'ws') {
            t.differences.push(
              'ws: takes every code that may be on the wire, and throws its own errors for others',
            )
            return
          }
          t.throws(() => client.socket.close(code as number), 'InvalidAccessError', `close(${code})`)
        }
      }
      check()
      t.equal(client.socket.readyState, 0, 'readyState')
      await client.opened()
      check()
      t.equal(client.socket.readyState, 1, 'readyState')
      client.socket.send('still open')
      t.equal(await client.next(), 'still open')
      await client.end()
      check()
    },
  },
  {
    name: 'a code is converted as a number is: from a string, and rounded',
    async run(t) {
      if (t.subject.kind === 'ws') {
        t.differences.push('ws: takes numbers only')
        return
      }
      const cuts = { value: [4000.6, 4000], why: 'Chromium: cuts a fraction off where WebIDL rounds' }
      for (const [given, code] of [
        ['3001', 3001],
        [3000.4, 3000],
        t.expected([4000.6, 4001], { native: cuts }),
      ] as [number, number][]) {
        const client = t.connect()
        await client.opened()
        client.socket.close(given)
        t.equal((await client.closed()).code, code, String(given))
      }
    },
  },
  {
    name: 'a reason of more than 123 bytes of UTF-8 throws SyntaxError, and nothing is closed',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const expected = t.expected('SyntaxError', {
        ws: { value: 'RangeError', why: 'ws: RangeError for a long reason' },
      })
      for (const reason of [
        'x'.repeat(124),
        'λ'.repeat(62),
        '語'.repeat(42),
        '🚀'.repeat(31),
        '\ud800'.repeat(42),
      ]) {
        if (t.subject.kind !== 'ws')
          t.throws(() => client.socket.close(4000, reason), expected, reason.slice(0, 2))
      }
      t.equal(client.socket.readyState, 1, 'readyState')
      client.socket.send('still open')
      t.equal(await client.next(), 'still open')
    },
  },
  {
    name: 'lone surrogates in a reason become U+FFFD',
    async run(t) {
      const client = t.connect()
      await client.opened()
      client.socket.close(4000, 'a\ud800b')
      await client.closed()
      t.equal((await client.report()).reason, 'a\ufffdb')
    },
  },
  {
    name: 'closed while CONNECTING: CLOSING at once, error, close 1006, never open, nothing later',
    async run(t) {
      const client = t.connect('greet=hello')
      client.socket.close(4000, 'early')
      t.equal(client.socket.readyState, 2, 'readyState')
      t.equal(client.log, [], 'nothing within close()')
      const { code, wasClean } = await client.closed()
      t.equal([code, wasClean], [1006, false])
      t.equal(client.log, ['error', 'close'])
      // Another one's whole life later there is still nothing.
      await t.connect('close=1000').closed()
      t.equal(client.log, ['error', 'close'], 'later')
    },
  },
  {
    name: 'closed while CONNECTING, after a while: the same',
    async run(t) {
      for (let turns = 1; turns < 8; turns++) {
        const client = t.connect('greet=hello')
        for (let i = 0; i < turns && client.socket.readyState === 0; i++)
          await new Promise((done) => setTimeout(done))
        if (client.socket.readyState === 1) break
        client.socket.close()
        const { code } = await client.closed()
        t.equal([code, client.log], [1006, ['error', 'close']], `after ${turns} turns`)
      }
    },
  },
  {
    name: 'close() twice: the first counts, one event',
    async run(t) {
      const client = t.connect()
      await client.opened()
      client.socket.close(4001, 'first')
      client.socket.close(4002, 'second')
      t.equal((await client.closed()).code, 4001)
      client.socket.close(4003)
      t.equal(client.socket.readyState, 3, 'readyState')
      t.equal((await client.report()).code, 4001, 'on the server')
      t.equal(client.log, ['open', 'close'])
    },
  },
  {
    name: 'close() in open and in message',
    async run(t) {
      const inOpen = t.connect('greet=hello')
      inOpen.socket.addEventListener('open', () => inOpen.socket.close(4001))
      t.equal((await inOpen.closed()).code, 4001, 'in open')
      const ws = { value: unspecified, why: 'ws: messages come while CLOSING' }
      t.equal(inOpen.log, t.expected<unknown>(['open', 'close'], { ws }), 'after close() in open')
      const inMessage = t.connect('count=10')
      inMessage.socket.addEventListener('message', () => inMessage.socket.close(4002))
      t.equal((await inMessage.closed()).code, 4002, 'in message')
      t.equal(inMessage.messages.length, t.expected<unknown>(1, { ws }), 'messages')
    },
  },
  {
    name: 'both close at once: both are through, each with one of the two codes',
    async run(t) {
      const client = t.connect('on=message&close=4002')
      await client.opened()
      client.socket.send('close now')
      client.socket.close(4001)
      const { code, wasClean } = await client.closed()
      t.equal([4001, 4002].includes(code), true, `code ${code}`)
      t.equal(wasClean, true, 'wasClean')
      const report = await client.report()
      t.equal([4001, 4002].includes(report.code), true, `code ${report.code} on the server`)
    },
  },
  {
    name: 'what was sent right before close() arrives, all of it, before the close',
    async run(t) {
      const client = t.connect('greet=hello')
      await client.opened()
      const large = noise(MiB + 1)
      for (let i = 0; i < 200; i++) client.socket.send(`number ${i}`)
      client.socket.send(large)
      client.socket.send(new Blob(['from a Blob']))
      client.socket.send('last')
      client.socket.close(4000, 'bye')
      await client.closed()
      const { messages, code, reason } = await client.report()
      t.equal([code, reason, messages.length], [4000, 'bye', 203])
      t.equal(
        messages.slice(0, 200).map(({ start }) => start),
        Array.from({ length: 200 }, (_, i) => `number ${i}`),
      )
      t.equal(messages[200]?.hash, await hash(large.buffer), 'the large one')
      t.equal(
        messages.slice(201).map(({ size }) => size),
        [11, 4],
        'after it',
      )
    },
  },
  {
    name: 'what the server sent right before its close arrives, all of it, before the close',
    async run(t) {
      for (const query of ['count=500', `count=5&size=${MiB}&kind=binary`]) {
        const client = t.connect(`${query}&close=4000&reason=bye`)
        const { code, reason } = await client.closed()
        t.equal([code, reason], [4000, 'bye'])
        t.equal(client.messages.length, query === 'count=500' ? 500 : 5, query)
        t.equal(client.log.at(-1), 'close')
      }
    },
  },
  {
    name: 'terminated by the server: close 1006, not clean',
    async run(t) {
      const client = t.connect('on=message&terminate')
      await client.opened()
      client.socket.send('now')
      const { code, wasClean } = await client.closed()
      t.equal([code, wasClean], [1006, false])
      const why =
        'no error event for a connection that was lost, though RFC 6455, 7.1.7, calls that a failed one'
      const value = ['open', 'close']
      const { kind } = t.subject
      const all = { [kind]: { value, why: `${kind}: ${why}; all three classes agree` } }
      t.equal(client.log, t.expected(['open', 'error', 'close'], all))
    },
  },
]
