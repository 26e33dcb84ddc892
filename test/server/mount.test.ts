import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { gunzipSync } from 'node:zlib'
import express from 'express'
import express4 from 'express4'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { fetchAll, headerLines, listen } from '../support/http.ts'
import { ask, plain, refused } from '../support/plain-client.ts'
import { marked, RawClient, text } from '../support/raw-client.ts'
import { end, watch } from '../support/serving.ts'
import { secureServer } from '../support/tls.ts'

beforeAll(ensureBuilt)

type App = ReturnType<typeof express>
const frameworks: [string, { (): App; Router(): App }][] = [
  ['Express 5', express as unknown as { (): App; Router(): App }],
  ['Express 4', express4 as unknown as { (): App; Router(): App }],
]

/** A server to be mounted, that says back what it hears. */
function echo(options?: ServerOptions): WebSocketServer {
  const realtime = new WebSocketServer(options)
  realtime.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => {
      const answer = (): void => socket.send(isBinary ? (data as Buffer) : String(data))
      if (String(data) === 'later') setImmediate(answer)
      else answer()
    })
  })
  onTestFinished(() => end(realtime))
  return realtime
}

/** Every transport in turn, each with a session of its own, and an ordinary client first of all. */
async function everyTransport(url: string, headers: Record<string, string> = {}): Promise<void> {
  expect(await ask(await plain(url, [], { headers }), 'first of all')).toBe('first of all')
  const webSocket = new RawClient(url, headers)
  const carrier = await webSocket.openWebSocket()
  carrier.send('by WebSocket')
  expect(await webSocket.arrived.next()).toBe('by WebSocket')
  const polling = new RawClient(url, headers)
  await polling.open()
  const held = polling.poll()
  await polling.send([text('by exchange')])
  expect(await polling.arrived.next()).toBe('by exchange')
  await polling.send([text('later')])
  await held
  expect(await polling.arrived.next()).toBe('later')
  const stream = new RawClient(url, headers)
  await stream.open()
  await stream.stream()
  await stream.send([text('by stream')])
  expect(await stream.arrived.next()).toBe('by stream')
  const events = new RawClient(url, headers)
  await events.open()
  await events.eventStream(await events.ticket())
  await events.send([text('by event stream')])
  expect(await events.arrived.next()).toBe('by event stream')
}

