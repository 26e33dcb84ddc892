// The options for connections in Node: each one means all transports.
import { once } from 'node:events'
import http, {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestListener,
} from 'node:http'
import { createServer as createSecureServer, Agent as SecureAgent } from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { connect as connectTCP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Way } from '../../client/node/node-way.ts'
import { WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { closeOf, end, messagesOf, watch } from '../support/serving.ts'
import { selfSigned } from '../support/tls.ts'

const transports = ['websocket', 'stream', 'sse', 'polling'] as const
const ofServer = selfSigned()
const ofClient = selfSigned()

async function serve(tls?: object) {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const listener: RequestListener = (request, response) =>
    realtime.middleware(request, response, () => response.end())
  const server = tls ? createSecureServer({ ...ofServer, ...tls }, listener) : createServer(listener)
  server.on('upgrade', (request, socket, head) =>
    realtime.handleUpgrade(request, socket, head, (client) => realtime.emit('connection', client, request)),
  )
  const port = await listen(server as ReturnType<typeof createServer>)
  return { server, port, url: `${tls ? 'wss' : 'ws'}://localhost:${port}/`, connections: watch(realtime) }
}

async function open(url: string, options: WebSocketOptions): Promise<WebSocket> {
  const client = new WebSocket(url, { remember: false, ...options })
  onTestFinished(() => client.terminate())
  await once(client, 'open')
  return client
}

describe.each(transports)('%s:', (transport) => {
  const only = [transport]

  test('ca alone', async () => {
    const { url } = await serve({})
    expect((await open(url, { transports: only, ca: ofServer.cert })).transport).toBe(transport)
    await expect(open(url, { transports: only, connectTimeout: 500 })).rejects.toThrow(
      /self-signed certificate/,
    )
  })

  test('rejectUnauthorized alone', async () => {
    const { url } = await serve({})
    await open(url, { transports: only, rejectUnauthorized: false })
  })

  test('a certificate of the client', async () => {
    const { url, server } = await serve({ requestCert: true, ca: ofClient.cert })
    const authorized: boolean[] = []
    server.on('secureConnection', (socket: TLSSocket) => authorized.push(socket.authorized))
    await open(url, { transports: only, ca: ofServer.cert, ...ofClient })
    expect(new Set(authorized)).toEqual(new Set([true]))
  })

  test('servername', async () => {
    const { url, server } = await serve({})
    const names: unknown[] = []
    server.on('secureConnection', (socket: TLSSocket) => names.push(socket.servername))
    await open(url.replace('localhost', '127.0.0.1'), {
      transports: only,
      ca: ofServer.cert,
      servername: 'localhost',
    })
    expect(new Set(names)).toEqual(new Set(['localhost']))
  })

  test('a header "Host" does not change whose certificate is expected', async () => {
    const { url } = await serve({})
    await open(url, { transports: only, ca: ofServer.cert, headers: { Host: 'other.example' } })
  })

  test('checkServerIdentity', async () => {
    const { url } = await serve({})
    const asked: string[] = []
    const checking = (error?: Error): WebSocketOptions => ({
      transports: only,
      ca: ofServer.cert,
      checkServerIdentity(host, { raw }) {
        asked.push(`${host} ${raw.length > 0}`)
        return error
      },
    })
    await open(url, checking())
    await expect(open(url, checking(new Error('another certificate')))).rejects.toThrow('another certificate')
    expect(new Set(asked)).toEqual(new Set(['localhost true']))
  })

  test.each(['http', 'https'])('agent alone: an Agent of %s', async (scheme) => {
    const { url, server } = await serve(scheme === 'https' ? {} : undefined)
    const from: (string | undefined)[] = []
    server.on('connection', ({ remoteAddress }) => from.push(remoteAddress))
    const localAddress = '127.0.0.4'
    const agent =
      scheme === 'https'
        ? new SecureAgent({ ca: ofServer.cert, localAddress, family: 4 })
        : new Agent({ keepAlive: true, localAddress, family: 4 })
    await open(url, { transports: only, agent })
    expect(new Set(from)).toEqual(new Set([localAddress]))
    agent.destroy()
  })

  test('ca, with an agent', async () => {
    const { url } = await serve({})
    const agent = new SecureAgent({ keepAlive: true })
    await open(url, { transports: only, agent, ca: ofServer.cert })
    agent.destroy()
  })

  test('an agent that reads and changes the headers of requests', async () => {
    const { url, connections } = await serve()
    const hosts: unknown[] = []
    class Marking extends Agent {
      addRequest(request: ClientRequest, ...rest: unknown[]): void {
        hosts.push(request.getHeader('host'))
        request.setHeader('X-Mark', 'there')
        const { addRequest } = Agent.prototype as unknown as Record<string, (...args: unknown[]) => void>
        addRequest?.call(this, request, ...rest)
      }
    }
    const agent = new Marking({ keepAlive: true })
    const [, { request }] = await Promise.all([
      open(url, { transports: only, agent, headers: { 'X-Mine': 'here' } }),
      connections.next(),
    ])
    expect(request.headers).toMatchObject({ 'x-mark': 'there', 'x-mine': 'here' })
    expect(new Set(hosts)).toEqual(new Set([new URL(url).host]))
    agent.destroy()
  })

  test('tracing that copies the headers of requests, as that of OpenTelemetry', async () => {
    const { url, connections } = await serve()
    const { request: original } = http
    http.request = ((options: http.RequestOptions, ...rest: []) =>
      original({ ...options, headers: { ...options.headers, traceparent: 'a trace' } }, ...rest)) as never
    syncBuiltinESMExports()
    onTestFinished(() => {
      http.request = original
      syncBuiltinESMExports()
    })
    const [, { request }] = await Promise.all([
      open(url, { transports: only, headers: { 'X-Mine': 'here' } }),
      connections.next(),
    ])
    expect(request.headers).toMatchObject({
      'x-mine': 'here',
      traceparent: 'a trace',
      host: new URL(url).host,
    })
  })

  test('createConnection', async () => {
    const { port } = await serve()
    const asked: unknown[] = []
    const createConnection = ({ host }: { host: string }) => {
      asked.push(host)
      return connectTCP(port, '127.0.0.1')
    }
    await open('ws://nowhere.example/', { transports: only, createConnection })
    expect(new Set(asked)).toEqual(new Set(['nowhere.example']))
  })

  test('lookup and localAddress', async () => {
    const { url, server } = await serve()
    const from: unknown[] = []
    server.on('connection', ({ remoteAddress }) => from.push(remoteAddress))
    const lookup: WebSocketOptions['lookup'] = (_host, options, done) =>
      options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)
    await open(url.replace('localhost', 'nowhere.example'), {
      transports: only,
      lookup,
      localAddress: '127.0.0.3',
    })
    expect(new Set(from)).toEqual(new Set(['127.0.0.3']))
  })

  test('a Unix socket', async () => {
    const { server, connections } = await serve()
    server.close()
    const path = join(tmpdir(), `everwire-way-${process.pid}-${transport}.sock`)
    server.listen(path)
    await once(server, 'listening')
    const [client, { request }] = await Promise.all([
      open(`ws+unix:${path}:/there?room=1`, { transports: only }),
      connections.next(),
    ])
    expect([client.transport, request.url]).toEqual([transport, '/there?room=1'])
  })
})

