// The recipes of docs/FRAMEWORKS.md: the files of examples/frameworks themselves, each in a process of its own.
import { on } from 'node:events'
import { readFileSync, utimesSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { WebSocket as Plain } from 'ws'
import { type Transport, WebSocket } from '../../client/node.ts'
import { fetchAll } from '../support/http.ts'
import { answerTo, connectHttp2, openOverHttp2, refusedOverHttp2 } from '../support/http2.ts'
import { closed, plain, refused } from '../support/plain-client.ts'
import { inPlaceOf, type Program, startProgram } from '../support/program.ts'
import { Queue } from '../support/queue.ts'
import { bodyOf, hello, marked, RawClient } from '../support/raw-client.ts'
import { selfSigned } from '../support/tls.ts'

const folder = 'examples/frameworks'
const transports = ['websocket', 'stream', 'sse', 'polling'] as const
const express4 = inPlaceOf({ express: 'express4' })

interface Recipe {
  readonly name: string
  readonly start: () => Promise<Program>
  /** `verifyClient` is asked about sessions, not about every request. */
  readonly guard?: 'verifyClient'
}

/** Whatever else comes before it. */
async function echoed(client: Plain, text: string): Promise<void> {
  client.send(text)
  for await (const [data] of on(client, 'message')) if (String(data) === text) return
}

let certificates = ''

async function startSecure(script: string): Promise<Program> {
  certificates ||= await mkdtemp(join(tmpdir(), 'everwire-tls-'))
  const { key, cert } = selfSigned()
  const [KEY, CERT] = [join(certificates, 'key.pem'), join(certificates, 'cert.pem')]
  await Promise.all([writeFile(KEY, key), writeFile(CERT, cert)])
  return startProgram(`${folder}/${script}`, { KEY, CERT })
}

function startVite(): Promise<Program> {
  return startProgram('node_modules/vite/bin/vite.js', {}, [], ['--config', `${folder}/vite.config.mjs`])
}

afterAll(() => rm(certificates || join(tmpdir(), 'none'), { recursive: true, force: true }))

describe.each<Recipe>([
  { name: 'Express 5', start: () => startProgram(`${folder}/express.mjs`) },
  { name: 'Express 4', start: () => startProgram(`${folder}/express.mjs`, {}, express4) },
  { name: 'http', start: () => startProgram(`${folder}/http.mjs`) },
  { name: 'https', start: () => startSecure('http.mjs') },
  { name: 'http2', start: () => startSecure('http2.mjs') },
  { name: 'Fastify', start: () => startProgram(`${folder}/fastify.mjs`) },
  { name: 'Koa', start: () => startProgram(`${folder}/koa.mjs`) },
  { name: 'Hono', start: () => startProgram(`${folder}/hono.mjs`) },
  { name: 'Hono on HTTP/2', start: () => startSecure('hono.mjs') },
  { name: 'Vite in middleware mode', start: () => startProgram(`${folder}/vite.mjs`) },
  { name: "Vite's own server", start: startVite, guard: 'verifyClient' },
])('$name', ({ name, start, guard = 'middleware' }) => {
  let program: Program
  let url: string
  let headers: { Cookie: string }

  beforeAll(async () => {
    program = await start()
    url = `${program.url}/realtime`
    headers = { Cookie: await signIn('ada') }
    // For the fetch of the client: nobody knows the certificate.
    if (url.startsWith('https:')) process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  })

  afterAll(async () => {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    await program?.stop()
  })

  async function signIn(visitor: string): Promise<string> {
    const answer = await fetchAll(`${program.url}/sign-in?name=${visitor}`, { method: 'POST' })
    expect(answer.status).toBe(204)
    return String(answer.headers['set-cookie']).split(';')[0] as string
  }

  test('the pages of the application are there', async () => {
    const page = await fetchAll(program.url)
    expect([page.status, page.headers['content-type']]).toEqual([200, expect.stringContaining('text/html')])
    expect(page.body.toString()).toContain('Sign in')
    expect((await fetchAll(`${program.url}/me`)).status).toBe(401)
    expect((await fetchAll(`${program.url}/me`, { headers })).body.toString()).toBe('ada')
    expect((await fetchAll(`${program.url}/sign-in?name=a.b`, { method: 'POST' })).status).toBe(400)
  })

  test('strangers get 401 on every transport', async () => {
    const stranger = new RawClient(url)
    const friend = new RawClient(url, headers)
    await friend.open()
    const answers = [
      await refused(url),
      await refused(url, ['everwire.1', stranger.token({ ask: 1 })]),
      await stranger.open(),
    ]
    if (guard === 'middleware') answers.push(await fetchAll(marked(url, await friend.ticket())))
    for (const { status, body } of answers) {
      expect([status, body.toString().trim()]).toEqual([401, 'Sign in first'])
    }
  })

  test.each(transports)('our client as a stranger over %s is not let in', async (transport) => {
    const { socket, events } = connect(transport, { Cookie: 'visitor=ada.AAAA' })
    expect(await events.next()).toBe('error')
    expect(await events.next()).toBe('close 1006')
    expect(socket.readyState).toBe(socket.CLOSED)
  })

  test.each(transports)('our client over %s: the handler knows who it is, both ways', async (transport) => {
    const { socket, events } = connect(transport, headers)
    expect(await events.next()).toBe('open')
    expect(socket.transport).toBe(transport)
    expect(await events.next()).toBe('hello ada')
    socket.send('grüße 🚀')
    expect(await events.next()).toBe('grüße 🚀')
    socket.send(new Uint8Array(300_000).fill(7))
    expect(await events.next()).toBe('300000 bytes')
    socket.close(4001, 'enough')
    expect(await events.next()).toBe('close 4001 enough')
  })

  test('an ordinary client, beside pages', async () => {
    const client = plain(url, [], { headers })
    expect((await fetchAll(program.url)).status).toBe(200)
    await echoed(await client, 'from an ordinary client')
  })

  test("the browser's file, for those who are let in", async () => {
    const file = await fetchAll(`${url}/everwire.js`, { headers })
    expect([file.status, file.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8'])
    expect((await fetchAll(`${url}/everwire.js`)).status).toBe(guard === 'middleware' ? 401 : 200)
  })

  function connect(transport: Transport, header: { Cookie: string }) {
    const options = { transports: [transport], headers: header, remember: false, rejectUnauthorized: false }
    const socket = new WebSocket(url, options)
    const events = new Queue<string>()
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => events.push('open')
    socket.onerror = () => events.push('error')
    socket.onmessage = ({ data }) => events.push(typeof data === 'string' ? data : `${data.byteLength} bytes`)
    socket.onclose = ({ code, reason }) => events.push(`close ${code} ${code === 1006 ? '' : reason}`.trim())
    onTestFinished(() => socket.close())
    return { socket, events }
  }

  if (/http\/?2$/i.test(name)) {
    test('a WebSocket over HTTP/2, as the first of all, and a body that comes later than its head', async () => {
      const connection = await connectHttp2(program.url)
      expect((await refusedOverHttp2(connection)).status).toBe(401)
      const { webSocket } = await openOverHttp2(connection, { cookie: headers.Cookie })
      await echoed(webSocket, 'over HTTP/2')
      const client = new RawClient('')
      const head = { ':method': 'POST', ':path': '/realtime?everwire=1', cookie: headers.Cookie }
      const late = connection.request(head, { endStream: false })
      const answer = answerTo(late)
      // So often the server has had its turn since it has the head.
      for (let turn = 0; turn < 20; turn++) await answerTo(connection.request({ ':path': '/me' }))
      late.end(bodyOf(client.head({ ask: 1, serial: 1 }), [hello()]))
      expect((await answer).status).toBe(200)
    })
  }

  if (name.startsWith('Vite')) {
    test('its own WebSocket goes on beside ours, and tells of changed files', async () => {
      const vite = (await fetchAll(`${program.url}/@vite/client`)).body.toString()
      const token = /wsToken = "([^"]+)"/.exec(vite)?.[1]
      const hot = await plain(`${program.url}/?token=${token}`, 'vite-hmr')
      await echoed(await plain(url, [], { headers }), 'beside')

      expect((await fetchAll(`${program.url}/main.js`)).body.toString()).toContain('import.meta.hot')
      // Vite does not say when it has begun to watch: touched until it was seen.
      const touching = setInterval(() => utimesSync(`${folder}/vite/main.js`, new Date(), new Date()), 50)
      onTestFinished(() => clearInterval(touching))
      for await (const [data] of on(hot, 'message')) {
        const { type, updates } = JSON.parse(String(data))
        if (type === 'connected') continue
        expect([type, updates?.[0]?.path]).toEqual(['update', '/main.js'])
        break
      }
      expect(hot.readyState).toBe(hot.OPEN)
      hot.close(4001)
      expect((await closed(hot)).code).toBe(4001)
    })
  }
})

test("the document's code is the examples' code", () => {
  const document = readFileSync('docs/FRAMEWORKS.md', 'utf8')
  const excerpts = document.split(/^## /m).flatMap((section) => {
    const file = /^\[(examples\/\S+)\]/m.exec(section)?.[1]
    return file ? [...section.matchAll(/^```js\n(.*?)^```/gms)].map(([, code = '']) => ({ file, code })) : []
  })
  expect(new Set(excerpts.map(({ file }) => file)).size).toBe(8)
  for (const { file, code } of excerpts) expect(readFileSync(file, 'utf8'), file).toContain(code)
})
