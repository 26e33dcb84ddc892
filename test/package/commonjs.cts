import { WebSocket } from 'everwire'
import { type Socket, WebSocketServer } from 'everwire/server'

import ws = require('everwire/ws')

new WebSocketServer({ noServer: true }).on('connection', (socket: Socket) =>
  socket.send(socket.transport ?? ''),
)
new WebSocket('ws://127.0.0.1/').on('message', (data, isBinary) => console.log(data, isBinary))
// @ts-expect-error: our types are there, and say what there is
new ws.WebSocketServer({ port: [] })
