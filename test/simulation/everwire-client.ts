/** The client under test: the class that ships, on the platform that it is given, and its reading of event streams. */
export { readEvents } from '../../client/carriers/events.ts'
export { webSocketOn } from '../../client/socket/websocket-class.ts'
