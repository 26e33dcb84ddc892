import { listen } from './native.mjs'

const path = '/realtime'

export const everwire = {
  name: 'everwire',
  path,

  async serve(server, application, { deflate, redis }) {
    const { WebSocketServer } = await import('../../../dist/server/index.js')
    const { redisCluster } = redis ? await import('../../../dist/redis/index.js') : {}
    const realtime = new WebSocketServer({
      server,
      path,
      perMessageDeflate: deflate,
      origins: '*',
      ...(redis && { cluster: redisCluster({ url: redis, lease: 60_000, listen: { host: '127.0.0.1' } }) }),
      // All clients have the address of this machine.
      maxClientsPerAddress: 1_000_000,
    })
    realtime.on('connection', (socket) => {
      const receive = application.opened((data) => socket.send(data, { binary: false }), socket)
      socket.on('message', receive)
      socket.on('close', application.closed)
    })
    if (redis) await new Promise((resolve) => realtime.once('cluster', resolve))
    return {
      broadcast: (text) => realtime.broadcast(text),
      join: (socket, room) => socket.subscribe(room),
      publish: (room, text) => realtime.publish(room, text),
    }
  },

  client: async () => (await import('../../../dist/client/node.js')).WebSocket,
  page: { script: 'dist/everwire.js', global: 'everwire.WebSocket' },

  connect(WebSocket, { host, port, secure, transport, deflate }, heard) {
    const url = `${secure ? 'wss' : 'ws'}://${host}:${port}${path}`
    const options = {
      ...(transport && { transports: [transport] }),
      ...(deflate && { perMessageDeflate: true }),
      // That thousands connect at the same time is no reason to give up; the peers wait for longer, too.
      connectTimeout: 60_000,
    }
    return listen(new WebSocket(url, [], options), heard)
  },
}
