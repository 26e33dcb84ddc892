/** What an examination finds: plain data, to be read by people (`says`, `advice`) and by programs (the rest). */
import type { Transport } from '../client/base/types.ts'

/** In which order they are shown, and tried by a client that is told nothing else. */
export const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

/**
 * How a transport fares.
 * - `works`: both ways, at once, for as long as was tried.
 * - `buffered`: what the server says comes late, in lumps or at the end.
 * - `cut`: works, and is cut after a while.
 * - `silent`: opens, and carries nothing.
 * - `one way`: opens, and carries only in one direction.
 * - `swallowed`: no answer at all.
 * - `refused`: an answer that is no answer of everwire's, or an error.
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
 * What kind of thing stands in the way.
 * - `dns`, `refused`, `unreachable`, `tls`: there is no connection.
 * - `reset`: a connection was cut; `ended`: an answer ended before its time.
 * - `timeout`: no answer.
 * - `redirect`: sent elsewhere; `page`: a web page answers; `status`: any other answer with an error.
 * - `foreign`: an answer that is not of everwire's protocol.
 * - `hidden`: a browser that does not say.
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

export interface Hindrance {
  readonly cause: Cause
  /** In a sentence's middle: "status 403 from nginx", "the name is not known". */
  readonly says: string
  readonly status?: number
  /** What the answer's `Server` or `Via` header says. */
  readonly server?: string
  /** Of a page. */
  readonly title?: string
  /** Of a redirect. */
  readonly location?: string
  /** What the runtime calls it, as `ECONNREFUSED`. */
  readonly code?: string
}

export interface TransportReport {
  readonly transport: Transport
  readonly outcome: Outcome
  /** Whether everwire can use it: it carries both ways, well or not so well. */
  readonly usable: boolean
  /** What was found, in one plain sentence. */
  readonly says: string
  /** Median time there and back, in milliseconds. */
  readonly roundTrip?: number
  /** How long the first answer took, with all that it takes to connect, in milliseconds. */
  readonly first?: number
  /** The longest time that it was held open and then still worked, in milliseconds: silent, or with a piece now and then. */
  readonly held?: number
  /** How late pieces came, at worst, in milliseconds. */
  readonly late?: number
  /** After how long it was cut, in milliseconds. */
  readonly cutAfter?: number
  /** Where it works in one direction only. */
  readonly carries?: 'to server' | 'to client'
  readonly hindrance?: Hindrance
}

export interface ServerReport {
  /** Who answers at the address: a server of everwire's, another WebSocket server, something else, or nobody. */
  readonly kind: 'everwire' | 'websocket' | 'other' | 'nobody'
  readonly says: string
  /** Whether it answers probes: without that only the first answer of each transport can be had. */
  readonly diagnostics: boolean
  /** Its options, in milliseconds and bytes. */
  readonly heartbeat?: number
  readonly patience?: number
  readonly maxBody?: number
  readonly hindrance?: Hindrance
}

/** How large a request's body may be. */
export interface BodyReport {
  /** The largest that arrived, in bytes. */
  readonly arrived: number
  /** The smallest that did not. */
  readonly refused?: number
  readonly says: string
  readonly hindrance?: Hindrance
}

/** What a client of everwire's will do here. */
export interface Plan {
  /** What it starts on; null if there is nothing. */
  readonly starts: Transport | null
  /** What it moves to if that is lost, best first. */
  readonly fallsBackTo: readonly Transport[]
  /** The largest pieces that it sends over HTTP, in bytes. */
  readonly pieces?: number
  /** Silence is cut here: it will ask the server to be heard this often, in milliseconds. */
  readonly quiet?: number
  /** Long answers are cut here: it will let its streams end after so long, in milliseconds. */
  readonly life?: number
  /** What it does, sentence by sentence. */
  readonly says: readonly string[]
}

export interface Report {
  readonly url: string
  /** When it began, as ISO 8601. */
  readonly began: string
  /** How long it took, in milliseconds. */
  readonly took: number
  readonly server: ServerReport
  readonly transports: Readonly<Record<Transport, TransportReport>>
  readonly bodies?: BodyReport
  readonly plan: Plan
  /** What stands in the way and what can be done, sentence by sentence; empty if nothing does. */
  readonly advice: readonly string[]
}

/** How far an examination is. */
export interface Progress {
  /** How many of the steps are over. */
  readonly done: number
  readonly of: number
  /** What has just ended or begun. */
  readonly says: string
  /** What is known so far. */
  readonly transports: Readonly<Partial<Record<Transport, TransportReport>>>
}

export interface ExamineOptions {
  /** About how long it may take in all, in milliseconds; no connection is held longer than 60 s. Default 10,000. */
  readonly duration?: number
  /** How long an answer that should come at once may take, in milliseconds. Default 4,000. */
  readonly timeout?: number
  /** Ends it; `examine` then rejects with the signal's reason. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}

export const transportNames: Readonly<Record<Transport, string>> = {
  websocket: 'WebSocket',
  stream: 'Streaming',
  sse: 'Event stream',
  polling: 'Long-polling',
}

/** Within a sentence. */
export const inProse: Readonly<Record<Transport, string>> = {
  websocket: 'WebSocket',
  stream: 'streaming',
  sse: 'event streams',
  polling: 'long-polling',
}

/** As a person says it. */
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
