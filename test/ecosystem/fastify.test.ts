import type { AddressInfo } from 'node:net'
import type fastifyWebsocket from '@fastify/websocket'
import fastify from 'fastify'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type CloseEvent, WebSocket } from '../../client/node.ts'
import { attachFallbacks, type Socket, type WebSocketServer } from '../../server/index.ts'
import { hostileNetwork } from '../../testing/index.ts'
import * as ws from '../../ws/index.ts'
import { importReplacing, ownFolder } from './replaced.ts'
import { bytes, numbers, onEachTransport } from './setting.ts'

const count = 300

// It takes no class, and gives handshakes to Fastify's routes.
const { fastifyWebsocket: plugin } = await importReplacing<{ fastifyWebsocket: typeof fastifyWebsocket }>(
  '@fastify/websocket',
  'ws',
  ws,
  '@fastify/websocket',
  ownFolder,
)

const makeApp = async (options: fastifyWebsocket.WebsocketPluginOptions = {}) => {
  // By default Fastify refuses handshakes with 503 from the beginning of `app.close()`, also those that resume a session.
  const app = fastify({ return503OnClosing: false })
  onTestFinished(() => app.close())
  await app.register(plugin, options)
  app.addHook('onRequest', async (request, reply) => {
    if (request.url === '/secret') await reply.code(401).header('X-Why', 'none').send('Sign in first')
  })
  await app.register(async (routes) => {
    routes.get('/echo', { websocket: true }, (client) => {
      const socket = client as unknown as Socket
      socket.on('message', (data, isBinary) => {
        if (String(data) === 'goodbye') socket.close(4002, 'Goodbye')
        else socket.send(data, { binary: isBinary })
      })
    })
  })
  await app.ready()
  attachFallbacks(app.server)
  return app
}

const makeServer = async () => (await makeApp()).server

async function listening(options?: fastifyWebsocket.WebsocketPluginOptions) {
  const app = await makeApp(options)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as AddressInfo).port }
}

onEachTransport(
  '@fastify/websocket',
  async (setting) => {
    const socket = new setting.WebSocket(`${setting.url}/echo`)
    socket.binaryType = 'arraybuffer'
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    const messages: unknown[] = []
    const steps = setting.steps(count, (i) => socket.send(`${i}`))
    socket.onmessage = ({ data }) => {
      messages.push(Number(data))
      steps.ended()
    }
    await steps.all
    expect(messages).toEqual(numbers(count))
    const { data } = await new Promise<MessageEvent>((resolve) => {
      socket.onmessage = resolve
      socket.send(bytes(1_000_000))
    })
    expect(Buffer.compare(new Uint8Array(data as ArrayBuffer), bytes(1_000_000))).toBe(0)
    socket.send('goodbye')
    await setting.finished(4002)
  },
  makeServer,
)

describe('app.close()', () => {
  // The plugin waits for nobody: who has no answer under way in this moment hears of nothing. A long-poll may be between two.
  test.each(['websocket', 'stream', 'sse'] as const)('closes a client on %s', async (transport) => {
    const { app, port } = await listening()
    const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`, [], { transports: [transport] })
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
    const echo = (): Promise<unknown> =>
      new Promise((resolve) => {
        socket.addEventListener('message', resolve, { once: true })
        socket.send('x')
      })
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    // So that the stream has begun.
    for (let i = 0; i < 5; i++) await echo()
    await app.close()
    // As the plugin closes every client, without a code.
    expect((await closed).code).toBe(1005)
  })

  // The option that docs/LIBRARIES.md gives the plugin.
  const inOrder = {
    preClose() {
      return (this as unknown as { websocketServer: WebSocketServer }).websocketServer.close({ within: 5000 })
    },
  } as fastifyWebsocket.WebsocketPluginOptions

  test.each(['websocket', 'stream', 'sse', 'polling'] as const)(
    'with `preClose` a client on %s gets 1012, also one that is just looking for its session',
    async (transport) => {
      const { app, port } = await listening(inOrder)
      const network = await hostileNetwork(port)
      onTestFinished(() => network.close())
      const clients = [port, network.port].map(
        (at) => new WebSocket(`ws://127.0.0.1:${at}/echo`, [], { transports: [transport], remember: false }),
      )
      const ordinary = new ws.WebSocket(`ws://127.0.0.1:${port}/echo`, { session: false })
      const closed = [...clients, ordinary].map(
        (socket) => new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve)),
      )
      const echoed = [...clients, ordinary].map((socket) => {
        socket.addEventListener('open', () => socket.send('x'))
        return new Promise((resolve) => socket.addEventListener('message', resolve))
      })
      await Promise.all(echoed)
      network.cut()
      await app.close()
      for (const end of closed) expect(await end).toMatchObject({ code: 1012, wasClean: true })
    },
  )
})
