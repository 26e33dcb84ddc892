/** What the sockets of both kinds need of the server that keeps them. */
import type { Memory } from '../base/memory.ts'
import type { RateLimit } from './rate.ts'
import type { Reports } from './reports.ts'
import type { Socket } from './socket.ts'

/** The options that a socket asks for each time, so that they can be changed while it lives. */
export interface SocketOptions {
  readonly autoPong?: boolean | undefined
  readonly rateLimit?: RateLimit | undefined
  readonly answerTimeout: number
  readonly maxBuffered: number
}

export interface SocketHost {
  readonly memory: Memory
  readonly reports: Reports
  /** What may be changed at any time. */
  options(): SocketOptions
  /** The application is about to be told that the socket is over. */
  ended(socket: Socket): void
}
