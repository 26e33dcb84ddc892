import { keptAlive } from './engine.io.mjs'

export const socketIo = {
  name: 'socket.io',
  path: '/socket.io',

  async serve(server, application, { deflate }) {
    const { Server } = await import('socket.io')
    const io = new Server(server, { serveClient: false, perMessageDeflate: deflate, cors: { origin: '*' } })
    io.on('connection', (socket) => {
      const receive = application.opened((data) => socket.emit('m', data), socket)
      socket.on('m', receive)
      socket.on('disconnect', application.closed)
    })
    return {
      broadcast: (text) => io.emit('m', text),
      join: (socket, room) => socket.join(room),
      publish: (room, text) => io.to(room).emit('m', text),
    }
  },

  client: async () => ({ io: (await import('socket.io-client')).io, agents: await keptAlive() }),
  page: { script: 'socket.io-client/dist/socket.io.min.js', global: 'io' },

  connect(library, { host, port, secure, transport, deflate }, heard) {
    // In a page it is the function itself.
    const { io = library, agents } = library
    const socket = io(`${secure ? 'https' : 'http'}://${host}:${port}`, {
      ...(transport && { transports: [transport] }),
      ...(agents && transport !== 'websocket' && { agent: secure ? agents.https : agents.http }),
      ...(deflate && { perMessageDeflate: { threshold: 1024 } }),
      ...(secure && { rejectUnauthorized: false }),
      forceNew: true,
      reconnection: false,
    })
    socket.on('connect', heard.opened)
    socket.on('m', heard.message)
    socket.on('disconnect', heard.closed)
    socket.on('connect_error', ({ message }) => heard.closed(message))
    return { send: (text) => socket.emit('m', text), close: () => socket.disconnect() }
  },
}
