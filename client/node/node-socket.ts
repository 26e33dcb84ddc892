/** The class in Node: the standard's WebSocket with the methods that code written for `ws` expects. */
import type { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { isWireCode, maxReasonBytes } from '../../shared/codes.ts'
import type { Status, Transport } from '../base/types.ts'
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
  /** Another answer than 101. A listener must read the response or end the request. */
  'unexpected-response': [request: ClientRequest, response: IncomingMessage]
  /** A handshake is about to follow a redirect. */
  redirect: [url: string, request: ClientRequest]
  transportchange: [transport: Transport | null]
  statuschange: [status: Status]
}

interface Listen<Self> {
  <Type extends keyof WebSocketEvents>(
    type: Type,
    listener: (this: Self, ...args: WebSocketEvents[Type]) => void,
  ): Self
  (type: string | symbol, listener: (this: Self, ...args: never[]) => void): Self
}

/** As in the types of `ws`, although it is also called without an error. */
type BeatCallback = (error: Error) => void
type Listening = Parameters<EventTarget['addEventListener']>
type Own = EventEmitter['listeners']

const binaryTypes: readonly string[] = ['blob', 'arraybuffer', 'nodebuffer', 'fragments']
/** The events that the standard, `ws` and everwire share between both ways of listening. */
const told: readonly string[] = ['open', 'message', 'error', 'close', 'transportchange', 'statuschange']

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
  readonly #standing: Standing = new Standing(told)
  /** The pieces of an unfinished message. */
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
    side.begun = () => {
      this.#pieces = []
    }
    for (const run of side.whenMade) run()
  }

  /** `ws` knows the URL of a Unix socket, and the target of a redirect. */
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
    // At the end of a session the base class has counted all pieces.
    return super.readyState % 3 === 0 ? amount : this.#pieces.reduce((sum, one) => sum + sizeOf(one), amount)
  }

  override get readyState(): 0 | 1 | 2 | 3 {
    const state = super.readyState
    return (this.#terminated && state === 1) || this.#failing ? 2 : state
  }

  /** The type is the standard's, so that the class can replace it. The value may be any that can be set. */
  override get binaryType(): 'blob' | 'arraybuffer' {
    return (this.#binaryType ?? 'blob') as 'blob'
  }

  override set binaryType(type: BinaryType) {
    // WebIDL: an assignment of an invalid enumeration value is ignored.
    const name = `${type}` as const
    this.#binaryType = binaryTypes.includes(name) ? name : this.#binaryType
  }

  get isPaused(): boolean {
    const { connector, direct } = this.#side
    return connector?.isPaused ?? direct?.isPaused ?? false
  }

  /** Stops the delivery of messages. The server keeps its messages until `resume()`. */
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

  /** As in `ws`, the code may be any that is allowed on the wire, not only those of the standard. */
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

  /** Ends without a close: the server sees a lost connection at once. */
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

  /** Tells listeners of `on`. Unlike the standard's listeners, they also get messages after the socket's own close. */
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

  /** As in `ws`: counts the listeners of both ways. */
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
    // Show the attributes on this class: the class above it is not visible to users.
    showAttributes(NodeWebSocket.prototype, NodeWebSocket.prototype)
    showAttributes(Base.prototype, NodeWebSocket.prototype)
    Object.defineProperty(NodeWebSocket, 'name', { value: 'WebSocket', configurable: true })
  }
}

/** For the compiler, without `data` as a property: here it is an accessor. */
const Message: new (type: string, init: { origin: string }) => Event = MessageEvent

/** A message event whose data is converted when it is read. */
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

  /** Some runtimes assign it in their own constructor. */
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
