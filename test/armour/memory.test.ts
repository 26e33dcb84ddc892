// What a server keeps for each byte that an attacker sends: counted in the server's own process, garbage left out.
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { Ask } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { binary, bodyOf, hello, type Piece, piece, RawClient, text } from '../support/raw-client.ts'
import { frame, frameHead, Line } from './line.ts'
import { startTarget, type Target } from './target.ts'

/** Bytes that may be kept for each one that was sent. */
const most = 8
/** What a process keeps more or less for reasons of its own. */
const noise = 1024 * 1024

interface Attack {
  /** Bytes that were sent. */
  readonly sent: number
  /** Bytes that the server may keep whoever sends what, by its documented bounds. */
  readonly bound?: number
}

const sum = (lines: readonly Line[]): number => lines.reduce((all, { sent }) => all + sent, 0)

async function lines(
  target: Target,
  count: number,
  run: (line: Line, index: number) => Promise<unknown>,
): Promise<Line[]> {
  const all = Array.from({ length: count }, () => new Line(target.port))
  await Promise.all(all.map(run))
  return all
}

async function openedClient({ url }: Target, pieces: readonly Piece[] = []): Promise<RawClient> {
  const client = new RawClient(url)
  await client.send([hello(), ...pieces], { ask: Ask.open })
  return client
}

const attacks: [string, (target: Target) => Promise<Attack>][] = [
  [
    'bodies in chunks of one byte',
    async (target) => {
      const chunks = Buffer.from('1\r\na\r\n'.repeat(10_000))
      const head = 'POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
      const all = await lines(target, 20, async (line) => {
        await line.write(Buffer.from(head))
        await line.write(chunks)
      })
      return { sent: sum(all) }
    },
  ],
  [
    'bodies that stop before their end',
    async (target) => {
      const head = 'POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n'
      const all = await lines(target, 20, async (line) => {
        await line.write(Buffer.from(head))
        await line.write(Buffer.alloc(200_000))
      })
      return { sent: sum(all) }
    },
  ],
  [
    'bodies of the smallest records',
    async (target) => {
      const records = new Array<Piece>(4096).fill(binary(new Uint8Array(0)))
      const all = await lines(target, 20, async (line) => {
        const client = await openedClient(target)
        for (let i = 0; i < 10; i++)
          await line.post(bodyOf(client.head({ serial: ++client.shortSerial }), records))
      })
      return { sent: sum(all) }
    },
  ],
  [
    'greetings that are too long',
    async (target) => {
      const protocols = Array.from({ length: 100_000 }, (_, i) => `a${i}`)
      const long = piece('hello', Buffer.from(JSON.stringify({ protocols })))
      const all = await lines(target, 4, async (line) => {
        await line.post(bodyOf(new RawClient(target.url).head({ ask: Ask.open, serial: 1 }), [long]))
        await line.answer()
      })
      return { sent: sum(all) }
    },
  ],
  [
    'openings, one behind the other, whose answers nobody reads',
    async (target) => {
      const all = await lines(target, 100, async (line) => {
        line.socket.pause()
        const long = hello('x'.repeat(15_000))
        for (let i = 0; i < 8 && !line.ended; i++)
          await line.post(
            bodyOf(new RawClient(target.url).head({ ask: Ask.open | Ask.standby, serial: 1 }), [long]),
          )
      })
      return { sent: sum(all) }
    },
  ],
  [
    'requests that ask for the same again, whose answers nobody reads',
    async (target) => {
      const waits = 300 * 1024
      const client = await openedClient(target, [text(`give ${waits}`)])
      const all = await lines(target, 40, async (line) => {
        line.socket.pause()
        for (let i = 0; i < 20 && !line.ended; i++)
          await line.post(bodyOf(client.head({ ask: Ask.again, serial: ++client.shortSerial })))
      })
      // Of one session a megabyte of unread answers, and what waits; some kilobytes for each connection.
      return { sent: sum(all), bound: 1024 * 1024 + waits + 40 * 32 * 1024 }
    },
  ],
  [
    'messages in part, over HTTP',
    async (target) => {
      let sent = 0
      const part = new Uint8Array(150_000)
      for (let i = 0; i < 20; i++) {
        const client = await openedClient(target)
        await client.send([binary(part, true)], { at: { number: 0, offset: 0 } })
        sent += part.length
      }
      return { sent }
    },
  ],
  ...(['a session', 'a plain WebSocket'] as const).map(
    (what): [string, (target: Target) => Promise<Attack>] => [
      `messages in part, over the WebSocket of ${what}`,
      async (target) => {
        const all = await lines(target, 20, async (line) => {
          const token = new RawClient(target.url).token({ ask: Ask.open })
          await line.upgrade(what === 'a session' ? token : undefined)
          await line.write(frameHead(1_000_000))
          await line.write(Buffer.alloc(200_000))
        })
        return { sent: sum(all) }
      },
    ],
  ),
  [
    'fragments of one byte',
    async (target) => {
      const fragments = Buffer.concat([
        frame('a', 2, false),
        ...new Array<Buffer>(16_000).fill(frame('a', 0, false)),
      ])
      const all = await lines(target, 20, async (line) => {
        await line.upgrade()
        await line.write(fragments)
      })
      return { sent: sum(all) }
    },
  ],
  [
    'small messages that the application keeps, in large bodies',
    async (target) => {
      let sent = 0
      const client = await openedClient(target)
      for (let i = 0; i < 20; i++) {
        const large = new Uint8Array(200_000)
        await client.send([text('ten bytes.'), binary(large)])
        sent += large.length
      }
      return { sent }
    },
  ],
  [
    'small messages that the application keeps, among large ones on a WebSocket',
    async (target) => {
      const both = Buffer.concat([frame('ten bytes.', 1), frame(new Uint8Array(60_000))])
      const all = await lines(target, 4, async (line) => {
        await line.upgrade()
        for (let i = 0; i < 20; i++) await line.write(both)
      })
      return { sent: sum(all) }
    },
  ],
]

