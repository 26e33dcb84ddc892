import { WebSocket } from 'everwire'
import { WebSocketServer } from 'everwire/server'
import { hostileNetwork } from 'everwire/testing'
import roundtrip from './roundtrip.cjs'

await roundtrip({ WebSocket, WebSocketServer, hostileNetwork })
