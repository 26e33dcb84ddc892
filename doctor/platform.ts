/** What an examination needs from its runtime. The entries of the browser and of Node each provide it. */
import type { Hindrance } from './report.ts'

/** The used part of a native WebSocket, with the reason of its end as far as the runtime tells it. */
export interface ProbeSocket {
  onopen: (() => void) | undefined
  /** Receives text messages. Other messages are not everwire's. */
  onmessage: ((text: string) => void) | undefined
  /** Called exactly once, after all other calls. With a hindrance the WebSocket never opened, or was cut. */
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
  /** The address that a relative address is relative to. */
  base(): string | undefined
  fetch(url: string, init: RequestInit): Promise<Response>
  webSocket(url: string, protocols: readonly string[]): ProbeSocket
  /** Why a fetch failed, or why the body of its answer failed. */
  whyFailed(error: unknown): Hindrance
  /** Whether this is a page that nobody sees. Its timers are late, but its network is not. */
  hidden(): boolean
  /** How many requests may run at a time. */
  readonly lanes: number
}
