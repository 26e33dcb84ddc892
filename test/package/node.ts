import { type CarrierEntry, WebSocket } from 'everwire'
import { type ExamineOptions, examine, type Outcome } from 'everwire/doctor'
import { encode, events } from 'everwire/events'
import { registerMetrics } from 'everwire/prometheus'
import { type RedisClusterOptions, redisCluster, redisPublisher } from 'everwire/redis'
import { WebSocket as Reopening } from 'everwire/reopen'
import {
  type RateLimit,
  type ServerCarrierEntry,
  type ServerChannels,
  type ServerStats,
  WebSocketServer,
} from 'everwire/server'
import { type Connection, type Faults, hostileNetwork } from 'everwire/testing'
import { Registry } from 'prom-client'
import { createClient, createCluster, createSentinel } from 'redis'

/** The diaries of both ends, in one function. */
function transportOf(entry: CarrierEntry | ServerCarrierEntry): string {
  const how = 'purpose' in entry ? entry.purpose : `received ${entry.received}`
  return `${entry.transport}: ${how}, ${entry.why ?? 'in use'}`
}

const rateLimit: RateLimit = { messages: 100 }
const realtime = new WebSocketServer({ noServer: true, rateLimit })
realtime.on('connection', (socket, request) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary })
    for (const entry of socket.diary) if (entry.type === 'carrier') console.log(transportOf(entry))
    events(socket).on('join', (room) => realtime.publish(String(room), encode('joined')))
    socket.close(4000, request.url)
  })
})

const socket = new WebSocket('ws://127.0.0.1/')
socket.addEventListener('message', (event) => socket.send(event.data))
for (const entry of socket.diary) if (entry.type === 'carrier') console.log(transportOf(entry))

const reopening = new Reopening('ws://127.0.0.1/', { reopen: { maxRetries: 3 } })
reopening.addEventListener('statuschange', () =>
  console.log(reopening.status, reopening instanceof WebSocket),
)

const faults: Partial<Faults> = { upgrade: 403, cutWebSockets: [1000, 2000] }
hostileNetwork(3000, { seed: 1, ...faults }).then((network) => {
  network.set({ buffer: true }).on('fault', (name, connection: Connection) => {
    console.log(network.seed, name, connection.request, connection.passed['to client'])
  })
  network.cut(({ webSocket }) => webSocket)
  return network.close()
})

const options: ExamineOptions = { headers: { Cookie: 'who=me' }, duration: 60_000 }
const outcome: Promise<Outcome> = examine('http://127.0.0.1/', options).then(
  ({ transports }) => transports.sse.outcome,
)
outcome.then(console.log)

const redis: RedisClusterOptions = { client: createClient(), history: { messages: 100 } }
new WebSocketServer({ noServer: true, cluster: redisCluster(redis) })
redisCluster({ client: createCluster({ rootNodes: [] }), prefix: 'chat:' })
redisPublisher({ client: createSentinel({ name: 'main', sentinelRootNodes: [] }) }).publish('news', 'hello')

const forget: () => void = registerMetrics(realtime, { registry: new Registry(), server: 'chat' })
const stats: ServerStats = realtime.stats()
console.log(stats.sessions.moved.websocket.polling, stats.refused[503] ?? 0)
const told = (message: unknown) => {
  const { server, socket, cause } = message as ServerChannels['everwire:session.end']
  if (server === realtime && cause === 'lost') console.log(socket.id)
}
told({})
// @ts-expect-error: our types are there, and say what there is
new WebSocket('ws://127.0.0.1/', { transports: ['carrier pigeon'] })
forget()
