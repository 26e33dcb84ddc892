/** The names that an application sees beside the class. */

/** What can carry a session. */
export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

export interface WebSocketOptions {
  /**
   * The transports that may be used, best first. Leave out what must not be used.
   * Default: `['websocket', 'stream', 'sse', 'polling']`.
   */
  readonly transports?: readonly Transport[]
  /** How long a lost connection is sought again before the socket closes with 1006, in ms. Default: what the server says. */
  readonly patience?: number
  /** How long a transport may take to connect before the next is tried beside it, in ms. Default: 300. */
  readonly raceDelay?: number
  /** How long one attempt to connect, or one short request, may take at all, in ms. Default: 10 000. */
  readonly connectTimeout?: number
  /** Bytes sent but not acknowledged that are kept at most; with more the socket closes with 1013. Default: 64 MiB. */
  readonly maxBuffered?: number
  /** The largest message that is taken from the server, in bytes; a larger one closes the socket. Default: 100 MiB. */
  readonly maxPayload?: number
}

export interface CloseEventInit {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
}

/** The standard's CloseEvent, by its members: not every runtime has the class. */
export interface CloseEvent extends Event, CloseEventInit {}

export interface WebSocketEventMap {
  open: Event
  message: MessageEvent
  error: Event
  close: CloseEvent
  transportchange: Event
}

type Listener = Parameters<EventTarget['addEventListener']>[1]
type AddOptions = Parameters<EventTarget['addEventListener']>[2]
type RemoveOptions = Parameters<EventTarget['removeEventListener']>[2]

/** An EventTarget that knows the types of its events. */
export interface WebSocketEventTarget extends EventTarget {
  addEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (event: WebSocketEventMap[K]) => unknown,
    options?: AddOptions,
  ): void
  addEventListener(type: string, listener: Listener, options?: AddOptions): void
  removeEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (event: WebSocketEventMap[K]) => unknown,
    options?: RemoveOptions,
  ): void
  removeEventListener(type: string, listener: Listener, options?: RemoveOptions): void
}
