// WebSockets over HTTP/2 (RFC 8441): the same clients, the same refusals and the same limits as with an upgrade.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Http2Connection } from '../../server/base/http2-connection.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import {
  answerTo,
  askForWebSocket,
  connectHttp2,
  type Opened,
  openOverHttp2,
  refusedOverHttp2,
} from '../support/http2.ts'
import type { Queue } from '../support/queue.ts'
import { bodyOf, hello, RawClient } from '../support/raw-client.ts'
import { type Connected, closeOf, end, messagesOf, watch } from '../support/serving.ts'

type Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => void

interface Place {
  readonly realtime: WebSocketServer
  readonly http: Http2Server
  readonly connection: ClientHttp2Session
  readonly connections: Queue<Connected>
  /** Another connection to the same server. */
  connect(settings?: Settings): Promise<ClientHttp2Session>
}

/** How everwire gets at them: the option, the middleware as a request listener, or as a listener for `connect`. */
const ways = ['server', 'middleware', 'connect'] as const

async function serving(
  options: ServerOptions = {},
  way: (typeof ways)[number] = 'server',
  settings: Settings = {},
  before?: (next: () => void, ...args: Parameters<Listener>) => void,
): Promise<Place> {
  const http = createHttp2Server({ settings: { enableConnectProtocol: true } })
  const realtime = new WebSocketServer(
    way === 'server' ? { server: http, ...options } : { noServer: true, ...options },
  )
  const page: Listener = (_request, response) => void response.end('a page')
  http.on('request', (request, response) => {
    if (way !== 'middleware') page(request, response)
    else if (before) before(() => realtime.middleware(request, response), request, response)
    else realtime.middleware(request, response)
  })
  if (way === 'connect') http.on('connect', realtime.middleware)
  await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void http.close())
  onTestFinished(() => end(realtime))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const connect = (own: Settings = {}): Promise<ClientHttp2Session> => connectHttp2(url, { settings: own })
  return { realtime, http, connection: await connect(settings), connections: watch(realtime), connect }
}

/** The texts that come over it, with those of everwire. */
function textsOf({ webSocket }: Opened, texts: string[] = []): string[] {
  webSocket.on('message', (data) => texts.push(String(data)))
  return texts
}

/** Asks with the head of a session, as our client does. */
function asSession(client: RawClient, ask = 0, ...protocols: string[]): OutgoingHttpHeaders {
  return { 'sec-websocket-protocol': [...protocols, 'everwire.1', client.token({ ask })].join(', ') }
}

// The first test of its file: no middleware has been there yet, with which the application would be asked.
test('the option server leaves other paths to the application, and to Node', async () => {
  const { http, connection } = await serving({ path: '/elsewhere' })
  expect((await refusedOverHttp2(connection)).status).toBe(405)
  http.on('connect', (request, response) => void response.writeHead(501).end(`${request.method}`))
  expect(String((await refusedOverHttp2(connection)).body)).toBe('CONNECT')
  expect((await refusedOverHttp2(connection, { ':protocol': 'tea', ':path': '/elsewhere' })).status).toBe(501)
  await openOverHttp2(connection, { ':path': '/elsewhere' })
})

