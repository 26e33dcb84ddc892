// Middleware in front may have a time limit, as connect-timeout does, and answer by itself; a client may leave. Nothing of ours
// throws then, whatever kind of request it was and however far it had come, and sessions go on.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Socket as Connection, connect } from 'node:net'
import express from 'express'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { Ask, probeMark } from '../../shared/exchange.ts'
import { handshake, listen, readAll } from '../support/http.ts'
import { bodyOf, hello, RawClient, text } from '../support/raw-client.ts'
import { end, watch } from '../support/serving.ts'

beforeAll(ensureBuilt)

/** A request that has arrived at the middleware in front of ours. */
interface Arrived {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Lets it go on to ours, if it was kept. */
  goOn(): void
  /** The time is over: as connect-timeout has it, or an answer at once. */
  expire(how: Expiry): void
}

type Expiry = 'next(error)' | 'an answer' | 'an end'

class Front {
  /** Keeps requests in front of ours until `goOn`. */
  keeps = false
  readonly realtime: WebSocketServer
  readonly faults: unknown[] = []
  #arrived: (arrived: Arrived) => void = () => {}

  constructor(realtime: WebSocketServer) {
    this.realtime = realtime
  }

  next(): Promise<Arrived> {
    return new Promise((resolve) => {
      this.#arrived = resolve
    })
  }

  readonly middleware: express.RequestHandler = (request, response, next) => {
    const expire = (how: Expiry): void => {
      if (how === 'next(error)') next(Object.assign(new Error('Response timeout'), { status: 503 }))
      else if (how === 'an end') response.end()
      else if (!response.headersSent) response.status(503).end('too slow')
    }
    this.#arrived({ request, response, goOn: next, expire })
    if (!this.keeps) next()
  }
}

interface Place extends Front {
  readonly port: number
  readonly url: string
}

async function place(gzip: boolean): Promise<Place> {
  const realtime = new WebSocketServer({
    noServer: true,
    origins: [],
    httpCompression: gzip && { threshold: 0 },
  })
  onTestFinished(() => end(realtime))
  const front = new Front(realtime)
  const app = express()
  // Its answer to an error is not ours to log.
  app.set('env', 'test')
  app.use('/realtime', front.middleware, realtime.middleware)
  const port = await listen(createServer(app))
  const listener = (error: unknown): void => void front.faults.push(error)
  process.on('uncaughtException', listener)
  onTestFinished(() => void process.off('uncaughtException', listener))
  return Object.assign(front, { port, url: `http://127.0.0.1:${port}/realtime` })
}

/** What a request is, and with which session it comes. */
interface Kind {
  /** The session is opened before. */
  readonly session?: true
  /** Somebody listens for `headers`. */
  readonly listened?: true
  /** Whether it is held once it is there: then it can be answered meanwhile. */
  readonly held?: true
  method?: string
  target?(client: RawClient): string | Promise<string>
  headers?: string
  body?(client: RawClient): Buffer
}

const post = (ask: number, more: Partial<Kind> = {}): Kind => ({
  session: true,
  body: (client) => {
    const held = (ask & Ask.hold) !== 0
    const serial = held ? ++client.heldSerial : ++client.shortSerial
    const records = (ask & Ask.open) !== 0 ? [hello()] : held ? [] : [text('from the client')]
    return bodyOf(client.head({ ask, serial, life: (ask & Ask.probe) !== 0 ? 60_000 : 0 }), records)
  },
  ...more,
})

