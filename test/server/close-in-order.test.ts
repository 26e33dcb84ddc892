// `close({ code, reason, within })`: everybody is told, in time, and nothing of ours keeps the HTTP server.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type CloseOptions, type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { handshake, listen, talk } from '../support/http.ts'
import { connectPeer, next, peerKinds } from '../support/peers.ts'
import { plain, refused } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { bodyOf, RawClient } from '../support/raw-client.ts'
import { closeOf, type Serving, serve, watch } from '../support/serving.ts'

/** On an HTTP server of the application's. */
async function mounted(options: ServerOptions = {}): Promise<Mounted> {
  const realtime = new WebSocketServer({ noServer: true, ...options })
  const others = new Queue<ServerResponse>()
  const server = createServer((request, response) => {
    realtime.middleware(request, response, () => others.push(response))
  })
  const port = await listen(server)
  const closeServer = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
  return {
    realtime,
    port,
    url: `http://127.0.0.1:${port}/`,
    connections: watch(realtime),
    others,
    closeServer,
  }
}

interface Mounted extends Serving {
  /** The requests that are the application's own. */
  readonly others: Queue<ServerResponse>
  closeServer(): Promise<void>
}

describe.each(peerKinds)('%s', (kind) => {
  test('the client is told, confirms, and the HTTP server closes at once', async () => {
    const serving = await mounted()
    const peer = await connectPeer(serving, kind)
    const ended = closeOf(peer.socket)
    peer.socket.send('before')
    expect(serving.realtime.ready).toBe(true)
    const closing = serving.realtime.close({ within: 60_000 })
    expect(serving.realtime.ready).toBe(false)
    await closing
    expect((await ended).code).toBe(1012)
    await serving.closeServer()
    expect(await next(peer)).toBe('before')
    expect(await next(peer)).toEqual({ code: 1012, reason: '' })
  })

  test('the code and the reason are options', async () => {
    const serving = await serve()
    const peer = await connectPeer(serving, kind)
    await serving.realtime.close({ code: 4321, reason: 'A new version', within: 60_000 })
    expect(await next(peer)).toEqual({ code: 4321, reason: 'A new version' })
  })
})

describe('a client that does not confirm is given up when the time is over', () => {
  test('an ordinary WebSocket that is not read', async () => {
    const serving = await mounted()
    const client = await plain(serving.url)
    const { socket } = await serving.connections.next()
    client.pause()
    const ended = closeOf(socket)
    await serving.realtime.close({ within: 200 })
    await ended
    await serving.closeServer()
  })

  test('a session on a WebSocket', async () => {
    const serving = await mounted()
    const webSocket = await new RawClient(serving.url).openWebSocket()
    const { socket } = await serving.connections.next()
    webSocket.socket.pause()
    const ended = closeOf(socket)
    await serving.realtime.close({ within: 200, reason: 'restart' })
    expect(await ended).toMatchObject({ code: 1012, reason: 'restart' })
    await serving.closeServer()
  })

  test('a session on a stream, which hears why', async () => {
    const serving = await mounted()
    const client = new RawClient(serving.url)
    await client.open()
    const stream = await client.stream()
    const { socket } = await serving.connections.next()
    const ended = closeOf(socket)
    await serving.realtime.close({ within: 200 })
    expect((await ended).code).toBe(1012)
    expect(await client.arrived.next()).toEqual({ code: 1012, reason: '' })
    await stream.ended
    await serving.closeServer()
  })

  test('a session whose stream nobody reads any more', async () => {
    const serving = await mounted()
    const client = new RawClient(serving.url)
    await client.open()
    const stream = await client.stream()
    const { socket } = await serving.connections.next()
    stream.response.pause()
    const ended = closeOf(socket)
    socket.send(Buffer.alloc(32 * 1024 * 1024))
    await serving.realtime.close({ within: 200 })
    expect((await ended).code).toBe(1012)
    await serving.closeServer()
  })

  test('a session that asks for nothing', async () => {
    const serving = await mounted()
    await new RawClient(serving.url).open()
    const { socket } = await serving.connections.next()
    const ended = closeOf(socket)
    await serving.realtime.close({ within: 200 })
    expect((await ended).code).toBe(1012)
    await serving.closeServer()
  })
})

