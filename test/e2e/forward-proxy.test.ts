// The option `proxy`: through a real forward proxy every transport gets there, and none goes around it.
import { createHash } from 'node:crypto'
import { lookup as dnsLookup } from 'node:dns'
import { once } from 'node:events'
import { Agent, createServer, type RequestListener } from 'node:http'
import {
  connect as connectTCP,
  createServer as createTCPServer,
  type LookupFunction,
  type Socket,
} from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { examine } from '../../doctor/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { freePort, type ProxySetup, type Proxy as Running, startProxy } from '../support/proxies.ts'
import { closeOf, end, messagesOf, watch } from '../support/serving.ts'
import { secureServer, selfSigned } from '../support/tls.ts'
import { needs } from '../support/tools.ts'

const transports = ['websocket', 'stream', 'sse', 'polling'] as const
const schemes = ['ws', 'wss'] as const
/** What the proxy connects from: only its connections to the server come from there. */
const proxyAddress = '127.0.0.2'
const certificate = selfSigned()

function squid(rules: string, files: ProxySetup['files'] = {}): ProxySetup {
  return { program: 'squid', config: `tcp_outgoing_address ${proxyAddress}\n${rules}`, files }
}

const open = squid('http_access allow all')
const guarded = squid(
  `auth_param basic program /usr/lib/squid/basic_ncsa_auth FOLDER/passwords
acl known proxy_auth REQUIRED
http_access allow known`,
  { passwords: `ada@home:${createHash('md5').update('pass:word/1').digest('hex')}\n` },
)

/** A server of ours, and from where connections to it came. */
async function serve(scheme: (typeof schemes)[number]) {
  const realtime = new WebSocketServer({ noServer: true })
  onTestFinished(() => end(realtime))
  const listener: RequestListener = (request, response) =>
    realtime.middleware(request, response, () => response.end())
  const server = scheme === 'wss' ? secureServer(listener, certificate) : createServer(listener)
  server.on('upgrade', (request, socket, head) =>
    realtime.handleUpgrade(request, socket, head, (client) => realtime.emit('connection', client, request)),
  )
  const from: (string | undefined)[] = []
  server.on('connection', ({ remoteAddress }) => from.push(remoteAddress))
  const port = await listen(server as ReturnType<typeof createServer>)
  return { url: `${scheme}://localhost:${port}/realtime`, from, connections: watch(realtime) }
}

function connect(url: string, options: WebSocketOptions): WebSocket {
  const socket = new WebSocket(url, { remember: false, ca: certificate.cert, family: 4, ...options })
  onTestFinished(() => socket.terminate())
  return socket
}

/** The error of a socket that closes without having been open. */
async function failureOf(client: WebSocket): Promise<Error> {
  let failure: Error | undefined
  client.on('error', (error) => {
    failure = error
  })
  await new Promise((resolve) => client.on('close', resolve))
  return failure as Error
}

/** The socket opens, both ends speak, and it closes. */
async function converse(
  url: string,
  options: WebSocketOptions,
  { connections }: Awaited<ReturnType<typeof serve>>,
) {
  const client = connect(url, options)
  const [{ socket }] = await Promise.all([connections.next(), once(client, 'open')])
  const received = messagesOf(socket)
  client.send('there')
  expect(await received.next()).toBe('there')
  socket.send('and back')
  expect(String((await once(client, 'message'))[0])).toBe('and back')
  const { transport } = client
  client.close(4321, 'done')
  expect(await closeOf(socket)).toEqual({ code: 4321, reason: 'done' })
  return transport
}