const kinds: [string, Kind][] = [
  ['a short exchange', post(0)],
  ['an opening', { ...post(Ask.open), held: true }],
  ['an opening, and somebody listens for headers', { ...post(Ask.open), held: true, listened: true }],
  [
    'an opening that stands by, as a stream',
    { ...post(Ask.open | Ask.standby | Ask.hold | Ask.stream), held: true },
  ],
  ['a long-poll', { ...post(Ask.hold), held: true }],
  ['a stream', { ...post(Ask.hold | Ask.stream), held: true }],
  ['an event stream', { session: true, held: true, target: async (client) => client.ticket() }],
  ['a probe that is held', { ...post(Ask.probe | Ask.hold), held: true }],
  ['a probe that is streamed', { ...post(Ask.probe | Ask.hold | Ask.stream), held: true }],
  ['a probe as events', { held: true, target: () => `${probeMark}60000` }],
  ['OPTIONS', { method: 'OPTIONS', target: () => '1' }],
  ['the script', { target: () => '' }],
  ['an origin that is refused', { ...post(0), headers: 'Origin: https://evil.example\r\n' }],
  ['a body that is none of ours', { body: () => Buffer.from('nonsense') }],
  ['a handshake', { target: () => '', headers: 'handshake' }],
]

/** Runs until the event loop has gone round: what a request has set off without waiting for anything has happened. */
const aRound = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function head(kind: Kind, client: RawClient): Promise<{ text: string; body: Buffer }> {
  const body = kind.body?.(client) ?? Buffer.alloc(0)
  const mark = kind.body ? '1' : await kind.target?.(client)
  const path =
    kind === kinds.find(([name]) => name === 'the script')?.[1] ? '/realtime/everwire.js' : '/realtime'
  const target = mark ? `${path}?everwire=${mark}` : path
  if (kind.headers === 'handshake') return { text: handshake('/realtime'), body }
  const method = kind.method ?? (kind.body ? 'POST' : 'GET')
  const length = kind.body ? `Content-Length: ${body.length}\r\n` : ''
  const lines = `Host: 127.0.0.1\r\nAccept-Encoding: gzip\r\n${kind.headers ?? ''}${length}`
  return { text: `${method} ${target} HTTP/1.1\r\n${lines}\r\n`, body }
}

async function begin({ port }: Place): Promise<Connection> {
  const connection = connect(port, '127.0.0.1')
  onTestFinished(() => void connection.destroy())
  await once(connection, 'connect')
  return connection
}

/** The session of a client goes on, or the client can open one. */
async function expectUsable(it: Place, client: RawClient): Promise<void> {
  it.realtime.options.verifyClient = () => true
  it.keeps = false
  const answer = await client.open([], { ask: Ask.open | Ask.again })
  expect(answer.head?.status).toBe(0)
  const [socket] = [...it.realtime.clients].slice(-1)
  socket?.send('from the server')
  await client.send([text('more')], { ask: Ask.again })
  if (!client.received.includes('from the server')) await client.poll({ ask: Ask.hold | Ask.again })
  expect(client.received).toContain('from the server')
  await aRound()
  expect(it.faults).toEqual([])
}

const ends: ['before ours sees it' | 'before its body' | 'while it is held', Expiry | 'cut'][] = [
  ['before ours sees it', 'an answer'],
  ['before ours sees it', 'cut'],
  ['before its body', 'an answer'],
  ['before its body', 'next(error)'],
  ['before its body', 'cut'],
  ['while it is held', 'an answer'],
  ['while it is held', 'an end'],
  ['while it is held', 'next(error)'],
  ['while it is held', 'cut'],
]

