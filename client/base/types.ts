/** The names that an application sees beside the class. */

/** What can carry a session. */
export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

/** What `socket.status` says to people: see docs/CLOSING.md. */
export type Status = 'connecting' | 'open' | 'resuming' | 'closed'

/** The options of the constructor, in every runtime. All have defaults. */
export interface WebSocketOptions {
  /**
   * False for a server without everwire: then the socket is one plain WebSocket of the runtime, without fallback and
   * without resume. The other options here are for sessions. Default: true.
   */
  readonly session?: boolean | undefined
  /**
   * The transports that the client may use, best first. It never uses one that is not in the list. Default:
   * `['websocket', 'stream', 'sse', 'polling']`.
   */
  readonly transports?: readonly Transport[] | undefined
  /**
   * For how long the client tries to find a lost connection again, in ms; then the socket closes with 1006. Default:
   * what the server says.
   */
  readonly patience?: number | undefined
  /**
   * After this delay the client tries the next transport in parallel, in ms. With a number the delay is fixed;
   * otherwise it follows from measured round trips, within bounds. Default: `{ start: 300, min: 100, max: 1500 }`.
   */
  readonly raceDelay?: number | RaceDelay | undefined
  /**
   * The pauses between attempts to find a lost connection again, in ms. The first attempt comes at once. Each pause
   * is a random time up to a bound: the first bound is `min`, each next bound is twice as long, and no bound is
   * longer than `max`. Default: `{ min: 500, max: 5000 }`.
   */
  readonly reconnectionDelay?: ReconnectionDelay | undefined
  /** The longest time that one attempt to connect, or one short request, may take, in ms. Default: 10 000. */
  readonly connectTimeout?: number | undefined
  /** The most bytes that may wait for an acknowledgement; with more the socket closes with 1013. Default: 64 MiB. */
  readonly maxBuffered?: number | undefined
  /**
   * The largest message that the client accepts from the server, in bytes; a larger one closes the socket. Default:
   * 100 MiB.
   */
  readonly maxPayload?: number | undefined
  /**
   * Whether later sockets to the same origin use what this one learns about the network; in a browser also on the
   * next visit (`localStorage`). Default: true.
   */
  readonly remember?: boolean | undefined
  /**
   * Who this client is: the server's `verifyClient` gets it as `token`, on every transport. At most 4,096 bytes; it
   * never stands in a URL. The client calls a function (also async) before each connection; transports that it tries
   * at the same time share the result. An empty string, null or undefined is no token. If the function fails, the
   * attempt to connect fails too.
   */
  readonly token?: Token | (() => Token | PromiseLike<Token>) | undefined
}

type Token = string | null | undefined

/** How long a transport may take before the next is tried in parallel, if it is not one fixed number. */
export interface RaceDelay {
  /** The delay while no round trip has been measured, in ms. Default: 300. */
  readonly start?: number | undefined
  /** The shortest delay that is computed from measured round trips, in ms. Default: 100. */
  readonly min?: number | undefined
  /** The longest delay that is computed from measured round trips, in ms. Default: 1500. */
  readonly max?: number | undefined
}

/** The pauses between attempts to find a lost connection again. */
export interface ReconnectionDelay {
  /** The longest first pause, in ms. Default: 500. */
  readonly min?: number | undefined
  /** The longest pause of all, in ms. Default: 5000. */
  readonly max?: number | undefined
}

/** What `socket.diary` is made of, oldest first. `at`: milliseconds since 1970; other times are milliseconds after `at`. */
export type DiaryEntry = CarrierEntry | NetworkSignal | NetworkFinding | CloseEntry

/** One attempt to carry the session, from its beginning to its end. */
export interface CarrierEntry {
  /** Tells the kinds of entries apart. */
  readonly type: 'carrier'
  /** When the attempt began, in milliseconds since 1970. */
  readonly at: number
  /** The transport that was tried. */
  readonly transport: Transport
  /** Attempts are counted from 1. */
  readonly epoch: number
  /**
   * Why the attempt began: to open the session, to resume it, because the connection in use was in doubt, or
   * because the transport is better.
   */
  readonly purpose: 'open' | 'resume' | 'doubt' | 'better'
  /** When an answer had come back over this connection, in ms after `at`. */
  proven?: number
  /**
   * When the connection had shown all that its transport must be able to do, in ms after `at`: both directions,
   * and answers that are not held back.
   */
  sound?: number
  /** When the attempt ended, in ms after `at`; absent while the connection is in use. */
  ended?: number
  /** Who ended the attempt, as far as the client can know; absent while the connection is in use. */
  by?: 'client' | 'server' | 'network'
  /** Why the attempt ended, in words for people. Compare nothing with them: they may change. */
  why?: string
}

/** An event after which the client checks whether its connection still works. */
export interface NetworkSignal {
  /** Tells the kinds of entries apart. */
  readonly type: 'sign'
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
  /**
   * The event: of the browser (`online`, `network`, `visible`, `wake`), of the connection (`silent`, `unanswered`)
   * or of the page (`away`, `back`, `leaving`).
   */
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
  /** Tells the kinds of entries apart. */
  readonly type: 'lesson'
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
  /**
   * What was learnt. `rest`: this transport is not tried for so long. `quiet`: the network does not cut a silence
   * of so long. `life`: it does not cut a streamed answer that lasts so long. `piece`: it does not refuse a
   * request body of so many bytes.
   */
  readonly about: 'rest' | 'quiet' | 'life' | 'piece'
  /** The transport that the finding is about; absent if it is about all. */
  readonly transport?: Transport
  /** The finding, in ms, or in bytes for `piece`. */
  readonly value: number
}

/** The end of the session. No entry comes after it. */
export interface CloseEntry {
  /** Tells the kinds of entries apart. */
  readonly type: 'close'
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
  /** The code of the event `close`. */
  readonly code: number
  /** The reason of the event `close`. */
  readonly reason: string
}

export interface CloseEventInit {
  /** The close code: see docs/CLOSING.md. */
  readonly code: number
  /** The reason that came with the code; empty for none. */
  readonly reason: string
  /** Whether both ends agreed to the end. */
  readonly wasClean: boolean
}

/** The standard's CloseEvent, by its members: not every runtime has the class. */
export interface CloseEvent extends Event, CloseEventInit {}

/** The events by name, for `addEventListener`. */
export interface WebSocketEventMap {
  /** The session is open: `send` works from now on. */
  open: Event
  /** A message came: its data is a string, or binary data in the form that `binaryType` names. */
  message: MessageEvent
  /**
   * The session could not be opened, or with `session: false` the connection failed; `close` comes next. `error` and
   * `message` say why, in Node only.
   */
  error: Event & { readonly error?: Error; readonly message?: string }
  /** The session is over; comes once, and last. */
  close: CloseEvent
  /** The property `transport` has changed. */
  transportchange: Event
  /** The property `status` has changed. */
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
