// One server in a process of its own: `servers.mjs <name> <role>`, role 'echo', 'publish' or 'sink', which answers nothing.
// A publisher sends to every subscriber what 'go 8' asks for: eight messages in one turn.
import { createServer } from 'node:http'
import { serve } from '../processes.mjs'

const [name, role = 'echo'] = process.argv.slice(2)
const published = 'x'.repeat(64)
const publishedBytes = Buffer.from(published)

const servers = {
  async ws(server) {
    const { ws } = await import('../peers.mjs')
    const wss = new ws.WebSocketServer({ server })
    wss.on('connection', (socket) => {
      if (role === 'publish') {
        socket.on('message', (data) => {
          for (let i = times(data); i > 0; i--) {
            for (const client of wss.clients) client.send(publishedBytes, { binary: false })
          }
        })
      } else {
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
      }
    })
  },

  everwire: (server) => serveEverwire({ server }),

  /** Behind an application's middleware, as with Express. */
  async 'everwire, mounted'(server) {
    const { middleware } = await serveEverwire({ noServer: true })
    server.on('request', (request, response) => middleware(request, response, () => response.end()))
  },

  async 'socket.io'(server) {
    const { Server } = await import('socket.io')
    const io = new Server(server, { serveClient: false })
    io.on('connection', (socket) => {
      if (role === 'publish') {
        socket.join('room')
        socket.on('m', (data) => {
          for (let i = times(data); i > 0; i--) io.to('room').emit('m', published)
        })
      } else {
        socket.on('m', (data) => socket.emit('m', data))
      }
    })
  },

  async 'engine.io'(server) {
    const { attach } = await import('engine.io')
    attach(server).on('connection', (socket) => {
      socket.on('message', (data) => socket.send(data))
    })
  },

  async sockjs(server) {
    const { default: sockjs } = await import('sockjs')
    const echo = sockjs.createServer({ prefix: '/sockjs', log() {} })
    echo.on('connection', (connection) => {
      connection.on('data', (data) => connection.write(data))
    })
    echo.installHandlers(server)
  },
}

async function serveEverwire(options) {
  const { WebSocketServer } = await import('../../dist/server/index.js')
  const realtime = new WebSocketServer(options)
  realtime.on('connection', (socket) => {
    if (role === 'publish') {
      socket.subscribe('room')
      socket.on('message', (data) => {
        for (let i = times(data); i > 0; i--) realtime.publish('room', published)
      })
    } else if (role !== 'sink') {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    }
  })
  return realtime
}

function times(data) {
  return Number(data.toString().slice(3))
}

serve({
  async listen() {
    const server = createServer()
    await servers[name](server)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return server.address().port
  },

  /** CPU time so far in µs, of all threads of this process. */
  cpu() {
    const { user, system } = process.cpuUsage()
    return user + system
  },

  /** What is in use after a thorough collection, in bytes. */
  async memory() {
    for (let i = 0; i < 4; i++) {
      globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const { heapUsed, external } = process.memoryUsage()
    return { heapUsed, external }
  },
})
