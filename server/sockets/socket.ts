/**
 * One client as the application sees it, with the interface of the WebSocket of `ws`. There are two kinds below it: a session
 * over any transport, and an ordinary WebSocket.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Message } from '../../shared/message.ts'
import { TypedEmitter } from '../base/emitter.ts'
import { isPromise } from '../base/promise.ts'
import type { WithToken } from '../base/token.ts'
import { rethrow } from '../base/turn.ts'
import type { Moving } from '../durable/moving.ts'
import { checkClose } from '../messages/close-arguments.ts'
import {
  asWanted,
  type BinaryType,
  isBinary,
  type SendData,
  type SendOptions,
  toBuffer,
  toMessage,
} from '../messages/data.ts'
import { Pieces } from '../messages/pieces.ts'
import type { PublishOptions, Topics } from '../messages/topics.ts'
import type { Transport } from './carrier.ts'
import type { ServerDiaryEntry } from './carrier-diary.ts'
import {
  addListener,
  type EventListener,
  getHandler,
  removeListener,
  type SocketListener,
  setHandler,
} from './events.ts'
import type { BeatCallback, SendCallback, SocketEvents } from './socket-events.ts'
import type { AskTokenOptions } from './token-question.ts'

const nothing = Buffer.alloc(0)
const binaryTypes: readonly BinaryType[] = ['nodebuffer', 'arraybuffer', 'fragments', 'blob']

const noTopics: ReadonlySet<string> = new Set()
const recovered = new WeakSet<object>()

/** The socket that the application sees: this one, or the one of the application's own class. */
export let shownFor: (socket: Socket) => Socket

/** Shows a new client to the caller of `handleUpgrade`. */
export type UpgradeCallback = (socket: Socket, request: IncomingMessage & WithToken) => void

/** One client. `Data` is the type of `socket.data`. */
export class Socket<Data = Record<string, unknown>> extends TypedEmitter<SocketEvents> {
  /** The `readyState` of a socket that is not open yet: 0. A server has no such sockets. */
  static readonly CONNECTING = 0
  /** The `readyState` of an open socket: 1. */
  static readonly OPEN = 1
  /** The `readyState` of a socket that is closing: 2. */
  static readonly CLOSING = 2
  /** The `readyState` of a socket that is closed: 3. */
  static readonly CLOSED = 3
  /** The `readyState` of a socket that is not open yet: 0. A server has no such sockets. */
  declare readonly CONNECTING: 0
  /** The `readyState` of an open socket: 1. */
  declare readonly OPEN: 1
  /** The `readyState` of a socket that is closing: 2. */
  declare readonly CLOSING: 2
  /** The `readyState` of a socket that is closed: 3. */
  declare readonly CLOSED: 3

  /** The subprotocol that the server chose; empty for none. */
  readonly protocol: string
  #binaryType: BinaryType = 'nodebuffer'
  /** The topics that this socket is subscribed to; undefined if there are none. */
  #subscriptions: Set<string> | undefined
  readonly #topics: Topics
  #data: Data | undefined
  /** In a socket of the server: the socket of the application's own class. In a socket of that class: the server's socket behind it. */
  #other: Socket | undefined
  protected lateBytes = 0
  #pieces: Pieces | undefined
  /** Calls that wait until a Blob has been read. */
  #afterBlob: (() => void)[] | undefined

