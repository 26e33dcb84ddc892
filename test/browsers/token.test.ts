// Who a page is: a token, also one as long as may be, gets from the page to the server over each transport, and never into a URL.
import { createServer } from 'node:http'
import { beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { maxToken } from '../../shared/limits.ts'
import { listen } from '../support/http.ts'
import { watch } from '../support/serving.ts'
import { inEachEngine } from './engines.ts'

interface Options {
  readonly transports: readonly string[]
  readonly token: () => Promise<string>
}

/** In the page. */
declare const everwire: {
  readonly WebSocket: new (
    url: string,
    options: Options,
  ) => {
    onopen: (() => void) | null
    onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  }
}

const html = `<!doctype html><meta charset="utf-8"><title>Token</title><link rel="icon" href="data:,">
<script src="/realtime/everwire.js"></script>`

inEachEngine('a token', (engine) => {
  beforeAll(ensureBuilt)

  test.each(['websocket', 'stream', 'sse', 'polling'])('%s', async (transport) => {
    const realtime = new WebSocketServer({ noServer: true, path: '/realtime' })
    const connections = watch(realtime)
    const urls: (string | undefined)[] = []
    const port = await listen(
      createServer((request, response) => {
        urls.push(request.url)
        realtime.middleware(request, response, () => response.end(html))
      }),
    )
    const page = await engine().open()
    await page.goto(`http://127.0.0.1:${port}/`)
    const first = 'Zoë €🚀 '.padEnd(maxToken - 8, 'x')
    await page.evaluate(
      (transports, token) => {
        const my = Object.assign(globalThis, { asked: 0, ended: '' })
        const socket = new everwire.WebSocket('/realtime', {
          transports,
          token: async () => (++my.asked === 1 ? token : `token ${my.asked}`),
        })
        socket.onclose = ({ code, reason }) => {
          my.ended = `${code} ${reason}`
        }
        return new Promise<void>((resolve) => {
          socket.onopen = () => resolve()
        })
      },
      [transport],
      first,
    )
    const { socket, request } = await connections.next()
    expect(request.token).toBe(first)
    // The question is asked again over an event stream that begins before the answer is there.
    expect(await socket.askToken({ within: 0 })).toMatch(transport === 'sse' ? /^token [23]$/ : /^token 2$/)
    socket.close(4401, 'Sign in again')
    await expect
      .poll(() => page.evaluate(() => (globalThis as { ended?: string }).ended))
      .toBe('4401 Sign in again')
    expect(urls.filter((url) => /xxx|token/.test(url ?? ''))).toEqual([])
    await page.close()
  })
})
