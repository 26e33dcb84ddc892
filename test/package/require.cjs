const { WebSocket } = require('everwire')
const { WebSocketServer } = require('everwire/server')
const { hostileNetwork } = require('everwire/testing')

const assert = require('node:assert/strict')

// As `ws` is required: the class itself, with the rest on it.
const ofWs = require('everwire/ws')
assert.deepEqual([ofWs.name, ofWs.OPEN, ofWs.WebSocket], ['WebSocket', 1, ofWs])
assert.equal(ofWs.Server, ofWs.WebSocketServer)
assert.ok(ofWs.WebSocketServer.prototype instanceof WebSocketServer)
assert.equal(typeof ofWs.createWebSocketStream, 'function')

require('./roundtrip.cjs')({ WebSocket, WebSocketServer, hostileNetwork })
