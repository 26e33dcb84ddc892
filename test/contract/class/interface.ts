/** The face of it, as WebIDL says: what stands where, what it is called, how it converts what it is given. */
import { type Case, elsewhere, unspecified } from './harness.ts'

const attributes = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol', 'binaryType'] as const
const handlers = ['onopen', 'onmessage', 'onerror', 'onclose'] as const

const notWebIdl = 'ws: a class in the manner of Node, that does not convert as WebIDL says'
const inNode = 'everwire in Node: a class between it and EventTarget, and a constructor without a length'

/** Throws when it is converted, and says so before. */
function throwing(name: string): never {
  const thrower = (): never => {
    throw Object.assign(new Error(), { name })
  }
  return { toString: thrower } as never
}

/** A case for those that do as WebIDL says. */
function webIdl(name: string, run: Case['run']): Case {
  return {
    name,
    run(t) {
      if (t.subject.kind !== 'ws') return run(t)
      t.differences.push(notWebIdl)
    },
  }
}

export const face: Case[] = [
  {
    name: 'between a WebSocket and an EventTarget stands nothing, and its constructor has one argument',
    run(t) {
      const { WebSocket: Class } = t
      const node = t.subject.base === undefined
      const actual = [
        Object.getPrototypeOf(Class) === EventTarget,
        Object.getPrototypeOf(Class.prototype) === EventTarget.prototype,
        Class.length,
      ]
      const standard = [true, true, 1]
      const value = unspecified
      t.equal(
        actual,
        t.expected<unknown>(standard, {
          ws: { value, why: notWebIdl },
          ...(node && { everwire: { value, why: inNode } }),
        }),
      )
    },
  },
  webIdl(
    'attributes and methods are enumerable and configurable, with the names and lengths of WebIDL',
    (t) => {
      const { socket } = t.connect()
      for (const name of [...attributes, ...handlers]) {
        const found = t.descriptor(name)
        t.equal(
          [found.enumerable, found.configurable, found.get?.name, found.get?.length],
          [true, true, `get ${name}`, 0],
          name,
        )
        const writable = name.startsWith('on') || name === 'binaryType'
        t.equal(
          [found.set?.name, found.set?.length],
          writable ? [`set ${name}`, 1] : [undefined, undefined],
          `setter of ${name}`,
        )
      }
      for (const [name, length] of [
        ['send', 1],
        ['close', 0],
      ] as const) {
        const { enumerable, configurable, writable, value } = t.descriptor(name)
        t.equal([enumerable, configurable, writable], [true, true, true], name)
        t.equal([value.name, value.length], [name, length], `${name} itself`)
      }
      const tag = t.descriptor(Symbol.toStringTag)
      t.equal([tag.enumerable, tag.configurable, tag.writable], [false, true, false], 'toStringTag')
      const seen: string[] = []
      for (const name in socket) seen.push(name)
      for (const name of [...attributes, ...handlers, 'send', 'close', 'CONNECTING', 'addEventListener'])
        t.equal(seen.includes(name), true, `${name} in for ... in`)
    },
  ),
  webIdl('what is no WebSocket has none of it: TypeError', (t) => {
    const { prototype } = t.WebSocket
    for (const wrong of [prototype, {}, null, new EventTarget()]) {
      for (const name of [...attributes, ...handlers]) {
        const { get, set } = t.descriptor(name)
        t.throws(() => get?.call(wrong), 'TypeError', `get ${name}`)
        if (set) t.throws(() => set.call(wrong, null), 'TypeError', `set ${name}`)
      }
      t.throws(() => prototype.send.call(wrong as never, 'x'), 'TypeError', 'send')
      t.throws(() => prototype.close.call(wrong as never, 7), 'TypeError', 'close')
    }
  }),
  webIdl('the constructor converts its arguments in their order, before it looks at any of them', (t) => {
    const { url } = t.subject
    const Class = t.WebSocket
    t.throws(() => new Class(throwing('First'), throwing('Second')), 'First', 'both')
    t.throws(() => new Class('http://[::', throwing('Second')), 'Second', 'a wrong URL')
    t.throws(() => new Class(Symbol() as never), 'TypeError', 'a symbol')
    t.throws(() => new Class(url, ['a', Symbol() as never]), 'TypeError', 'a symbol among protocols')
    t.throws(() => new Class(url, ['a', throwing('Second')]), 'Second', 'one of the protocols')
    t.throws(() => new Class(url, { [Symbol.iterator]: 1 } as never), 'TypeError', 'no iterator')
  }),
  webIdl('subprotocols may be anything that is iterable, and otherwise what it is as a string', async (t) => {
    const some = function* (): Iterable<string> {
      yield 'one'
      yield { toString: () => 'two' } as string
    }
    for (const [given, offered] of [
      [some(), 'one,two'],
      [new Set(['x', 'y']), 'x,y'],
      [new String('abc'), 'a,b,c'],
      [{ toString: () => 'chat' }, 'chat'],
      [null, 'null'],
      [5, '5'],
    ]) {
      const client = t.connect('echo', given as never)
      await client.opened()
      await client.end()
      t.equal((await client.report()).offered.replaceAll(' ', ''), offered, String(offered))
    }
  }),
  webIdl(
    'close() converts its arguments in their order, before it looks at any of them; a code is rounded',
    async (t) => {
      const { socket } = t.connect()
      t.throws(() => socket.close(throwing('First'), throwing('Second')), 'First', 'both')
      t.throws(() => socket.close(5, throwing('Second')), 'Second', 'a wrong code')
      t.throws(() => socket.close(1000n as never), 'TypeError', 'a BigInt')
      t.throws(() => socket.close(1000, Symbol() as never), 'TypeError', 'a symbol')
      const cuts = { value: 3001, why: 'Chromium: cuts a fraction off where WebIDL rounds' }
      for (const [given, code] of [
        [3000.5, 3000],
        [3001.5, t.expected(3002, { native: cuts })],
        ['0xbb8', 3000],
      ] as [number, number][]) {
        const client = t.connect()
        await client.opened()
        client.socket.close(given)
        t.equal((await client.closed()).code, code, String(given))
      }
    },
  ),
  webIdl('send() converts its argument before it looks at the state', (t) => {
    const { socket } = t.connect()
    t.throws(() => socket.send(Symbol() as never), 'TypeError', 'a symbol')
    t.throws(() => socket.send(throwing('Data')), 'Data', 'what throws')
    t.throws(() => socket.send('text'), 'InvalidStateError', 'text')
  }),
  webIdl('binaryType converts what it is given', (t) => {
    const { socket } = t.connect()
    socket.binaryType = { toString: () => 'blob' } as never
    t.equal(socket.binaryType, 'blob')
    const assign = (): void => {
      socket.binaryType = Symbol() as never
    }
    t.throws(assign, 'TypeError', 'a symbol')
  }),
  webIdl(
    'buffers, views and Blobs of another realm are sent as their bytes; what only looks like one is text',
    async (t) => {
      const client = t.connect()
      await client.opened()
      const { socket } = client
      const other = elsewhere()
      socket.send(other.Uint8Array.of(1, 2))
      socket.send(other.Uint8Array.of(3).buffer)
      if (other.Blob) socket.send(new other.Blob(['*']))
      for (const { prototype } of [Blob, ArrayBuffer])
        socket.send(Object.create(prototype, { toString: { value: () => 'text' } }))
      const all = [Uint8Array.of(1, 2).buffer, Uint8Array.of(3).buffer]
      if (other.Blob) all.push(Uint8Array.of(42).buffer)
      t.equal(await client.count(all.length + 2), [...all, 'text', 'text'])
    },
  ),
  webIdl('a buffer that was transferred away is empty; one that may grow cannot be sent', async (t) => {
    const client = t.connect()
    await client.opened()
    const buffer = new ArrayBuffer(3)
    const view = new Uint8Array(buffer, 1)
    structuredClone(buffer, { transfer: [buffer] })
    client.socket.send(buffer)
    client.socket.send(view)
    const growing = new (ArrayBuffer as new (size: number, options: object) => ArrayBuffer)(1, {
      maxByteLength: 2,
    })
    t.throws(() => client.socket.send(growing), 'TypeError', 'buffer')
    t.throws(() => client.socket.send(new Uint8Array(growing)), 'TypeError', 'view')
    t.equal(await client.count(2), [new ArrayBuffer(0), new ArrayBuffer(0)])
  }),
]
