// Node's own HTTP/2 server in front: sessions over HTTP work, refusals are answers, and who reads slowly fills no memory.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2'
import { createGunzip } from 'node:zlib'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { Ask, BodyReader, readAnswerHead } from '../../shared/exchange.ts'
import { listen } from '../support/http.ts'
import { http2Servers, http2Site } from '../support/http2-servers.ts'
import { bodyOf, hello, RawClient, text } from '../support/raw-client.ts'
import { end, messagesOf, watch } from '../support/serving.ts'

beforeAll(ensureBuilt)

interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

interface Place {
  readonly realtime: WebSocketServer
  readonly connection: ClientHttp2Session
  readonly faults: unknown[]
}

type Handler = (
  options: ServerOptions,
) => Promise<{ readonly realtime: WebSocketServer; readonly url: string }>

async function serving(
  handler: Handler,
  options: ServerOptions = {},
  settings: Settings = {},
): Promise<Place> {
  const { realtime, url } = await handler(options)
  const connection = connect(url, { settings })
  connection.on('error', () => {})
  onTestFinished(() => connection.destroy())
  const faults: unknown[] = []
  const listener = (error: unknown): void => void faults.push(error)
  process.on('uncaughtException', listener)
  onTestFinished(() => void process.off('uncaughtException', listener))
  return { realtime, connection, faults }
}

function ask({ connection }: Place, headers: OutgoingHttpHeaders, body?: Uint8Array): ClientHttp2Stream {
  const stream = connection.request({ ':path': '/realtime', ...headers }, { endStream: body === undefined })
  stream.on('error', () => {})
  if (body) stream.end(body)
  return stream
}

async function answerTo(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return { headers, body: Buffer.concat(chunks) }
}

const posted = { ':method': 'POST', ':path': '/realtime?everwire=1' }

async function openSession(it: Place): Promise<{ client: RawClient; socket: Socket }> {
  const connections = watch(it.realtime)
  const client = new RawClient('')
  const body = bodyOf(client.head({ ask: Ask.open, serial: ++client.shortSerial }), [hello()])
  const answer = await answerTo(ask(it, posted, body))
  expect(answer.headers[':status']).toBe(200)
  return { client, socket: (await connections.next()).socket }
}

describe.each(http2Servers.filter((name) => name !== 'the option server'))('%s', (name) => {
  const handler: Handler = (options) => http2Site(name, options)

  // Hono makes an answer of its own to HEAD, after the handler's.
  const head: [string, OutgoingHttpHeaders, number] = ['a HEAD', { ':method': 'HEAD' }, 426]
  test.each<[string, OutgoingHttpHeaders, number]>([
    ['a GET', {}, 426],
    ...(name === 'Hono' ? [] : [head]),
    ['a method that is none of ours', { ':method': 'DELETE', ':path': '/realtime?everwire=1' }, 405],
    ['a ticket that nobody gave', { ':path': '/realtime?everwire=AAAA' }, 404],
    ['a page of elsewhere', { ...posted, origin: 'https://evil.example' }, 403],
    ['a script that cannot be written', { ':method': 'POST', ':path': '/everwire.js' }, 405],
    ['OPTIONS', { ':method': 'OPTIONS', ':path': '/realtime?everwire=1' }, 204],
    ['a bad body', posted, 400],
  ])('%s is answered', async (_what, headers, status) => {
    const it = await serving(handler)
    const body = headers[':method'] === 'POST' ? Buffer.from('x') : undefined
    const answer = await answerTo(ask(it, headers, body))
    expect(answer.headers[':status']).toBe(status)
    expect(answer.headers).not.toHaveProperty('upgrade')
    if (status === 426) expect(answer.headers['sec-websocket-version']).toBe('13, 8')
    // The connection serves the next one.
    expect((await answerTo(ask(it, {}))).headers[':status']).toBe(426)
    expect(it.faults).toEqual([])
  })

  test.each<[string, OutgoingHttpHeaders, number]>([
    ['a bad body', posted, 400],
    ['a ticket that nobody gave', { ':path': '/realtime?everwire=AAAA' }, 404],
    ['no exchange at all', {}, 426],
    ['a script that cannot be written', { ':method': 'POST', ':path': '/everwire.js' }, 405],
  ])(
    'the refusal of %s is not kept for ever for a client that does not read it',
    async (_what, headers, status) => {
      const it = await serving(handler, { answerTimeout: 100 }, { initialWindowSize: 0 })
      const stream = ask(it, headers, headers[':method'] === 'POST' ? Buffer.from('x') : undefined)
      const closed = once(stream, 'close')
      const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders]
      expect(head[':status']).toBe(status)
      await closed
      expect(it.realtime.memory).toBe(0)
      expect(it.faults).toEqual([])
    },
  )

  test("verifyClient's own headers are sent, but for those of a connection", async () => {
    const it = await serving(handler, {
      verifyClient: (_info, done) =>
        done(false, 429, 'Later', { 'Retry-After': 7, Connection: 'close', Upgrade: 'x' }),
    })
    const body = bodyOf(new RawClient('').head({ ask: Ask.open, serial: 1 }), [hello()])
    const { headers, body: reason } = await answerTo(ask(it, posted, body))
    expect([headers[':status'], headers['retry-after'], String(reason)]).toEqual([429, '7', 'Later'])
    expect(it.faults).toEqual([])
  })

  test('a body may come later than its head', async () => {
    const it = await serving(handler)
    const { client, socket } = await openSession(it)
    const messages = messagesOf(socket)
    const late = it.connection.request(posted, { endStream: false })
    const answer = answerTo(late)
    // So often the server has had its turn since it has the head.
    for (let turn = 0; turn < 20; turn++) await answerTo(ask(it, {}))
    late.end(bodyOf(client.head({ serial: ++client.shortSerial }), [text('late')]))
    expect(await messages.next()).toBe('late')
    expect((await answer).headers[':status']).toBe(200)
  })

  test('a session goes both ways', async () => {
    const it = await serving(handler)
    const { client, socket } = await openSession(it)
    const messages = messagesOf(socket)
    const sent = bodyOf(client.head({ serial: ++client.shortSerial }), [text('hello')])
    await answerTo(ask(it, posted, sent))
    expect(await messages.next()).toBe('hello')
    const polled = answerTo(
      ask(it, posted, bodyOf(client.head({ ask: Ask.hold, serial: ++client.heldSerial }))),
    )
    socket.send('hi')
    const reader = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
    const records = reader.push((await polled).body)
    expect(records.map(({ payload }) => String(Buffer.from(payload)))).toEqual(['hi'])
    expect(it.faults).toEqual([])
  })

  test.each([
    ['a long-poll', Ask.hold],
    ['a stream', Ask.hold | Ask.stream],
    ['a probe', Ask.probe | Ask.hold],
    ['a streamed probe', Ask.probe | Ask.hold | Ask.stream],
  ])('%s that is reset is lost, and nothing else', async (_what, wanted) => {
    const it = await serving(handler)
    const { client, socket } = await openSession(it)
    const life = (wanted & Ask.probe) !== 0 ? 400 : 0
    const held = ask(it, posted, bodyOf(client.head({ ask: wanted, serial: ++client.heldSerial, life })))
    if ((wanted & Ask.stream) !== 0) await once(held, 'response')
    else await answerTo(ask(it, {}))
    held.close(8)
    await once(held, 'close')
    const next = bodyOf(client.head({ ask: Ask.again, serial: ++client.shortSerial }))
    socket.send('hi')
    const reader = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
    const records = reader.push((await answerTo(ask(it, posted, next))).body)
    expect(records.map(({ payload }) => String(Buffer.from(payload)))).toContain('hi')
    expect(it.faults).toEqual([])
  })
})