  static {
    shownFor = (socket) => (socket.#other as Socket | undefined) ?? socket
  }

  /** For a class of the option `WebSocket`: the server passes its own socket. */
  constructor(behind: Socket)
  constructor(protocol: string, topics: Topics)
  constructor(of: Socket | string, topics?: Topics) {
    super()
    if (typeof of === 'string') {
      this.protocol = of
      this.#topics = topics as Topics
      return
    }
    if (!(of instanceof Socket))
      throw new TypeError(
        'The constructor of the class in the option "WebSocket" must pass its arguments to super()',
      )
    this.protocol = of.protocol
    this.#topics = of.#topics
    this.#other = of
    of.#other = this as Socket<unknown> as Socket
  }

  /**
   * The form of binary data in `message`: 'nodebuffer', 'arraybuffer', 'fragments' or 'blob'. Any other value is
   * ignored. The type leaves 'blob' out, as that of `ws` does.
   */
  get binaryType(): Exclude<BinaryType, 'blob'> {
    return this.#binaryType as 'nodebuffer'
  }

  set binaryType(type: BinaryType) {
    if (binaryTypes.includes(type)) this.#binaryType = type
  }

  // ---- what differs between the two kinds ----

  /** OPEN (1), CLOSING (2) or CLOSED (3). It stays OPEN while the client has no connection. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#kind.readyState
  }

  /** A name for this client; it is no secret. */
  get id(): string {
    return this.#kind.id
  }

  /** The present transport; null while the client has no connection. */
  get transport(): Transport | null {
    return this.#kind.transport
  }

  /** The carriers so far, oldest first. Of a long list the first and the latest. */
  get diary(): ServerDiaryEntry[] {
    return this.#kind.diary
  }

  /** The bytes that the application has sent and that the network has not taken yet. */
  get bufferedAmount(): number {
    return this.#kind.bufferedAmount
  }

  /** Whether `pause` has stopped the delivery of messages. */
  get isPaused(): boolean {
    return this.#kind.isPaused
  }

  /** The negotiated extensions of the present WebSocket. */
  get extensions(): string {
    return this.#kind.extensions
  }

  /** Stops the delivery of messages. The client then keeps its further messages until `resume()`. */
  pause(): void {
    this.#kind.pause()
  }

  /** Goes on with the delivery of messages after `pause()`. They come after this call has returned. */
  resume(): void {
    this.#kind.resume()
  }

  /**
   * Asks the client who it is now: its option `token`, anew. Undefined if the client has no token or does not say in time, if the
   * session ends before, and for an ordinary WebSocket client. Never rejects.
   */
  askToken(options: AskTokenOptions = {}): Promise<string | undefined> {
    return this.#kind.askToken(options)
  }

  /** Ends the session or connection at once and without a close: the client sees 1006. */
  terminate(): void {
    this.#kind.terminate()
  }

  protected transmit(message: Message, done: SendCallback | undefined, compress?: boolean): void {
    this.#kind.transmit(message, done, compress)
  }

  protected beginClose(code: number, reason: string): void {
    this.#kind.beginClose(code, reason)
  }

  protected sendPing(kind: 'ping' | 'pong', payload: Buffer, done: SendCallback | undefined): void {
    this.#kind.sendPing(kind, payload, done)
  }

  get #kind(): Socket {
    return this.#other as Socket
  }

  // ---- what both kinds share ----

  /** Always empty: a socket of a server has no address of its own. */
  get url(): string {
    return ''
  }