describe.each(ways)('with %s', (way) => {
  test('an ordinary client, both ways', async () => {
    const { connection, connections } = await serving({}, way)
    const { webSocket, headers } = await openOverHttp2(connection, { 'sec-websocket-protocol': 'a, b' })
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'a' })
    for (const name of ['sec-websocket-accept', 'connection', 'upgrade'])
      expect(headers).not.toHaveProperty(name)
    const { socket } = await connections.next()
    expect([socket.protocol, socket.transport]).toEqual(['a', 'websocket'])
    const messages = messagesOf(socket)
    webSocket.send('hello')
    expect(await messages.next()).toBe('hello')
    const answer = once(webSocket, 'message')
    socket.send('hi')
    expect(String((await answer)[0])).toBe('hi')
    const [ended, closed] = [closeOf(socket), once(webSocket, 'close')]
    webSocket.close(4001, 'enough')
    expect(await ended).toEqual({ code: 4001, reason: 'enough' })
    expect((await closed)[0]).toBe(4001)
  })

  test('a session, and its next carrier over another connection', async () => {
    const { connection, connections, connect } = await serving({}, way)
    const client = new RawClient('')
    const first = await openOverHttp2(connection, asSession(client, Ask.open, 'chat'))
    expect(first.headers['sec-websocket-protocol']).toBe('chat')
    const { socket } = await connections.next()
    const lost = once(socket, 'transportchange')
    connection.destroy()
    await lost
    expect([socket.readyState, socket.transport]).toEqual([1, null])
    socket.send('meanwhile')
    client.renew()
    const texts = textsOf(await openOverHttp2(await connect(), asSession(client)))
    await expect.poll(() => texts.at(-1)).toBe('meanwhile')
  })

  test('the application sees a handshake', async () => {
    const { connection, connections } = await serving({}, way)
    await openOverHttp2(connection, { ...asSession(new RawClient(''), Ask.open, 'chat'), cookie: 'a=1' })
    const { request } = await connections.next()
    const { method, url, headers, rawHeaders } = request
    expect([method, url]).toEqual(['GET', '/realtime'])
    expect(headers).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'websocket',
      host: headers[':authority'],
      cookie: 'a=1',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
    })
    expect(headers['sec-websocket-key']).toMatch(/^[+/0-9A-Za-z]{22}==$/)
    expect(headers).not.toHaveProperty(':protocol')
    const raw = rawHeaders.map((one) => one.toLowerCase())
    expect(raw).toEqual(expect.arrayContaining(['upgrade', 'websocket', 'get']))
    expect(raw).not.toContain('connect')
    expect(request.socket.remoteAddress).toBe('127.0.0.1')
  })

  const another = { origin: 'https://evil.example' }
  const refusals: [string, OutgoingHttpHeaders, ServerOptions, number, string][] = [
    ['a page of elsewhere', another, {}, 403, 'Pages of https://evil.example'],
    ['another host', {}, { hosts: ['app.example'] }, 403, 'is not one of'],
    ['no version', { 'sec-websocket-version': '' }, {}, 426, 'Sec-WebSocket-Version'],
    ['a subprotocol twice', { 'sec-websocket-protocol': 'a, a' }, {}, 400, 'Sec-WebSocket-Protocol'],
    ['a malformed session', { 'sec-websocket-protocol': 'everwire.1, everwire.1.AAAA' }, {}, 400, 'everwire'],
    ['bad extensions', { 'sec-websocket-extensions': '=' }, { perMessageDeflate: true }, 400, 'Extensions'],
    ['a client that is not let in', {}, { verifyClient: () => false }, 401, 'Unauthorized'],
    [
      'a session that is not let in',
      asSession(new RawClient(''), Ask.open),
      { verifyClient: (_info, done) => done(false, 404, 'Nobody') },
      404,
      'Nobody',
    ],
    [
      'one that is refused with a success',
      {},
      { verifyClient: (_info, done) => done(false, 200, 'No') },
      400,
      'No',
    ],
    [
      'a decision that does not come',
      {},
      { verifyClient: (_i, _done) => {}, handshakeTimeout: 20 },
      503,
      'in time',
    ],
  ]
  test.each(refusals)('%s is refused', async (_what, headers, options, status, reason) => {
    const { realtime, connection } = await serving(options, way)
    const stream = askForWebSocket(connection, headers)
    const closed = once(stream, 'close')
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [answer] = (await once(stream, 'response')) as [OutgoingHttpHeaders]
    expect(answer[':status']).toBe(status)
    for (const name of ['connection', 'upgrade']) expect(answer).not.toHaveProperty(name)
    // The client has not ended its side of the stream: the server ends it.
    await closed
    expect(String(Buffer.concat(chunks))).toContain(reason)
    expect([
      realtime.stats().refused[options.verifyClient && status === 400 ? 200 : status],
      realtime.memory,
    ]).toEqual([1, 0])
    // The connection serves the next one.
    expect((await refusedOverHttp2(connection, another)).status).toBe(403)
  })

  test('a client that is reset, and one that is terminated', async () => {
    const { connection, connections } = await serving({}, way)
    const first = await openOverHttp2(connection)
    const ended = closeOf((await connections.next()).socket)
    first.stream.close(constants.NGHTTP2_CANCEL)
    expect(await ended).toEqual({ code: 1006, reason: '' })
    const second = await openOverHttp2(connection)
    const closed = once(second.webSocket, 'close')
    ;(await connections.next()).socket.terminate()
    expect((await closed)[0]).toBe(1006)
    expect(second.stream.rstCode).toBe(constants.NGHTTP2_CANCEL)
    // The connection goes on.
    await openOverHttp2(connection)
  })
})