needs('squid', 'through squid', () => {
  const running: Running[] = []
  let proxy: string
  let guard: string
  beforeAll(async () => {
    running.push(...(await Promise.all([startProxy(open), startProxy(guarded)])))
    ;[proxy = '', guard = ''] = running.map(({ port }) => `localhost:${port}`)
  })
  afterAll(() => Promise.all(running.map(({ stop }) => stop())))

  describe.each(schemes)('to %s:', (scheme) => {
    test.each(transports)('%s', async (transport) => {
      const serving = await serve(scheme)
      expect(
        await converse(serving.url, { transports: [transport], proxy: `http://${proxy}` }, serving),
      ).toBe(transport)
      expect(new Set(serving.from)).toEqual(new Set([proxyAddress]))
    })

    test.each(transports)('%s, with a name and a password', async (transport) => {
      const serving = await serve(scheme)
      const options = {
        transports: [transport],
        proxy: new URL(`http://ada%40home:pass%3Aword%2F1@${guard}`),
      }
      expect(await converse(serving.url, options, serving)).toBe(transport)
    })

    test.each(transports)('%s: who gives no name, or a wrong one, is told', async (transport) => {
      const { url, from } = await serve(scheme)
      for (const who of ['', 'ada%40home:wrong@']) {
        const client = connect(url, {
          transports: [transport],
          proxy: `http://${who}${guard}`,
        })
        expect((await failureOf(client)).message).toContain('407')
        expect(JSON.stringify(client.diary)).toContain('407')
      }
      expect(from).toEqual([])
    })
  })

  test('where CONNECT is refused, HTTP without TLS gets through', async () => {
    const serving = await serve('ws')
    const { port, stop } = await startProxy(
      squid('acl tunnel method CONNECT\nhttp_access deny tunnel\nhttp_access allow all'),
    )
    onTestFinished(stop)
    expect(await converse(serving.url, { proxy: `http://localhost:${port}` }, serving)).toBe('stream')
    expect(new Set(serving.from)).toEqual(new Set([proxyAddress]))
  })

  test('session: false', async () => {
    const serving = await serve('wss')
    expect(await converse(serving.url, { session: false, proxy: `http://${proxy}` }, serving)).toBe(
      'websocket',
    )
    expect(serving.from).toEqual([proxyAddress])
  })

  test('the doctor', async () => {
    const { url, from } = await serve('wss')
    const options = { proxy: `http://${proxy}`, ca: certificate.cert, duration: 1000 }
    const report = await examine(url, options)
    expect(Object.values(report.transports).map(({ usable }) => usable)).toEqual([true, true, true, true])
    expect(new Set(from)).toEqual(new Set([proxyAddress]))
  })

  test('which the environment names, if it is asked for', async () => {
    const serving = await serve('wss')
    vi.stubEnv('https_proxy', proxy)
    onTestFinished(() => void vi.unstubAllEnvs())
    await converse(serving.url, { proxy: 'environment' }, serving)
    expect(new Set(serving.from)).toEqual(new Set([proxyAddress]))
    serving.from.length = 0
    await converse(serving.url, {}, serving)
    expect(serving.from).not.toContain(proxyAddress)
  })
})

describe.each(schemes)('where the proxy is down, to %s:', (scheme) => {
  test.each(transports)('%s goes nowhere, and says why', async (transport) => {
    const { url, from } = await serve(scheme)
    const proxy = `127.0.0.1:${await freePort()}`
    const client = connect(url, {
      transports: [transport],
      proxy: `http://name:secret@${proxy}`,
    })
    const error = await failureOf(client)
    expect(error.message).toBe(`The connection to the proxy ${proxy} failed: ECONNREFUSED`)
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
    expect(JSON.stringify(client.diary)).toContain(`the proxy ${proxy} failed: ECONNREFUSED`)
    expect(JSON.stringify(client.diary)).not.toContain('secret')
    expect(from).toEqual([])
  })
})

