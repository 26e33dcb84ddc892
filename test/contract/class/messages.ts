/** What is sent arrives: every kind, every size, unchanged, in order. */
import { bytesOf, type Case, noise, prose, sameBytes } from './harness.ts'

/** Around the lengths that frames write in another way: 7 bits, 16 bits, a power of two. */
const sizes = [0, 1, 2, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65_535, 65_536, 65_537]
const MiB = 1_048_576

function large(size: number): Case[] {
  const name = `${size / MiB} MiB`
  return [
    {
      name: `a binary message of ${name} goes there and back unchanged`,
      async run(t) {
        const client = t.connect()
        await client.opened()
        const bytes = noise(size)
        client.socket.send(bytes)
        const echo = bytesOf(await client.next())
        t.equal(echo.byteLength, size, 'size')
        t.equal(sameBytes(echo, bytes), true, 'the same bytes')
      },
    },
    {
      name: `a text message of ${name} goes there and back unchanged`,
      async run(t) {
        const client = t.connect()
        await client.opened()
        const text = prose(size)
        client.socket.send(text)
        const echo = await client.next()
        t.equal((echo as string).length, text.length, 'length')
        t.equal(echo === text, true, 'the same text')
      },
    },
  ]
}

/** All of it, sent in one turn, comes back as it is, or as `expected`. */
function unchanged(name: string, all: (string | ArrayBuffer)[], expected: unknown[] = all): Case {
  return {
    name,
    async run(t) {
      const client = t.connect()
      await client.opened()
      for (const data of all) client.socket.send(data)
      t.equal(await client.count(all.length), expected)
    },
  }
}

export const messages: Case[] = [
  {
    name: 'text of every boundary size is echoed unchanged',
    async run(t) {
      const client = t.connect()
      await client.opened()
      for (const size of sizes) client.socket.send(prose(size))
      const echoed = await client.count(sizes.length)
      for (const [i, size] of sizes.entries())
        t.equal(echoed[i] === prose(size), true, `text of ${size} bytes`)
    },
  },
  {
    name: 'binary of every boundary size is echoed unchanged',
    async run(t) {
      const client = t.connect()
      await client.opened()
      for (const size of sizes) client.socket.send(noise(size))
      const echoed = await client.count(sizes.length)
      for (const [i, size] of sizes.entries()) t.equal(echoed[i], noise(size).buffer, `${size} bytes`)
    },
  },
  unchanged('text and binary keep their kind and their order, empty ones too', [
    '',
    new ArrayBuffer(0),
    'text',
    new Uint8Array([1, 0, 255]).buffer,
    '',
    '0',
    new ArrayBuffer(1),
  ]),
  unchanged('text that begins with U+0000, of U+0000 alone, or like a control arrives as it is', [
    '\0',
    '\0\0',
    '\0\0\0',
    '\0x1006,no',
    '\0\0a5',
    '\0c',
    '\0s',
    '\0a1',
    '\0é',
    'a\0b',
    '\0'.repeat(300),
  ]),
  {
    name: 'text from the server that looks like a control arrives as it is',
    async run(t) {
      for (const text of ['\0', '\0\0', '\0a1', '\0x1006,no', '\0s']) {
        const client = t.connect(`greet=${encodeURIComponent(text)}`)
        t.equal(await client.next(), text)
      }
    },
  },
  unchanged('a byte order mark, every newline, U+2028 and what is beyond the first plane are only text', [
    '\ufeff',
    '\ufeffx',
    'x\ufeff',
    '\r\n',
    '\n\n',
    'data: x\n\n',
    '\u2028\u2029',
    '👩‍👩‍👧‍👦🇸🇳',
    '\u{10ffff}',
    '\u007f\u0080\u07ff\u0800\uffff',
  ]),
  unchanged(
    'lone surrogates become U+FFFD, pairs do not',
    ['\ud800', 'a\udc00b', '\udc00\ud800', '\ud800\ud800\udc00', '\ud83d\ude80'],
    ['\ufffd', 'a\ufffdb', '\ufffd\ufffd', '\ufffd\u{10000}', '🚀'],
  ),
  {
    name: 'binaryType counts at the moment of each message',
    async run(t) {
      const client = t.connect('on=message&count=1&size=5&kind=binary')
      const { socket } = client
      await client.opened()
      for (const type of ['arraybuffer', 'blob', 'arraybuffer', 'blob'] as const) {
        socket.binaryType = type
        socket.send('another')
        const data = await client.next()
        t.equal(data instanceof Blob, type === 'blob', type)
        t.equal(data instanceof ArrayBuffer, type === 'arraybuffer', type)
        const bytes = data instanceof Blob ? await data.arrayBuffer() : (data as ArrayBuffer)
        t.equal(new TextDecoder().decode(bytes), '!(/6=', 'content')
      }
    },
  },
  {
    name: 'an ArrayBuffer that arrives holds its message and nothing else',
    async run(t) {
      const client = t.connect('count=20&size=3&kind=binary')
      for (const data of await client.count(20)) t.equal((data as ArrayBuffer).byteLength, 3)
      t.equal(new Set(client.messages).size, 20, 'each has its own')
    },
  },
  {
    name: '2,000 messages sent in one turn are echoed in order',
    async run(t) {
      const client = t.connect()
      await client.opened()
      const all = Array.from({ length: 2000 }, (_, i) =>
        i % 3 === 0 ? new Uint32Array([i]).buffer : `number ${i}`,
      )
      for (const data of all) client.socket.send(data)
      t.equal(await client.count(all.length), all)
      t.equal(client.log.length, 2001, 'events')
    },
  },
  {
    name: '2,000 messages sent by the server in its connection handler arrive in order',
    async run(t) {
      const client = t.connect('count=2000')
      t.equal(
        await client.count(2000),
        Array.from({ length: 2000 }, (_, i) => String(i)),
      )
    },
  },
  {
    name: 'messages of both ends cross each other and all arrive in order',
    async run(t) {
      const client = t.connect('count=300&size=3000&echo')
      await client.opened()
      const sent = Array.from({ length: 300 }, (_, i) => `${i}:${'x'.repeat(3000)}`)
      for (const text of sent) client.socket.send(text)
      const all = (await client.count(600)) as string[]
      const own = all.filter((text) => text.length > 3000)
      t.equal(own, sent, 'echoed')
      t.equal(all.length - own.length, 300, 'from the server')
    },
  },
  {
    name: 'a conversation of 100 rounds, each sent in the message event before',
    async run(t) {
      const client = t.connect()
      client.socket.addEventListener('message', ({ data }) => {
        if (Number(data) < 100) client.socket.send(String(Number(data) + 1))
      })
      await client.opened()
      client.socket.send('1')
      t.equal((await client.count(100)).at(-1), '100')
    },
  },
  ...large(MiB),
  ...large(16 * MiB),
  {
    name: 'what the server makes of 1 MiB and 16 MiB arrives, text and binary',
    async run(t) {
      for (const size of [MiB, 16 * MiB]) {
        const [text, binary] = [
          t.connect(`count=1&size=${size}`),
          t.connect(`count=1&size=${size}&kind=binary`),
        ]
        const [received, bytes] = [await text.next(), bytesOf(await binary.next())]
        t.equal([(received as string).length, bytes.length], [size, size], 'size')
        t.equal(received === new TextDecoder().decode(bytes), true, 'the same')
      }
    },
  },
]
