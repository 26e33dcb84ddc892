import { WebSocket } from 'everwire'
import { WebSocketServer } from 'everwire/server'
import roundtrip from './roundtrip.cjs'

await roundtrip({ WebSocket, WebSocketServer })
