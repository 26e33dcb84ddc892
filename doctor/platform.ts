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

/** A request of the doctor: a POST if it has a body. It follows no redirect, because the client does not either: it may lead to another party's server. */
export interface ProbeRequest {
  readonly signal: AbortSignal
  readonly body?: Uint8Array<ArrayBuffer> | undefined
  readonly accept?: string
}

/** The used part of a Response. */
export interface ProbeAnswer {
  readonly type?: string
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: { get(name: string): string | null }
  readonly body: { getReader(): ProbeReader } | null
}

export interface ProbeReader {
  read(): Promise<{ readonly value?: Uint8Array | undefined; readonly done: boolean }>
}

export interface Platform {
  /** The address that a relative address is relative to. */
  base(): string | undefined
  ask(url: string, request: ProbeRequest): Promise<ProbeAnswer>
  webSocket(url: string, protocols: readonly string[]): ProbeSocket
  /** Why a request failed, or why the body of its answer failed. */
  whyFailed(error: unknown): Hindrance
  /** Whether this is a page that nobody sees. Its timers are late, but its network is not. */
  hidden(): boolean
  /** How many requests may run at a time. */
  readonly lanes: number
}
