// The status page behind a guard: who gets what of it, what it tells, and what it keeps to itself.
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { promisify } from 'node:util'
import express from 'express'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { fetchAll, listen } from '../support/http.ts'
import { plain, refused } from '../support/plain-client.ts'
import { marked, RawClient } from '../support/raw-client.ts'
import { end, watch } from '../support/serving.ts'
import { watchStatus } from '../support/status.ts'

beforeAll(ensureBuilt)

const admin = { Authorization: 'admin' }
const files = [
  '',
  '/',
  '/status.css',
  '/status.js',
  '/chart.js',
  '/cluster.js',
  '/diaries.js',
  '/words.js',
  '/everwire.js',
]

const guard: express.RequestHandler = (request, response, next) => {
  // A policy for the application's own pages, with which the page could not do its work.
  response.set('Content-Security-Policy', "default-src 'none'")
  if (request.headers.authorization === 'admin') next()
  else response.status(401).send('who are you?')
}

interface Setting {
  readonly realtime: WebSocketServer
  readonly server: Server
  readonly url: string
  readonly status: string
}

async function start(options: ServerOptions = {}): Promise<Setting> {
  const app = express()
  const realtime = new WebSocketServer({ noServer: true, ...options })
  onTestFinished(() => end(realtime))
  app.use('/realtime', realtime.middleware)
  app.use('/status', guard, realtime.statusPage)
  const server = createServer(app)
  const url = `http://127.0.0.1:${await listen(server)}`
  return { realtime, server, url: `${url}/realtime`, status: `${url}/status` }
}

/** A client of the application. */
async function client(url: string, options: object = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, [], { remember: false, ...options })
  socket.onerror = () => {}
  onTestFinished(() => socket.close())
  await once(socket, 'open')
  return socket
}

describe('who gets it', () => {
  test('nobody gets a file or a socket whom the guard does not let in', async () => {
    const { status } = await start()
    const socket = `${status}?everwire-status`
    const stranger = new RawClient(socket)
    const answers = [
      ...(await Promise.all(files.map((file) => fetchAll(status + file)))),
      await refused(socket),
      await refused(socket, ['everwire.1', stranger.token({ ask: 1 })]),
      await stranger.open(),
      await fetchAll(marked(socket, 'ticket')),
    ]
    for (const { status: code, body } of answers)
      expect([code, body.toString()]).toEqual([401, 'who are you?'])
    for (const file of files) expect((await fetchAll(status + file, { headers: admin })).status).toBe(200)
  })

  test.each(['websocket', 'stream', 'sse', 'polling'] as const)(
    'its socket opens over %s',
    async (transport) => {
      const { status } = await start()
      const page = watchStatus(status, { transports: [transport], headers: admin })
      expect(await page.told.next()).toMatchObject({ type: 'all', pid: process.pid, ended: [], troubled: [] })
      expect(await page.told.next()).toMatchObject({ type: 'now', ended: [] })
    },
  )

  test('pages of other sites get no socket, whatever the server allows to its own clients', async () => {
    const { status, url } = await start({ origins: '*' })
    for (const headers of [
      { ...admin, Origin: 'https://evil.example' },
      { ...admin, 'Sec-Fetch-Site': 'cross-site' },
    ]) {
      expect((await refused(status, [], { headers })).status).toBe(403)
      expect((await new RawClient(status, headers).open()).status).toBe(403)
      await plain(url, [], { headers })
    }
  })

  test('hosts that the server does not know get nothing', async () => {
    const { status } = await start({ hosts: ['app.example.com'] })
    expect((await fetchAll(status, { headers: admin })).status).toBe(403)
    expect((await refused(status, [], { headers: admin })).status).toBe(403)
  })

  test('after a while each page has to pass the guard again', async () => {
    const { status } = await start()
    const page = watchStatus(status, { headers: admin })
    await page.told.next()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6 * 60_000 })
    onTestFinished(() => void vi.useRealTimers())
    expect(await page.closed).toEqual({ code: 4000, reason: 'pass the guard again' })
  })
})

