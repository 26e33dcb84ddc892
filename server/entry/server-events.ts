/** The events of a WebSocketServer, as in `ws`. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { SocketClass } from '../admission/options.ts'
import type { WithToken } from '../base/token.ts'
import type { Socket } from '../sockets/socket.ts'

export interface ServerEvents<Client = Socket, Request = IncomingMessage> {
  connection: [socket: Client, request: Request & WithToken]
  headers: [headers: string[], request: Request]
  listening: []
  error: [error: Error]
  close: []
  wsClientError: [error: Error, socket: Duplex, request: Request]
}

/** The class of the requests that the application sees. Only types use it. */
export type RequestClass = new (...args: never[]) => IncomingMessage

/** The instances of a class for sockets. `typeof Socket` itself says nothing of `data`. */
export type InstanceOf<Class extends SocketClass> = typeof Socket extends Class ? Socket : InstanceType<Class>
