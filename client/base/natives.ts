/** As much of the runtime's own objects as the client uses. */
import type { CloseEventInit, NetworkSignal } from './types.ts'

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
  readonly headers?: { get(name: string): string | null }
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
  sign(sign: NetworkSignal['sign']): void
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
