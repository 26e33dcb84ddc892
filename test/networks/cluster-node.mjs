// A server of a cluster for the networks: it tells its parent what its application sees, and says what its parent says.
import { createServer } from 'node:http'
import { redisCluster } from 'everwire/redis'
import { WebSocketServer } from 'everwire/server'

const { REDIS, PREFIX } = process.env
const http = createServer((_, response) => void response.writeHead(404).end())
const cluster = redisCluster({ url: REDIS, prefix: PREFIX, listen: { host: '127.0.0.1' } })
const realtime = new WebSocketServer({ server: http, path: '/realtime', cluster })
/** What the parent's conversation is called: what another one left behind is told to nobody. */
let talk = 0
let current

realtime.on('connection', (socket) => {
  const told = talk
  const tell = (what, value) => told === talk && process.send?.({ talk, what, value })
  current = socket
  tell('opened')
  socket.on('transportchange', (transport) => tell('transport', transport))
  socket.on('message', (data, isBinary) => tell('message', isBinary ? data : String(data)))
  socket.on('error', (error) => tell('error', error.message))
  socket.on('close', (code, reason) => tell('close', `${code} ${reason}`.trim()))
})
realtime.on('cluster', ({ state }) => {
  if (state === 'up' && !http.listening) http.listen(0, '127.0.0.1')
})
http.on('listening', () => process.send?.({ port: http.address().port }))

process.on('message', ({ say, next }) => {
  if (say !== undefined && current?.readyState === 1) current.send(say)
  if (next === undefined) return
  talk = next
  current = undefined
  for (const socket of realtime.clients) socket.terminate()
  process.send?.({ next, passed: realtime.stats().cluster.passed })
})
process.on('disconnect', () => process.exit())
