/** What is fuzzed. A bug is planted into a copy of what this file brings. */
export { WebSocket } from '../../client/socket/websocket-class.ts'
export { WebSocketServer } from '../../server/index.ts'