async function start(listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(listener))}`
}

describe.each(frameworks)('%s', (_name, framework) => {
  test('app.use with a prefix, and app.listen() afterwards', async () => {
    const app = framework()
    app.use('/realtime', echo().middleware)
    const server = app.listen(0, '127.0.0.1')
    const port = await listen(server)
    await everyTransport(`http://127.0.0.1:${port}/realtime`)
  })

  test.each(['/realtime', '/realtime/', '/realtime/below', '/realtime?x=1'])('takes %s', async (path) => {
    const app = framework()
    app.use('/realtime', echo().middleware)
    await everyTransport((await start(app)) + path)
  })

  test('at the root', async () => {
    const app = framework()
    app.use(echo().middleware)
    await everyTransport(`${await start(app)}/`)
  })

  test('in a nested router', async () => {
    const app = framework()
    const outer = framework.Router()
    const inner = framework.Router()
    app.use('/a', outer)
    outer.use('/b', inner)
    inner.use('/c', echo().middleware)
    await everyTransport(`${await start(app)}/a/b/c`)
  })

  test('in a sub-application', async () => {
    const app = framework()
    const sub = framework()
    sub.use('/c', echo().middleware)
    app.use('/a', sub)
    await everyTransport(`${await start(app)}/a/c`)
  })

  test('below a parameter', async () => {
    const app = framework()
    app.use('/rooms/:room', echo().middleware)
    await everyTransport(`${await start(app)}/rooms/blue`)
  })

  test('with the option path', async () => {
    const app = framework()
    app.use(echo({ path: '/only/here' }).middleware)
    app.use('/below', echo({ path: '/below/this' }).middleware)
    app.use('/from', echo({ path: '/here' }).middleware)
    const url = await start(app)
    await everyTransport(`${url}/only/here`)
    await everyTransport(`${url}/below/this`)
    await everyTransport(`${url}/from/here`)
    expect((await refused(`${url}/only`)).status).toBe(404)
    expect((await refused(`${url}/only/here/not`)).status).toBe(404)
    expect((await fetchAll(marked(`${url}/only`), { method: 'POST' })).status).toBe(404)
  })

  test('two mounts on one server are two servers', async () => {
    const app = framework()
    const one = echo()
    const two = echo()
    app.use('/one', one.middleware)
    app.use('/two', two.middleware)
    const url = await start(app)
    const ones = watch(one)
    const twos = watch(two)
    await everyTransport(`${url}/one`)
    expect([ones.size, twos.size]).toEqual([5, 0])
    await everyTransport(`${url}/two`)
    expect([ones.size, twos.size]).toEqual([5, 5])
    // A session of the one is unknown to the other.
    const client = new RawClient(`${url}/one`)
    await client.open()
    const elsewhere = Object.assign(new RawClient(`${url}/two`), { id: client.id, key: client.key })
    expect((await elsewhere.send()).head?.status).toBe(2)
  })

  test('what ran before the mount ran for upgrades as for requests', async () => {
    const app = framework()
    const realtime = echo()
    const seen = watch(realtime)
    const paths: string[] = []
    app.use((request, response, next) => {
      paths.push(`${request.method} ${request.path}`)
      Object.assign(request, { user: /user=(\w+)/.exec(request.headers.cookie ?? '')?.[1] })
      response.cookie('one', '1')
      response.cookie('two', '2', { httpOnly: true })
      setImmediate(next)
    })
    app.use('/realtime', realtime.middleware)
    const url = `${await start(app)}/realtime`
    const headers = { Cookie: 'user=ada' }
    let upgrade: IncomingMessage | undefined
    const client = plain(url, [], {
      headers,
      finishRequest: (request) => {
        request.on('upgrade', (response) => {
          upgrade = response
        })
        request.end()
      },
    })
    await client
    expect(headerLines(upgrade as IncomingMessage, 'Set-Cookie')).toEqual([
      'one=1; Path=/',
      'two=2; Path=/; HttpOnly',
    ])
    const opened = await new RawClient(url, headers).open()
    expect(headerLines(opened, 'Set-Cookie')).toEqual(['one=1; Path=/', 'two=2; Path=/; HttpOnly'])
    await new RawClient(url, headers).openWebSocket()
    for (let i = 0; i < 3; i++) {
      const { request } = await seen.next()
      expect((request as IncomingMessage & { user?: string }).user).toBe('ada')
      expect(request.headers.cookie).toBe('user=ada')
      expect(request.url).toBe('/realtime')
    }
    expect(paths).toEqual(['GET /realtime', 'POST /realtime', 'GET /realtime'])
  })

  test('what refuses before the mount refuses every transport', async () => {
    const app = framework()
    const realtime = echo()
    const seen = watch(realtime)
    app.use('/realtime', (request, response, next) => {
      if (request.headers.authorization === 'yes') next()
      else response.status(401).set('WWW-Authenticate', 'Bearer').send('who are you?')
    })
    app.use('/realtime', realtime.middleware)
    const url = `${await start(app)}/realtime`
    const stranger = new RawClient(url)
    const answers = [
      await refused(url),
      await refused(url, ['everwire.1', stranger.token({ ask: 1 })]),
      await stranger.open(),
    ]
    const friend = new RawClient(url, { Authorization: 'yes' })
    await friend.open()
    const ticket = await friend.ticket()
    answers.push(await fetchAll(marked(url, ticket)))
    for (const { status, headers, body } of answers) {
      expect([status, headers['www-authenticate'], body.toString()]).toEqual([401, 'Bearer', 'who are you?'])
    }
    expect(seen.size).toBe(1)
    await everyTransport(url, { Authorization: 'yes' })
  })

  test('an error of what is before the mount is answered, on every transport', async () => {
    const app = framework()
    app.set('env', 'test')
    app.use(() => {
      throw Object.assign(new Error('broken'), { status: 503 })
    })
    app.use('/realtime', echo().middleware)
    const url = `${await start(app)}/realtime`
    expect((await refused(url)).status).toBe(503)
    expect((await new RawClient(url).open()).status).toBe(503)
  })

  test.each([
    ['on the application', false],
    ['in a sub-application', true],
  ])('what the application says of proxies counts: %s', async (_where, nested) => {
    const app = framework()
    app.set('trust proxy', 'loopback')
    const addresses: (string | undefined)[] = []
    const realtime = echo({
      verifyClient: async ({ address, secure }) => addresses.push(secure ? address : 'insecure') > 0,
    })
    const sub = nested ? framework() : app
    if (nested) app.use('/a', sub)
    sub.use('/realtime', realtime.middleware)
    const url = `${await start(app)}${nested ? '/a' : ''}/realtime`
    const headers = {
      'X-Forwarded-For': '203.0.113.5',
      'X-Forwarded-Host': 'a.example',
      'X-Forwarded-Proto': 'https',
      Origin: 'https://a.example',
    }
    await plain(url, [], { headers })
    await new RawClient(url, headers).openWebSocket()
    await new RawClient(url, headers).open()
    expect(addresses).toEqual(['203.0.113.5', '203.0.113.5', '203.0.113.5'])
    const insecure = { ...headers, Origin: 'http://a.example' }
    expect((await new RawClient(url, insecure).open()).status).toBe(403)
  })

  test('body parsers before the mount do no harm', async () => {
    const app = framework()
    const { json, raw, text: textParser, urlencoded } = framework as unknown as typeof express
    app.use(json(), urlencoded({ extended: true }), textParser(), raw({ type: '*/*' }))
    app.use('/realtime', echo().middleware)
    const url = `${await start(app)}/realtime`
    await everyTransport(url)
    await everyTransport(url, { 'Content-Type': 'application/octet-stream' })
    const typed = new RawClient(url, { 'Content-Type': 'application/octet-stream' })
    await typed.open()
    await typed.send([text('x'.repeat(50_000))])
    expect(typed.received).toEqual(['x'.repeat(50_000)])
  })

  test('a body that a parser has spoilt is refused with the reason', async () => {
    const app = framework()
    const { text: textParser } = framework as unknown as typeof express
    app.use(textParser({ type: () => true }))
    app.use('/realtime', echo().middleware)
    const answer = await new RawClient(`${await start(app)}/realtime`).open()
    expect(answer.status).toBe(400)
    expect(answer.body.toString()).toMatch(/body parser/)
  })

  test('other requests go on to next(), and to the 404 of the application', async () => {
    const app = framework()
    app.use('/realtime', echo().middleware)
    app.get('/realtime/page', (_request, response) => void response.send('a page'))
    const url = await start(app)
    expect((await fetchAll(`${url}/realtime/page`)).body.toString()).toBe('a page')
    expect((await fetchAll(`${url}/realtime`)).status).toBe(404)
    expect((await fetchAll(`${url}/realtime`, { method: 'POST', body: 'x' })).status).toBe(404)
    expect((await fetchAll(marked(`${url}/elsewhere`), { method: 'POST' })).status).toBe(404)
    expect((await refused(`${url}/elsewhere`)).status).toBe(404)
  })

  test('a client that offers HTTP/2 on a plain connection gets its page', async () => {
    const app = framework()
    app.use(echo().middleware)
    app.get('/page', (_request, response) => void response.send('a page'))
    const headers = {
      Connection: 'Upgrade, HTTP2-Settings',
      Upgrade: 'h2c',
      'HTTP2-Settings': 'AAMAAABkAAQAAP__',
    }
    const url = await start(app)
    expect((await fetchAll(`${url}/page`, { headers })).body.toString()).toBe('a page')
    const client = new RawClient(url, headers)
    expect((await client.open()).head?.status).toBe(0)
  })

  test('the browser file: type, ETag, 304, gzip, HEAD', async () => {
    const app = framework()
    app.use('/realtime', echo().middleware)
    app.use('/without', echo({ serveClient: false }).middleware)
    const url = `${await start(app)}/realtime/everwire.js`
    const whole = await fetchAll(url)
    expect(whole.status).toBe(200)
    expect(whole.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'x-content-type-options': 'nosniff',
      vary: 'Accept-Encoding',
    })
    expect(whole.headers['content-encoding']).toBeUndefined()
    const small = await fetchAll(url, { headers: { 'Accept-Encoding': 'gzip, br' } })
    expect(small.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(small.body).equals(whole.body)).toBe(true)
    const without = await fetchAll(url, { headers: { 'Accept-Encoding': 'gzip;q=0, br' } })
    expect(without.headers['content-encoding']).toBeUndefined()
    for (const etag of [whole.headers.etag, `W/${whole.headers.etag}`, `"other", ${whole.headers.etag}`]) {
      const again = await fetchAll(url, { headers: { 'If-None-Match': String(etag) } })
      expect([again.status, again.body.length]).toEqual([304, 0])
    }
    expect((await fetchAll(url, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200)
    const head = await fetchAll(url, { method: 'HEAD' })
    expect([head.headers['content-length'], head.body.length]).toEqual([String(whole.body.length), 0])
    expect((await fetchAll(url, { method: 'POST' })).status).toBe(405)
    expect((await fetchAll(url.replace('/realtime/', '/without/'))).status).toBe(404)
  })
})

