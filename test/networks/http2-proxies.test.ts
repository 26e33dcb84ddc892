// Proxies that speak HTTP/2 with the browser and HTTP/1.1 with the server, as docs/DEPLOYING.md says: some take WebSockets over HTTP/2
// (RFC 8441), and beside the others a browser uses HTTP/1.1.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { WebSocket, WebSocketOptions } from '../../client/browser.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { connectHttp2, openOverHttp2 } from '../support/http2.ts'
import { type ProxyProgram, startProxy } from '../support/proxies.ts'
import { end } from '../support/serving.ts'
import { selfSigned } from '../support/tls.ts'
import { launchChromium, needs } from '../support/tools.ts'

declare const everwire: { readonly WebSocket: new (url: string, options: WebSocketOptions) => WebSocket }

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

/** The block of a document in this language. */
function documented(path: string, language: string): string {
  const [, text = ''] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(read(path)) ?? []
  expect(text, `${language} in ${path}`).not.toBe('')
  return text
}

const modules = ['ssl', 'http2'].map(
  (one) => `LoadModule ${one}_module /usr/lib/apache2/modules/mod_${one}.so\n`,
)

interface Way {
  readonly program: ProxyProgram
  /** Whether it takes WebSockets over HTTP/2. */
  readonly takes: boolean
  /** Everything goes to the server, not only the path of the example: the page comes from there, too. */
  config(): string
}

const ways: readonly Way[] = [
  {
    program: 'haproxy',
    takes: true,
    config: () =>
      documented('docs/NETWORKS.md', 'haproxy').replace(
        /^frontend .*?^$/ms,
        documented('docs/DEPLOYING.md', 'haproxy'),
      ),
  },
  {
    program: 'apache2',
    takes: true,
    config: () => modules.join('') + documented('docs/DEPLOYING.md', 'apache').replaceAll('/realtime', '/'),
  },
  {
    program: 'nginx',
    takes: false,
    config: () =>
      documented('docs/NETWORKS.md', 'nginx')
        .replace('listen 80;', documented('docs/DEPLOYING.md', 'nginx'))
        .replace('location /realtime', 'location /'),
  },
  {
    program: 'caddy',
    takes: false,
    config: () =>
      documented('docs/NETWORKS.md', 'caddy')
        .replace(':80 {\n', documented('docs/DEPLOYING.md', 'caddy'))
        .replace('/realtime* ', ''),
  },
]

describe.each(ways)('$program', ({ program, takes, config }) => {
  needs([program, 'chromium'], 'with HTTP/2', () => {
    let browser: Browser
    let folder: string
    beforeAll(async () => {
      await ensureBuilt()
      browser = await launchChromium()
      folder = mkdtempSync(join(tmpdir(), 'everwire-tls-'))
      const { key, cert } = selfSigned()
      writeFileSync(join(folder, 'site.pem'), cert + key)
    })
    afterAll(async () => {
      await browser?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    async function start(): Promise<string> {
      const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })
      onTestFinished(() => end(realtime))
      realtime.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
      const target = await listen(
        createServer((request, response) => {
          if (request.url !== '/page') realtime.middleware(request, response)
          else response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>A page</title>')
        }),
      )
      const placed = config()
        .replaceAll('127.0.0.1:3000', '127.0.0.1:TARGET')
        .replace(/(listen |bind |<VirtualHost )(\*?:)?443\b/, '$1127.0.0.1:PORT')
        .replace(/^:443\b/m, ':PORT')
        .replaceAll('/etc/ssl/site.pem', join(folder, 'site.pem'))
      const proxy = await startProxy({ program, config: placed }, target)
      onTestFinished(() => proxy.stop())
      return `https://127.0.0.1:${proxy.port}`
    }

    test(takes ? 'takes WebSockets over HTTP/2' : 'takes no WebSockets over HTTP/2', async () => {
      const connection = await connectHttp2(await start())
      expect(connection.remoteSettings.enableConnectProtocol).toBe(takes)
      if (!takes) return
      const { webSocket } = await openOverHttp2(connection, { ':path': '/realtime' })
      const answer = new Promise((resolve) => webSocket.once('message', (data) => resolve(String(data))))
      webSocket.send('hello')
      expect(await answer).toBe('hello')
    })

    test(`Chromium has each transport with a large message each way, WebSockets over HTTP/${takes ? 2 : '1.1'}`, async () => {
      const url = await start()
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      onTestFinished(() => context.close())
      const page = await context.newPage()
      const tools = await context.newCDPSession(page)
      const statuses: number[] = []
      tools.on(
        'Network.webSocketHandshakeResponseReceived',
        ({ response }) => void statuses.push(response.status),
      )
      await tools.send('Network.enable')
      await page.goto(`${url}/page`)
      await page.addScriptTag({ content: read('dist/everwire.js') })
      for (const transport of ['websocket', 'stream', 'sse', 'polling'] as const) {
        const came = await page.evaluate((only) => {
          const socket = new everwire.WebSocket('/realtime', { transports: [only], remember: false })
          // Larger than the body of a request may be, and not the same everywhere.
          const large = Array.from({ length: 200_000 }, (_, index) => index).join()
          return new Promise<string>((resolve) => {
            socket.onopen = () => socket.send(large)
            socket.onmessage = ({ data }) =>
              resolve(`${data === large ? 'the large message' : data} over ${socket.transport}`)
            socket.onclose = ({ code }) => resolve(`closed ${code}`)
          })
        }, transport)
        expect(came).toBe(`the large message over ${transport}`)
      }
      // The status that opens a WebSocket over HTTP/2, or over HTTP/1.1.
      expect(statuses).toEqual([takes ? 200 : 101])
    })
  })
})