/** Resolves once the server has what was written; `ended` once the connection has ended. */
type Hold = (serving: Serving) => Promise<{ readonly ended: Promise<unknown> }>

describe('what is not complete when the time is over ends with its connection', () => {
  const asked = new Queue<IncomingMessage>()
  const undecided: ServerOptions = { verifyClient: (info, _decide) => void asked.push(info.req) }
  const rows: [name: string, options: ServerOptions, hold: Hold][] = [
    [
      'half a body',
      {},
      async ({ port, realtime }) => {
        const size = 200_000
        const head = `POST /?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`
        const ended = talk(port, head + 'x'.repeat(size - 1))
        await expect.poll(() => realtime.memory).toBeGreaterThan(0)
        return { ended }
      },
    ],
    [
      'an exchange about which nobody decides',
      undecided,
      async ({ url }) => {
        const ended = new RawClient(url).open().catch(() => {})
        await asked.next()
        return { ended }
      },
    ],
    [
      'a handshake about which nobody decides',
      undecided,
      async ({ port }) => {
        const ended = talk(port, handshake('/'))
        await asked.next()
        return { ended }
      },
    ],
    [
      'a stream that stands by',
      {},
      async ({ url }) => {
        const client = new RawClient(url)
        await client.open()
        const ask = Ask.hold | Ask.stream | Ask.standby
        const stream = await client.stream({ ask, epoch: 2 })
        return { ended: stream.ended }
      },
    ],
  ]

  test.each(rows)('%s, on a server of the application', async (_name, options, hold) => {
    const serving = await mounted(options)
    const foreign = talk(serving.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    const response = await serving.others.next()
    const { ended } = await hold(serving)
    await serving.realtime.close({ within: 100 })
    const closed = serving.closeServer()
    await ended
    response.end('a request of the application')
    expect(await foreign).toContain('a request of the application')
    await closed
  })

  test.each(rows)('%s, on an own port', async (_name, options, hold) => {
    const serving = await serve(options)
    const { ended } = await hold(serving)
    await serving.realtime.close({ within: 100 })
    await ended
  })
})

test('a WebSocket that opens after the time holds nothing', async () => {
  const serving = await mounted()
  const client = await plain(serving.url)
  client.pause()
  await serving.connections.next()
  await serving.realtime.close({ within: 100 })
  // It never answers a close.
  const protocol = new RawClient(serving.url).token()
  const answer = await talk(
    serving.port,
    handshake('/', { 'Sec-WebSocket-Protocol': `everwire.1, ${protocol}` }),
  )
  expect(answer).not.toContain('503')
  await serving.closeServer()
})

test('new sessions are refused with 503, and told when to come again', async () => {
  const serving = await mounted()
  const webSocket = await new RawClient(serving.url).openWebSocket()
  webSocket.socket.pause()
  const closing = serving.realtime.close({ within: 500 })
  const http = await new RawClient(serving.url).open()
  expect([http.status, http.headers['retry-after'], http.headers.connection]).toEqual([503, '1', 'close'])
  const handshake = await refused(serving.url)
  expect([handshake.status, handshake.headers['retry-after']]).toEqual([503, '1'])
  await closing
  expect((await new RawClient(serving.url).open()).status).toBe(503)
  await serving.closeServer()
})

test('many clients are told one after the other, in the first half of the time', async () => {
  const serving = await serve()
  const times: number[] = []
  const peers = []
  for (let i = 0; i < 10; i++) peers.push(await connectPeer(serving, 'websocket'))
  const begun = performance.now()
  for (const peer of peers) {
    peer.socket.once('close', () => times.push(performance.now() - begun))
  }
  await serving.realtime.close({ within: 400 })
  expect(times).toHaveLength(10)
  // The last one is told after nine gaps of 20 ms.
  expect(Math.max(...times)).toBeGreaterThan(170)
})

test('two calls are one close, and both know when it is over', async () => {
  const serving = await serve()
  const peer = await connectPeer(serving, 'polling')
  const closed = new Promise<void>((resolve) => serving.realtime.close(() => resolve()))
  await Promise.all([serving.realtime.close({}), serving.realtime.close({ code: 4000 }), closed])
  expect(await next(peer)).toEqual({ code: 1012, reason: '' })
  await serving.realtime.close({})
})

describe('a request of a session that comes when its server has closed', () => {
  async function late(server: Server, at: 'before the HTTP server closes' | 'after it'): Promise<string> {
    const realtime = new WebSocketServer({ server })
    const port = await listen(server)
    const client = connect(port, '127.0.0.1')
    onTestFinished(() => void client.destroy())
    const [connection] = await once(server, 'connection')
    // Under way when the server closes, so that the connection is not one of the idle ones that Node ends.
    client.write('POST /?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n')
    await expect.poll(() => connection.bytesRead).toBeGreaterThan(0)
    await realtime.close({})
    const close = (): Promise<unknown> => new Promise((resolve) => server.close(resolve))
    const closed = at === 'after it' ? close() : undefined
    client.write('\r\n')
    const [answer] = await once(client, 'data')
    await (closed ?? close())
    return String(answer)
  }

  test('ends its connection, whoever answers it', async () => {
    const server = createServer((_request, response) => void response.end())
    expect(await late(server, 'after it')).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n/)
  })

  test.each(['before the HTTP server closes', 'after it'] as const)(
    'is answered where nobody else would, %s',
    async (at) => {
      expect(await late(createServer(), at)).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/)
    },
  )
})

