/** What an examination needs of the runtime it is in. The browser's and Node's entries each bring one. */
import type { Hindrance } from './report.ts'

/** As much of a native WebSocket as is needed, with what the runtime tells of its end. */
export interface ProbeSocket {
  onopen: (() => void) | undefined
  /** Text messages; others are not of ours. */
  onmessage: ((text: string) => void) | undefined
  /** Exactly once and last. A hindrance: it never opened, or was cut. */
  onend: ((end: SocketEnd) => void) | undefined
  send(text: string): void
  close(): void
}

export interface SocketEnd {
  readonly code: number
  readonly reason: string
  readonly hindrance?: Hindrance
}

export interface Platform {
  /** What a relative address is relative to. */
  base(): string | undefined
  fetch(url: string, init: RequestInit): Promise<Response>
  webSocket(url: string, protocols: readonly string[]): ProbeSocket
  /** Why a fetch failed, or the body of its answer. */
  whyFailed(error: unknown): Hindrance
  /** Whether this is a page that nobody sees: its timers are late, and nothing else. */
  hidden(): boolean
  /** How many requests may be under way at a time. */
  readonly lanes: number
}
