/** What a network and its connections look like from outside. */
import type { EventEmitter } from 'node:events'
import type { Faults } from './faults.ts'

export type Direction = 'to server' | 'to client'

export interface Target {
  readonly host: string
  readonly port: number
}

/** A client's connection, with what was opened to the server for it. */
export interface Connection {
  /** Whether a WebSocket handshake went to the server over it. */
  readonly webSocket: boolean
  /** Method and target of the request that began on it last: `'GET /chat'`. */
  readonly request: string
  /** Whether nothing gets through it any more, in either direction. */
  readonly silent: boolean
  /** How many bytes have been passed on. */
  readonly passed: Readonly<Record<Direction, number>>
  /** Resets it at once, on both sides. What has not been passed on is lost. */
  cut(): void
  /** From now on not a byte gets through, the end neither, and nobody is told. */
  silence(): void
}

export interface HostileNetworkEvents {
  /** A connection came. */
  connection: [connection: Connection]
  /** A request begins, or a WebSocket handshake; what becomes of it is not decided yet. */
  request: [connection: Connection, line: string, webSocket: boolean]
  /** Bytes came and are about to be passed on: what cuts the connection now loses them. */
  data: [connection: Connection, direction: Direction, chunk: Buffer]
  /** A connection is over, whoever ended it. */
  end: [connection: Connection]
  /** A fault strikes. */
  fault: [name: keyof Faults, connection: Connection]
}

export interface HostileNetwork extends EventEmitter<HostileNetworkEvents>, AsyncDisposable {
  /** Where it listens, on 127.0.0.1 unless told otherwise. */
  readonly port: number
  /** `'http://127.0.0.1:PORT'` */
  readonly url: string
  /** What everything random is drawn from. */
  readonly seed: number
  /** Where connections go; a new one counts for new connections. */
  target: Target
  /** What it does now. */
  readonly faults: Readonly<Faults>
  /** Every connection that is open, oldest first. */
  readonly connections: ReadonlySet<Connection>
  /** Switches faults while it runs; those not named stay as they are. */
  set(faults: Partial<Faults>): this
  /** Switches all faults off. What they did to what is open stays done. */
  clear(): this
  /** Resets every connection, or those that `which` picks. Returns how many that were. */
  cut(which?: (connection: Connection) => boolean): number
  /** Nothing gets through any more on what is open, or on those that `which` picks; new connections work. */
  silence(which?: (connection: Connection) => boolean): number
  /** Cuts everything and stops listening. */
  close(): Promise<void>
}
