// One server of the cluster: a chat with one room. start.mjs starts three of these.
import { createServer } from 'node:http'
import { redisCluster } from 'everwire/redis'
import { WebSocketServer } from 'everwire/server'

const { NAME, PORT = '0', REDIS_URL, PREFIX } = process.env
const longestText = 500
const server = createServer((_request, response) => void response.writeHead(404).end())
const realtime = new WebSocketServer({
  server,
  path: '/realtime',
  maxPayload: 16 * 1024,
  // The other servers are on this machine. On machines of their own leave `listen` out.
  cluster: redisCluster({ url: REDIS_URL, prefix: PREFIX, listen: { host: '127.0.0.1' } }),
  recover: true,
})

realtime.on('connection', (socket) => {
  // Another server had this client before: its topics and its data have come along.
  if (!socket.recovered) {
    socket.data = { said: 0 }
    socket.subscribe('room')
  }
  socket.send(JSON.stringify({ node: NAME, recovered: socket.recovered, said: socket.data.said }))
  socket.on('message', (data) => {
    const text = String(data).slice(0, longestText)
    const number = ++socket.data.said
    // To the clients of all servers.
    realtime.publish('room', JSON.stringify({ text, number, from: NAME }))
  })
})

realtime.on('cluster', ({ state, reason }) => {
  console.log(`${NAME}: the cluster is ${state}${reason ? `: ${reason.message}` : ''}`)
  if (state === 'up' && !server.listening) server.listen(Number(PORT), '127.0.0.1')
})
server.on('listening', () => process.send?.({ port: server.address().port }))

// A deploy: the sessions go on at the other servers.
process.once('SIGTERM', async () => {
  await realtime.drain({ within: 1_000 })
  await realtime.close({ within: 1_000 })
  server.close()
  process.disconnect?.()
})
// Ctrl-C reaches every process of the terminal: start.mjs decides.
process.on('SIGINT', () => {})
process.once('disconnect', () => process.exit())
