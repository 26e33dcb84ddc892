// A page of https: may not ask for ws:, on no transport: what only HTTP could carry is no way around that.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { secureServer } from '../support/tls.ts'
import { launchChromium, needs } from '../support/tools.ts'

declare const everwire: { readonly WebSocket: new (...args: unknown[]) => WebSocket }

const script = fileURLToPath(new URL('../../dist/everwire.js', import.meta.url))

needs('chromium', 'mixed content in Chromium', () => {
  test('ws: from a page of https: is a SecurityError, on every transport', async () => {
    await ensureBuilt()
    const server = secureServer(
      (_request, response) =>
        void response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Secure</title>'),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const browser = await launchChromium()
    try {
      const context = await browser.newContext({ ignoreHTTPSErrors: true })
      const page = await context.newPage()
      await page.goto(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      await page.addScriptTag({ content: readFileSync(script, 'utf8') })
      const thrown = await page.evaluate(() =>
        ['websocket', 'stream', 'sse', 'polling'].map((transport) => {
          try {
            new everwire.WebSocket('ws://server.example/', [], { transports: [transport] })
            return 'nothing'
          } catch (error) {
            return (error as Error).name
          }
        }),
      )
      expect(thrown).toEqual(['SecurityError', 'SecurityError', 'SecurityError', 'SecurityError'])
    } finally {
      await browser.close()
      server.close()
      server.closeAllConnections()
    }
  })
})
