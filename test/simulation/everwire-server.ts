/** The server under test: the one that ships, and sessions that can be written down. */
export { WebSocketServer } from '../../server/index.ts'
export { PortableSession } from '../../shared/snapshot.ts'
