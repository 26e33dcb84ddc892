const { WebSocket } = require('everwire')
const { WebSocketServer } = require('everwire/server')
const { hostileNetwork } = require('everwire/testing')

require('./roundtrip.cjs')({ WebSocket, WebSocketServer, hostileNetwork })
