const { WebSocket } = require('everwire')
const { WebSocketServer } = require('everwire/server')

require('./roundtrip.cjs')({ WebSocket, WebSocketServer })