/** Counts what is handed to the streams of a server's responses, and what waits there. */
function counting(): { handler: Handler; handed(): number; waiting(): number } {
  let handed = 0
  let latest: Http2ServerResponse | undefined
  return {
    handler: async (options) => {
      const site = await http2Site('node:http2', options)
      site.http.prependListener('request', (_request, response: Http2ServerResponse) => {
        latest = response
        const { stream } = response
        const write = stream.write
        stream.write = function (this: typeof stream, chunk: Uint8Array, ...rest: unknown[]) {
          handed += chunk.length
          return Reflect.apply(write, this, [chunk, ...rest]) as boolean
        } as typeof stream.write
      })
      return site
    },
    handed: () => handed,
    waiting: () => latest?.writableLength ?? 0,
  }
}

const total = 8 * 1024 * 1024
const piece = 64 * 1024

test.each([
  ['plain', false],
  ['compressed', true],
])(
  'a stream whose client reads slowly holds the sender back, and all comes once it is read: %s',
  async (_how, gzip) => {
    const { handler, handed, waiting } = counting()
    const it = await serving(handler, { httpCompression: gzip })
    const { client, socket } = await openSession(it)
    const body = bodyOf(client.head({ ask: Ask.hold | Ask.stream, serial: ++client.heldSerial }))
    const stream = ask(it, { ...posted, ...(gzip && { 'accept-encoding': 'gzip' }) }, body)
    await once(stream, 'response')
    stream.pause()
    const message = randomBytes(piece)
    for (let sent = 0; sent < total; sent += piece) socket.send(message)
    // Another exchange has gone to and fro: what the stream takes by itself, it has taken.
    await answerTo(ask(it, {}))
    expect(handed()).toBeLessThan(piece * 4)
    expect(waiting()).toBeLessThan(piece * 2)
    expect(socket.bufferedAmount).toBeGreaterThan(total - piece * 4)
    const reader = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
    let got = 0
    for await (const chunk of gzip ? stream.pipe(createGunzip()) : stream) {
      for (const { kind, payload } of reader.push(Uint8Array.from(chunk as Buffer))) {
        if (kind === 'binary') got += payload.length
      }
      expect(waiting()).toBeLessThan(piece * 2)
      if (got === total) break
    }
    expect(got).toBe(total)
  },
)

test('node:http knows the same handler', async () => {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const answer = await fetch(`http://127.0.0.1:${await listen(createServer(realtime.middleware))}/`)
  expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket'])
})
