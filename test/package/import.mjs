import assert from 'node:assert/strict'
import { WebSocket } from 'everwire'
import { WebSocket as Reopening } from 'everwire/reopen'
import { WebSocketServer } from 'everwire/server'
import { hostileNetwork } from 'everwire/testing'
import roundtrip from './roundtrip.cjs'

await roundtrip({ WebSocket, WebSocketServer, hostileNetwork })
assert.ok(Reopening.prototype instanceof WebSocket)
await roundtrip({ WebSocket: Reopening, WebSocketServer, hostileNetwork })
