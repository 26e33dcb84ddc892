import { WebSocket } from 'everwire'
import { WebSocketServer } from 'everwire/server'

const realtime = new WebSocketServer({ noServer: true })
realtime.on('connection', (socket, request) => {
  socket.on('message', (data, isBinary) => {
    socket.send(data, { binary: isBinary })
    socket.close(4000, request.url)
  })
})

const socket = new WebSocket('ws://127.0.0.1/')
socket.addEventListener('message', (event) => socket.send(event.data))
