/** What connections and exchanges need of the network that they are on, and of the WebSockets at their end. */
import type { World } from './world.ts'

export interface Path {
  readonly world: World
  readonly blackout: boolean
  readonly room: number
  readonly holdsBack: 'nothing' | 'all' | 'what follows'
  readonly life: number
  readonly cutsSilence: number
  readonly pace: number
  /** A proxy does not tell the server that the client of an exchange has left it. */
  readonly keepsAbandoned?: boolean
  readonly connections: Set<unknown>
  readonly responses: Set<unknown>
  /** An exchange has its first bytes, so many ms after the client sent it. */
  answered?(after: number): void
  /** How long the next thing is under way, in ms. */
  delay(): number
}

/** The process in which an end of a connection is: what happens there may have to wait, or happens no more. */
export interface Home {
  enter(run: () => void): void
}

export type Arrived =
  | { readonly kind: 'message'; readonly data: Buffer; readonly binary: boolean }
  | { readonly kind: 'close'; readonly code: number }

/** The server's WebSocket on a connection. */
export interface ServerWebSocket {
  arrive(arrived: Arrived): void
  /** The connection has ended. */
  gone(code: number): void
}
