/** The names that an application sees beside the class. */

/** What can carry a session. */
export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

/** What `socket.status` says: see docs/CLOSING.md. */
export type Status = 'connecting' | 'open' | 'resuming' | 'closed'

export interface WebSocketOptions {
  /**
   * False for a server that knows nothing of everwire: one WebSocket as the runtime makes it, which is not resumed, has no
   * other transport and is lost with its connection. The other options are for sessions. Default: true.
   */
  readonly session?: boolean | undefined
  /**
   * The transports that may be used, best first. Leave out what must not be used.
   * Default: `['websocket', 'stream', 'sse', 'polling']`.
   */
  readonly transports?: readonly Transport[] | undefined
  /** How long a lost connection is sought again before the socket closes with 1006, in ms. Default: what the server says. */
  readonly patience?: number | undefined
  /**
   * How long a transport may take to connect before the next is tried beside it, in ms. A number is that; otherwise it
   * follows from measured round trips, within bounds. Default: `{ start: 300, min: 100, max: 1500 }`.
   */
  readonly raceDelay?: number | RaceDelay | undefined
  /**
   * The pauses between attempts to find a lost connection again, in ms. The first is at most `min` long, each at most twice
   * as long as the one before it, none longer than `max`; how long it is, is random. The first attempt comes at once.
   * Default: `{ min: 500, max: 5000 }`.
   */
  readonly reconnectionDelay?: ReconnectionDelay | undefined
  /** How long one attempt to connect, or one short request, may take at all, in ms. Default: 10 000. */
  readonly connectTimeout?: number | undefined
  /** Bytes sent but not acknowledged that are kept at most; with more the socket closes with 1013. Default: 64 MiB. */
  readonly maxBuffered?: number | undefined
  /** The largest message that is taken from the server, in bytes; a larger one closes the socket. Default: 100 MiB. */
  readonly maxPayload?: number | undefined
  /**
   * Whether what is learnt about the network is shared with later sockets to the same origin, in a browser also on the next
   * visit (in `localStorage`). Default: true.
   */
  readonly remember?: boolean | undefined
  /**
   * Who this is, for the server's `verifyClient`, as `token`, on every transport: at most 4,096 bytes, never in a URL. A function
   * (also async) is asked anew before each connection; the transports that are tried at a time share its answer. An empty
   * string, null or undefined is no token. If it fails, so does the attempt to connect.
   */
  readonly token?: Token | (() => Token | PromiseLike<Token>) | undefined
}

type Token = string | null | undefined

export interface RaceDelay {
  /** As long as no round trip has been measured. */
  readonly start?: number | undefined
  readonly min?: number | undefined
  readonly max?: number | undefined
}

export interface ReconnectionDelay {
  readonly min?: number | undefined
  readonly max?: number | undefined
}

/** What `socket.diary` is made of, oldest first. `at`: milliseconds since 1970; other times are milliseconds after `at`. */
export type DiaryEntry = CarrierEntry | NetworkSignal | NetworkFinding | CloseEntry

/** One attempt to carry the session, from its beginning to its end. */
export interface CarrierEntry {
  readonly type: 'carrier'
  readonly at: number
  readonly transport: Transport
  /** Attempts are counted from 1. */
  readonly epoch: number
  /** Why it was begun: to open the session, to resume it, because the one in use was in doubt, or as a better one. */
  readonly purpose: 'open' | 'resume' | 'doubt' | 'better'
  /** When an answer had come back over it. */
  proven?: number
  /** When it had shown all that it must be able to do: both ways, and answers that are not held back. */
  sound?: number
  ended?: number
  /** Who ended it, as far as can be told from here. */
  by?: 'client' | 'server' | 'network'
  why?: string
}

/** Something gave reason to look whether the connection still is one. */
export interface NetworkSignal {
  readonly type: 'sign'
  readonly at: number
  readonly sign:
    | 'online'
    | 'network'
    | 'visible'
    | 'wake'
    | 'silent'
    | 'unanswered'
    | 'away'
    | 'back'
    | 'leaving'
}

/** What was learnt about the network, in ms or bytes. */
export interface NetworkFinding {
  readonly type: 'lesson'
  readonly at: number
  /**
   * `rest`: this transport is left alone for so long. `quiet`: a silence of so long is not cut. `life`: neither is a streamed
   * answer that lasts so long. `piece`: a request's body of so many bytes is not refused.
   */
  readonly about: 'rest' | 'quiet' | 'life' | 'piece'
  readonly transport?: Transport
  readonly value: number
}

export interface CloseEntry {
  readonly type: 'close'
  readonly at: number
  readonly code: number
  readonly reason: string
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
  /** `transport` has changed. */
  transportchange: Event
  /** `status` has changed. */
  statuschange: Event
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
