import { WebSocket } from 'everwire'
import { type ExamineOptions, examine, type Outcome } from 'everwire/doctor'
import { WebSocketServer } from 'everwire/server'
import { type Connection, type Faults, hostileNetwork } from 'everwire/testing'

const realtime = new WebSocketServer({ noServer: true })
realtime.on('connection', (socket, request) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary })
    socket.close(4000, request.url)
  })
})

const socket = new WebSocket('ws://127.0.0.1/')
socket.addEventListener('message', (event) => socket.send(event.data))

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
