// Something in front of the server begins to answer 401 or 403 in the middle of a session; and a sign-out in its first moments.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { type CloseEvent, type Transport, WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { type Connected, closeOf, serve, watch } from '../support/serving.ts'

const transports: Transport[] = ['websocket', 'stream', 'sse', 'polling']

type Finished = (done: () => Promise<void>) => void

interface Guarded extends Connected {
  readonly client: WebSocket
  readonly network: HostileNetwork
  readonly closed: Promise<CloseEvent>
  /** From now on every request is answered so; 0: as before. Resolves when one has been. */
  guard(status: number): Promise<void>
}

/** Behind a middleware that can begin to refuse. */
async function guarded(use: Transport[], finished: Finished): Promise<Guarded> {
  const realtime = new WebSocketServer({ noServer: true })
  const connections = watch(realtime)
  let status = 0
  let refused = (): void => {}
  const http = createServer((request, response) => {
    if (status === 0) realtime.middleware(request, response)
    else {
      response.statusCode = status
      response.end('Sign in')
      refused()
    }
  })
  const network = await hostileNetwork(await listen(http))
  finished(() => network.close())
  const client = new WebSocket(network.url, {
    transports: use,
    reconnectionDelay: { min: 20, max: 50 },
    remember: false,
  })
  finished(async () => client.close())
  const closed = new Promise<CloseEvent>((resolve) => client.addEventListener('close', resolve))
  const { socket, request } = await connections.next()
  await once(client, 'open')
  return {
    socket,
    request,
    client,
    network,
    closed,
    guard: (answer) => {
      status = answer
      return new Promise((resolve) => {
        refused = resolve
      })
    },
  }
}

describe.concurrent.each([401, 403])('%i', (status) => {
  test.for<Transport[]>([['websocket', 'polling'], ['stream'], ['sse'], ['polling'], transports])(
    'ends a session over %s, with the status in the reason, long before patience does',
    async (use, { onTestFinished }) => {
      const { client, network, closed, guard } = await guarded(use, onTestFinished)
      void guard(status)
      // What is held or open is not asked again: the next request is.
      if (status === 403 || use.includes('websocket')) network.cut()
      client.send('anybody there?')
      const { code, reason, wasClean } = await closed
      expect([code, reason, wasClean]).toEqual([
        1008,
        status === 401 ? '401 Unauthorized' : '403 Forbidden',
        false,
      ])
      expect(client.diary.some((entry) => entry.type === 'close' && entry.reason === reason)).toBe(true)
    },
  )
})

test.concurrent.for<Transport[]>([['websocket', 'polling'], ['stream'], ['sse'], ['polling'], transports])(
  'a 401 for a moment does not end a session over %s',
  async (use, { onTestFinished }) => {
    const { socket, client, network, guard } = await guarded(use, onTestFinished)
    const refused = guard(401)
    network.cut()
    client.send('anybody there?')
    await refused
    // As a page does that signs in again.
    void guard(0)
    const [data] = (await once(socket, 'message')) as [Buffer]
    expect(String(data)).toBe('anybody there?')
    expect(client.readyState).toBe(WebSocket.OPEN)
  },
)

test('a firewall that refuses WebSockets with 403 from now on: the session goes on over HTTP', async ({
  onTestFinished,
}) => {
  const { socket, client, network } = await guarded(transports, onTestFinished)
  network.set({ upgrade: 403 }).cut()
  for (let time = 0; time < 3; time++) {
    client.send(`message ${time}`)
    await once(socket, 'message')
    network.cut()
  }
  expect(client.readyState).toBe(WebSocket.OPEN)
})

test.concurrent.for<[Transport, 'in the listener' | 'after the open']>(
  transports.flatMap((transport): [Transport, 'in the listener' | 'after the open'][] => [
    [transport, 'in the listener'],
    [transport, 'after the open'],
  ]),
)(
  'disconnect in the first moments of a session over %s, %s',
  async ([transport, when], { onTestFinished }) => {
    // What only patience or a heartbeat would end hangs here.
    const never = 600_000
    const serving = await serve(
      { path: '/realtime', heartbeat: never, patience: never, openTimeout: never },
      onTestFinished,
    )
    const { realtime } = serving
    const ended = new Promise((resolve) => {
      realtime.on('connection', (socket) => {
        resolve(closeOf(socket))
        socket.subscribe('user:ada')
        if (when === 'in the listener') realtime.disconnect('user:ada', 4001, 'Signed out')
      })
    })
    const client = new WebSocket(`ws://127.0.0.1:${serving.port}/realtime`, {
      transports: [transport],
      remember: false,
    })
    const closed = new Promise<CloseEvent>((resolve) => client.addEventListener('close', resolve))
    await once(client, 'open')
    if (when === 'after the open') expect(realtime.disconnect('user:ada', 4001, 'Signed out')).toBe(1)
    const { code, reason, wasClean } = await closed
    expect([code, reason, wasClean]).toEqual([4001, 'Signed out', true])
    expect(await ended).toEqual({ code: 4001, reason: 'Signed out' })
  },
)
