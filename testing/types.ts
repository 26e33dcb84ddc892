/** The public types of a network and its connections. */
import type { EventEmitter } from 'node:events'
import type { Faults } from './faults.ts'

/** A direction of data, seen from the client. */
export type Direction = 'to server' | 'to client'

/** The server behind the network. */
export interface Target {
  /** The name or address of the host. */
  readonly host: string
  /** The port. */
  readonly port: number
}

/** A client's connection, with the connection to the server that was opened for it. */
export interface Connection {
  /** Whether a WebSocket handshake went to the server over this connection. */
  readonly webSocket: boolean
  /** Method and target of the latest request on this connection: `'GET /chat'`. */
  readonly request: string
  /** Whether no data passes any more, in either direction. */
  readonly silent: boolean
  /** The number of bytes that were passed on in each direction. */
  readonly passed: Readonly<Record<Direction, number>>
  /** Resets the connection at once, on both sides. Data that has not been passed on is lost. */
  cut(): void
  /** Stops passing data, and the end of the connection too, without telling either side. */
  silence(): void
}

/** The events of a network with the arguments of their listeners. */
export interface HostileNetworkEvents {
  /** A connection was opened. */
  connection: [connection: Connection]
  /** A request or WebSocket handshake begins; its fate is not decided yet. */
  request: [connection: Connection, line: string, webSocket: boolean]
  /** Data has come and is about to be passed on: a listener that cuts the connection now loses it. */
  data: [connection: Connection, direction: Direction, chunk: Buffer]
  /** A connection has ended, on either side. */
  end: [connection: Connection]
  /** A fault happens. */
  fault: [name: keyof Faults, connection: Connection]
}

/** A bad network in front of a server. `await using` closes it at the end of its block. */
export interface HostileNetwork extends EventEmitter<HostileNetworkEvents>, AsyncDisposable {
  /** The port on 127.0.0.1 that the network listens on. */
  readonly port: number
  /** `'http://127.0.0.1:PORT'` */
  readonly url: string
  /** The seed of all random numbers. */
  readonly seed: number
  /** The server that new connections go to. A new value applies to new connections. */
  target: Target
  /** The present faults. */
  readonly faults: Readonly<Faults>
  /** All open connections, oldest first. */
  readonly connections: ReadonlySet<Connection>
  /** Switches faults while the network runs; faults that are not named stay as they are. */
  set(faults: Partial<Faults>): this
  /** Switches all faults off. Open connections keep what has already happened to them. */
  clear(): this
  /** Resets all connections, or those that `which` picks. Returns their number. */
  cut(which?: (connection: Connection) => boolean): number
  /** Stops passing data on all open connections, or on those that `which` picks; new connections work. Returns their number. */
  silence(which?: (connection: Connection) => boolean): number
  /** Cuts all connections and stops listening. */
  close(): Promise<void>
}
