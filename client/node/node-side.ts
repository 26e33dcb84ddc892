/** The connection between the parts of a client in Node, which find each other by the options that all of them get. */
import type { WebSocketOptions } from '../base/types.ts'

/** Called when the message has been handed to a connection, or with the error that prevented it. */
export type SendCallback = (error?: Error) => void

/** The abilities that `ws` adds to the standard, of a session or of a WebSocket of `ws`. */
interface Beating {
  readonly isPaused: boolean
  readonly extensions: string
  terminate(): void
  /** The application is about to send another message. `done` is called when the network has taken it. */
  submitting(done: SendCallback | undefined, options: object): void
  /** The message could not be sent: forget `done`. */
  withdraw(): void
}

/** What a session offers to the socket in addition to its methods in browsers. */
export interface SessionSide extends Beating {
  /** `welcome` is undefined until the session has opened. */
  readonly pilot: { readonly welcome: object | undefined }
  /** The application has called `terminate()`: the session tells the server that it is over, and waits for nothing. */
  readonly isTerminated: boolean
  ping(payload: string): void
  pong(payload: string): void
  pause(paused: boolean): void
  /** A piece of the next message was taken. `done` is called together with the callback of that message. */
  holding(done: SendCallback | undefined): void
  /** Calls the callbacks of all messages that have been sent. */
  called(): void
}

/** What a WebSocket of `ws` offers to the socket. */
interface DirectSide extends Beating {
  readonly url: string
  ping(data: Buffer): void
  pong(data: Buffer): void
  pause(): void
  resume(): void
}

export class Side {
  /** The socket, once it has been constructed. */
  socket: { listenerCount(type: string | symbol): number } | undefined
  /** Functions to call once the socket has been constructed. */
  readonly whenMade: (() => void)[] = []
  connector: SessionSide | undefined
  /** With `session: false`: the WebSocket of `ws`. */
  direct: DirectSide | undefined
  /** A URL that only `ws` understands. */
  address: string | undefined
  /** A close code that `ws` allows and the standard does not. */
  closeCode: number | undefined
  /** The error message if the server has chosen a subprotocol that was not offered. */
  badProtocol = ''
  /** Another session begins on this socket. */
  begun: (() => void) | undefined
  /** The first error of an attempt to connect. */
  failure: Error | undefined
  /** Emits an event to the socket's listeners of `on`. Returns whether there were any. */
  emit: ((type: string, ...args: unknown[]) => boolean) | undefined
}

const sides = new WeakMap<WebSocketOptions, Side>()

export function pairUp(options: WebSocketOptions, side: Side): void {
  sides.set(options, side)
}

export function sideOf(options: WebSocketOptions): Side | undefined {
  return sides.get(options)
}

/** What a session asks of the WebSocket below it. */
interface Below {
  readonly extensions: string
  /** The number of the last message that the system has taken. */
  readonly written: number
}

/** The WebSockets below sessions, by the links that they carry. */
const natives = new WeakMap<object, Below>()

export function carries(native: Below, link: object): void {
  natives.set(link, native)
}

export function nativeOf(link: object): Below | undefined {
  return natives.get(link)
}
