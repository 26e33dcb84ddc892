/** What is fuzzed. A bug is planted into a copy of what this file brings. */
export { WebSocket } from '../../client/websocket.ts'
export { WebSocketServer } from '../../server/index.ts'
