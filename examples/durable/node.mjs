// One server of the bank: each message is a transfer. start.mjs starts three of these, and kills them.
import { createServer } from 'node:http'
import { redisCluster } from 'everwire/redis'
import { WebSocketServer } from 'everwire/server'
import { Bank } from './bank/bank.mjs'

const { PORT = '0', REDIS_URL, FILE } = process.env
const bank = new Bank(FILE)
const server = createServer((_request, response) => void response.writeHead(404).end())
const realtime = new WebSocketServer({
  server,
  path: '/realtime',
  // The other servers are on this machine. On machines of their own leave `listen` out.
  cluster: redisCluster({ url: REDIS_URL, listen: { host: '127.0.0.1' }, lease: 500 }),
  recover: true,
  durable: true,
})

realtime.on('connection', (socket) => {
  process.send?.({ has: socket.id })
  socket.on('message', (data) => {
    const order = JSON.parse(String(data))
    // A message that is told once more, because a server died, has the same session and the same number.
    const isFirst = bank.transfer(socket.id, socket.received, order)
    if (!isFirst) process.send?.({ again: socket.received })
    socket.send(JSON.stringify({ done: order.order }))
  })
})

realtime.on('cluster', ({ state }) => {
  if (state === 'up' && !server.listening) server.listen(Number(PORT), '127.0.0.1')
})
server.on('listening', () => process.send?.({ port: server.address().port }))
process.once('disconnect', () => process.exit())
