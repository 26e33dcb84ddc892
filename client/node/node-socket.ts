/** The class in Node: the standard's WebSocket with the methods that code written for `ws` expects. */
import type { OwnBytes } from '../../shared/bytes.ts'
import { isWireCode, maxReasonBytes } from '../../shared/codes.ts'
import { WebSocket as Base, defineStates } from '../socket/websocket-class.ts'
import { type NodeErrorEvent, NodeMessageEvent } from './event-classes.ts'
import {
  asWanted,
  type BinaryType,
  bytesOf,
  converted,
  copyOf,
  type Data,
  isBlob,
  isBytes,
  plain,
  sizeOf,
  wholeOf,
} from './node-data.ts'
import { notOpen, rethrow } from './node-errors.ts'
import type { Listen, ListOf } from './node-events.ts'
import { beEmitter, countOf, define, removeAllOf, Standing, showAttributes } from './node-listeners.ts'
import { type NodeWebSocketOptions, prepared, type SendOptions } from './node-options.ts'
import { type SendCallback, Side } from './node-side.ts'

/** As in the types of `ws`, although it is also called without an error. */
type BeatCallback = (error: Error) => void
type Listening = Parameters<EventTarget['addEventListener']>

const binaryTypes: readonly string[] = ['blob', 'arraybuffer', 'nodebuffer', 'fragments']
/** The events that the standard, `ws` and everwire share between both ways of listening. */
const told: readonly string[] = ['open', 'message', 'error', 'close', 'transportchange', 'statuschange']

/**
 * The `WebSocket` of the standard with the members of `ws`, and with a session that survives the loss of its
 * connection.
 */
export class NodeWebSocket extends Base {
  /** Adds a listener. Both ways of listening, this one and `addEventListener`, may be used at once. */
  declare readonly on: Listen<this>
  /** Adds a listener that is removed before it is called. */
  declare readonly once: Listen<this>
  /** The same as `on`. */
  declare readonly addListener: Listen<this>
  /** Adds a listener before those of `on` that are there already. */
  declare readonly prependListener: Listen<this>
  /** Adds a listener before those of `on` that are there already; it is removed before it is called. */
  declare readonly prependOnceListener: Listen<this>
  /** Removes a listener that was added with `on`. */
  declare readonly off: Listen<this>
  /** The same as `off`. */
  declare readonly removeListener: Listen<this>
  /** Calls the listeners that were added with `on`. Returns whether there were any. */
  declare readonly emit: (type: string | symbol, ...args: readonly unknown[]) => boolean
  /** The listeners of an event that were added with `on`. */
  declare readonly listeners: ListOf
  /** As `listeners`, with the wrappers of `once`. */
  declare readonly rawListeners: ListOf
  /** The events that have listeners of `on`. */
  declare readonly eventNames: () => (string | symbol)[]
  /** Sets the number of listeners of one event above which Node warns of a leak. */
  declare readonly setMaxListeners: (most: number) => this
  /** The number of listeners of one event above which Node warns of a leak. */
  declare readonly getMaxListeners: () => number

  /** Whether to behave like `ws` where `ws` and the standard differ. */
  declare protected static readonly asInWs: boolean

  readonly #asInWs: boolean
  readonly #side: Side
  /** Undefined until it is set: then events have Blobs, as in the standard, and listeners of `on` get Buffers, as in `ws`. */
  #binaryType: BinaryType | undefined
  #terminated = false
  /** In `ws`, a socket that emits its error is not closed yet. */
  #failing = false
  /** The types of events that are passed on to listeners of `on`. */
  #bridged: Set<string> | undefined
  readonly #standing: Standing = new Standing(this, told)
  /** The pieces of an unfinished message. */
  #pieces: (string | OwnBytes | Blob)[] = []

  /**
   * Begins to connect. Throws a SyntaxError for an invalid URL or subprotocol, and a TypeError or RangeError that
   * names an invalid option.
   */
  constructor(
    ...args: [
      url: string | URL,
      protocols?: string | Iterable<string> | NodeWebSocketOptions | undefined,
      options?: NodeWebSocketOptions | undefined,
    ]
  ) {
    const side = new Side()
    const { asInWs } = new.target as typeof NodeWebSocket
    super(...(prepared(args, side, asInWs) as [string]))
    this.#side = side
    this.#asInWs = asInWs
    side.socket = this
    if (asInWs) this.#binaryType = 'nodebuffer'
    side.emit = (type, ...rest) => countOf(this, type) > 0 && this.emit(type, ...rest)
    side.begun = () => {
      this.#pieces = []
    }
    for (const run of side.whenMade) run()
  }

  /** The URL of the server. That of a Unix socket, or the target of a redirect, as `ws` has it. */
  override get url(): string {
    const { direct, address } = this.#side
    return direct?.url ?? address ?? super.url
  }

