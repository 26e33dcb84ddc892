/** The client under test: the class that ships, on the platform that it is given. */
export { webSocketOn } from '../../client/socket/websocket-class.ts'