test.each(['stream', 'sse', 'polling'] as const)(
  '%s: what answers messages that came together takes one request',
  async (transport) => {
    const { url, server, connections } = await serve()
    const [client, { socket }] = await Promise.all([
      open(url, { transports: [transport] }),
      connections.next(),
    ])
    const received = messagesOf(socket)
    // Once it has been there and back, nothing is under way but what is held.
    client.on('message', (data) => client.send(String(data)))
    socket.send('first')
    await received.next()
    await expect.poll(() => socket.bufferedAmount).toBe(0)
    const bodies: number[] = []
    server.on('request', ({ headers }: IncomingMessage) => bodies.push(Number(headers['content-length'])))
    const large = 'x'.repeat(500)
    for (let i = 0; i < 16; i++) socket.send(large)
    for (let i = 0; i < 16; i++) await received.next()
    expect(bodies.filter((size) => size > large.length)).toEqual([
      expect.toSatisfy((size) => size > 16 * large.length),
    ])
  },
)

describe.each(['stream', 'sse', 'polling'] as const)('%s:', (transport) => {
  test.each([
    ['one connection, with one socket', { maxSockets: 1 }, 1],
    ['one connection for all servers, with one socket', { maxTotalSockets: 1 }, 1],
    ['five connections, with eight sockets', { maxSockets: 5 }, 8],
  ])('an agent with %s: no message waits for what is held', async (_what, few, count) => {
    const { url, connections } = await serve()
    const agent = new Agent({ keepAlive: true, ...few })
    onTestFinished(() => agent.destroy())
    for (let i = 0; i < count; i++) {
      const [client, { socket }] = await Promise.all([
        open(url, { transports: [transport], agent }),
        connections.next(),
      ])
      const received = messagesOf(socket)
      client.on('message', (data) => client.send(String(data)))
      for (let round = 0; round < 3; round++) {
        socket.send(`${i} ${round}`)
        expect(await received.next()).toBe(`${i} ${round}`)
      }
      if (count > 1) continue
      client.close(4321, 'done')
      expect(await closeOf(socket)).toEqual({ code: 4321, reason: 'done' })
    }
  })
})

test('sockets without options for connections share them, and others do not', () => {
  const agentOf = (url: string, options: object) => new Way(url, options).forHTTP
  expect(agentOf('ws://x/', { patience: 5, headers: {} })).toBe(
    agentOf('ws://y/', { perMessageDeflate: true }),
  )
  expect(agentOf('wss://x/', {})).not.toBe(agentOf('ws://x/', {}))
  expect(agentOf('wss://x/', { ca: '' })).not.toBe(agentOf('wss://x/', { ca: '' }))
})

test.each<[url: string, options: object, names: string[]]>([
  ['ws://x/', { dispatcher: {} }, ['"dispatcher"', '"agent"', '"proxy"']],
  ['ws://x/', { proxy: 5 }, ['"proxy"']],
  ['ws://x/', { proxy: 'socks5://p:1' }, ['"proxy"']],
  ['ws://x/', { proxy: 'http://p', agent: new Agent() }, ['"proxy"', '"agent"']],
  ['ws://x/', { proxy: 'http://p', createConnection: connectTCP }, ['"proxy"', '"createConnection"']],
  ['ws+unix:/x:/', { proxy: 'http://p' }, ['"proxy"']],
  ['wss://x/', { agent: new Agent() }, ['"agent"', 'https.Agent']],
  ['ws://x/', { agent: new SecureAgent() }, ['"agent"', 'http.Agent']],
  ['ws://x/', { proxi: 'http://p' }, ['"proxi"', '"proxy"']],
])('%s with %o cannot be meant', (url, options, names) => {
  expect(() => new WebSocket(url, options)).toThrow(TypeError)
  for (const name of names) expect(() => new WebSocket(url, options)).toThrow(name)
})
