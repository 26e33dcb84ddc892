import assert from 'node:assert/strict'
import { WebSocket } from 'everwire'
import { encode } from 'everwire/events'
import { registerMetrics } from 'everwire/prometheus'
import { redisCluster } from 'everwire/redis'
import { WebSocket as Reopening } from 'everwire/reopen'
import { WebSocketServer } from 'everwire/server'
import { hostileNetwork } from 'everwire/testing'
import { register } from 'prom-client'
import roundtrip from './roundtrip.cjs'

await roundtrip({ WebSocket, WebSocketServer, hostileNetwork })
assert.equal(encode('join', 'garden'), '["join",0,"garden"]')
assert.ok(Reopening.prototype instanceof WebSocket)
await roundtrip({ WebSocket: Reopening, WebSocketServer, hostileNetwork })

assert.throws(() => redisCluster({}), /needs one of the options "url" and "client"/)
assert.equal(typeof redisCluster({ url: 'redis://127.0.0.1' }).join, 'function')

registerMetrics(new WebSocketServer({ noServer: true }))
assert.match(await register.metrics(), /^everwire_sessions\{state="open"\} 0$/m)
