/** What the parts of a client in Node know of each other. They are brought together by the options, which all of them get. */
import type { WebSocketOptions } from '../base/types.ts'

export type SendCallback = (error?: Error) => void

/** What `ws` has and the standard has not, as a session or a WebSocket of `ws` does it. */
interface Beating {
  readonly isPaused: boolean
  readonly extensions: string
  terminate(): void
  /** The application is about to send another message; `done` is called when the network has it. */
  submitting(done: SendCallback | undefined, options: object): void
  /** It could not be sent after all. */
  withdraw(): void
}

/** What a session offers the socket beside what it does in browsers. */
export interface SessionSide extends Beating {
  /** It has been open. */
  readonly welcome: object | undefined
  ping(payload: string): void
  pong(payload: string): void
  pause(paused: boolean): void
  /** A piece of the message that is sent next; `done` is called with its callback. */
  holding(done: SendCallback | undefined): void
  /** Calls back for what has gone out by now. */
  called(): void
}

/** The same of a WebSocket of `ws`. */
interface DirectSide extends Beating {
  readonly url: string
  ping(data: Buffer): void
  pong(data: Buffer): void
  pause(): void
  resume(): void
}

export class Side {
  /** The socket itself, as soon as it is made. */
  socket: { listenerCount(type: string | symbol): number } | undefined
  /** What is to be done as soon as there is one. */
  readonly whenMade: (() => void)[] = []
  connector: SessionSide | undefined
  /** With `session: false`: the WebSocket of `ws` that this is. */
  direct: DirectSide | undefined
  /** A URL that only `ws` knows. */
  address: string | undefined
  /** A code that `ws` lets an application close with, and the standard does not. */
  closeCode: number | undefined
  /** What there is to be said against the subprotocol that the server has chosen, should it not be one that was offered. */
  badProtocol = ''
  /** Why the first of the attempts to connect failed that can say so. */
  failure: Error | undefined
  /** Tells the socket's listeners; returns whether there were any. */
  emit: ((type: string, ...args: unknown[]) => boolean) | undefined
}

const sides = new WeakMap<WebSocketOptions, Side>()

export function pairUp(options: WebSocketOptions, side: Side): void {
  sides.set(options, side)
}

export function sideOf(options: WebSocketOptions): Side | undefined {
  return sides.get(options)
}

/** What a session wants to know of the WebSocket below it. */
interface Below {
  readonly extensions: string
  /** The number of the last message that the system has taken. */
  readonly written: number
}

/** The WebSockets under sessions, by the attempts that they carry. */
const natives = new WeakMap<object, Below>()

export function carries(native: Below, link: object): void {
  natives.set(link, native)
}

export function nativeOf(link: object): Below | undefined {
  return natives.get(link)
}
