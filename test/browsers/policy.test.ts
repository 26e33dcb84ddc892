// What the page's own Content Security Policy forbids (connect-src): it is noticed at once, and said by name where that can be known.
import { createServer } from 'node:http'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { inEachEngine } from './engines.ts'

interface Outcome {
  /** What happened, in order. */
  readonly events: readonly string[]
  readonly transport: string | null
  /** Until the last of them, in ms. */
  readonly took: number
}

/** In the page. */
declare const everwire: {
  readonly WebSocket: new (
    url: string,
    options: object,
  ) => Record<'onopen' | 'onerror', unknown> & {
    onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
    readonly transport: string | null
  }
}

inEachEngine('a page whose policy', (engine, engineName) => {
  beforeAll(ensureBuilt)

  /** Until the socket is open or closed. `allowed`: what stands in connect-src beside nothing. */
  async function outcome(allowed: (server: string) => string, options: object): Promise<Outcome> {
    const http = createServer()
    new WebSocketServer({ server: http, path: '/realtime', origins: '*' })
    const server = `127.0.0.1:${await listen(http)}`
    const port = await listen(
      createServer((_request, response) => {
        response.setHeader('Content-Type', 'text/html')
        response.setHeader(
          'Content-Security-Policy',
          `connect-src https://nowhere.example ${allowed(server)}; require-trusted-types-for 'script'`,
        )
        response.end(`<!doctype html><title>Policy</title><link rel="icon" href="data:,">
<script src="http://${server}/realtime/everwire.js"></script>`)
      }),
    )
    const page = await engine().open()
    await page.goto(`http://127.0.0.1:${port}/`)
    const result = await page.evaluate(
      (url, how) =>
        new Promise<Outcome>((resolve) => {
          const events: string[] = []
          const began = performance.now()
          const end = (event: string, transport: string | null = null) => {
            events.push(event)
            resolve({ events, transport, took: performance.now() - began })
          }
          try {
            const socket = new everwire.WebSocket(url, how)
            socket.onopen = () => end('open', socket.transport)
            socket.onerror = () => events.push('error')
            socket.onclose = ({ code, reason }) => end(`close ${code} ${reason}`)
          } catch {
            end('throws')
          }
        }),
      `http://${server}/realtime`,
      options,
    )
    await page.close()
    console.log(`${expect.getState().currentTestName}: ${Math.round(result.took)} ms`)
    return result
  }

  test('forbids WebSockets uses a stream at once', async () => {
    const { events, transport, took } = await outcome((server) => `http://${server}`, {})
    expect([...events, transport]).toEqual(['open', 'stream'])
    expect(took).toBeLessThan(1000)
  })

  test.each([
    ['ws', 'websocket'],
    ['http', 'stream'],
    ['http', 'sse'],
    ['http', 'polling'],
  ])('allows %s: of the server alone opens over %s', async (scheme, transport) => {
    const transports = scheme === 'ws' ? undefined : [transport]
    const opened = await outcome((server) => `${scheme}://${server}`, { ...(transports && { transports }) })
    expect([...opened.events, opened.transport]).toEqual(['open', transport])
  })

  test('forbids the server closes within a second, and says so', async () => {
    const { events, took } = await outcome(() => '', {})
    expect(events).toEqual(['error', expect.stringMatching(/^close 1006 .*polling: Content Security Policy/)])
    expect(took).toBeLessThan(1000)
  })

  test('forbids the only transport, a WebSocket', async () => {
    const { events, took } = await outcome(() => '', { transports: ['websocket'] })
    const why = engineName === 'Chromium' ? 'Content Security Policy' : 'not allowed'
    expect(events).toEqual(['error', `close 1006 websocket: ${why}`])
    expect(took).toBeLessThan(1000)
  })

  test('forbids a WebSocket without a session: as with the class of the browser, or a close where that has none', async () => {
    const { events, took } = await outcome(() => '', { session: false })
    expect(events).toEqual(engineName === 'Chromium' ? ['error', 'close 1006 '] : ['throws'])
    expect(took).toBeLessThan(1000)
  })
})
