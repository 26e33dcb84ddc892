/** What the client needs of the runtime it is in. The browser's and Node's entries each bring one. */
import type { Attempt } from './carrier.ts'
import type { Connector } from './connector.ts'
import type { Store } from './network.ts'
import type { CloseEventInit, Sign, WebSocketOptions } from './types.ts'

/** As much of a native WebSocket as the carrier uses. */
export interface NativeSocket {
  binaryType: string
  readonly bufferedAmount: number
  readonly protocol: string
  readonly readyState: number
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onerror: ((event: { readonly message?: string }) => void) | null
  onclose: ((event: CloseEventInit) => void) | null
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
}

/** As much of an EventSource. */
export interface NativeEventSource {
  onmessage: ((event: { readonly data: string }) => void) | null
  onerror: (() => void) | null
  close(): void
}

/** As much of what fetch gives; an event stream is read as strings. */
export interface Answer {
  readonly status: number
  readonly statusText: string
  readonly body?: { getReader(): { read(): Promise<Chunk> } } | null
  arrayBuffer?(): Promise<ArrayBuffer>
}

/** Where there are no streams. */
export interface WholeAnswer extends Answer {
  arrayBuffer(): Promise<ArrayBuffer>
}

/** Whom a page tells of its life. */
export interface PageWatcher {
  readonly session: { readonly done: boolean }
  sign(sign: Sign['sign']): void
  away(): void
  back(): void
  leave(): void
}

interface Chunk {
  /** Absent at the end. */
  readonly value?: Uint8Array | string | undefined
}

export interface PostInit {
  readonly body: Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal
  readonly keepalive: boolean
}

export interface Platform {
  /** Whether each message of a native WebSocket comes in a task of its own. */
  readonly ownTasks: boolean
  /** Throws if a page like this one may not ask for such an address. */
  readonly permit?: (url: string) => void
  /** What a relative URL is relative to. */
  base(): string | undefined
  /** `link`: the attempt that it is to carry, if it is for a session. */
  webSocket(url: string, protocols: string[], options: WebSocketOptions, link?: Attempt): NativeSocket
  eventSource(url: string, options: WebSocketOptions): NativeEventSource
  post(url: string, init: PostInit, options: WebSocketOptions): Promise<Answer>
  /** Runs it in a task of its own, after those that were asked for before. */
  task(run: () => void): void
  closeEvent(init: CloseEventInit): Event
  /** These two where events are to tell more than the standard's do. */
  messageEvent?(received: string | Uint8Array, socket: { readonly binaryType: string }, origin: string): Event
  errorEvent?(reason: string, options: WebSocketOptions): Event
  /** One that can do more than browsers may. */
  readonly Connector?: typeof Connector
  /** Where it can keep what was learnt; throws where that is forbidden. */
  store(): Store | undefined
  /** Leave to keep a connection to this address busy, or none for now; absent where connections are not scarce. */
  readonly slot?:
    | ((url: string, remember: boolean, giveBack: () => void) => Promise<(() => void) | undefined>)
    | undefined
  /** Tells what happens to the page, until it is told that nobody listens any more. */
  readonly watch?: ((watcher: PageWatcher) => void) | undefined
}