describe('its files', () => {
  test('have headers that let the page do nothing that it need not', async () => {
    const { status } = await start()
    for (const file of files.slice(0, -1)) {
      const { headers, body } = await fetchAll(status + file, { headers: admin })
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      })
      const policy = String(headers['content-security-policy'])
      expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /)
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toContain('unsafe')
      if (headers['content-type'] === 'text/html; charset=utf-8')
        expect(body.toString()).not.toMatch(/<script>|<style|\sstyle=|\son\w+=/)
    }
  })

  test('take GET and HEAD alone, and nothing below them is taken', async () => {
    const { status } = await start()
    const head = await fetchAll(status, { method: 'HEAD', headers: admin })
    const whole = await fetchAll(status, { headers: admin })
    expect([head.status, head.body.length]).toEqual([200, 0])
    expect(head.headers['content-length']).toBe(String(whole.body.length))
    for (const file of ['', '/status.js']) {
      const { status: code, headers } = await fetchAll(status + file, { method: 'POST', headers: admin })
      expect([code, headers.allow]).toEqual([405, 'GET, HEAD'])
    }
    for (const other of ['/status.html', '/below', '/below/status.js', '/tsconfig.json', '/..%2fsite.ts'])
      expect((await fetchAll(status + other, { headers: admin })).status).toBe(404)
  })

  test.each([
    ['/a/status', './status/status.css'],
    ['/a/status/', './status.css'],
    ['/a/"><script>', './%22%3e%3cscript%3e/status.css'],
    ['/a/javascript:x', './javascript:x/status.css'],
  ])('where nothing removes the prefix, %s refers to %s', async (path, css) => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const port = await listen(createServer((request, response) => realtime.statusPage(request, response)))
    const { body } = await raw(port, path)
    expect(body).toContain(`<link rel="stylesheet" href="${css}"`)
  })
})

