// RFC 6455, section 4.2, and how a server says no: at once, with a reason, whatever the transport.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import express from 'express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { refuseUpgrade } from '../../server/base/handshake.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { uncaught } from '../support/faults.ts'
import { handshake, headerLines, listen, talk } from '../support/http.ts'
import { plain } from '../support/plain-client.ts'
import { Queue } from '../support/queue.ts'
import { bodyOf, hello, RawClient, text } from '../support/raw-client.ts'
import { end, messagesOf, serve, watch } from '../support/serving.ts'

const session = 'everwire.1, everwire.1.'

/** What a handshake must not be, and the answer to it. */
const wrong: [string, string, number, RegExp][] = [
  ['a POST', handshake('/realtime', { 'Content-Length': '0' }, 'POST'), 405, /method/],
  ['a PUT', handshake('/realtime', {}, 'PUT'), 405, /method/],
  ['HTTP/1.0', handshake('/realtime', {}, 'GET HTTP/1.0'), 400, /HTTP\/1\.1/],
  ['no key', handshake('/realtime', { 'Sec-WebSocket-Key': undefined }), 400, /Key/],
  ['an empty key', handshake('/realtime', { 'Sec-WebSocket-Key': '' }), 400, /Key/],
  [
    'a key that is too short',
    handshake('/realtime', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' }),
    400,
    /Key/,
  ],
  [
    'a key that is no base64',
    handshake('/realtime', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub2*jZQ==' }),
    400,
    /Key/,
  ],
  ['no version', handshake('/realtime', { 'Sec-WebSocket-Version': undefined }), 426, /Version/],
  ['version 12', handshake('/realtime', { 'Sec-WebSocket-Version': '12' }), 426, /Version/],
  ['version 14', handshake('/realtime', { 'Sec-WebSocket-Version': '14' }), 426, /Version/],
  ['version x', handshake('/realtime', { 'Sec-WebSocket-Version': 'x' }), 426, /Version/],
  ['another protocol', handshake('/realtime', { Upgrade: 'tea/2' }), 400, /Upgrade/],
  ['two protocols', handshake('/realtime', { Upgrade: 'websocket, tea' }), 400, /Upgrade/],
  ['a subprotocol twice', handshake('/realtime', { 'Sec-WebSocket-Protocol': 'a, b, a' }), 400, /Protocol/],
  ['an empty subprotocol', handshake('/realtime', { 'Sec-WebSocket-Protocol': 'a,,b' }), 400, /Protocol/],
  ['no subprotocol at all', handshake('/realtime', { 'Sec-WebSocket-Protocol': '' }), 400, /Protocol/],
  [
    'a subprotocol that is no token',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': 'a, b c' }),
    400,
    /Protocol/,
  ],
  ['a comma too many', handshake('/realtime', { 'Sec-WebSocket-Protocol': 'a,' }), 400, /Protocol/],
  ['an empty everwire head', handshake('/realtime', { 'Sec-WebSocket-Protocol': session }), 400, /everwire/],
  [
    'a bad everwire head',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': `${session}AAAA` }),
    400,
    /everwire/,
  ],
  [
    'an everwire head cut off',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': cutToken(-4) }),
    400,
    /everwire/,
  ],
  [
    'an everwire head too long',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': `${token()}AAAA` }),
    400,
    /everwire/,
  ],
  [
    'two everwire heads',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': `${token()}, ${token()}` }),
    400,
    /everwire|Protocol/,
  ],
  [
    'everwire.1 twice',
    handshake('/realtime', { 'Sec-WebSocket-Protocol': `everwire.1, ${token()}, everwire.1` }),
    400,
    /Protocol/,
  ],
]

function token(): string {
  return new RawClient('').token({ ask: 1 })
}

function cutToken(at: number): string {
  return token().slice(0, at)
}

/** The same server in the three ways to reach it. */
const places: [string, () => Promise<number>][] = [
  ['port', async () => (await serve()).port],
  [
    'mounted',
    () => {
      const app = express()
      app.use('/realtime', made().middleware)
      return listen(createServer(app))
    },
  ],
  [
    'mounted, beside another listener for upgrades',
    () => {
      const app = express()
      app.use('/realtime', made().middleware)
      return listen(createServer(app).on('upgrade', (_request, socket) => void socket.destroy()))
    },
  ],
  [
    'noServer',
    () => {
      const realtime = made({ noServer: true })
      const server = createServer()
      server.on('upgrade', (request, socket, head) => realtime.handleUpgrade(request, socket, head, () => {}))
      return listen(server)
    },
  ],
]

function made(options?: ServerOptions): WebSocketServer {
  const realtime = new WebSocketServer(options)
  onTestFinished(() => end(realtime))
  return realtime
}

describe.each(places)('%s', (_place, start) => {
  test.each(wrong)('refuses %s', async (_what, request, status, reason) => {
    const answer = await talk(await start(), request)
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    const [first = '', ...lines] = head.split('\r\n')
    expect(first).toMatch(new RegExp(`^HTTP/1\\.1 ${status} \\w`))
    expect(body).toMatch(reason)
    const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(/: */)))
    expect(headers['content-length']).toBe(String(body.length))
    expect(headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(headers.connection).toMatch(/close/)
    expect(headers['sec-websocket-version']).toBe(status === 426 ? '13, 8' : undefined)
    expect(headers.allow).toBe(status === 405 ? 'get' : undefined)
  })
})

test('a handshake that was refused leaves the server as it was', async () => {
  const { port, url, connections } = await serve()
  await talk(port, wrong[0]?.[1] ?? '')
  await plain(url)
  await connections.next()
  expect(connections.size).toBe(0)
})

test('wsClientError hands the connection over', async () => {
  const { realtime, port } = await serve()
  const heard: [string, string | undefined][] = []
  realtime.on('wsClientError', (error: Error, socket: Duplex, request: IncomingMessage) => {
    heard.push([error.message, request.url])
    socket.end('HTTP/1.1 418 I am a teapot\r\nConnection: close\r\n\r\nshort and stout')
  })
  expect(await talk(port, handshake('/realtime?x', { 'Sec-WebSocket-Key': 'x' }))).toMatch(
    /^HTTP\/1\.1 418[\s\S]*stout$/,
  )
  expect(await talk(port, handshake('/realtime', { 'Sec-WebSocket-Version': '7' }))).toMatch(/418/)
  expect(await talk(port, handshake('/realtime', { 'Sec-WebSocket-Protocol': 'a,a' }))).toMatch(/418/)
  expect(heard.map(([message, url]) => [message.replace(/.*Sec-WebSocket-(\w+).*/, '$1'), url])).toEqual([
    ['Key', '/realtime?x'],
    ['Version', '/realtime'],
    ['Protocol', '/realtime'],
  ])
})

test('wsClientError is not for what is another path, origin or client than allowed', async () => {
  const { realtime, port } = await serve({ path: '/realtime', verifyClient: () => false })
  realtime.on('wsClientError', () => expect.unreachable('that is no fault of the handshake'))
  expect(await talk(port, handshake('/elsewhere'))).toMatch(/^HTTP\/1\.1 400 /)
  expect(await talk(port, handshake('/realtime', { Origin: 'http://evil.example' }))).toMatch(
    /^HTTP\/1\.1 403 /,
  )
  expect(await talk(port, handshake('/realtime'))).toMatch(/^HTTP\/1\.1 401 /)
})

test('a path that nobody serves is refused, also where the HTTP server has no listener for requests', async () => {
  const server = createServer()
  const realtime = new WebSocketServer({ server, path: '/realtime' })
  onTestFinished(() => end(realtime))
  expect(await talk(await listen(server), handshake('/elsewhere'))).toMatch(/^HTTP\/1\.1 400 /)
})

test('bad extensions are refused too, where extensions are on', async () => {
  const { port } = await serve({ perMessageDeflate: true })
  const header = { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=99' }
  expect(await talk(port, handshake('/realtime', header))).toMatch(/^HTTP\/1\.1 400 [\s\S]*Extensions/)
  const client = { ...header, 'Sec-WebSocket-Protocol': token() }
  expect(await talk(port, handshake('/realtime', client))).toMatch(/^HTTP\/1\.1 400 [\s\S]*Extensions/)
})

test.each([
  ['extensions', { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=99' }],
  ['a key', { 'Sec-WebSocket-Key': 'x' }],
])('bad %s: a listener for wsClientError that throws', async (_what, headers) => {
  const { port, realtime } = await serve({ perMessageDeflate: true })
  realtime.on('wsClientError', () => {
    throw new Error('a mistake')
  })
  const thrown = uncaught()
  expect(await talk(port, handshake('/realtime', headers))).toMatch(/^HTTP\/1\.1 500 /)
  expect((await thrown).message).toBe('a mistake')
})

test('the target of a request may be a whole URL', async () => {
  const { port } = await serve({ path: '/realtime' })
  const body = bodyOf(new RawClient('').head({ ask: Ask.open, serial: 1 }), [hello()])
  const post = (target: string) =>
    `POST ${target}?everwire=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`
  for (const [status, path] of [
    [200, '/realtime'],
    [426, '/elsewhere'],
    [426, ''],
  ] as const) {
    for (const [request, expected] of [
      [Buffer.concat([Buffer.from(post(`http://localhost${path}`)), body]), status],
      [handshake(`HTTP://localhost:80${path}`), status === 200 ? 101 : 400],
    ] as const) {
      const socket = connect(port, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      socket.write(request)
      const [answer] = await once(socket, 'data')
      expect(String(answer), path).toMatch(new RegExp(`^HTTP/1\\.1 ${expected} `))
    }
  }
})

test('a client that offers HTTP/2 is served in HTTP/1.1, one request after the other', async () => {
  const { port, connections } = await serve()
  const client = new RawClient('')
  const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
  const request = (length: string, of = offer) =>
    `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\n${of}${length}\r\n\r\n`
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const answers = new Queue<string>()
  socket.on('data', (data) => answers.push(String(data)))
  const opening = bodyOf(client.head({ ask: Ask.open, serial: 1 }), [hello()])
  // In one piece with its head.
  socket.write(Buffer.concat([Buffer.from(request(`Content-Length: ${opening.length}`)), opening]))
  expect(await answers.next()).toMatch(/^HTTP\/1\.1 200 /)
  const messages = messagesOf((await connections.next()).socket)
  const large = bodyOf(client.head({ serial: 2 }), [text('x'.repeat(500_000))])
  socket.write(request(`Content-Length: ${large.length}`))
  socket.write(large)
  expect(await messages.next()).toHaveLength(500_000)
  expect(await answers.next()).toMatch(/^HTTP\/1\.1 200 /)
  const small = bodyOf(client.head({ serial: 3, at: { number: 1, offset: 0 } }), [text('chunk')])
  socket.write(request('Transfer-Encoding: chunked'))
  socket.write(Buffer.concat([Buffer.from(`${small.length.toString(16)}\r\n`), small]))
  socket.write('\r\n0\r\n\r\n')
  expect(await messages.next()).toBe('chunk')
  expect(await answers.next()).toMatch(/^HTTP\/1\.1 200 /)
  const last = bodyOf(client.head({ serial: 4, at: { number: 2, offset: 0 } }), [text('last')])
  socket.write(Buffer.concat([Buffer.from(request(`Content-Length: ${last.length}`, '')), last]))
  expect(await messages.next()).toBe('last')
})

test('bytes behind the handshake are not lost', async () => {
  for (const verifyClient of [
    undefined,
    (_info: unknown, done: (ok: boolean) => void) => void setImmediate(done, true),
  ]) {
    const { port, connections } = await serve(verifyClient ? { verifyClient } : {})
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])
    socket.write(Buffer.concat([Buffer.from(handshake('/realtime')), frame]))
    const { socket: client } = await connections.next()
    expect(String((await once(client, 'message'))[0])).toBe('hi')
  }
})

test('a client that leaves while it is being verified is no client', async () => {
  const waiting: ((ok: boolean) => void)[] = []
  let asked = (_request: IncomingMessage): void => {}
  const { port, url, connections } = await serve({
    verifyClient: ({ req }, done) => {
      waiting.push(done)
      asked(req)
    },
  })
  for (const extra of [{}, { 'Sec-WebSocket-Protocol': token() }]) {
    const socket = connect(port, '127.0.0.1')
    const verified = new Promise<IncomingMessage>((resolve) => {
      asked = resolve
    })
    socket.write(handshake('/realtime', extra))
    const { socket: connection } = await verified
    const left = new Promise((resolve) => connection.once('close', resolve))
    socket.resetAndDestroy()
    await left
  }
  for (const done of waiting.splice(0)) done(true)
  // The server still serves, and knows of nobody.
  const next = new Promise<IncomingMessage>((resolve) => {
    asked = resolve
  })
  const stays = plain(url)
  await next
  waiting[0]?.(true)
  await stays
  await connections.next()
  expect(connections.size).toBe(0)
})

test('an exchange that opens may be repeated by a client that did not wait to be verified', async () => {
  let verified = (_ok: boolean): void => {}
  let asked = (): void => {}
  const { url, connections } = await serve({
    verifyClient: (_info, done) => {
      verified = done
      asked()
    },
  })
  const client = new RawClient(url)
  const leaving = new AbortController()
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const left = client.open([], {}, { signal: leaving.signal }).catch(() => 'left')
  await isAsked
  leaving.abort()
  expect(await left).toBe('left')
  const again = client.open()
  verified(true)
  expect((await again).head?.status).toBe(0)
  await connections.next()
  expect(connections.size).toBe(0)
})

test('an application that answers by itself while a client is verified does no harm', async () => {
  const app = express()
  let refuse = (): void => {}
  app.use((_request, response, next) => {
    refuse = () => void response.status(503).send('too slow')
    next()
  })
  const realtime = made({
    verifyClient: (_info, done) => {
      refuse()
      setImmediate(done, true)
    },
  })
  const seen = watch(realtime)
  app.use('/realtime', realtime.middleware)
  const url = `http://127.0.0.1:${await listen(createServer(app))}/realtime`
  const client = new RawClient(url)
  expect((await client.open()).body.toString()).toBe('too slow')
  realtime.options.verifyClient = () => true
  expect((await client.open()).head?.status).toBe(0)
  await seen.next()
  expect(seen.size).toBe(0)
})

test('headers are for the application to see and to add, on every transport', async () => {
  const { realtime, url } = await serve()
  const seen: string[] = []
  realtime.on('headers', (headers, request) => {
    seen.push(`${request.method} ${request.url}`)
    headers.push('X-One: 1', 'Set-Cookie: a=b', 'Set-Cookie: c=d')
  })
  let answer: IncomingMessage | undefined
  const keep = {
    finishRequest: (request: import('node:http').ClientRequest) => {
      request.on('upgrade', (response) => {
        answer = response
      })
      request.end()
    },
  }
  await plain(url, [], keep)
  const check = (one: { rawHeaders: readonly string[] }): void => {
    expect(headerLines(one, 'X-One')).toEqual(['1'])
    expect(headerLines(one, 'Set-Cookie')).toEqual(['a=b', 'c=d'])
  }
  check(answer as IncomingMessage)
  await plain(url, ['everwire.1', token()], keep)
  check(answer as IncomingMessage)
  check(await new RawClient(url).open())
  expect(seen).toEqual(['GET /realtime', 'GET /realtime', 'GET /realtime'])
})

describe('a handshake behind a request that is not answered yet', () => {
  /** What the mount's own server and one beside others do of it. */
  const servers: [string, (realtime: WebSocketServer) => Server][] = [
    ['through the middleware', () => createServer()],
    [
      'where somebody else takes upgrades as well',
      () => createServer().on('upgrade', (_request, socket) => socket.destroy()),
    ],
    [
      'where the application takes the upgrade',
      (realtime) =>
        createServer().on('upgrade', (request, socket, head) =>
          realtime.handleUpgrade(request, socket, head, () => {}),
        ),
    ],
  ]
  test.each(servers)('%s, gets no connection, and harms nobody', async (_, make) => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const shown = watch(realtime)
    let answer: (() => void) | undefined
    const server = make(realtime).on('request', (request, response) => {
      if (request.url !== '/slow') realtime.middleware(request, response)
      else answer = () => response.end('slow')
    })
    const port = await listen(server)
    // The mount is known from its first request on.
    await new RawClient(`http://127.0.0.1:${port}/realtime`).open()
    await shown.next()
    const asked = once(server, 'request')
    const talked = talk(port, `GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n${handshake('/realtime')}`)
    await asked
    answer?.()
    expect(await talked).not.toContain('101 Switching')
    expect((await new RawClient(`http://127.0.0.1:${port}/realtime`).open()).head?.status).toBe(0)
    await shown.next()
    expect(shown.size).toBe(0)
  })
})

test('a refusal that its client does not read ends with its time', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const connection = new Duplex({ read: () => {}, write: () => {} })
  refuseUpgrade(connection, { status: 403, reason: 'No' }, 1000)
  vi.advanceTimersByTime(999)
  expect(connection.destroyed).toBe(false)
  vi.advanceTimersByTime(1)
  expect(connection.destroyed).toBe(true)
})
