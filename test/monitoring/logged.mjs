// A life over one transport, with a cut in the middle, for whoever reads what Node writes of it with NODE_DEBUG=everwire.
// `node test/monitoring/logged.mjs <transport>`
import { once } from 'node:events'
import { WebSocket } from 'everwire'
import { WebSocketServer } from 'everwire/server'
import { hostileNetwork } from 'everwire/testing'

const [transport = 'websocket'] = process.argv.slice(2)
const realtime = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  verifyClient: ({ req }, decide) => decide(!req.url?.startsWith('/closed'), 403, 'Not here'),
})
await once(realtime, 'listening')
const network = await hostileNetwork(/** @type {import('node:net').AddressInfo} */ (realtime.address()).port)
const options = { transports: [transport], remember: false }

const outside = new WebSocket(`${network.url}/closed?token=secret`, [], options)
outside.onerror = () => {}
await new Promise((resolve) => outside.addEventListener('close', resolve))

const connected = once(realtime, 'connection')
const socket = new WebSocket(`${network.url}/realtime?token=secret`, [], options)
await once(socket, 'open')
const [server] = await connected
network.set({ connections: 'refuse' })
network.cut()
while (socket.status !== 'resuming') await once(socket, 'statuschange')
network.set({ connections: 'pass' })
while (socket.status !== 'open') await once(socket, 'statuschange')
const over = [once(server, 'close'), once(socket, 'close')]
server.close(4000, 'enough')
await Promise.all(over)
process.exit()