describe('plain http', () => {
  test('the middleware is a listener, with and without next', async () => {
    const realtime = echo()
    const url = await start((request, response) => {
      if (request.url?.startsWith('/realtime')) realtime.middleware(request, response)
      else response.writeHead(404).end('not here')
    })
    await everyTransport(`${url}/realtime`)
    expect((await refused(`${url}/elsewhere`)).body.toString()).toBe('not here')
    expect((await fetchAll(`${url}/realtime`)).status).toBe(426)
  })

  test('the option server', async () => {
    const server = createServer((_request, response) => void response.end('the application'))
    echo({ server, path: '/realtime' })
    const url = `http://127.0.0.1:${await listen(server)}`
    await everyTransport(`${url}/realtime`)
    expect((await fetchAll(`${url}/realtime`)).body.toString()).toBe('the application')
    expect((await fetchAll(`${url}/realtime/everwire.js`)).status).toBe(200)
    expect((await fetchAll(marked(`${url}/elsewhere`), { method: 'POST' })).body.toString()).toBe(
      'the application',
    )
  })

  test('the option server without a path takes every upgrade and every exchange', async () => {
    const server = createServer((_request, response) => void response.end('the application'))
    echo({ server })
    const url = `http://127.0.0.1:${await listen(server)}`
    await everyTransport(`${url}/anything`)
    expect((await fetchAll(`${url}/page`)).body.toString()).toBe('the application')
  })
})

test('over TLS', async () => {
  const app = express()
  const realtime = echo()
  const seen = watch(realtime)
  app.use('/realtime', realtime.middleware)
  const url = `https://127.0.0.1:${await listen(secureServer(app) as unknown as Server)}/realtime`
  await everyTransport(url)
  for (let i = 0; i < 5; i++) {
    expect(((await seen.next()).request.socket as { encrypted?: boolean }).encrypted).toBe(true)
  }
})
