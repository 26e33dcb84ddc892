// A server in durable mode: it counts in `socket.data`, and says which messages it was told.
import { createServer } from 'node:http'
import { redisCluster } from 'everwire/redis'
import { WebSocketServer } from 'everwire/server'

const { PORT = '0', REDIS, LEASE = '1800', DURABLE = 'yes', CPU } = process.env
const http = createServer((_, response) => void response.writeHead(404).end())
const realtime = new WebSocketServer({
  server: http,
  path: '/realtime',
  cluster: redisCluster({ url: REDIS, listen: { host: '127.0.0.1' }, lease: Number(LEASE) }),
  recover: true,
  durable: DURABLE === 'yes',
})

realtime.on('connection', (socket) => {
  if (!socket.recovered) {
    socket.data = { said: 0 }
    socket.subscribe('news')
  }
  process.send?.({ shown: socket.id, recovered: socket.recovered })
  socket.on('message', (data) => {
    if (CPU === undefined) process.send?.({ told: socket.received, of: socket.id })
    socket.send(`${data} ${socket.data.said++} ${socket.id}`)
  })
  socket.on('close', (code, reason) => process.send?.({ closed: socket.id, code, reason: String(reason) }))
})
realtime.on('cluster', ({ state, reason }) => {
  process.send?.({ cluster: state, reason: reason?.message })
  if (state === 'up' && !http.listening) http.listen(Number(PORT), '127.0.0.1')
})
http.on('listening', () => process.send?.({ port: http.address().port }))

process.on('message', (message) => {
  if (message.publish) for (const data of message.publish) realtime.publish('news', data)
  if (message.cpu) process.send?.({ cpu: process.cpuUsage() })
  if (message.stats) process.send?.({ stats: realtime.stats() })
})
process.on('SIGTERM', async () => {
  await realtime.drain({ within: 200 })
  http.close()
  await realtime.close({ within: 500 })
  process.disconnect()
})