describe.each([
  ['plain', false],
  ['compressed', true],
])('%s', (_name, gzip) => {
  // Compression is asynchronous: only there it makes a difference when the answer was given meanwhile.
  describe.each(gzip ? kinds.filter(([, { held }]) => held) : kinds)('%s', (_what, kind) => {
    test.each(gzip ? ends.filter(([when]) => when === 'while it is held') : ends)(
      '%s: %s',
      async (when, how) => {
        const it = await place(gzip)
        const client = new RawClient(it.url)
        const isOpening = kind.session && (kind.body?.(new RawClient('')).at(1) ?? 0) & Ask.open
        if (kind.session && !isOpening) await client.open()
        if (kind.listened) it.realtime.on('headers', (headers) => headers.push('X-One: 1'))
        const request = await head(kind, client)
        let decide = (): void => {}
        const isAsked = new Promise<void>((resolve) => {
          it.realtime.options.verifyClient = (_info, done) => {
            decide = () => done(true)
            resolve()
          }
        })
        it.keeps = when === 'before ours sees it'
        const arrival = it.next()
        const connection = await begin(it)
        const answer = readAll(connection)
        const whole = when !== 'before its body' || request.body.length === 0
        connection.write(request.text)
        if (whole) connection.write(request.body)
        const arrived = await arrival
        if (when === 'while it is held') {
          if (isOpening) await isAsked
          else if (!arrived.request.readableEnded && kind.body) await once(arrived.request, 'end')
          await aRound()
        }
        const { response } = arrived
        const closed = new Promise((resolve) => arrived.request.socket.once('close', resolve))
        const over = Promise.race([once(arrived.request, 'end'), closed])
        if (how === 'cut') {
          connection.destroy()
          await closed
        } else arrived.expire(how)
        if (it.keeps) arrived.goOn()
        if (!whole && how !== 'cut') connection.write(request.body)
        // Express answers an error when the request has come.
        if (how === 'next(error)' && !whole) await over
        await aRound()
        decide()
        await aRound()
        if (how === 'an answer' && when === 'before ours sees it') {
          expect([response.statusCode, response.writableEnded]).toEqual([503, true])
        }
        if (how !== 'cut') {
          connection.end()
          connection.destroy()
          await answer
        }
        await expectUsable(it, client)
      },
    )
  })
})

test('a client that left while it was decided about is no client, on any transport', async () => {
  const it = await place(false)
  it.realtime.options.maxClients = 1
  const connections = watch(it.realtime)
  const openings: [string, (client: RawClient) => string | Buffer][] = [
    [
      'exchange',
      (client) => {
        const body = bodyOf(client.head({ ask: Ask.open, serial: 1 }), [hello()])
        const first = `POST /realtime?everwire=1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`
        return Buffer.concat([Buffer.from(first), body])
      },
    ],
    [
      'session over WebSocket',
      (client) =>
        handshake('/realtime', {
          'Sec-WebSocket-Protocol': `everwire.1, ${client.token({ ask: Ask.open })}`,
        }),
    ],
    ['ordinary WebSocket', () => handshake('/realtime')],
  ]
  for (const [name, bytes] of openings) {
    let decide = (): void => {}
    const isAsked = new Promise<IncomingMessage>((resolve) => {
      it.realtime.options.verifyClient = ({ req }, done) => {
        decide = () => done(true)
        resolve(req)
      }
    })
    const connection = await begin(it)
    connection.on('error', () => {})
    connection.write(bytes(new RawClient('')))
    const { socket } = await isAsked
    const left = new Promise((resolve) => socket.once('close', resolve))
    connection.resetAndDestroy()
    await left
    decide()
    await aRound()
    it.realtime.options.verifyClient = () => true
    // The only place is free.
    const next = new RawClient(it.url)
    expect([name, (await next.open()).status]).toEqual([name, 200])
    const { socket: client } = await connections.next()
    const ended = once(client, 'close')
    client.terminate()
    await ended
    expect(connections.size).toBe(0)
  }
  expect(it.faults).toEqual([])
})

test('a request behind another one of its connection is over with it', async () => {
  const it = await place(false)
  const client = new RawClient(it.url)
  await client.open()
  const connection = await begin(it)
  const polls = [1, 2].map(() => {
    const body = bodyOf(client.head({ ask: Ask.hold, serial: ++client.heldSerial }))
    const first = `POST /realtime?everwire=1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`
    return Buffer.concat([Buffer.from(first), body])
  })
  it.keeps = true
  const first = it.next()
  connection.write(polls[0] as Buffer)
  const one = await first
  const second = it.next()
  connection.write(polls[1] as Buffer)
  const two = await second
  const closed = new Promise((resolve) => one.request.socket.once('close', resolve))
  connection.destroy()
  await closed
  two.goOn()
  one.goOn()
  await expectUsable(it, client)
})
