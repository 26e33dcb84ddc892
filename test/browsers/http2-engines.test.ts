// Browsers at servers of HTTP/2: every transport, WebSockets as streams of the connection that is there (RFC 8441), and what
// becomes of a session when its stream, or the whole connection, goes away.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Http2ServerResponse, Http2Session } from 'node:http2'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Transport, WebSocket, WebSocketOptions } from '../../client/browser.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type Http2Site, http2Servers, http2Site } from '../support/http2-servers.ts'
import { watch } from '../support/serving.ts'
import type { Engine, Page } from './engine.ts'
import { addScript, inEachEngine } from './engines.ts'

declare const everwire: { readonly WebSocket: new (url: string, options: WebSocketOptions) => WebSocket }
declare const socket: WebSocket

const script = fileURLToPath(new URL('../../dist/everwire.js', import.meta.url))
const transports = ['websocket', 'stream', 'sse', 'polling'] as const

async function siteOf(server: string, enableConnectProtocol = true): Promise<Http2Site> {
  const site = await http2Site(server, {}, { secure: true, settings: { enableConnectProtocol } })
  site.realtime.on('connection', (one) => one.on('message', (data) => one.send(String(data))))
  return site
}

async function pageAt(engine: Engine, { url }: Http2Site): Promise<Page> {
  const page = await engine.open()
  onTestFinished(async () => {
    await page.close()
  })
  await page.goto(`${url}/page`)
  await addScript(page, readFileSync(script, 'utf8'))
  return page
}

/** Opens a session in the page and resolves with what comes back of a message. A slow machine is no reason for the next transport. */
function echo(page: Page, only: readonly Transport[] = transports): Promise<[string | null, string]> {
  return page.evaluate((transports) => {
    const socket = new everwire.WebSocket('/realtime', { transports, remember: false, raceDelay: 60_000 })
    Object.assign(globalThis, { socket })
    return new Promise<[string | null, string]>((resolve) => {
      socket.onopen = () => socket.send('hello')
      socket.onmessage = ({ data }) => resolve([socket.transport, data])
      socket.onclose = ({ code }) => resolve([null, `closed ${code}`])
    })
  }, only)
}

beforeAll(async () => {
  await ensureBuilt()
})

inEachEngine('HTTP/2', (engine, name) => {
  /** WebKitGTK has no WebSockets over HTTP/2. */
  const newest = name === 'WebKitGTK' ? '1.1' : '2.0'

  describe.each(http2Servers)('%s', (server) => {
    test('each transport, with WebSockets over HTTP/2', async () => {
      const site = await siteOf(server)
      const connections = watch(site.realtime)
      const page = await pageAt(engine(), site)
      for (const transport of transports) {
        expect(await echo(page, [transport])).toEqual([transport, 'hello'])
        const { httpVersion, method, headers } = (await connections.next()).request
        expect([httpVersion, method, headers.upgrade]).toEqual([
          transport === 'websocket' ? newest : '2.0',
          'GET',
          'websocket',
        ])
      }
    })

    test('WebSockets over HTTP/1.1 where the server allows no others', async () => {
      const site = await siteOf(server, false)
      const connections = watch(site.realtime)
      const page = await pageAt(engine(), site)
      expect(await echo(page)).toEqual(['websocket', 'hello'])
      expect((await connections.next()).request.httpVersion).toBe('1.1')
    })
  })

  if (name === 'WebKitGTK') return

  test('a WebSocket that the application refuses is followed by the next transport, without a wait', async () => {
    const site = await siteOf('the option server')
    const refused: IncomingMessage[] = []
    const { emit } = site.http
    site.http.emit = function (this: typeof site.http, event: string, ...args: unknown[]): boolean {
      // As Node does while nobody takes them.
      const [request, response] = args as [IncomingMessage, Http2ServerResponse]
      if (event === 'connect') {
        refused.push(request)
        response.writeHead(405).end()
        return true
      }
      return Reflect.apply(emit, this, [event, ...args]) as boolean
    } as typeof emit
    const page = await pageAt(engine(), site)
    expect(await echo(page)).toEqual(['stream', 'hello'])
    expect(refused).toHaveLength(1)
    const diary = await page.evaluate(() => socket.diary)
    // Refused, not overtaken by a transport that was tried beside it.
    expect(diary[0]).toMatchObject({ transport: 'websocket', by: 'network', why: 'refused' })
  })

  test('a session survives its stream and its connection', async () => {
    const site = await siteOf('node:http2')
    const connections = watch(site.realtime)
    let session: Http2Session | undefined
    site.http.on('session', (latest) => {
      session = latest
    })
    const page = await pageAt(engine(), site)
    expect(await echo(page)).toEqual(['websocket', 'hello'])
    const { socket: one, request } = await connections.next()
    const stream = (request as IncomingMessage & { stream: { close(code: number): void } }).stream
    for (const cut of [() => stream.close(8), () => session?.destroy()]) {
      const lost = once(one, 'transportchange')
      cut()
      await lost
      one.send('after')
      await page.evaluate(
        () =>
          new Promise((resolve) => {
            socket.onmessage = ({ data }) => data === 'after' && resolve(data)
          }),
      )
    }
  })

  // Firefox may keep the page.
  if (name === 'Firefox') return

  // A WebSocket alone would not do: of what a page sends over HTTP/2 while it is left, Chromium loses some with the stream.
  test('a page that is gone is gone at the server', async () => {
    const site = await siteOf('node:http2')
    const connections = watch(site.realtime)
    const page = await pageAt(engine(), site)
    expect(await echo(page)).toEqual(['websocket', 'hello'])
    const { socket: one } = await connections.next()
    const closed = once(one, 'close')
    await page.goto(`${site.url}/page?another`)
    expect((await closed)[0]).toBe(1001)
  })
})
