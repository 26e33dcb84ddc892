// What a browser hides from a page of another origin: an answer of something in front of the server, without the headers of CORS.
import { createServer } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { type Connected, messagesOf, watch } from '../support/serving.ts'
import type { Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

/** In the page. */
declare const everwire: {
  readonly WebSocket: new (
    url: string,
    options: object,
  ) => {
    onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
    readonly readyState: number
    send(data: string): void
    diary: { readonly type: string; readonly about?: string; readonly value?: number }[]
  }
}
declare const my: { socket: InstanceType<typeof everwire.WebSocket>; ended: string }

/** What answers in place of the server, and whether a page of another origin may read that. */
interface Guard {
  readonly refuses: (size: number) => boolean
  readonly status: number
  readonly hidden: boolean
}

interface Guarded extends Connected {
  readonly page: Page
  /** How many requests the guard has answered. */
  readonly refused: () => number
  guard(guard?: Guard): void
}

inEachEngine('an answer that the browser hides', (engine) => {
  beforeAll(ensureBuilt)

  /** A page of one origin with a socket to another one, where a guard may stand in front of the server. */
  async function open(options: object, first?: Guard): Promise<Guarded> {
    const realtime = new WebSocketServer({ noServer: true, path: '/realtime', origins: '*' })
    const connections = watch(realtime)
    let guard = first
    let count = 0
    const port = await listen(
      createServer((request, response) => {
        if (!guard?.refuses(Number(request.headers['content-length'] ?? 0))) {
          realtime.middleware(request, response, () => response.end())
          return
        }
        count++
        if (!guard.hidden) {
          response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*')
          response.setHeader('Access-Control-Allow-Credentials', 'true')
        }
        response.statusCode = guard.status
        response.end('No')
      }),
    )
    const other = await listen(
      createServer((_request, response) => {
        response.setHeader('Content-Type', 'text/html')
        response.end(`<!doctype html><title>Another origin</title><link rel="icon" href="data:,">
<script src="http://127.0.0.1:${port}/realtime/everwire.js"></script>`)
      }),
    )
    const page = await engine().open()
    await page.goto(`http://127.0.0.1:${other}/`)
    await page.evaluate(
      (url, how) => {
        const socket = new everwire.WebSocket(url, how)
        Object.assign(globalThis, { my: { socket, ended: '' } })
        socket.onclose = ({ code, reason }) => {
          my.ended = `${code} ${reason}`
        }
      },
      `http://127.0.0.1:${port}/realtime`,
      options,
    )
    const connected = await connections.next()
    await expect.poll(() => page.evaluate(() => my.socket.readyState)).toBe(1)
    return {
      ...connected,
      page,
      refused: () => count,
      guard(next) {
        guard = next
      },
    }
  }

  const overHttp = { transports: ['stream', 'polling'], reconnectionDelay: { min: 20, max: 50 } }
  const signedOut = { refuses: () => true, status: 401 }

  describe('401 in the middle of a session', () => {
    test('that can be read ends it with the status', async () => {
      const { page, guard } = await open(overHttp)
      guard({ ...signedOut, hidden: false })
      await page.evaluate(() => my.socket.send('anybody there?'))
      await expect.poll(() => page.evaluate(() => my.ended)).toBe('1008 401 Unauthorized')
      await page.close()
    })

    test('that is hidden is a network that fails: the session lasts as long as patience', async () => {
      const { page, guard } = await open({ ...overHttp, patience: 3000 })
      guard({ ...signedOut, hidden: true })
      await page.evaluate(() => my.socket.send('anybody there?'))
      await expect.poll(() => page.evaluate(() => my.ended)).toBe('1006 connection lost')
      await page.close()
    })

    test('and when it is over, the session goes on with all that was sent', async () => {
      const { page, guard, refused, socket } = await open(overHttp)
      const messages = messagesOf(socket)
      guard({ ...signedOut, status: 502, hidden: true })
      await page.evaluate(() => my.socket.send('first'))
      await page.evaluate(() => my.socket.send('second'))
      await expect.poll(refused).toBeGreaterThan(9)
      guard()
      expect([await messages.next(), await messages.next()]).toEqual(['first', 'second'])
      expect(await page.evaluate(() => my.ended)).toBe('')
      await page.close()
    })
  })

  test('413: messages of 200 KiB go up where bodies over 64 KiB are refused, also on the next carrier', async () => {
    const hidden = { refuses: (size: number) => size > 65_536, status: 413, hidden: true }
    const { page, refused, socket } = await open({ transports: ['polling', 'stream'] }, hidden)
    let came = 0
    socket.on('message', () => came++)
    const send = (): Promise<void> =>
      page.evaluate(() => {
        for (let i = 0; i < 20; i++) my.socket.send('x'.repeat(204_800))
      })
    await send()
    await expect.poll(() => came).toBe(20)
    // Bodies of 256 KiB three times, which is no chance, and of 128 KiB once.
    expect(refused()).toBe(4)
    const lessons = await page.evaluate(() => my.socket.diary.filter(({ about }) => about === 'piece'))
    expect(lessons.length).toBe(2)
    await page.evaluate(() => void dispatchEvent(new Event('online')))
    await send()
    await expect.poll(() => came).toBe(40)
    expect(refused()).toBe(4)
    await page.close()
  })
})
