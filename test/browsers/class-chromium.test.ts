// The class suite in real pages: on our client as a page loads it, over each transport alone and over all, and on the
// browser's own class, to a `ws` server and to ours.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Express } from 'express'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import type * as Contract from '../contract/class-contract.ts'
import { caseNames, type Outcome, type Subject } from '../contract/class-contract.ts'
import { type ClassServer, freeAddress, startClassServer } from '../contract/class-server.ts'
import { Tally } from '../contract/tally.ts'
import { secureServer } from '../support/tls.ts'
import { launchChromium, needs } from '../support/tools.ts'

/** What the page has beside what every page has. */
declare const contract: typeof Contract
declare const everwire: { readonly WebSocket: Subject['WebSocket'] }

const root = fileURLToPath(new URL('../..', import.meta.url))
const html = `<!doctype html><meta charset="utf-8"><title>Class suite</title><link rel="icon" href="data:,">
<script src="/everwire.js"></script><script src="/contract.js"></script>`

interface Row {
  readonly name: string
  readonly kind: 'everwire' | 'native'
  readonly server: 'everwire' | 'ws'
  readonly transports?: readonly string[]
  readonly session?: boolean
}

async function bundleContract(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['test/contract/class-contract.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'contract',
    target: 'es2022',
  })
  return outputFiles[0]?.text ?? ''
}

needs('chromium', 'the class suite in Chromium', () => {
  let browser: Browser
  let script: string
  const tally = new Tally()

  const pages = (app: Express): void => {
    app.get('/page', (_request, response) => void response.type('html').send(html))
    app.get('/contract.js', (_request, response) => void response.type('js').send(script))
    app.get('/everwire.js', (_request, response) => {
      response.type('js').send(readFileSync(`${root}/dist/everwire.js`))
    })
  }

  beforeAll(async () => {
    await ensureBuilt()
    script = await bundleContract()
    browser = await launchChromium(['--js-flags=--expose-gc'])
  })

  afterAll(async () => {
    await browser?.close()
    tally.print()
  })

  test('mixed content: a page of https: that asks for ws: gets a SecurityError, on every transport', async () => {
    const server = secureServer(
      (_request, response) => void response.setHeader('Content-Type', 'text/html').end(html),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    await page.route('**/*.js', (route) =>
      route.fulfill({
        contentType: 'text/javascript',
        body: readFileSync(`${root}/dist/everwire.js`, 'utf8'),
      }),
    )
    await page.goto(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const thrown = await page.evaluate(() =>
      ['websocket', 'stream', 'sse', 'polling'].map((transport) => {
        const Class = everwire.WebSocket as unknown as new (...args: unknown[]) => WebSocket
        try {
          new Class('ws://server.example/', [], { transports: [transport] })
          return 'nothing'
        } catch (error) {
          return (error as Error).name
        }
      }),
    )
    expect(thrown).toEqual(['SecurityError', 'SecurityError', 'SecurityError', 'SecurityError'])
    await context.close()
    server.close()
    server.closeAllConnections()
  })

  const ours = { kind: 'everwire', server: 'everwire' } as const

  describe.each<Row>([
    { ...ours, name: 'everwire over websocket', transports: ['websocket'] },
    { ...ours, name: 'everwire over stream', transports: ['stream'] },
    { ...ours, name: 'everwire over sse', transports: ['sse'] },
    { ...ours, name: 'everwire over polling', transports: ['polling'] },
    { ...ours, name: 'everwire over all' },
    { ...ours, name: 'everwire without a session, to ws', session: false, server: 'ws' },
    { name: "the browser's own class, to ws", kind: 'native', server: 'ws' },
    { name: "the browser's own class, to everwire's server", kind: 'native', server: 'everwire' },
  ])('$name', ({ name, kind, server: serverKind, ...options }) => {
    let server: ClassServer
    let deadUrl: string
    let page: Page
    const troubles: string[] = []

    beforeAll(async () => {
      server = await startClassServer(serverKind, pages)
      deadUrl = await freeAddress()
      page = await browser.newPage()
      page.on('pageerror', (error) => troubles.push(String(error)))
      await page.goto(`${server.origin}/page`)
    })

    afterAll(async () => {
      await page?.close()
      await server?.close()
      expect(troubles).toEqual([])
    })

    test.each(caseNames)('%s', async (caseName) => {
      const given = { kind, url: server.url, deadUrl, options }
      const outcome: Outcome = await page.evaluate(
        ([oneName, subject]) =>
          contract.runNamed(oneName, {
            ...subject,
            base: document.baseURI,
            WebSocket: subject.kind === 'native' ? WebSocket : everwire.WebSocket,
          }),
        [caseName, given] as const,
      )
      tally.count(name, outcome)
      expect(outcome.error).toBe(undefined)
    })
  })
})
