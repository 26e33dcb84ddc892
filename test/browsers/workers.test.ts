// The client where there is no page, or where something sits between a page and the network: in workers, and in a page whose
// requests a service worker passes on. And where fetch knows no streams.
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Transport, WebSocketOptions } from '../../client/browser.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { Conversation, type Told, wholeConversation } from '../support/conversation.ts'
import type { Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

/** In the page, and in the workers. */
declare function talk(options: WebSocketOptions): Promise<Told>

const root = fileURLToPath(new URL('../..', import.meta.url))
const transports = ['websocket', 'stream', 'sse', 'polling'] as const

const everywhere = () => `${readFileSync(`${root}/dist/everwire.js`)}
${String(readFileSync(`${root}/test/support/converse.mjs`)).replace('export function', 'function')}
const talk = (options) => converse(everwire.WebSocket, '/realtime', options)
`

/** Each answers a message, which is what the socket is given, with what came of it. */
const scripts: Readonly<Record<string, () => string>> = {
  '/page.js': everywhere,
  '/dedicated.js': () => `${everywhere()}onmessage = async ({ data }) => postMessage(await talk(data))`,
  '/shared.js': () => `${everywhere()}onconnect = ({ ports: [port] }) => {
    port.onmessage = async ({ data }) => port.postMessage(await talk(data))
  }`,
  '/service.js': () => `let passed = 0
    addEventListener('install', () => skipWaiting())
    addEventListener('activate', (event) => event.waitUntil(clients.claim()))
    addEventListener('fetch', (event) => {
      passed++
      event.respondWith(fetch(event.request))
    })
    addEventListener('message', ({ ports: [port] }) => port.postMessage(passed))`,
}

const pages: RequestListener = (request, response) => {
  const script = scripts[request.url ?? '']
  response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html')
  response.end(
    script?.() ??
      '<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,"><script src="/page.js"></script>',
  )
}

inEachEngine('the client', (engine) => {
  let conversation: Conversation
  let page: Page

  beforeAll(() => ensureBuilt())

  beforeEach(async () => {
    conversation = await Conversation.begin(pages)
    page = await engine().open()
    await page.goto(conversation.network.url)
  })

  afterEach(async () => {
    await page?.close()
    await conversation?.end()
  })

  async function comesThrough(transport: Transport, answer: Promise<Told>): Promise<void> {
    const { events, transports: used } = await answer
    expect(events).toEqual(wholeConversation)
    expect(used).toEqual([transport])
    expect(conversation.ends).toEqual(['4321 bÿe'])
  }

  test.each(transports)('in a dedicated worker: %s', async (transport) => {
    const answer = page.evaluate(
      (options) =>
        new Promise<Told>((resolve, reject) => {
          const worker = new Worker('/dedicated.js')
          worker.onmessage = ({ data }) => resolve(data)
          worker.onerror = ({ message }) => reject(new Error(message))
          worker.postMessage(options)
        }),
      { transports: [transport] },
    )
    await comesThrough(transport, answer)
  })

  test.each(transports)('in a shared worker: %s', async (transport) => {
    const answer = page.evaluate(
      (options) =>
        new Promise<Told>((resolve, reject) => {
          const worker = new SharedWorker('/shared.js')
          worker.port.onmessage = ({ data }) => resolve(data)
          worker.onerror = () => reject(new Error('the worker failed'))
          worker.port.postMessage(options)
        }),
      { transports: [transport] },
    )
    await comesThrough(transport, answer)
  })

  test.each(transports)('in a page whose requests a service worker passes on: %s', async (transport) => {
    await page.evaluate(async () => {
      await navigator.serviceWorker.register('/service.js')
      if (!navigator.serviceWorker.controller)
        await new Promise((resolve) => {
          navigator.serviceWorker.oncontrollerchange = resolve
        })
    })
    await comesThrough(
      transport,
      page.evaluate((options) => talk(options), { transports: [transport] }),
    )
    const passed = await page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          const { port1, port2 } = new MessageChannel()
          port1.onmessage = ({ data }) => resolve(data)
          navigator.serviceWorker.controller?.postMessage(0, [port2])
        }),
    )
    // WebSockets do not come past it.
    if (transport === 'websocket') expect(passed).toBe(0)
    else expect(passed).toBeGreaterThan(1)
  })

  /** As in browsers of long ago, and where something else stands in for fetch. */
  const withoutStreams = () =>
    page.evaluate(() => {
      Object.defineProperty(Response.prototype, 'body', { value: undefined })
      Reflect.deleteProperty(globalThis, 'EventSource')
    })

  test('where fetch knows no streams: polling', async () => {
    await withoutStreams()
    await comesThrough(
      'polling',
      page.evaluate(() => talk({ transports: ['polling'] })),
    )
  })

  test('where fetch knows no streams, and no WebSocket gets through', async () => {
    conversation.network.set({ upgrade: 403 })
    await withoutStreams()
    const { events, transports: used } = await page.evaluate(() => talk({}))
    expect(events).toEqual(wholeConversation)
    expect(used.at(-1)).toBe('polling')
  })
})