test('close() of ws tells nobody', async () => {
  const serving = await serve()
  const peer = await connectPeer(serving, 'plain')
  expect(serving.realtime.close()).toBe(undefined)
  expect(serving.realtime.ready).toBe(false)
  peer.socket.send('still here')
  expect(await next(peer)).toBe('still here')
})

test('without clientTracking everybody is told as well', async () => {
  const serving = await serve({ clientTracking: false })
  const peers = [await connectPeer(serving, 'plain'), await connectPeer(serving, 'stream')]
  await serving.realtime.close({})
  for (const peer of peers) expect(await next(peer)).toEqual({ code: 1012, reason: '' })
})

test('wrong options throw, and the message names them', () => {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => realtime.close())
  const wrong: [object, RegExp][] = [
    [{ code: 1005 }, /"code"/],
    [{ code: 999 }, /"code"/],
    [{ code: '1000' }, /"code"/],
    [{ reason: 1 }, /"reason"/],
    [{ reason: 'x'.repeat(124) }, /"reason"/],
    [{ within: -1 }, /"within"/],
    [{ within: Number.POSITIVE_INFINITY }, /"within"/],
    [{ witihn: 1 }, /"witihn"; did you mean "within"/],
  ]
  for (const [options, message] of wrong) {
    expect(() => realtime.close(options as CloseOptions)).toThrow(message)
    expect(realtime.ready).toBe(true)
  }
})

describe('close() on a port of its own', () => {
  test('an answer after it is the last on its connection, so that nobody keeps it by asking again', async () => {
    const { realtime, port, url } = await serve()
    const body = bodyOf(new RawClient(url).head())
    const post = `POST /?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    const reading = new Promise<void>((resolve) => {
      const tell = (): void => resolve()
      subscribe('http.server.request.start', tell)
      onTestFinished(() => void unsubscribe('http.server.request.start', tell))
    })
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    connection.write(post)
    await reading
    const closed = new Promise<void>((resolve) => realtime.close(() => resolve()))
    await turn()
    connection.write(body)
    const [answer] = (await once(connection, 'data')) as [Buffer]
    expect(String(answer)).toMatch(/\r\nConnection: close\r\n/i)
    await closed
  })

  test('a request that does not become complete has its time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { realtime, port } = await serve()
    const read = new Promise<void>((resolve) => {
      const listen = (message: unknown): void => {
        const { socket } = message as { socket: Socket }
        socket.once('data', () => resolve())
      }
      subscribe('net.server.socket', listen)
      onTestFinished(() => void unsubscribe('net.server.socket', listen))
    })
    const connection = connect(port, '127.0.0.1')
    onTestFinished(() => void connection.destroy())
    connection.write('GET / HT')
    await read
    let isClosed = false
    const closed = new Promise<void>((resolve) => realtime.close(() => resolve()))
    void closed.then(() => {
      isClosed = true
    })
    await turn()
    vi.advanceTimersByTime(59_000)
    await turn()
    expect(isClosed).toBe(false)
    vi.advanceTimersByTime(1_000)
    await closed
  })
})