  /**
   * The extensions that both ends of the present WebSocket agreed on, for example permessage-deflate; empty for
   * none.
   */
  override get extensions(): string {
    const { direct, connector } = this.#side
    return super.extensions || (direct ?? connector)?.extensions || ''
  }

  /** The bytes that `send` has accepted and the network has not taken yet. They stay counted after the end. */
  override get bufferedAmount(): number {
    const amount = super.bufferedAmount
    // At the end of a session the base class has counted all pieces.
    return super.readyState % 3 === 0 ? amount : this.#pieces.reduce((sum, one) => sum + sizeOf(one), amount)
  }

  /** CONNECTING (0), OPEN (1), CLOSING (2) or CLOSED (3). It stays OPEN while a lost connection is sought. */
  override get readyState(): 0 | 1 | 2 | 3 {
    const state = super.readyState
    return (this.#terminated && state === 1) || this.#failing ? 2 : state
  }

  /**
   * The form of binary data: 'blob', 'arraybuffer', 'nodebuffer' or 'fragments'. The type here is the standard's,
   * so that the class can stand for the browser's.
   */
  override get binaryType(): 'blob' | 'arraybuffer' {
    return (this.#binaryType ?? 'blob') as 'blob'
  }

  override set binaryType(type: BinaryType) {
    // WebIDL: an assignment of an invalid enumeration value is ignored.
    const name = `${type}` as const
    this.#binaryType = binaryTypes.includes(name) ? name : this.#binaryType
  }

  /** Whether `pause` has stopped the delivery of messages. */
  get isPaused(): boolean {
    const { connector, direct } = this.#side
    return connector?.isPaused ?? direct?.isPaused ?? false
  }

  /**
   * Stops the delivery of messages. The server keeps its messages until `resume()`. No effect before `open` and
   * after the end.
   */
  pause(): void {
    if (this.readyState !== 1 && this.readyState !== 2) return
    this.#side.connector?.pause(true)
    this.#side.direct?.pause()
  }

  /** Goes on with the delivery of messages after `pause()`. */
  resume(): void {
    if (this.readyState !== 1 && this.readyState !== 2) return
    this.#side.connector?.pause(false)
    this.#side.direct?.resume()
  }

  /**
   * Sends a message. `callback` is called when it has been handed to a connection, or with an error. Throws an
   * InvalidStateError before `open`.
   */
  override send(
    data: Data,
    ...[options, callback]: [options?: SendOptions | SendCallback, callback?: SendCallback]
  ): void {
    // biome-ignore lint/complexity/noArguments: nothing given is not the same as undefined
    if (arguments.length === 0 && !this.#asInWs) super.send(...([] as unknown as [string]))
    const done = typeof options === 'function' ? options : callback
    const given = (Object(options) === options && typeof options !== 'function' ? options : {}) as SendOptions
    const item = converted(this.#asInWs ? plain(data) : data, given.binary)
    const { readyState } = this
    if (readyState === 0) throw this.#tooEarly()
    const { connector, direct } = this.#side
    if (readyState !== 1) {
      if (done) process.nextTick(done, new Error(notOpen(readyState)))
      super.send(item)
      return
    }
    if (connector && (given.fin === false || this.#pieces.length > 0)) {
      this.#pieces.push(isBytes(item) ? copyOf(item) : (item as string | Blob))
      if (given.fin === false) {
        connector.holding(done)
        return
      }
    }
    const sender = connector ?? direct
    sender?.submitting(done, given)
    try {
      super.send(connector && this.#pieces.length > 0 ? wholeOf(this.#pieces) : item)
      this.#pieces = []
    } catch (error) {
      sender?.withdraw()
      throw error
    }
  }

  /**
   * Ends the session, after all data that was sent before. `code` is 1000 or from 3000 to 4999; in `everwire/ws`
   * any that may stand on the wire. `reason` has at most 123 bytes.
   */
  override close(...[code, reason]: [code?: number, reason?: string | Buffer]): void {
    if (!this.#asInWs) super.close(code, reason as string)
    else if (this.readyState === 0) super.close()
    else if (this.readyState === 1) {
      const text = reason === undefined ? '' : String(reason)
      if (code === undefined || code === null) {
        super.close()
        return
      }
      if (typeof code !== 'number' || !isWireCode(code))
        throw new TypeError('First argument must be a valid error code number')
      if (Buffer.byteLength(text) > maxReasonBytes)
        throw new RangeError('The message must not be greater than 123 bytes')
      // As it is written on the wire.
      this.#side.closeCode = Math.trunc(code)
      super.close(1000, text)
    }
  }

  /** Sends a ping of at most 125 bytes; the event `pong` brings the answer. Throws before `open`. */
  ping(data?: unknown, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('ping', data, mask, callback)
  }

  /** Sends a pong of at most 125 bytes that answers no ping. Throws before `open`. */
  pong(data?: unknown, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('pong', data, mask, callback)
  }

  /** Ends without a close: the server sees a lost connection at once. */
  terminate(): void {
    if (this.readyState === 0) this.close()
    else if (this.readyState !== 3) {
      this.#terminated = true
      this.#side.connector?.terminate()
      this.#side.direct?.terminate()
    }
  }

  /** Calls the listeners for this event, as any EventTarget does. */
  override dispatchEvent(event: Event): boolean {
    if (event instanceof NodeMessageEvent) {
      // In the standard a message is no event after the socket's own end.
      if (this.#terminated && !this.#asInWs) return true
      const { sole } = this.#standing
      if (sole && event.tell(this, sole)) return true
    }
    this.#failing = this.#asInWs && event.type === 'error'
    try {
      return super.dispatchEvent(event)
    } finally {
      this.#failing = false
    }
  }

  /**
   * @internal Tells listeners of `on`. Unlike the standard's listeners, they also get messages after the socket's
   * own close.
   */
  static received(socket: object, data: string | Uint8Array, event: Event): void {
    if (!(socket instanceof NodeWebSocket)) return
    if (countOf(socket, 'message') > 0) {
      const isText = typeof data === 'string'
      const given = isText ? Buffer.from(data) : asWanted(data, socket.#binaryType ?? 'nodebuffer')
      try {
        socket.emit('message', given, !isText)
      } catch (error) {
        // `ws` hands the message over in this turn, and would stop to read the connection.
        rethrow(error)
      }
    }
    if (socket.#asInWs && socket.readyState === 2) socket.dispatchEvent(event)
  }

  #heartbeat(kind: 'ping' | 'pong', ...rest: unknown[]): void {
    const { readyState } = this
    if (readyState === 0) throw this.#tooEarly()
    const done = rest.find((one) => typeof one === 'function') as SendCallback | undefined
    const [data] = rest
    const given = typeof data === 'function' || (!data && typeof data !== 'number') ? '' : data
    if (readyState !== 1) {
      // Only counts the data.
      super.send(isBlob(given) ? given : bytesOf(given))
      if (done) process.nextTick(done, new Error(notOpen(readyState)))
      return
    }
    const payload = bytesOf(given)
    if (payload.length > 125) throw new RangeError('The data size must not be greater than 125 bytes')
    this.#side.connector?.[kind](payload.toString('latin1'))
    this.#side.direct?.[kind](payload)
    if (done) process.nextTick(done)
  }

  #tooEarly(): Error {
    return this.#asInWs ? new Error(notOpen(0)) : new DOMException(notOpen(0), 'InvalidStateError')
  }

  /** The number of listeners of an event, of both ways of listening. As in `ws`. */
  listenerCount(type: string | symbol): number {
    return countOf(this, type) + this.#standing.count(type)
  }

  /** Removes the listeners of an event, or all listeners, of both ways of listening. As in `ws`. */
  removeAllListeners(...types: [type?: string | symbol]): this {
    removeAllOf(this, ...types)
    for (const type of told) {
      if (types.length === 0 || types[0] === type)
        (this as unknown as Record<string, unknown>)[`on${type}`] = null
    }
    for (const { type, listener, capture } of this.#standing.of(types[0]))
      this.removeEventListener(type, listener, { capture })
    return this
  }

  /** Passes events of this type on to listeners of `on`. */
  #bridge(type: string): void {
    const pass = passing[type]
    if (pass === undefined || this.#bridged?.has(type)) return
    this.#bridged ??= new Set()
    this.#bridged.add(type)
    super.addEventListener(type, (event) => {
      if (countOf(this, type) > 0) this.emit(type, ...pass(event, this))
    })
  }

  static {
    beEmitter(NodeWebSocket.prototype, (socket, type) => socket.#bridge(type))
    defineStates(NodeWebSocket)
    // Not declared as methods, because their types have a signature for each event type.
    const { addEventListener, removeEventListener } = Base.prototype
    define(NodeWebSocket.prototype, 'addEventListener', function (this: NodeWebSocket, ...args: Listening) {
      this.#standing.add(...args)
      addEventListener.apply(this, args)
    })
    define(
      NodeWebSocket.prototype,
      'removeEventListener',
      function (this: NodeWebSocket, ...args: Listening) {
        this.#standing.remove(...args)
        removeEventListener.apply(this, args)
      },
    )
    // Show the attributes on this class: the class above it is not visible to users.
    showAttributes(NodeWebSocket.prototype, NodeWebSocket.prototype)
    showAttributes(Base.prototype, NodeWebSocket.prototype)
    Object.defineProperty(NodeWebSocket, 'name', { value: 'WebSocket', configurable: true })
  }
}

/** The arguments of an event for listeners of `on`. */
const passing: Record<string, (event: Event, socket: NodeWebSocket) => unknown[]> = {
  open: () => [],
  close: (event) => {
    const { code, reason } = event as Event & { code: number; reason: string }
    return [code, Buffer.from(reason)]
  },
  error: (event) => [(event as NodeErrorEvent).error],
  transportchange: (_event, { transport }) => [transport],
  statuschange: (_event, { status }) => [status],
}
