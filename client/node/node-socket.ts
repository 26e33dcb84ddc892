/** The class in Node: the standard's, and what code written for `ws` expects of its client. */
import type { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { isWireCode, maxReasonBytes } from '../../shared/codes.ts'
import type { Transport } from '../base/types.ts'
import { WebSocket as Base, defineStates } from '../socket/websocket-class.ts'
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
  type RawData,
  sizeOf,
  wholeOf,
} from './node-data.ts'
import { notOpen, wasClosed } from './node-errors.ts'
import { beEmitter, countOf, define, removeAllOf, Standing, showAttributes } from './node-listeners.ts'
import { type NodeWebSocketOptions, prepared, type SendOptions } from './node-options.ts'
import { type SendCallback, Side } from './node-side.ts'

export interface WebSocketEvents {
  open: []
  message: [data: RawData, isBinary: boolean]
  close: [code: number, reason: Buffer]
  error: [error: Error]
  ping: [data: Buffer]
  pong: [data: Buffer]
  /** The answer to the first handshake of a WebSocket. */
  upgrade: [response: IncomingMessage]
  /** Another answer than that; to be read, or ended, by whoever listens. */
  'unexpected-response': [request: ClientRequest, response: IncomingMessage]
  /** A handshake is about to follow a redirect. */
  redirect: [url: string, request: ClientRequest]
  transportchange: [transport: Transport | null]
}

interface Listen<Self> {
  <Type extends keyof WebSocketEvents>(
    type: Type,
    listener: (this: Self, ...args: WebSocketEvents[Type]) => void,
  ): Self
  (type: string | symbol, listener: (this: Self, ...args: never[]) => void): Self
}

/** As the types of `ws` have it, though it is called without an error as well. */
type BeatCallback = (error: Error) => void
type Listening = Parameters<EventTarget['addEventListener']>
type Own = EventEmitter['listeners']

const binaryTypes: readonly string[] = ['blob', 'arraybuffer', 'nodebuffer', 'fragments']
/** The events that the standard and `ws` both have, and ours. */
const told: readonly string[] = ['open', 'message', 'error', 'close', 'transportchange']

export class NodeWebSocket extends Base {
  declare readonly on: Listen<this>
  declare readonly once: Listen<this>
  declare readonly addListener: Listen<this>
  declare readonly prependListener: Listen<this>
  declare readonly prependOnceListener: Listen<this>
  declare readonly off: Listen<this>
  declare readonly removeListener: Listen<this>
  declare readonly emit: (type: string | symbol, ...args: readonly unknown[]) => boolean
  declare readonly listeners: Own
  declare readonly rawListeners: Own
  declare readonly eventNames: () => (string | symbol)[]
  declare readonly setMaxListeners: (most: number) => this
  declare readonly getMaxListeners: () => number

  /** Where `ws` and the standard do not agree: what `ws` does. */
  declare protected static readonly asInWs: boolean

