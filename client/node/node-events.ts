/** How one listens to a socket in Node: the events with their arguments, and the methods of an EventEmitter. */
import type { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Status, Transport } from '../base/types.ts'
import type { RawData } from './node-data.ts'

/** The events of a socket in Node with the arguments of their listeners, for `on` and the other methods of an EventEmitter. */
export interface WebSocketEvents {
  /** The session is open: `send` works from now on. */
  open: []
  /** A message came. Text is a Buffer too: `String(data)` if `isBinary` is false. */
  message: [data: RawData, isBinary: boolean]
  /** The session is over; comes once, and last. */
  close: [code: number, reason: Buffer]
  /** The session failed; `close` comes next. Without a listener nothing is thrown. */
  error: [error: Error]
  /** The server's application sent a ping. */
  ping: [data: Buffer]
  /** The server answered a ping of this application, or sent a pong of its own. */
  pong: [data: Buffer]
  /** The answer to the first handshake of a WebSocket. */
  upgrade: [response: IncomingMessage]
  /** Another answer than 101. A listener must read the response or end the request. */
  'unexpected-response': [request: ClientRequest, response: IncomingMessage]
  /** A handshake is about to follow a redirect. */
  redirect: [url: string, request: ClientRequest]
  /** The property `transport` has changed. */
  transportchange: [transport: Transport | null]
  /** The property `status` has changed. */
  statuschange: [status: Status]
}

/** Adds or removes a listener. An event of everwire gives the listener's arguments their types. */
export interface Listen<Self> {
  <Type extends keyof WebSocketEvents>(
    type: Type,
    listener: (this: Self, ...args: WebSocketEvents[Type]) => void,
  ): Self
  (type: string | symbol, listener: (this: Self, ...args: never[]) => void): Self
}

/** The type of a method that lists listeners. */
export type ListOf = EventEmitter['listeners']
