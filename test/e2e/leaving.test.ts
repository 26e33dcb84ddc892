// A client that gives up while it is connecting, when the server has already let it in.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type CloseEvent, type Transport, WebSocket } from '../../client/node.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'
import { closeOf, serve } from '../support/serving.ts'

/** What only a deadline would show is not seen before the test has ended. */
const never = 600_000
const options = { path: '/realtime', heartbeat: never, patience: never, openTimeout: never }

test.each<[string, Transport[]]>([
  ['websocket, with the others to fall back to', ['websocket', 'stream', 'sse', 'polling']],
  ['stream', ['stream']],
  ['sse', ['sse']],
  ['polling', ['polling']],
])(
  'close() while connecting: the application on the server hears of it at once, over %s',
  async (_, transports) => {
    const { port, connections } = await serve(options)
    const net = await hostileNetwork(port, { delay: 40 })
    onTestFinished(() => net.close())
    const socket = new WebSocket(`ws://127.0.0.1:${net.port}/realtime`, { transports, remember: false })
    const failed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
    // Its answer is still on its way.
    const { socket: client } = await connections.next()
    const closed = closeOf(client)
    expect(socket.readyState).toBe(WebSocket.CONNECTING)
    socket.close()
    const event = await failed
    expect([event.code, event.wasClean]).toEqual([1006, false])
    expect(await closed).toEqual({ code: 1001, reason: '' })
  },
)

test('close() while connecting: a server that never answers does not keep the connection of the farewell', async () => {
  const limit = new AbortController()
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal)
  onTestFinished(() => timeout.mockRestore())
  const sockets = new Queue<Socket>()
  const server = createServer((_request, response) => sockets.push(response.socket as Socket))
  const client = new WebSocket(`ws://127.0.0.1:${await listen(server)}/`, {
    transports: ['polling'],
    remember: false,
  })
  await sockets.next()
  client.close()
  const socket = await sockets.next()
  expect(timeout.mock.calls).toEqual([[10_000]])
  const gone = once(socket, 'close')
  limit.abort()
  await gone
})
