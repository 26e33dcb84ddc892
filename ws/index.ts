/** `everwire/ws`: the exports of `ws` under the same names, so that code changes only its import. */

import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { showAttributes } from '../client/node/node-listeners.ts'
import { WebSocket as Client } from '../client/node.ts'
import { defineStates } from '../client/socket/websocket-class.ts'
import {
  WebSocketServer as AnyServer,
  createWebSocketStream,
  type RawData,
  type ServerOptions,
  Socket,
} from '../server/index.ts'

/** The data of a `message` event: a string, or binary data in the form that `binaryType` names. */
export type Data = string | RawData

/** The class of the sockets for the class that code for `ws` names, where clients and the server's sockets have one. */
type SocketClassOf<Class> = Class extends typeof WebSocket
  ? typeof Socket
  : Class extends new (
        ...args: never[]
      ) => EventEmitter
    ? Class
    : never

/**
 * As in `ws`, it needs a place: a middleware has no name there. The types are those of the option `WebSocket` and of what your
 * middleware makes of requests: `new WebSocketServer<typeof WebSocket, typeof MyRequest>({ port: 3000 })`.
 */
export class WebSocketServer<
  Client extends typeof WebSocket | (new (...args: never[]) => EventEmitter) = typeof Socket,
  Request extends new (
    ...args: never[]
  ) => IncomingMessage = typeof IncomingMessage,
> extends AnyServer<SocketClassOf<Client>, Request> {
  /** Throws without `port`, `server` or `noServer`, as in `ws`. */
  constructor(options?: ServerOptions, callback?: () => void) {
    const { port = null, server, noServer } = options ?? {}
    if (port === null && !server && !noServer)
      throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified')
    super(options, callback)
  }
}

/** The client of `everwire` in Node, which follows `ws` where `ws` and the standard differ. */
export class WebSocket extends Client {
  /** The class `WebSocketServer`, as in `ws`. */
  declare static readonly Server: typeof WebSocketServer
  /** The class `WebSocketServer`, as in `ws`. */
  declare static readonly WebSocketServer: typeof WebSocketServer
  /** This class, as in `ws`. */
  declare static readonly WebSocket: typeof WebSocket
  /** The function `createWebSocketStream`, as in `ws`. */
  declare static readonly createWebSocketStream: typeof createWebSocketStream

  /** In `ws`, clients and the server's sockets have one class. Here they have two, and both count as instances. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a class that extends this one has its own instances.
    const isOwn: boolean = Function.prototype[Symbol.hasInstance].call(this, value)
    // biome-ignore lint/complexity/noThisInStatic: the server's sockets are no instances of such a class.
    return isOwn || (this === WebSocket && value instanceof Socket)
  }

  static {
    const all = { Server: WebSocketServer, WebSocketServer, WebSocket, createWebSocketStream }
    for (const [name, value] of Object.entries(all)) {
      Object.defineProperty(WebSocket, name, { value, enumerable: true, writable: true, configurable: true })
    }
    defineStates(WebSocket)
    showAttributes(Client.prototype, WebSocket.prototype)
    Object.defineProperty(WebSocket, 'asInWs', { value: true })
  }
}

export type { WebSocketOptions as ClientOptions } from '../client/node.ts'
export type { PerMessageDeflateOptions, RawData, ServerOptions } from '../server/index.ts'
export {
  createWebSocketStream,
  WebSocket as default,
  WebSocket as 'module.exports',
  WebSocketServer as Server,
}
