// A server of a cluster as people run it: it counts, goes on with counting where another one has left off, and ends in order.
import { createServer } from 'node:http'
import { redisCluster } from 'everwire/redis'
import { WebSocketServer } from 'everwire/server'

const { PORT = '0', REDIS, RECOVER, LEASE } = process.env
const http = createServer((_, response) => void response.writeHead(404).end())
const realtime = new WebSocketServer({
  server: http,
  path: '/realtime',
  cluster: redisCluster({
    url: REDIS,
    listen: { host: '127.0.0.1' },
    ...(LEASE && { lease: Number(LEASE) }),
  }),
  recover: RECOVER === 'yes',
  patience: 10_000,
})

realtime.on('connection', (socket) => {
  if (!socket.recovered) {
    socket.data = { said: 0 }
    socket.subscribe('news')
  }
  process.send?.({ shown: socket.id, recovered: socket.recovered })
  socket.on('message', (data) => socket.send(`${data} ${socket.data.said++} ${socket.id}`))
  socket.on('close', (code, reason) => process.send?.({ closed: socket.id, code, reason: String(reason) }))
})
realtime.on('cluster', ({ state, reason }) => {
  process.send?.({ cluster: state, reason: reason?.message })
  if (state === 'up' && !http.listening) http.listen(Number(PORT), '127.0.0.1')
})
realtime.on('gap', (topic) => process.send?.({ gap: topic }))
http.on('listening', () => process.send?.({ port: http.address().port }))

process.on('message', (message) => {
  if (message.publish) for (const data of message.publish) realtime.publish('news', data)
  if (message.stats) process.send?.({ stats: realtime.stats() })
})
process.on('SIGTERM', async () => {
  await realtime.drain({ within: 200 })
  http.close()
  await realtime.close({ within: 500 })
  process.disconnect()
})
