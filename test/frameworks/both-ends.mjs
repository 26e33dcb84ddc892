// Server and client in one process: when both have closed, the process ends. Arguments: the transport, and who closes.
import { createServer } from 'node:http'
import { WebSocket } from 'everwire'
import { WebSocketServer } from 'everwire/server'

const [transport, who] = process.argv.slice(2)
const server = createServer((_request, response) => response.end())
const realtime = new WebSocketServer({ server })
realtime.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}`, [], { transports: [transport] })
await new Promise((resolve) => {
  socket.onopen = () => socket.send('x')
  socket.onmessage = resolve
})
const closed = new Promise((resolve) => {
  socket.onclose = resolve
})
if (who === 'client') {
  socket.close(1000)
  await closed
  realtime.close()
  server.close()
} else if (who === 'server') {
  for (const client of realtime.clients) client.close(1012)
  await closed
  realtime.close()
  server.close()
} else {
  await realtime.close({})
  server.close()
}
const { code } = await closed
const begun = performance.now()
process.on('exit', () => console.log(`http://closed/${code}/${Math.round(performance.now() - begun)} `))
