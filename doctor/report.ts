/** The result of an examination: plain data, for people (`says`, `advice`) and for programs (the other fields). */
import type { Transport } from '../client/base/types.ts'

/** The order in which transports are shown, and in which a client tries them by default. */
export const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

/**
 * How a transport works here.
 * - `works`: in both directions and without delay, for the whole test.
 * - `buffered`: the server's data arrives late, together or only at the end.
 * - `cut`: works, but the connection is cut after a while.
 * - `silent`: opens, but carries no data.
 * - `one way`: opens, but carries data only in one direction.
 * - `swallowed`: no answer came.
 * - `refused`: an error came, or an answer that is not everwire's.
 * - `unknown`: could not be tried.
 */
export type Outcome =
  | 'works'
  | 'buffered'
  | 'cut'
  | 'silent'
  | 'one way'
  | 'swallowed'
  | 'refused'
  | 'unknown'

/**
 * Why a connection or request failed.
 * - `dns`, `refused`, `unreachable`, `tls`: there is no connection.
 * - `reset`: the connection was cut; `ended`: the answer ended too early.
 * - `timeout`: no answer came.
 * - `redirect`: the answer leads elsewhere; `page`: a web page answers; `status`: any other answer with an error.
 * - `foreign`: the answer is not in everwire's protocol.
 * - `hidden`: the browser does not tell the reason.
 */
export type Cause =
  | 'dns'
  | 'refused'
  | 'unreachable'
  | 'tls'
  | 'reset'
  | 'ended'
  | 'timeout'
  | 'redirect'
  | 'page'
  | 'status'
  | 'foreign'
  | 'hidden'

/** Why a connection or request failed, with what is known about it. */
export interface Hindrance {
  /** The kind of reason. */
  readonly cause: Cause
  /** The reason, to be put into a sentence: "status 403 from nginx", "the connection was cut". */
  readonly says: string
  /** The status of the answer. */
  readonly status?: number
  /** The value of the answer's `Server` or `Via` header. */
  readonly server?: string
  /** The title of a page. */
  readonly title?: string
  /** The target of a redirect. */
  readonly location?: string
  /** The runtime's code of the error, for example `ECONNREFUSED`. */
  readonly code?: string
}

/** How one transport works here. */
export interface TransportReport {
  /** The name of the transport. */
  readonly transport: Transport
  /** The result in one word. */
  readonly outcome: Outcome
  /** Whether everwire can use the transport: it carries data in both directions, even if it is cut later. */
  readonly usable: boolean
  /** The result in one plain sentence. */
  readonly says: string
  /** Median time of a round trip, in milliseconds. */
  readonly roundTrip?: number
  /** How long the first answer took, including the connection, in milliseconds. */
  readonly first?: number
  /** The longest time for which a connection was held and still worked, in milliseconds: silent, or with a piece now and then. */
  readonly held?: number
  /** How late the latest piece arrived, in milliseconds. */
  readonly late?: number
  /** After how long the connection was cut, in milliseconds. */
  readonly cutAfter?: number
  /** The direction that works, if only one works. */
  readonly carries?: 'to server' | 'to client'
  /** Why the transport fails or is cut, if that is known. */
  readonly hindrance?: Hindrance
}

/** Who answers at the address. */
export interface ServerReport {
  /** Who answers at the address: an everwire server, another WebSocket server, something else, or nobody. */
  readonly kind: 'everwire' | 'websocket' | 'other' | 'nobody'
  /** Who answers, in one plain sentence. */
  readonly says: string
  /** Whether the server answers probes. If not, the report knows only the first answer of each transport. */
  readonly diagnostics: boolean
  /** The option `heartbeat` of the server, in milliseconds. */
  readonly heartbeat?: number
  /** The option `patience` of the server, in milliseconds. */
  readonly patience?: number
  /** The option `maxBody` of the server, in bytes. */
  readonly maxBody?: number
  /** Why nobody, or somebody else, answers. */
  readonly hindrance?: Hindrance
}

/** How large a request's body may be. */
export interface BodyReport {
  /** The size of the largest body that arrived, in bytes. */
  readonly arrived: number
  /** The size of the smallest body that did not arrive, in bytes. */
  readonly refused?: number
  /** The result in one plain sentence. */
  readonly says: string
  /** Why the larger body did not arrive. */
  readonly hindrance?: Hindrance
}

/** What a client of everwire will do here. */
export interface Plan {
  /** The transport that the client starts on; null if none works. */
  readonly starts: Transport | null
  /** The transports that the client falls back to, best first. */
  readonly fallsBackTo: readonly Transport[]
  /** The size of the largest pieces that the client sends over HTTP, in bytes. */
  readonly pieces?: number
  /** Silent connections are cut here: the client asks the server to send something at least this often, in milliseconds. */
  readonly quiet?: number
  /** Long answers are cut here: the client ends its streams after this time, in milliseconds. */
  readonly life?: number
  /** What the client does, sentence by sentence. */
  readonly says: readonly string[]
}

/** The result of an examination. */
export interface Report {
  /** The address that was examined. */
  readonly url: string
  /** When the examination began, as ISO 8601. */
  readonly began: string
  /** How long the examination took, in milliseconds. */
  readonly took: number
  /** Who answers at the address. */
  readonly server: ServerReport
  /** How each transport works here. */
  readonly transports: Readonly<Record<Transport, TransportReport>>
  /** How large a request body may be; absent if that could not be tried. */
  readonly bodies?: BodyReport
  /** What a client of everwire will do here. */
  readonly plan: Plan
  /** Problems and how to repair them, sentence by sentence; empty if there are none. */
  readonly advice: readonly string[]
}

/** The progress of an examination. */
export interface Progress {
  /** How many of the steps are finished. */
  readonly done: number
  /** The number of all steps. */
  readonly of: number
  /** The step that has just finished or begun. */
  readonly says: string
  /** The results so far. */
  readonly transports: Readonly<Partial<Record<Transport, TransportReport>>>
}

/** The options of `examine`. */
export interface ExamineOptions {
  /** About how long the examination may take, in milliseconds; no connection is held longer than 60 s. Default 10,000. */
  readonly duration?: number
  /** How long an immediate answer may take, in milliseconds. Default 4,000. */
  readonly timeout?: number
  /** Ends the examination; `examine` then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Called whenever a step of the examination begins or ends. */
  readonly onProgress?: (progress: Progress) => void
}

export const transportNames: Readonly<Record<Transport, string>> = {
  websocket: 'WebSocket',
  stream: 'Streaming',
  sse: 'Event stream',
  polling: 'Long-polling',
}

/** Names of the transports within a sentence. */
export const inProse: Readonly<Record<Transport, string>> = {
  websocket: 'WebSocket',
  stream: 'streaming',
  sse: 'event streams',
  polling: 'long-polling',
}

/** A time for people to read. */
export function time(ms: number): string {
  if (ms < 10) return `${Math.max(ms, 0.1).toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 9950 ? `${Number((ms / 1000).toFixed(1))} s` : `${Math.round(ms / 1000)} s`
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  const kib = bytes / 1024
  return kib < 1024 ? `${Math.round(kib)} KiB` : `${Number((kib / 1024).toFixed(1))} MiB`
}
