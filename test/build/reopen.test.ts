// The class of everwire/reopen as bundlers get it: it shares the shortened class of the package's main module, and still begins again.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import type { WebSocket as Reopening } from '../../client/reopen.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { end } from '../support/serving.ts'

/** Browsers have it; Node does only from version 23 on. */
class CloseEventOfTest extends Event {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor(type: string, { code = 0, reason = '', wasClean = false }: CloseEventInit = {}) {
    super(type)
    this.code = code
    this.reason = reason
    this.wasClean = wasClean
  }
}

beforeAll(async () => {
  globalThis.CloseEvent ??= CloseEventOfTest
  await ensureBuilt()
})

async function listen(port: number): Promise<WebSocketServer> {
  const realtime = new WebSocketServer({ port, host: '127.0.0.1', patience: 100 })
  realtime.on('connection', (socket) => socket.send('hello'))
  await once(realtime, 'listening')
  return realtime
}

test('begins another session when the server is another one', async () => {
  const file = new URL('../../dist/client/reopen.js', import.meta.url)
  const { WebSocket }: { WebSocket: typeof Reopening } = await import(pathToFileURL(file.pathname).href)
  let realtime = await listen(0)
  const { port } = realtime.address() as AddressInfo
  onTestFinished(() => end(realtime))
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
    transports: ['polling'],
    remember: false,
    reopen: { minDelay: 10, maxDelay: 40 },
  })
  await once(socket, 'message')
  const closed = once(socket, 'close')
  await end(realtime)
  expect((await closed)[0]).toMatchObject({ code: 1006 })
  expect(socket.status).toBe('connecting')
  realtime = await listen(port)
  const [{ data }] = await once(socket, 'message')
  expect([data, socket.status]).toEqual(['hello', 'open'])
  const over = once(socket, 'close')
  socket.close(4000)
  expect((await over)[0]).toMatchObject({ code: 4000, wasClean: true })
  expect(socket.status).toBe('closed')
})
