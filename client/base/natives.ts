/** The parts of the runtime's objects that the client uses. */
import type { OwnBytes } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import type { CloseEventInit, NetworkSignal } from './types.ts'

/** A native WebSocket. */
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

/** Calls `told` with what the runtime says of an error. A failed socket has its `close` event in any case. */
export function whenFailed(socket: NativeSocket, told: (message: string) => void): void {
  socket.onerror = ({ message = '' }) => {
    told(message)
    // If the page's policy forbids the address, Chromium emits an error and no close. Others close in the same task.
    if (socket.readyState > 2)
      setTimeout(() => socket.onclose?.({ code: CloseCode.lost, reason: '', wasClean: false }))
  }
}

/** A native EventSource. */
export interface NativeEventSource {
  onmessage: ((event: { readonly data: string }) => void) | null
  onerror: (() => void) | null
  close(): void
}

/** A response of `fetch`. The chunks of an event stream are strings. */
export interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers?: { get(name: string): string | null }
  readonly body?: { getReader(): { read(): Promise<Chunk> } } | null
  arrayBuffer?(): Promise<ArrayBuffer>
}

/** A response in a runtime without streams. */
export interface WholeAnswer extends Answer {
  arrayBuffer(): Promise<ArrayBuffer>
}

/** The class that ends an exchange early. `fetch` accepts only the runtime's own. */
export let Abort: typeof AbortController = AbortController

/** For a runtime whose exchanges need less than a whole AbortController. */
export function abortWith(other: typeof AbortController): void {
  Abort = other
}

/** A socket that wants to know what happens to the page. */
export interface PageWatcher {
  readonly session: { readonly done: boolean }
  sign(sign: NetworkSignal['sign']): void
}

interface Chunk {
  /** Undefined at the end. */
  readonly value?: Uint8Array | string | undefined
}

export interface PostInit {
  readonly body: OwnBytes
  readonly signal?: AbortSignal
  readonly keepalive: boolean
}