  readonly #asInWs: boolean
  readonly #side: Side
  /** Undefined until it is set: then events have Blobs, as the standard says, and listeners of `on` Buffers, as in `ws`. */
  #binaryType: BinaryType | undefined
  #terminated = false
  /** Told of its error, a socket of `ws` is not yet closed. */
  #failing = false
  /** The types of events that are passed on to listeners of `on`. */
  #bridged: Set<string> | undefined
  readonly #standing: Standing = new Standing(told)
  /** Of a message that is sent in pieces: those that wait for the last. */
  #pieces: (string | Uint8Array<ArrayBuffer> | Blob)[] = []

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
    for (const run of side.whenMade) run()
  }

  /** Of `ws+unix:` and where a redirect has led, `ws` knows more. */
  override get url(): string {
    const { direct, address } = this.#side
    return direct?.url ?? address ?? super.url
  }

  override get extensions(): string {
    const { direct, connector } = this.#side
    return super.extensions || (direct ?? connector)?.extensions || ''
  }

  override get bufferedAmount(): number {
    const amount = super.bufferedAmount
    // In the end it has all been counted.
    return super.readyState === 3 ? amount : this.#pieces.reduce((sum, one) => sum + sizeOf(one), amount)
  }

  override get readyState(): 0 | 1 | 2 | 3 {
    const state = super.readyState
    return (this.#terminated && state === 1) || this.#failing ? 2 : state
  }

  /** Its type is the standard's, so that the class can stand where that is expected; it may be any that can be set. */
  override get binaryType(): 'blob' | 'arraybuffer' {
    return (this.#binaryType ?? 'blob') as 'blob'
  }

  override set binaryType(type: BinaryType) {
    // WebIDL: an assignment of what is no value of the enumeration is ignored.
    const name = `${type}` as const
    this.#binaryType = binaryTypes.includes(name) ? name : this.#binaryType
  }

  get isPaused(): boolean {
    const { connector, direct } = this.#side
    return connector?.isPaused ?? direct?.isPaused ?? false
  }

  /** Takes no messages from now on; the server's wait where they are. */
  pause(): void {
    if (this.readyState !== 1 && this.readyState !== 2) return
    this.#side.connector?.pause(true)
    this.#side.direct?.pause()
  }

  resume(): void {
    if (this.readyState !== 1 && this.readyState !== 2) return
    this.#side.connector?.pause(false)
    this.#side.direct?.resume()
  }

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

  /** What the standard has only some codes for is closed with any as in `ws`. */
  override close(...[code, reason]: [code?: number, reason?: string | Buffer]): void {
    if (!this.#asInWs || this.readyState === 3) super.close(code, reason as string)
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
      this.#side.closeCode = code
      super.close(1000, text)
    }
  }

  ping(data?: unknown, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('ping', data, mask, callback)
  }

  pong(data?: unknown, mask?: boolean | BeatCallback, callback?: BeatCallback): void {
    this.#heartbeat('pong', data, mask, callback)
  }

  /** Ends it without a goodbye: the server sees a lost connection, at once. */
  terminate(): void {
    if (this.readyState === 0) this.close()
    else if (this.readyState !== 3) {
      this.#terminated = true
      this.#side.connector?.terminate()
      this.#side.direct?.terminate()
    }
  }

  override dispatchEvent(event: Event): boolean {
    this.#failing = this.#asInWs && event.type === 'error'
    try {
      return super.dispatchEvent(event)
    } finally {
      this.#failing = false
    }
  }

  /** Tells listeners of `on`. Unlike the standard's they also hear what comes after the socket's own goodbye. */
  static received(socket: object, data: string | Uint8Array, event: Event): void {
    if (!(socket instanceof NodeWebSocket)) return
    if (countOf(socket, 'message') > 0) {
      if (typeof data === 'string') socket.emit('message', Buffer.from(data), false)
      else socket.emit('message', asWanted(data, socket.#binaryType ?? 'nodebuffer'), true)
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
      // It only counts.
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

  /** As in `ws`: of both kinds. */
  listenerCount(type: string | symbol): number {
    return countOf(this, type) + this.#standing.count(type)
  }

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

  /** Of what the standard calls events, those that somebody listens to by `on`. */
  #bridge(type: string): void {
    const pass = passing[type]
    if (pass === undefined || this.#bridged?.has(type)) return
    this.#bridged ??= new Set()
    this.#bridged.add(type)
    super.addEventListener(type, (event) => {
      if (countOf(this, type) > 0) this.emit(type, ...pass(event, this.transport))
    })
  }

  static {
    beEmitter(NodeWebSocket.prototype, (socket, type) => socket.#bridge(type))
    defineStates(NodeWebSocket)
    // Not methods to the compiler, which has them with a signature for each type.
    const { addEventListener, removeEventListener } = Base.prototype
    define(NodeWebSocket.prototype, 'addEventListener', function (this: NodeWebSocket, ...args: Listening) {
      this.#standing.add(this, ...args)
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
    // Whoever looks for an attribute finds it here, not on a class above that nobody knows.
    showAttributes(NodeWebSocket.prototype, NodeWebSocket.prototype)
    showAttributes(Base.prototype, NodeWebSocket.prototype)
    Object.defineProperty(NodeWebSocket, 'name', { value: 'WebSocket', configurable: true })
  }
}

/** Its data is not a property to the compiler: ours is an accessor. */
const Message: new (type: string, init: { origin: string }) => Event = MessageEvent

/** A message as it came; what the standard's event has of it is made when somebody asks. */
export class NodeMessageEvent extends Message {
  readonly #received: string | Uint8Array
  readonly #binaryType: string
  #data: unknown

  constructor(received: string | Uint8Array, binaryType: string, origin: string) {
    super('message', { origin })
    this.#received = received
    this.#binaryType = binaryType
  }

  get data(): unknown {
    const received = this.#received
    this.#data ??= typeof received === 'string' ? received : asWanted(received, this.#binaryType)
    return this.#data
  }

  /** There are runtimes whose own constructor assigns it. */
  set data(_none: unknown) {}
}

export class NodeErrorEvent extends Event {
  readonly error: Error
  readonly message: string

  constructor(reason: string, side: Side | undefined) {
    super('error')
    const { failure, badProtocol } = side ?? {}
    if (reason === 'closed') this.error = new Error(wasClosed)
    else if (reason === 'no subprotocol chosen') this.error = new Error(badProtocol)
    else if (failure) this.error = failure
    else if (side?.direct) this.error = new DOMException('The blob could not be read', 'NotReadableError')
    else this.error = new Error(reason.includes('timeout') ? 'Opening handshake has timed out' : reason)
    this.message = this.error.message
  }
}

/** An event as arguments for listeners of `on`. */
const passing: Record<string, (event: Event, transport: Transport | null) => unknown[]> = {
  open: () => [],
  close: (event) => {
    const { code, reason } = event as Event & { code: number; reason: string }
    return [code, Buffer.from(reason)]
  },
  error: (event) => [(event as NodeErrorEvent).error],
  transportchange: (_event, transport) => [transport],
}