  /**
   * Sends a message; without data an empty one. `callback` is called when it has been handed to a connection, or
   * with an error. Never throws because of the state.
   */
  send(data?: SendData, callback?: SendCallback): void
  /**
   * Sends a message with options. `callback` is called when it has been handed to a connection, or with an error.
   * Never throws because of the state.
   */
  send(data: SendData, options: SendOptions, callback?: SendCallback): void
  send(data: SendData = nothing, options?: SendOptions | SendCallback, callback?: SendCallback): void {
    const done = typeof options === 'function' ? options : callback
    const { binary: asked, fin = true, compress } = typeof options === 'object' ? options : {}
    const binary = asked ?? isBinary(data)
    if ((!fin || this.#pieces) && this.readyState === Socket.OPEN) {
      this.#sendPiece(data, binary, fin, done)
      return
    }
    if (data instanceof Blob) {
      this.#sendBlob(data, binary, done)
      return
    }
    const message = toMessage(data, binary)
    if (this.#afterBlob) this.#afterBlob.push(() => this.transmit(message, done, compress))
    else this.transmit(message, done, compress)
  }

  /** @internal Sends a message that was made for many sockets. */
  deliver(message: Message): void {
    if (this.#afterBlob) this.#afterBlob.push(() => this.transmit(message, undefined))
    else this.transmit(message, undefined)
  }

  /**
   * Ends the session, after all data that was sent before. `code`: 1000 to 1014 without 1004 to 1006, or 3000 to
   * 4999; none: the client sees 1005. `reason` has at most 123 bytes.
   */
  close(code?: number, reason: string | Buffer = ''): void {
    checkClose(code, reason)
    const text = String(reason)
    if (this.#afterBlob) this.#afterBlob.push(() => this.beginClose(code ?? 1005, text))
    else this.beginClose(code ?? 1005, text)
  }

  /** Sends a ping of at most 125 bytes; the event `pong` brings the answer. */
  ping(data?: SendData | BeatCallback, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('ping', data, mask, callback)
  }

  /** Sends a pong of at most 125 bytes that answers no ping. */
  pong(data?: SendData | BeatCallback, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('pong', data, mask, callback)
  }

  /**
   * The number of the message that is being told, or was told last: the first one has 1. With the option `durable` a message that is
   * told once more, because a server has died, has the same number. In a listener that is `async`, read it first of all.
   */
  get received(): number {
    return this.#kind.received
  }

  /** @internal In durable mode something has changed that is to be stored. */
  touch(): void {
    this.#kind.touch()
  }

  /** What the application keeps of this client. Empty at first; no one else reads it. */
  get data(): Data {
    this.#data ??= {} as Data
    return this.#data
  }

  set data(data: Data) {
    this.#data = data
  }

  /**
   * Whether this client's session began on another server of the cluster, which handed it over (option `recover`) or has died (option
   * `durable`). Its topics and `data` are as they were there, in durable mode as they were stored last, and the client has had no event.
   */
  get recovered(): boolean {
    return recovered.has(this)
  }

  /** @internal What another server has handed over, before the application is shown the socket. */
  recover({ topics, data, binaryType }: Pick<Moving, 'topics' | 'data' | 'binaryType'>): void {
    recovered.add(this)
    this.#data = data as Data
    this.#binaryType = binaryType
    this.#subscriptions = new Set(topics.map(([topic]) => topic))
    for (const [topic, place] of topics) this.#topics.resume(topic, this, place)
  }

  // ---- topics ----

  /** The topics that this socket is subscribed to. In its `close` event: those that it was subscribed to. */
  get topics(): ReadonlySet<string> {
    return this.#subscriptions ?? noTopics
  }

  /** Subscribes to a topic. No effect once the socket is closing. */
  subscribe(topic: string): void {
    if (this.readyState >= Socket.CLOSING) return
    this.#subscriptions ??= new Set()
    this.#subscriptions.add(topic)
    this.#topics.add(topic, this)
    this.touch()
  }

  /** Ends the subscription to a topic. No effect without one. */
  unsubscribe(topic: string): void {
    if (!this.#subscriptions?.delete(topic)) return
    this.#topics.delete(topic, this)
    if (this.#subscriptions.size === 0) this.#subscriptions = undefined
    this.touch()
  }

  /** Whether this socket is subscribed to the topic. */
  isSubscribed(topic: string): boolean {
    return this.#subscriptions?.has(topic) ?? false
  }

  /** Sends a message to all subscribers of the topic except this one. Returns their number. */
  publish(topic: string, data: SendData, options?: PublishOptions): number {
    return this.#topics.publish(topic, data, options, this)
  }

  // ---- the interface of the browser's WebSocket ----

  /** Never called: a socket of a server is open from the beginning. */
  get onopen(): EventListener | null {
    return getHandler(this, 'open')
  }
  set onopen(handler: SocketListener | null) {
    setHandler(this, 'open', handler)
  }
  /** The handler for messages. It gets an event, as in browsers. */
  get onmessage(): EventListener | null {
    return getHandler(this, 'message')
  }
  set onmessage(handler: SocketListener | null) {
    setHandler(this, 'message', handler)
  }
  /** The handler for an error of the client. It gets an event, as in browsers. */
  get onerror(): EventListener | null {
    return getHandler(this, 'error')
  }
  set onerror(handler: SocketListener | null) {
    setHandler(this, 'error', handler)
  }
  /** The handler for the end. It gets an event, as in browsers. */
  get onclose(): EventListener | null {
    return getHandler(this, 'close')
  }
  set onclose(handler: SocketListener | null) {
    setHandler(this, 'close', handler)
  }

  /** Adds a listener that gets an event, as in browsers. The only option is `once`. */
  addEventListener(type: string, handler: SocketListener, options?: { once?: boolean }): void {
    addListener(this, type, handler, options?.once ?? false)
  }

  /** Removes a listener that was added with `addEventListener`. */
  removeEventListener(type: string, handler: SocketListener): void {
    removeListener(this, type, handler)
  }

  // ---- for the two kinds ----

  protected emitMessage(data: Buffer, binary: boolean): void {
    const shown = this.#other ?? this
    shown.emit('message', asWanted(data, binary, shown.#binaryType), binary)
  }

  /** The same as `emitMessage`. Returns the promises that listeners have returned: see `notePromises`. */
  protected tellMessage(data: Buffer, binary: boolean): PromiseLike<unknown>[] {
    const shown = this.#other ?? this
    const before = asked
    const promises: PromiseLike<unknown>[] = []
    asked = { socket: shown as Socket<unknown>, promises }
    try {
      shown.emit('message', asWanted(data, binary, shown.#binaryType), binary)
    } finally {
      asked = before
    }
    return promises
  }

  /** Whether messages wait until a Blob has been read. */
  protected get isReading(): boolean {
    return ((this.#other ?? this) as Socket).#afterBlob !== undefined
  }

  /** Emits 'close', once. */
  protected emitClose(code: number, reason: Buffer): void {
    const shown = this.#other ?? this
    for (const topic of shown.topics) this.#topics.delete(topic, shown)
    try {
      shown.emit('close', code, reason)
    } finally {
      shown.#subscriptions = undefined
    }
  }

  /** Emits an error of the peer. Without a listener nothing is thrown. */
  protected emitError(error: Error): void {
    const shown = this.#other ?? this
    if (shown.listenerCount('error') === 0) return
    try {
      shown.emit('error', error)
    } catch (thrown) {
      // The 'close' event must still come.
      rethrow(thrown)
    }
  }

  /** Counts bytes that are sent after the end has begun. */
  protected tooLate(bytes: number, done: SendCallback | undefined): void {
    this.lateBytes += bytes
    if (!done) return
    const { readyState } = this
    const name = readyState === Socket.CLOSING ? 'CLOSING' : 'CLOSED'
    process.nextTick(done, new Error(`WebSocket is not open: readyState ${readyState} (${name})`))
  }

  #heartbeat(
    kind: 'ping' | 'pong',
    data: SendData | BeatCallback | undefined,
    mask: boolean | BeatCallback | undefined,
    callback: BeatCallback | undefined,
  ): void {
    const done = typeof data === 'function' ? data : typeof mask === 'function' ? mask : callback
    const given = typeof data === 'function' || data === undefined || data instanceof Blob ? '' : data
    const payload = toBuffer(given, true)
    if (payload.length > 125) throw new RangeError('The data size must not be greater than 125 bytes')
    this.sendPing(kind, payload, done as SendCallback | undefined)
  }

  /** Collects the pieces of a message and sends it with its last piece. */
  #sendPiece(data: SendData, binary: boolean, last: boolean, done: SendCallback | undefined): void {
    const pieces = this.#pieces ?? new Pieces(binary)
    pieces.add(data)
    this.#pieces = last ? undefined : pieces
    if (!last) {
      // Call back now: a caller that waits for it before the next piece would wait forever.
      if (done) process.nextTick(done)
      return
    }
    this.send(pieces.whole(), { binary: pieces.binary }, done)
  }

  #sendBlob(blob: Blob, binary: boolean, done: SendCallback | undefined): void {
    const first = this.#afterBlob === undefined
    this.#afterBlob ??= []
    const read = (): void => {
      const continueWith = (send: () => void): void => {
        const waiting = this.#afterBlob ?? []
        this.#afterBlob = undefined
        send()
        while (waiting.length > 0 && this.#afterBlob === undefined) waiting.shift()?.()
        if (waiting.length > 0) (this.#afterBlob as unknown as (() => void)[] | undefined)?.push(...waiting)
      }
      blob.arrayBuffer().then(
        (bytes) => {
          const message = toMessage(bytes, binary)
          continueWith(() => this.transmit(message, done))
        },
        (error: Error) => {
          try {
            done?.(error)
            if (this.listenerCount('error') > 0) this.emit('error', error)
          } finally {
            // An accepted message cannot be sent: terminate, because a gap must not go unnoticed.
            this.terminate()
            // The calls that wait come too late, and their callbacks get an error.
            continueWith(() => {})
          }
        },
      )
    }
    if (first) read()
    else this.#afterBlob.push(() => this.#sendBlob(blob, binary, done))
  }
}

/** The socket whose listeners are being called now, and the promises that they have returned. */
let asked: { readonly socket: Socket<unknown>; readonly promises: PromiseLike<unknown>[] } | undefined
let areNoted = false

/**
 * From now on `tellMessage` learns what listeners return, which Node's `emit` tells nobody. Messages must go through `emit`, because a
 * class of the application may override it. Only a server in durable mode calls this, so that other servers pay nothing for it.
 */
export function notePromises(): void {
  if (areNoted) return
  areNoted = true
  const { emit } = Socket.prototype as EventEmitter
  Object.defineProperty(Socket.prototype, 'emit', {
    configurable: true,
    writable: true,
    value(this: Socket, event: string | symbol, ...args: unknown[]): boolean {
      if (event !== 'message' || asked?.socket !== this) return Reflect.apply(emit, this, [event, ...args])
      const { promises } = asked
      const listeners = this.rawListeners('message')
      for (const listener of listeners) {
        const result: unknown = Reflect.apply(listener, this, args)
        if (isPromise(result)) promises.push(result)
      }
      return listeners.length > 0
    },
  })
}

for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
  Object.defineProperty(Socket.prototype, name, { value, enumerable: true })
}
