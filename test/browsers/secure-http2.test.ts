// HTTPS and HTTP/2 in front of the server, as most sites have them: every transport in each engine, numbered messages both ways.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type Socket, WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { startProxy } from '../support/proxies.ts'
import { selfSigned } from '../support/tls.ts'
import { needs } from '../support/tools.ts'
import { inEachEngine } from './engines.ts'

interface Told {
  readonly messages: string[]
  readonly transports: string[]
}

/** In the page. */
declare function talk(transport: string, messages: readonly string[]): Promise<Told>

/** Opens, sends all, and closes once as many have come. */
const page = `<!doctype html><meta charset="utf-8"><title>HTTP/2</title><link rel="icon" href="data:,">
<script src="/realtime/everwire.js"></script>
<script>
const talk = (transport, all) => new Promise((resolve) => {
  const messages = []
  const transports = []
  const note = () => socket.transport && transports.push(socket.transport)
  const socket = new everwire.WebSocket('/realtime', { transports: [transport] })
  socket.ontransportchange = note
  socket.onopen = () => {
    note()
    all.forEach((text) => socket.send(text))
  }
  socket.onmessage = ({ data }) => {
    if (messages.push(data) === all.length) socket.close(4000, 'all')
  }
  socket.onclose = () => resolve({ messages, transports })
})
</script>`

const messages = [...Array.from({ length: 200 }, (_, i) => `${i}`), 'x'.repeat(300 * 1024)]
/** What the front says of each request: the version of HTTP that the browser speaks. */
const versionHeader = 'x-http-version'

class Site {
  readonly realtime: WebSocketServer = new WebSocketServer({
    noServer: true,
    path: '/realtime',
    trustProxy: 'loopback',
  })
  /** Of the requests of sessions. */
  readonly versions = new Set<string>()
  readonly heard: string[] = []
  readonly closes: string[] = []

  constructor() {
    this.realtime.on('connection', (socket: Socket) => {
      for (const text of messages) socket.send(text)
      socket.on('message', (data) => this.heard.push(String(data)))
      socket.on('close', (code, reason) => this.closes.push(`${code} ${reason}`))
    })
  }

  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url?.includes('everwire=') || request.headers.upgrade)
      this.versions.add(String(request.headers[versionHeader] ?? request.httpVersion))
    this.realtime.middleware(request, response, () => {
      response.setHeader('Content-Type', 'text/html')
      response.end(page)
    })
  }
}

/** Each returns the port of its front. */
const fronts = {
  async 'node:http2'(site: Site): Promise<number> {
    const server = createSecureServer({ allowHTTP1: true, ...selfSigned() }, site.serve as never)
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return (server.address() as { port: number }).port
  },

  async nginx(site: Site): Promise<number> {
    const folder = mkdtempSync(join(tmpdir(), 'everwire-tls-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const { key, cert } = selfSigned()
    writeFileSync(join(folder, 'key'), key)
    writeFileSync(join(folder, 'cert'), cert)
    const config = `
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      server {
        listen 127.0.0.1:PORT ssl http2;
        ssl_certificate ${folder}/cert;
        ssl_certificate_key ${folder}/key;
        location / {
          proxy_pass http://127.0.0.1:TARGET;
          proxy_http_version 1.1;
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_set_header ${versionHeader} $server_protocol;
        }
      }`
    const proxy = await startProxy({ program: 'nginx', config }, await listen(createServer(site.serve)))
    onTestFinished(() => proxy.stop())
    return proxy.port
  },
}

inEachEngine('HTTPS and HTTP/2', (engine) => {
  beforeAll(ensureBuilt)

  for (const [name, start] of Object.entries(fronts)) {
    const body = (): void => {
      describe(`by ${name}`, () => {
        test.each(['websocket', 'stream', 'sse', 'polling'] as const)('%s', async (transport) => {
          const site = new Site()
          const port = await start(site)
          const page = await engine().open()
          onTestFinished(async () => void (await page.close()))
          await page.goto(`https://127.0.0.1:${port}/`)
          const told = await page.evaluate((name, all) => talk(name, all), transport, messages)
          expect(told.messages.map((text) => text.slice(0, 9))).toEqual(
            messages.map((text) => text.slice(0, 9)),
          )
          expect(told.messages.at(-1)?.length).toBe(messages.at(-1)?.length)
          expect(told.transports).toEqual([transport])
          await expect.poll(() => site.closes).toEqual(['4000 all'])
          expect(site.heard.map((text) => text.length)).toEqual(messages.map((text) => text.length))
          expect(site.heard.slice(0, 200)).toEqual(messages.slice(0, 200))
          // Browsers open WebSockets over HTTP/1.1 where the server does not offer them over HTTP/2.
          const version = transport === 'websocket' ? '1.1' : '2.0'
          expect([...site.versions].map((one) => one.replace('HTTP/', ''))).toEqual([version])
        })
      })
    }
    if (name === 'nginx') needs('nginx', 'a real proxy', body)
    else body()
  }
})