test.each(attacks)('%s', async (_what, attack) => {
  const target = await startTarget()
  // What a process makes at its first requests, it keeps.
  const warm = await openedClient(target, [text('hello')])
  await warm.send([text('hello')])
  await new Line(target.port).upgrade()
  const before = await target.watch()
  const { sent, bound = 0 } = await attack(target)
  const kept = (await target.most()) - before
  expect(kept).toBeLessThan(sent * most + bound + noise)
})

test('a session costs a few kilobytes while it lasts, and hardly anything when it is over', async () => {
  const target = await startTarget({ openTimeout: 600_000 })
  const count = 2_000
  const clients = Array.from({ length: count }, () => new RawClient(target.url))
  const each = async (run: (client: RawClient, line: Line) => Promise<unknown>): Promise<void> => {
    const line = new Line(target.port)
    for (const client of clients) await run(client, line)
    line.socket.destroy()
    await once(line.socket, 'close').catch(() => {})
  }
  await openedClient(target)
  const before = await target.held()
  await each(async (client, line) => {
    const answer = line.answer()
    await line.post(bodyOf(client.head({ ask: Ask.open, serial: 1 })))
    await answer
  })
  expect((await target.counts()).shown).toBe(count + 1)
  expect((await target.held()) - before).toBeLessThan(count * 4096 + noise)
  await each(async (client, line) => {
    const answer = line.answer()
    const gone = piece('abort', Buffer.from('1001,'))
    await line.post(bodyOf(client.head({ serial: 2 }), [gone]))
    await answer
  })
  const { ended, memory } = await target.counts()
  // The one that was opened first may have run out of patience meanwhile.
  expect([count, count + 1]).toContain(ended)
  expect(memory).toBe(0)
  // What is gone when it is looked at again was only on its way through.
  const after = Math.min(await target.held(), await target.held(), await target.held())
  expect(after - before).toBeLessThan(count * 512 + noise)
})

describe('the head of a handshake', () => {
  const size = 14_000
  const ways: [string, (at: number) => { token?: string; offered?: string[]; headers?: string }][] = [
    ['one of many subprotocols', () => ({ offered: ['graphql-transport-ws', 'x'.repeat(size)] })],
    [
      'one of many subprotocols, for a session',
      () => ({
        token: new RawClient('').token({ ask: Ask.open }),
        offered: ['graphql-transport-ws', 'x'.repeat(size)],
      }),
    ],
    [
      'the last of many addresses',
      (at) => ({
        headers: `X-Forwarded-For: ${'x, '.repeat(size / 3)}100.100.${100 + Math.floor(at / 100)}.${100 + (at % 100)}\r\n`,
      }),
    ],
  ]
  test.each(ways)('does not stay for %s', async (_what, way) => {
    const target = await startTarget({ trustProxy: true })
    const connect = ({ token, offered, headers }: ReturnType<(typeof ways)[0][1]>) =>
      new Line(target.port).upgrade(token, offered, headers)
    await connect(way(0))
    const before = await target.held()
    const count = 600
    for (let i = 0; i < count; i++) await connect(way(i))
    expect((await target.counts()).clients).toBe(count + 1)
    expect((await target.held()) - before).toBeLessThan((count * size) / 2 + noise)
  })

  test.each([
    ['a session', true],
    ['a plain WebSocket', false],
  ])('counts the long subprotocol of %s', async (_what, isSession) => {
    const target = await startTarget()
    const long = 'x'.repeat(size)
    const token = isSession ? new RawClient(target.url).token({ ask: Ask.open }) : undefined
    const line = await new Line(target.port).upgrade(token, [long])
    expect((await target.counts()).memory).toBe(size)
    if (isSession) await line.write(frame(controlText('abort', '1000,enough'), 1))
    else line.socket.destroy()
    await expect.poll(async () => (await target.counts()).memory).toBe(0)
  })
})
