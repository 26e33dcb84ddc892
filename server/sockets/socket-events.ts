/** The events of a socket, and the functions that it calls back. */

import type { RawData } from '../messages/data.ts'
import type { Transport } from './carrier.ts'

/** Called when the message has been handed to a connection, or with the error that prevented it. */
export type SendCallback = (error?: Error) => void
/** As in the types of `ws`, although it is also called without an error. */
export type BeatCallback = (error: Error) => void

/** The events of a client with the arguments of their listeners. */
export interface SocketEvents {
  /** Never emitted: a socket of a server is open from the beginning. It is here for code written for `ws`. */
  open: []
  /** A message came. Text is a Buffer too: `String(data)` if `isBinary` is false. */
  message: [data: RawData, isBinary: boolean]
  /** The session or connection is over; comes once, and last. */
  close: [code: number, reason: Buffer]
  /**
   * The client did something wrong, or a Blob could not be read; `close` comes next. Without a listener nothing is
   * thrown.
   */
  error: [error: Error]
  /** The client's application sent a ping. */
  ping: [data: Buffer]
  /** The client answered a ping of this application, or sent a pong of its own. */
  pong: [data: Buffer]
  /** The property `transport` has changed: null while the client has no connection. */
  transportchange: [transport: Transport | null]
}
