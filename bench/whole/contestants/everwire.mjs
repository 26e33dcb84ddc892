import { listen } from './native.mjs'

const path = '/realtime'

export const everwire = {
  name: 'everwire',
  path,

  async serve(server, application, { deflate }) {
    const { WebSocketServer } = await import('../../../dist/server/index.js')
    const realtime = new WebSocketServer({ server, path, perMessageDeflate: deflate, origins: '*' })
    realtime.on('connection', (socket) => {
      const receive = application.opened((data) => socket.send(data, { binary: false }), socket)
      socket.on('message', receive)
      socket.on('close', application.closed)
    })
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
    const transports = transport && { transports: [transport] }
    return listen(
      new WebSocket(url, [], { ...transports, ...(deflate && { perMessageDeflate: true }) }),
      heard,
    )
  },
}
