/**
 * The class in Node: the standard's, and what code written for `ws` expects of its client. The listeners of `on` are an
 * EventEmitter's, which an object becomes with the first of them: who listens in the standard's way does not pay for it.
 */
import { EventEmitter } from 'node:events'
import type { Agent, IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { isAnyArrayBuffer } from 'node:util/types'
import { pairUp, type SendCallback, Side } from './node-connector.ts'
import type { Transport, WebSocketOptions } from './types.ts'
import { WebSocket as Base } from './websocket.ts'

/** The options that a browser has no need of, or no right to. */
export interface NodeWebSocketOptions extends WebSocketOptions, SecureContextOptions {
  /** Headers of every request and handshake, as `Cookie` or `Authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The header `Origin`. */
  readonly origin?: string | undefined
  /** `ws`'s name for `connectTimeout`. */
  readonly handshakeTimeout?: number | undefined
  /** For the HTTP transports: the `dispatcher` of undici, where proxies and certificates are set. */
  readonly dispatcher?: unknown

  // These, and those about certificates, are for the WebSocket transport.
  /** The agent that makes its connection. */
  readonly agent?: Agent | undefined
  /** False takes a server whose certificate cannot be verified. */
  readonly rejectUnauthorized?: boolean | undefined
  readonly localAddress?: string | undefined
  readonly family?: number | undefined
  readonly lookup?: LookupFunction | undefined
  readonly skipUTF8Validation?: boolean | undefined
  /** Taken from code written for `ws`; nothing is compressed. */
  readonly perMessageDeflate?: unknown
}

/** A Blob only if `binaryType` says so. */
export type RawData = Buffer | ArrayBuffer | Buffer[]
type BinaryType = 'blob' | 'arraybuffer' | 'nodebuffer' | 'fragments'

export interface WebSocketEvents {
  open: []
  message: [data: RawData, isBinary: boolean]
  close: [code: number, reason: Buffer]
  error: [error: Error]
  ping: [data: Buffer]
  pong: [data: Buffer]
  /** The answer to the first handshake of a WebSocket. */
  upgrade: [response: IncomingMessage]
  transportchange: [transport: Transport | null]
}

export interface SendOptions {
  /** Whether to send it as binary; by default, whether it is other than a string. */
  readonly binary?: boolean | undefined
  /** These are taken from code written for `ws`, and mean nothing here. */
  readonly compress?: boolean | undefined
  readonly fin?: boolean | undefined
  readonly mask?: boolean | undefined
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
type Data = string | ArrayBufferLike | ArrayBufferView | Blob
type Listener = (...args: never[]) => void
type Own = EventEmitter['listeners']

const binaryTypes: readonly string[] = ['blob', 'arraybuffer', 'nodebuffer', 'fragments']
const states = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const
export const wasClosed = 'WebSocket was closed before the connection was established'

export class NodeWebSocket extends Base {
  declare readonly on: Listen<this>
  declare readonly once: Listen<this>
  declare readonly addListener: Listen<this>
  declare readonly prependListener: Listen<this>
  declare readonly prependOnceListener: Listen<this>
  declare readonly off: Listen<this>
  declare readonly removeListener: Listen<this>
  declare readonly removeAllListeners: (type?: string | symbol) => this
  declare readonly emit: (type: string | symbol, ...args: readonly unknown[]) => boolean
  declare readonly listenerCount: (type: string | symbol) => number
  declare readonly listeners: Own
  declare readonly rawListeners: Own
  declare readonly eventNames: () => (string | symbol)[]
  declare readonly setMaxListeners: (most: number) => this
  declare readonly getMaxListeners: () => number

  readonly #side: Side
  /** Undefined until it is set: then events have Blobs, as the standard says, and listeners of `on` Buffers, as in `ws`. */
  #binaryType: BinaryType | undefined
  #terminated = false
  /** The types of events that are passed on to listeners of `on`. */
  #bridged: Set<string> | undefined

  constructor(
    ...args: [
      url: string | URL,
      protocols?: string | Iterable<string> | NodeWebSocketOptions | undefined,
      options?: NodeWebSocketOptions | undefined,
    ]
  ) {
    const side = new Side()
    super(...(withSide(args, side) as [string]))
    this.#side = side
    side.emit = (type, ...rest) => {
      if (this.listenerCount(type) > 0) this.emit(type, ...rest)
    }
  }

  override get readyState(): 0 | 1 | 2 | 3 {
    const state = super.readyState
    return this.#terminated && state === 1 ? 2 : state
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
    if (arguments.length === 0) super.send(...([] as unknown as [string]))
    const done = typeof options === 'function' ? options : callback
    const binary = typeof options === 'object' ? options?.binary : undefined
    const item = converted(data, binary)
    const { readyState } = this
    if (readyState === 0) throw new DOMException(notOpen(0), 'InvalidStateError')
    const connector = readyState === 1 ? this.#side.connector : undefined
    if (!connector && done)
      process.nextTick(done, readyState === 1 ? undefined : new Error(notOpen(readyState)))
    connector?.submitting(done)
    try {
      super.send(item)
    } catch (error) {
      connector?.withdraw()
      throw error
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

  /** Tells listeners of `on`. Unlike the standard's they also hear what comes after the socket's own goodbye. */
  static received(socket: object, data: string | Uint8Array): void {
    if (!(socket instanceof NodeWebSocket) || socket.listenerCount('message') === 0) return
    if (typeof data === 'string') socket.emit('message', Buffer.from(data), false)
    else socket.emit('message', asWanted(data, socket.#binaryType ?? 'nodebuffer'), true)
  }

  #heartbeat(kind: 'ping' | 'pong', ...rest: unknown[]): void {
    const { readyState } = this
    if (readyState === 0) throw new DOMException(notOpen(0), 'InvalidStateError')
    const done = rest.find((one) => typeof one === 'function') as SendCallback | undefined
    const payload =
      typeof rest[0] === 'function' || rest[0] === undefined ? Buffer.alloc(0) : bytesOf(rest[0])
    if (payload.length > 125) throw new RangeError('The data size must not be greater than 125 bytes')
    if (readyState === 1) {
      this.#side.connector?.[kind](payload.toString('latin1'))
      this.#side.direct?.[kind](payload)
    }
    if (done) process.nextTick(done, readyState === 1 ? undefined : new Error(notOpen(readyState)))
  }

  /** Of what the standard calls events, those that somebody listens to by `on`. */
  #bridge(type: string): void {
    const pass = passing[type]
    if (pass === undefined || this.#bridged?.has(type)) return
    this.#bridged ??= new Set()
    this.#bridged.add(type)
    this.addEventListener(type, (event) => {
      if (this.listenerCount(type) > 0) this.emit(type, ...pass(event, this.transport))
    })
  }

  static {
    const { prototype } = EventEmitter
    for (const name of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const) {
      define(NodeWebSocket.prototype, name, function (this: NodeWebSocket, type: string, listener: Listener) {
        this.#bridge(type)
        return prototype[name].call(this as unknown as EventEmitter, type, listener as () => void)
      })
    }
    for (const name of [
      ...(['off', 'removeListener', 'removeAllListeners', 'emit', 'listenerCount', 'listeners'] as const),
      ...(['rawListeners', 'eventNames', 'setMaxListeners', 'getMaxListeners'] as const),
    ]) {
      define(NodeWebSocket.prototype, name, prototype[name])
    }
    for (const [value, name] of states.entries()) {
      for (const owner of [NodeWebSocket, NodeWebSocket.prototype])
        Object.defineProperty(owner, name, { value, enumerable: true })
    }
    // Whoever looks for an attribute finds it here, not on a class above that nobody knows.
    const inherited = Object.entries(Object.getOwnPropertyDescriptors(Base.prototype))
    const own = Object.entries(Object.getOwnPropertyDescriptors(NodeWebSocket.prototype))
    for (const [name, descriptor] of [...inherited, ...own]) {
      if (descriptor.get || name === 'send')
        Object.defineProperty(NodeWebSocket.prototype, name, { ...descriptor, enumerable: true })
    }
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

  constructor(reason: string, failure: Error | undefined) {
    super('error')
    if (reason === 'closed') this.error = new Error(wasClosed)
    else if (failure) this.error = failure
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

function asWanted(data: Uint8Array, type: string): RawData {
  if (type === 'blob') return new Blob([data as Uint8Array<ArrayBuffer>]) as unknown as Buffer
  const { buffer, byteOffset, byteLength } = data
  if (type === 'nodebuffer') return Buffer.from(buffer, byteOffset, byteLength)
  if (type === 'fragments') return [Buffer.from(buffer, byteOffset, byteLength)]
  const whole = byteLength === buffer.byteLength
  return (whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)) as ArrayBuffer
}

/** As text or as binary, whatever it is, if that is said. A Blob stays one. */
function converted(data: Data, binary: boolean | undefined): Data {
  if (isBlob(data)) return data
  const bytes = isBytes(data)
  if (binary === undefined) return bytes ? data : `${data}`
  if (binary) return bytes ? data : Buffer.from(`${data}`)
  return bytes ? bytesOf(data).toString() : `${data}`
}

/** Of any realm. */
function isBytes(data: unknown): boolean {
  return ArrayBuffer.isView(data) || isAnyArrayBuffer(data)
}

function isBlob(data: unknown): data is Blob {
  return Object.prototype.toString.call(data) === '[object Blob]'
}

function bytesOf(data: unknown): Buffer {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (isAnyArrayBuffer(data)) return Buffer.from(data)
  return Buffer.from(String(data))
}

function notOpen(state: 0 | 1 | 2 | 3): string {
  return `WebSocket is not open: readyState ${state} (${states[state]})`
}

/** Options of its own for each socket, by which its parts find each other. They may stand where the protocols are. */
function withSide(
  args: readonly [unknown?, unknown?, unknown?],
  side: Side,
): [unknown?, unknown?, WebSocketOptions?] {
  if (args.length === 0) return []
  const [first, second = [], third] = args
  // WebIDL: the arguments are converted in their order, before any of them is looked at.
  const url = `${first as string}`
  const iterable = Object(second) === second && (second as Iterable<string>)[Symbol.iterator]
  const offered = Array.from((iterable ? second : [second]) as Iterable<string>, (name) => `${name}`)
  const isOptions = !iterable && offered[0] === '[object Object]'
  const { handshakeTimeout, origin, ...given } = ((isOptions ? second : third) ?? {}) as NodeWebSocketOptions
  const options = {
    ...(handshakeTimeout !== undefined && { connectTimeout: handshakeTimeout }),
    ...given,
    ...(origin !== undefined && { headers: { ...given.headers, Origin: origin } }),
  }
  pairUp(options, side)
  return [url, isOptions ? [] : offered, options]
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
}