test('the headers of verifyClient and of the event headers are sent, but for those of a connection', async () => {
  const own = { 'Retry-After': 7, Connection: 'close', 'Set-Cookie': ['a=1', 'b=2'] }
  const { connection } = await serving({ verifyClient: (_info, done) => done(false, 429, 'Later', own) })
  const { headers, body } = await refusedOverHttp2(connection)
  expect(headers).toMatchObject({ ':status': 429, 'retry-after': '7', 'set-cookie': ['a=1', 'b=2'] })
  expect(String(body)).toBe('Later')
  const open = await serving()
  open.realtime.on('headers', (all) => all.push('X-Own: 1', 'Set-Cookie: a=1', 'Keep-Alive: 5'))
  const { headers: accepted } = await openOverHttp2(open.connection)
  expect(accepted).toMatchObject({ ':status': 200, 'x-own': '1', 'set-cookie': ['a=1'] })
})

test('a listener for wrong handshakes answers as it does with HTTP/1.1', async () => {
  const { realtime, connection } = await serving()
  realtime.on('wsClientError', (_error, socket) => {
    socket.write('HTTP/1.1 418 Teapot\r\nX-Own: 1\r\nConnection: close\r\n\r\nshort and stout')
    socket.destroy()
  })
  const { status, headers, body } = await refusedOverHttp2(connection, { 'sec-websocket-version': '12' })
  expect([status, headers['x-own'], String(body)]).toEqual([418, '1', 'short and stout'])
})

test('a refusal is not kept for ever for a client that does not read it', async () => {
  const options = { verifyClient: () => false, answerTimeout: 100 }
  const { realtime, connection } = await serving(options, 'server', { initialWindowSize: 0 })
  const stream = askForWebSocket(connection)
  const closed = once(stream, 'close')
  expect((await once(stream, 'response'))[0][':status']).toBe(401)
  expect(realtime.memory).toBe('Unauthorized'.length)
  await closed
  expect(realtime.memory).toBe(0)
})

test('permessage-deflate is as the client offers it', async () => {
  const { connection, connections } = await serving({ perMessageDeflate: { threshold: 0 } })
  const offer = { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' }
  const stream = askForWebSocket(connection, offer)
  const [headers] = await once(stream, 'response')
  expect(headers['sec-websocket-extensions']).toBe('permessage-deflate')
  const { socket } = await connections.next()
  const came = once(stream, 'data')
  socket.send('a text, a text, a text')
  // A whole text that is compressed.
  expect(((await came)[0] as Buffer)[0]).toBe(0xc1)
  stream.close()
})

test('16 MiB go both ways, and a client that does not read holds the server back', async () => {
  const { realtime, connection, connections } = await serving({ maxPayload: 0 })
  const { webSocket, stream } = await openOverHttp2(connection)
  const { socket } = await connections.next()
  const data = randomBytes(16 * 1024 * 1024)
  const messages = messagesOf(socket)
  webSocket.send(data)
  expect(data.equals((await messages.next()) as Buffer)).toBe(true)
  stream.pause()
  for (let at = 0; at < 2; at++) socket.send(data)
  socket.send('the last')
  // Counted when the turn has ended, and not sent before the client reads.
  await expect.poll(() => realtime.memory).toBeGreaterThan(data.length)
  expect(socket.bufferedAmount).toBeGreaterThan(data.length)
  const got: number[] = []
  webSocket.on('message', (message: Buffer) => got.push(message.length))
  stream.resume()
  await expect.poll(() => got).toEqual([data.length, data.length, 'the last'.length])
  expect(realtime.memory).toBe(0)
})

test('the connection of a carrier shows that its client goes on to read a long message, or to send', async () => {
  const { http, connection } = await serving()
  const taken = once(http, 'connect') as Promise<Parameters<Listener>>
  const stream = askForWebSocket(connection, { ':protocol': 'tea' })
  const [request, response] = await taken
  const way = new Http2Connection(request as never, response as never)
  const queued = (): number => way._handle.writeQueueSize
  way.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
  await once(stream, 'response')
  const size = 1024 * 1024
  way.write(Buffer.alloc(size))
  // So much the client takes before it reads.
  await expect.poll(queued).toBeLessThanOrEqual(size - 48 * 1024)
  expect(queued()).toBeGreaterThanOrEqual(size - 64 * 1024)
  stream.on('data', () => {})
  await expect.poll(queued).toBe(0)
  stream.write('seven')
  way.resume()
  await expect.poll(() => way.bytesRead).toBe(5)
  stream.close()
})

test('the stream ends with the WebSocket, also if the client does not end its side', async () => {
  const { connection, connections } = await serving()
  const stream = askForWebSocket(connection)
  await once(stream, 'response')
  const ended = closeOf((await connections.next()).socket)
  const closed = once(stream, 'close')
  stream.resume()
  // A close frame with 1000.
  stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]))
  expect((await ended).code).toBe(1000)
  await closed
  expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
})