test('the options for connections are for those to the proxy, on each way to it', async () => {
  const from: (string | undefined)[] = []
  const proxy = createServer((_request, response) => response.writeHead(502).end())
  proxy.on('connection', ({ remoteAddress }: Socket) => from.push(remoteAddress))
  proxy.on('connect', (_request, socket: Socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
  const port = await listen(proxy)
  const looked: string[] = []
  const lookup = (name: string, ...rest: [never, never]): void => {
    looked.push(name)
    dnsLookup(name, ...rest)
  }
  for (const transport of ['websocket', 'polling'] as const) {
    const client = connect('ws://server.example/', {
      transports: [transport],
      proxy: `http://localhost:${port}`,
      localAddress: proxyAddress,
      lookup: lookup as LookupFunction,
    })
    expect((await failureOf(client)).message).toContain('502')
    expect(new Set(looked.splice(0))).toEqual(new Set(['localhost']))
    expect(new Set(from.splice(0))).toEqual(new Set([proxyAddress]))
  }
})

describe('a proxy that never answers', () => {
  test.each(transports)('%s: who closes leaves no connection to it', async (transport) => {
    const proxy = createTCPServer()
    const port = await listen(proxy as never)
    const client = connect('wss://localhost:1/', {
      transports: [transport],
      proxy: `http://127.0.0.1:${port}`,
    })
    const [socket] = await once(proxy, 'connection')
    socket.resume()
    const gone = once(socket, 'close')
    client.close()
    await gone
  })
})

describe.each([
  ['cert', { cert: 'none', key: 'none' }, /PEM/],
  ['minVersion', { minVersion: 'TLSv9' as never }, /TLSv9/],
  ['ciphers', { ciphers: 'NONE' }, /no cipher match/],
])('a wrong option of TLS, %s:', (_, wrong, message) => {
  test.each(transports)('%s fails with its error', async (transport) => {
    const proxy = createServer()
    const closed: Promise<unknown>[] = []
    proxy.on('connect', (_request, socket: Socket) => {
      socket.on('error', () => {})
      closed.push(new Promise((resolve) => socket.once('close', resolve)))
      socket.once('end', () => socket.end())
      socket.resume().write('HTTP/1.1 200 OK\r\n\r\n')
    })
    const url = `http://127.0.0.1:${await listen(proxy)}`
    const client = connect('wss://localhost:1/', { transports: [transport], proxy: url, ...wrong })
    expect((await failureOf(client)).message).toMatch(message)
    expect(closed.length).toBeGreaterThan(0)
    await Promise.all(closed)
  })
})

test.each([200, 201, 299])('a tunnel is open after the status %i', async (status) => {
  const serving = await serve('wss')
  const proxy = createServer()
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    const [host, port] = url.split(':')
    const onward = connectTCP(Number(port), host, () => socket.write(`HTTP/1.1 ${status} Fine\r\n\r\n`))
    onward.pipe(socket).pipe(onward)
    for (const one of [onward, socket]) one.on('error', () => {})
  })
  const url = `http://127.0.0.1:${await listen(proxy)}`
  expect(await converse(serving.url, { transports: ['websocket'], proxy: url }, serving)).toBe('websocket')
})

test('the proxy itself may speak TLS', async () => {
  const serving = await serve('ws')
  // As much of a proxy as CONNECT takes, and absolute requests never come: there is only the WebSocket.
  const proxy = secureServer((_request, response) => response.writeHead(400).end(), certificate)
  proxy.on('connect', ({ url = '' }, socket) => {
    const [host = '', port] = url.split(':')
    const onward = connectTCP(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    onward.pipe(socket).pipe(onward)
    for (const one of [onward, socket]) one.on('error', () => {})
  })
  const url = `https://localhost:${await listen(proxy as never)}`
  expect(await converse(serving.url, { transports: ['websocket'], proxy: url }, serving)).toBe('websocket')
})

describe('a redirect to a URL with TLS', () => {
  /** Redirects each handshake. */
  async function redirecting(to: string): Promise<string> {
    const server = createServer()
    server.on('upgrade', (_request, socket) => socket.end(`HTTP/1.1 301 Moved\r\nLocation: ${to}\r\n\r\n`))
    return `ws://localhost:${await listen(server)}/`
  }

  test('is followed through the proxy', async () => {
    const serving = await serve('wss')
    const proxy = createServer()
    const asked: (string | undefined)[] = []
    proxy.on('connect', ({ url = '' }, socket: Socket) => {
      asked.push(url)
      const [host, port] = url.split(':')
      const onward = connectTCP(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
      onward.pipe(socket).pipe(onward)
      for (const one of [onward, socket]) one.on('error', () => {})
    })
    const from = await redirecting(serving.url)
    const options = {
      session: false,
      followRedirects: true,
      proxy: `http://127.0.0.1:${await listen(proxy)}`,
    }
    expect(await converse(from, options, serving)).toBe('websocket')
    expect(asked).toEqual([new URL(from).host, new URL(serving.url).host])
  })

  test('fails with an agent that is for URLs without', async () => {
    const { url } = await serve('wss')
    const agent = new Agent()
    const client = connect(await redirecting(url), { session: false, followRedirects: true, agent })
    expect((await failureOf(client)).message).toBe('The option "agent" is not for the URL of this redirect')
  })
})
