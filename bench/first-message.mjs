// How long it takes from `new` to the first echoed message, with the real client of each library.
import { Agent } from 'node:http'
import { hostileNetwork } from '../dist/testing/index.js'
import { ws } from './peers.mjs'

/** Each loads a client and gives a function that starts it, sends once it is open, and returns how to end it. */
const clients = {
  ws: async () => (port, done, failed) => {
    const socket = new ws.WebSocket(`ws://127.0.0.1:${port}/`)
    socket.on('open', () => socket.send('first'))
    socket.on('message', done)
    socket.on('error', failed)
    return () => socket.terminate()
  },

  everwire: async (transport) => {
    const { WebSocket } = await import('../dist/client/node.js')
    return (port, done, failed) =>
      driveStandard(
        new WebSocket(`ws://127.0.0.1:${port}/`, [], transport && { transports: [transport] }),
        done,
        failed,
      )
  },

  sockjs: async () => {
    const { default: SockJS } = await import('sockjs-client')
    return (port, done, failed) => driveStandard(new SockJS(`http://127.0.0.1:${port}/sockjs`), done, failed)
  },

  'engine.io': async () => {
    const { Socket } = await import('engine.io-client')
    return (port, done, failed) => {
      // Keeps connections, as a browser does by itself.
      const agent = new Agent({ keepAlive: true })
      const socket = new Socket(`http://127.0.0.1:${port}`, { transports: ['polling'], agent })
      socket.on('open', () => socket.send('first'))
      socket.on('message', done)
      socket.on('error', failed)
      return () => {
        socket.close()
        agent.destroy()
      }
    }
  },

  'socket.io': async (transport) => {
    const { io } = await import('socket.io-client')
    return (port, done, failed) => {
      const agent = new Agent({ keepAlive: true })
      const options = {
        agent,
        forceNew: true,
        reconnection: false,
        ...(transport && { transports: [transport] }),
      }
      const socket = io(`http://127.0.0.1:${port}`, options)
      socket.on('connect', () => socket.emit('m', 'first'))
      socket.on('m', done)
      socket.on('connect_error', failed)
      return () => {
        socket.disconnect()
        agent.destroy()
      }
    }
  },
}

function driveStandard(socket, done, failed) {
  socket.onopen = () => socket.send('first')
  socket.onmessage = done
  socket.onclose = ({ code, reason }) => failed(new Error(`closed with ${code} ${reason}`))
  return () => {
    socket.onclose = null
    socket.close()
  }
}

/** In milliseconds. Every time through a new port, where no client has connections or memories. */
export async function timeToFirstMessage({ library, transport, port, delay }) {
  const start = await clients[library](transport)
  const network = await hostileNetwork(port, { delay })
  let end = () => {}
  let timer
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('no message after 10 s')), 10_000)
      const from = performance.now()
      end = start(network.port, () => resolve(performance.now() - from), reject)
    })
  } finally {
    clearTimeout(timer)
    end()
    await network.close()
  }
}