/** A GET for a path that a client would have encoded. */
async function raw(port: number, path: string): Promise<{ body: string }> {
  const { connect } = await import('node:net')
  const socket = connect(port, '127.0.0.1')
  socket.end(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return { body: Buffer.concat(chunks).toString() }
}

describe('what it tells', () => {
  test('clients that open, lose their connection, end and are refused', async () => {
    const { status, url, realtime } = await start({ maxClients: 2 })
    const seen = watch(realtime)
    const page = watchStatus(status, { headers: admin })
    await page.told.next()
    const first = await client(url, { transports: ['polling'] })
    const { socket } = await seen.next()
    await plain(url)
    await seen.next()
    expect((await refused(url)).status).toBe(503)
    const { stats } = await page.until((told) => told.stats.refused[503] === 1)
    expect(stats.sessions).toMatchObject({ open: 1, opened: { polling: 1 } })
    expect(stats.plain.open).toBe(1)
    socket.send('hello')
    await once(first, 'message')
    expect((await page.until((told) => told.stats.sent.messages === 1)).stats.sent.bytes).toBe(5)
    first.close(4001, 'bye')
    const { ended } = await page.until((told) => told.ended.length > 0)
    expect(ended).toMatchObject([
      { n: 1, id: socket.id, cause: 'client', code: 4001, reason: 'bye', plain: false },
    ])
    expect(ended[0]?.carriers).toMatchObject([{ type: 'carrier', transport: 'polling' }])
    // A page that comes later is told of all that.
    const later = watchStatus(status, { headers: admin })
    expect((await later.told.next()).ended).toEqual(ended)
  })

  test('sessions in trouble, until they end', async () => {
    const { status, url, realtime } = await start()
    const seen = watch(realtime)
    const page = watchStatus(status, { headers: admin })
    await page.told.next()
    const raw = new RawClient(url)
    const carrier = await raw.openWebSocket()
    const { socket } = await seen.next()
    carrier.socket.terminate()
    const { troubled, stats } = await page.until((told) => told.troubled.length > 0)
    expect(troubled).toMatchObject([{ id: socket.id, times: 1, transport: null }])
    expect(troubled[0]?.carriers).toMatchObject([{ transport: 'websocket', by: 'network' }])
    expect(stats.sessions.resuming).toBe(1)
    socket.terminate()
    const over = await page.until((told) => told.ended.length > 0)
    expect(over).toMatchObject({ troubled: [], ended: [{ id: socket.id, cause: 'terminated' }] })
  })

  test('no messages, no keys, no headers; addresses only if the application wants that', async () => {
    const secrets = { Cookie: 'session=secret-cookie', 'X-Token': 'secret-header' }
    for (const addresses of [false, true]) {
      const { status, url, realtime } = await start({ statusPage: { addresses } })
      const seen = watch(realtime)
      const page = watchStatus(status, { headers: { ...admin, Cookie: 'admin=secret-cookie' } })
      const opening = new RawClient(`${url}?token=secret-query`, secrets)
      const carrier = await opening.openWebSocket()
      const { socket } = await seen.next()
      Object.assign(socket.data, { token: 'secret-data' })
      socket.subscribe('secret-topic')
      carrier.send('secret-message')
      await once(socket, 'message')
      carrier.socket.terminate()
      await page.until((told) => told.troubled.length > 0)
      socket.terminate()
      await page.until((told) => told.ended.length > 0)
      const all = page.texts.join()
      expect(all).not.toContain('secret')
      const key = Buffer.from(opening.key)
      for (const encoding of ['base64', 'base64url', 'hex'] as const)
        expect(all).not.toContain(key.toString(encoding))
      expect(all.includes('127.0.0.1')).toBe(addresses)
    }
  })
})

describe('its own sockets', () => {
  test('are no clients: nothing counts, shows, reaches or publishes them', async () => {
    const { status, realtime } = await start({ maxClients: 1 })
    const seen = watch(realtime)
    const published: string[] = []
    const note = (_message: unknown, name: string | symbol) => void published.push(String(name))
    for (const name of ['everwire:session.open', 'everwire:carrier.begin', 'everwire:refuse']) {
      subscribe(name, note)
      onTestFinished(() => void unsubscribe(name, note))
    }
    const page = watchStatus(status, { headers: admin })
    const other = watchStatus(status, { headers: admin })
    await Promise.all([page.told.next(), other.told.next()])
    expect((await refused(status, [], { headers: { ...admin, Origin: 'https://a.example' } })).status).toBe(
      403,
    )
    expect(realtime.broadcast('to all clients')).toBe(0)
    const { stats } = await page.told.next()
    expect(stats).toMatchObject({
      sessions: { open: 0, opened: { websocket: 0 } },
      plain: { open: 0 },
      refused: {},
    })
    expect([seen.size, realtime.clients.size, realtime.memory, published]).toEqual([0, 0, 0, []])
  })

  test.each([
    ['a server without a path', (app: express.Express) => ({ server: createServer(app) })],
    ['a middleware before it that takes every path', () => ({ noServer: true })],
  ])('are left to the page by %s', async (_name, optionsFor) => {
    const app = express()
    const options: ServerOptions = optionsFor(app)
    const realtime = new WebSocketServer(options)
    onTestFinished(() => end(realtime))
    const seen = watch(realtime)
    if (!options.server) app.use(realtime.middleware)
    app.use('/status', guard, realtime.statusPage)
    const server = (options.server as Server | undefined) ?? createServer(app)
    const status = `http://127.0.0.1:${await listen(server)}/status`
    for (const transport of ['websocket', 'polling'] as const) {
      const page = watchStatus(status, { transports: [transport], headers: admin })
      expect((await page.told.next()).type).toBe('all')
      const stranger = watchStatus(status, { transports: [transport] })
      expect((await stranger.closed).code).toBe(1006)
    }
    expect(seen.size).toBe(0)
  })
})

describe('the end', () => {
  const closings: [string, (realtime: WebSocketServer) => Promise<unknown>][] = [
    ['in order', (realtime) => realtime.close({ within: 20_000 })],
    ['as in ws', (realtime) => new Promise<void>((resolve) => realtime.close(() => resolve()))],
  ]

  test.each(closings)('closed %s, the server closes the pages, and nothing is left', async (_name, close) => {
    const { status, realtime, server } = await start()
    const page = watchStatus(status, { headers: admin })
    await page.told.next()
    expect(channel('everwire:session.end').hasSubscribers).toBe(true)
    await close(realtime)
    expect((await page.closed).code).toBe(1001)
    expect(channel('everwire:session.end').hasSubscribers).toBe(false)
    const { status: code, headers } = await fetchAll(status, { headers: admin })
    expect([code, headers['retry-after']]).toEqual([503, '1'])
    const closed = once(server, 'close')
    server.close()
    await closed
  })

  test('a page that does not confirm delays it by no more than a moment', async () => {
    const { status, realtime, server } = await start()
    const raw = new RawClient(status, admin)
    const carrier = await raw.openWebSocket()
    carrier.socket.pause()
    await realtime.close({ within: 20_000 })
    expect(await promisify(server.getConnections.bind(server))()).toBe(0)
  })

  test('who never mounts it has nothing of it, and who mounts it late gets 503', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    expect(channel('everwire:session.end').hasSubscribers).toBe(false)
    await realtime.close({ within: 1_000 })
    const listener: RequestListener = (request, response) => realtime.statusPage(request, response)
    const port = await listen(createServer(listener))
    expect((await fetchAll(`http://127.0.0.1:${port}/`)).status).toBe(503)
    expect(channel('everwire:session.end').hasSubscribers).toBe(false)
  })
})