test('a stream ends when its client resets it without an error, whatever it sent just before', async () => {
  const { http, connection, connections } = await serving({}, 'server', { initialWindowSize: 0 })
  const begun = once(http, 'stream')
  const stream = askForWebSocket(connection)
  await once(stream, 'response')
  const [served] = (await begun) as [ServerHttp2Stream]
  const { socket } = await connections.next()
  const ended = Promise.all([closeOf(socket), once(served, 'close')])
  // The client lets the server send nothing.
  socket.send('hello')
  await expect.poll(() => served.writableLength).toBeGreaterThan(0)
  stream.write(Buffer.from([0xff, 0xff, 0, 1]))
  stream.close(constants.NGHTTP2_NO_ERROR)
  await ended
})

test('a closing server tells its clients', async () => {
  const { realtime, connection, connections } = await serving()
  const { webSocket } = await openOverHttp2(connection)
  await connections.next()
  const closed = once(webSocket, 'close')
  await realtime.close({ within: 60_000 })
  expect((await closed)[0]).toBe(1012)
})

describe('an application with the middleware', () => {
  test('guards them by its own middleware', async () => {
    const { connection } = await serving({}, 'middleware', {}, (next, request, response) => {
      if (request.headers.cookie === 'user=ada') next()
      else response.writeHead(401, { 'x-own': '1' }).end('Sign in first')
    })
    const { status, headers, body } = await refusedOverHttp2(connection)
    expect([status, headers['x-own'], String(body)]).toEqual([401, '1', 'Sign in first'])
    await openOverHttp2(connection, { cookie: 'user=ada' })
  })

  test('cannot make a WebSocket of its page', async () => {
    const { connection } = await serving(
      {},
      'middleware',
      {},
      (_next, _request, response) => void response.end('hi'),
    )
    expect((await refusedOverHttp2(connection)).status).toBe(400)
  })

  test('refuses a path that is not its own', async () => {
    const { connection } = await serving({ path: '/elsewhere' }, 'middleware')
    expect((await refusedOverHttp2(connection)).status).toBe(400)
    await openOverHttp2(connection, { ':path': '/elsewhere' })
  })

  test('leaves them to whoever listens for connect, but for those of its own path', async () => {
    const { http, connection } = await serving({}, 'middleware')
    http.on('connect', (_request, response) => void response.writeHead(501).end())
    expect((await refusedOverHttp2(connection)).status).toBe(501)
    // From a session's request it knows its path.
    const client = new RawClient('')
    http.removeAllListeners('connect')
    await openOverHttp2(connection, asSession(client, Ask.open))
    http.on('connect', (_request, response) => void response.writeHead(501).end())
    await openOverHttp2(connection)
    expect((await refusedOverHttp2(connection, { ':path': '/other' })).status).toBe(501)
  })
})

test('many small writes that waited are not moved for each of them', async () => {
  const { connection, connections } = await serving()
  const { stream, webSocket } = await openOverHttp2(connection)
  const { socket } = await connections.next()
  stream.pause()
  // More than the client's window takes: what follows waits.
  socket.send(Buffer.alloc(1024 * 1024))
  const count = 3_000
  for (let i = 0; i < count; i++) {
    socket.send('a')
    await turn()
  }
  let longest = 0
  const { shift } = Array.prototype
  const replace = (value: typeof shift) =>
    Object.defineProperty(Array.prototype, 'shift', { value, writable: true, configurable: true })
  replace(function (this: unknown[]) {
    longest = Math.max(longest, this.length)
    return Reflect.apply(shift, this, [])
  })
  onTestFinished(() => void replace(shift))
  let left = count + 1
  const all = new Promise<void>((resolve) => {
    webSocket.on('message', () => {
      if (--left === 0) resolve()
    })
  })
  stream.resume()
  await all
  expect(longest).toBeLessThan(1_000)
})

test('a server of HTTP/2 to which nobody else listens gets its requests', async () => {
  const http = createHttp2Server({ settings: { enableConnectProtocol: true } })
  const realtime = new WebSocketServer({ server: http })
  const connections = watch(realtime)
  onTestFinished(() => end(realtime))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  onTestFinished(() => void http.close())
  const connection = await connectHttp2(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const client = new RawClient('')
  const request = connection.request({ ':method': 'POST', ':path': '/realtime?everwire=1' })
  request.end(bodyOf(client.head({ ask: Ask.open, serial: 1 }), [hello()]))
  expect((await answerTo(request)).status).toBe(200)
  await connections.next()
  const { webSocket } = await openOverHttp2(connection)
  await connections.next()
  webSocket.terminate()
  connection.destroy()
})
