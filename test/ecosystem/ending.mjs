// Both ends of a library in one process, over each transport: when all have closed, the process ends. Argument: the library.
import { createServer } from 'node:http'
import { register } from 'node:module'
import { WebSocket } from 'everwire'
import { attachFallbacks, WebSocketServer } from 'everwire/server'

const [library] = process.argv.slice(2)
const transports = ['websocket', 'stream', 'sse', 'polling']

// Where these two import `ws` they get `everwire/ws`, as docs/LIBRARIES.md has it.
const hook = `export const resolve = (name, context, next) =>
  name === 'ws' && /rpc-websockets|hocuspocus/.test(context.parentURL)
    ? { url: ${JSON.stringify(import.meta.resolve('everwire/ws'))}, shortCircuit: true }
    : next(name, context)`
register(`data:text/javascript,${encodeURIComponent(hook)}`)

/** The class with one transport, and when each of its sockets is closed. */
function only(transport) {
  const closed = []
  class Ours extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { transports: [transport], remember: false })
      closed.push(new Promise((resolve) => this.addEventListener('close', resolve)))
    }
  }
  return { Ours, closed }
}

/** Of a server that listens. */
const urlOf = (server) => `ws://127.0.0.1:${server.address().port}`

const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

/** Each talks with its server, then closes both ends in the library's own way. */
const libraries = {
  async 'rpc-websockets'({ Ours }) {
    const { CommonClient, Server } = await import('rpc-websockets')
    const http = createServer()
    const server = new Server({ server: http })
    await listen(http)
    server.register('sum', ([a, b]) => a + b)
    const client = new CommonClient((url) => new Ours(url), urlOf(http))
    await new Promise((resolve) => client.on('open', resolve))
    await client.call('sum', [1, 2])
    const heard = new Promise((resolve) => client.on('close', resolve))
    client.close()
    await heard
    await server.close()
    http.close()
  },

  async 'Socket.IO'({ Ours, closed }) {
    const { Server } = await import('socket.io')
    const { io } = await import('socket.io-client')
    const { WebSocket: Transport } = await import('engine.io-client')
    const http = createServer()
    const server = new Server(http, { wsEngine: WebSocketServer, transports: ['websocket'] })
    attachFallbacks(http, '/socket.io')
    server.on('connection', (socket) => socket.on('echo', (value, done) => done(value)))
    await listen(http)
    class Everwire extends Transport {
      createSocket(uri) {
        return new Ours(uri)
      }
    }
    const client = io(urlOf(http), { transports: [Everwire] })
    await client.emitWithAck('echo', 1)
    client.disconnect()
    await Promise.all(closed)
    await server.close()
  },

  async Hocuspocus({ Ours, closed }) {
    const { HocuspocusProvider, HocuspocusProviderWebsocket } = await import('@hocuspocus/provider')
    const { Server } = await import('@hocuspocus/server')
    const server = new Server({ quiet: true, stopOnSignals: false })
    attachFallbacks(server.httpServer)
    await listen(server.httpServer)
    const websocketProvider = new HocuspocusProviderWebsocket({
      url: urlOf(server.httpServer),
      WebSocketPolyfill: Ours,
    })
    const provider = new HocuspocusProvider({ websocketProvider, name: 'notes' })
    const synced = new Promise((resolve) => provider.on('synced', resolve))
    provider.attach()
    await synced
    provider.destroy()
    websocketProvider.destroy()
    await Promise.all(closed)
    await server.destroy()
  },
}

for (const transport of transports) await libraries[library](only(transport))
const begun = performance.now()
process.on('exit', () => console.log(Math.round(performance.now() - begun)))
