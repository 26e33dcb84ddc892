/** The class WebSocket. https://websockets.spec.whatwg.org/ says what it does; the connector makes the connection. */
import { CloseCode, isClientCode, maxReasonBytes } from '../../shared/codes.ts'
import { binaryMessage, type Message, textMessage } from '../../shared/message.ts'
import { decodeText, encodeText } from '../../shared/text.ts'
import type { Carrier, CarrierHost, CarrierLink } from '../base/carrier.ts'
import { Network, networkTo } from '../base/network-memory.ts'
import type {
  DiaryEntry,
  Status,
  Transport,
  WebSocketEventMap,
  WebSocketEventTarget,
  WebSocketOptions,
} from '../base/types.ts'
import { HttpCarrier } from '../carriers/http.ts'
import { WebSocketCarrier } from '../carriers/websocket.ts'
import { Connector, type ConnectorHost, type Dialer } from '../pilot/connector.ts'
import { Direct } from './direct.ts'
import { defineHandlers, type Handlers } from './handlers.ts'
import type { Platform } from './platform.ts'

type Handler<Type extends keyof WebSocketEventMap> = ((event: WebSocketEventMap[Type]) => unknown) | null

/** An item that waits behind a Blob that is being read. */
type Waiting = Message | Blob | { readonly size: 0; readonly code: number; readonly reason: string }

export const allTransports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
/** A valid URL: ws or wss, no fragment, and no escape in its host, which Chromium would parse. */
const valid = /^wss?:\/\/([^/]*@)?[^/%]+\/[^#]*$/
const token = /^[!#$%&'*+\-.^_`|~\w]+$/

const Base: new () => WebSocketEventTarget = EventTarget

/** The class with this runtime. It is no subclass, so that no class is between WebSocket and EventTarget. */
export function webSocketOn(runtime: Platform): typeof WebSocket {
  return Object.defineProperties(WebSocket, { platform: { value: runtime } })
}

/** The `WebSocket` of the standard, with a session that survives the loss of its connection. */
export class WebSocket extends Base {
  /** The `readyState` of a socket that is not open yet: 0. */
  declare static readonly CONNECTING: 0
  /** The `readyState` of an open socket: 1. */
  declare static readonly OPEN: 1
  /** The `readyState` of a socket that is closing: 2. */
  declare static readonly CLOSING: 2
  /** The `readyState` of a socket that is closed: 3. */
  declare static readonly CLOSED: 3
  /** The `readyState` of a socket that is not open yet: 0. */
  declare readonly CONNECTING: 0
  /** The `readyState` of an open socket: 1. */
  declare readonly OPEN: 1
  /** The `readyState` of a socket that is closing: 2. */
  declare readonly CLOSING: 2
  /** The `readyState` of a socket that is closed: 3. */
  declare readonly CLOSED: 3

  /** Called when the session is open. */
  declare onopen: Handler<'open'>
  /** Called for each message that comes. */
  declare onmessage: Handler<'message'>
  /** Called when the session has failed, before `onclose`. */
  declare onerror: Handler<'error'>
  /** Called once, when the session is over. */
  declare onclose: Handler<'close'>
  /** Called when `transport` has changed. */
  declare ontransportchange: Handler<'transportchange'>
  /** Called when `status` has changed, after the event that changed it. */
  declare onstatuschange: Handler<'statuschange'>

  /** The runtime's platform; the entry sets it. */
  declare protected static readonly platform: Platform

  readonly #platform: Platform
  readonly #url: URL
  #connector: Connector | Direct
  #readyState: 0 | 1 | 2 | 3 = 0
  #protocol = ''
  #binaryType: 'blob' | 'arraybuffer' = 'blob'
  /** Items that were sent and wait until a Blob before them has been read. */
  #sending: Waiting[] = []
  /** Bytes of data that was sent too late. It counts, but is never sent. */
  #late = 0
  /** The number of events that wait for a task of their own. */
  #events = 0
  readonly #handlers: Handlers = {}
  /** The host of the open session. After its end was told, its connector may still report, while it closes with the server. */
  #live: ConnectorHost | undefined
  /** The status that the application was told. */
  #told: Status = 'connecting'

  /**
   * Begins to connect. Throws a SyntaxError for an invalid URL or subprotocol.
   * https://websockets.spec.whatwg.org/#dom-websocket-websocket
   */
  constructor(
    url: string | URL,
    protocols: string | Iterable<string> | WebSocketOptions = [],
    options: WebSocketOptions = {},
  ) {
    super()
    // biome-ignore lint/complexity/noArguments: nothing given is not the same as undefined
    if (!arguments.length) throw new TypeError('1 argument required')
    const { platform } = new.target as typeof WebSocket
    this.#platform = platform
    // WebIDL: convert the arguments in their order before any of them is checked.
    url = asString(url)
    const iterable = Object(protocols) === protocols && (protocols as Iterable<string>)[Symbol.iterator]
    let offered = Array.from((iterable ? protocols : [protocols]) as Iterable<string>, asString)
    // Not in the standard: options may be given instead of the protocols, because an object is no valid subprotocol.
    if (!iterable && offered[0] === '[object Object]') {
      options = protocols as WebSocketOptions
      offered = []
    }
    // 1., 2. Parse the URL, relative to the base URL. 4., 5. Replace http and https by ws and wss.
    let parsed: URL | undefined
    try {
      parsed = new URL(url, platform.base())
      parsed.protocol = parsed.protocol.replace('http', 'ws')
    } catch {}
    // 3. Failure, 6. any other scheme, 7. a fragment, even an empty one: SyntaxError.
    if (!parsed || !valid.test(parsed.href)) throw fault(`Invalid URL: ${url}`)
    // 8., 9. Invalid or repeated protocols: SyntaxError.
    if (!areProtocols(offered)) throw fault('Invalid subprotocol')
    platform.permit?.(parsed.href)
    // 10. Set the URL. 11., 12. Connect.
    this.#url = parsed
    this.#connector = this.#connect(offered, options)
  }

  #connect(protocols: string[], options: WebSocketOptions): Connector | Direct {
    const platform = this.#platform
    const { href, origin } = this.#url
    const host: ConnectorHost = {
      opened: (protocol) => {
        this.#live = host
        this.#readyState = 1
        this.#protocol = protocol
        this.#tell(new Event('open'))
      },
      message: (data, ownTask) => this.#deliver(() => this.#message(data, origin), ownTask),
      closed: (code, reason, wasClean, failed, ownTask) =>
        this.#deliver(() => {
          this.#live = undefined
          this.#late = this.bufferedAmount
          this.#sending = []
          let text: string | undefined
          // Cut after a whole character.
          for (let end = maxReasonBytes; text === undefined; end--)
            text = decodeText(encodeText(reason).slice(0, end))
          const close = { code, reason: text, wasClean }
          const pause = platform.reopen?.(this, close, options, (wanted) => {
            this.#late = 0
            if (wanted) {
              this.#connector = this.#connect(protocols, options)
              // The application may have closed the socket during construction: the function `token` may do so.
              if (this.#readyState) this.#connector.close(CloseCode.noStatus, '')
            } else host.closed(CloseCode.lost, 'closed', false, true, false)
          })
          // A pause has no other members than those that the class uses until its end.
          if (pause) this.#connector = pause as unknown as Direct
          this.#readyState = pause ? 0 : 3
          if (failed) this.dispatchEvent(platform.errorEvent?.(reason, options) ?? new Event('error'))
          this.#tell(platform.closeEvent(close))
        }, ownTask),
      transportChanged: () =>
        this.#deliver(() => this.#live === host && this.#tell(new Event('transportchange')), false),
    }
    // biome-ignore lint/complexity/useLiteralKeys: the build makes the session's own name short, but not that of the option.
    if (options['session'] === false)
      return new Direct(platform.webSocket(href, protocols, options), protocols, host)

    const { transports = allTransports, remember = true } = options
    const unknown = transports.find((name) => !allTransports.includes(name))
    if (unknown || !transports.length) throw new TypeError(`Unknown transport '${unknown}'`)

    const http = `${href.replace('ws', 'http')}${href.includes('?') ? '&' : '?'}everwire=`
    const network = remember ? networkTo(origin, platform.store) : new Network('', undefined)
    const dialer: Dialer = {
      open: (client: CarrierHost, link: CarrierLink): Carrier =>
        link.transport === 'websocket'
          ? new WebSocketCarrier(client, link, (offers) => platform.webSocket(href, offers, options, link))
          : new HttpCarrier(client, link, {
              post: (init) => {
                const { node } = client.pilot.welcome ?? {}
                return platform.post(`${http}1${node ? `.${node}` : ''}`, init, options)
              },
              listen: (ticket, signal) => platform.listen(http + ticket, signal, options),
              later: platform.later,
              slot: platform.slot?.(`${http}1`, remember, options),
            }),
      farewell(body) {
        platform.post(`${http}1`, { body, keepalive: true }, options).catch(() => {})
      },
    }
    const connector = new (platform.Connector ?? Connector)(
      transports,
      protocols,
      options,
      network,
      dialer,
      host,
    )
    platform.watch?.(connector)
    return connector
  }

  /** What happened to the connections so far, oldest first. A long list keeps its first entries and the latest. */
  get diary(): DiaryEntry[] {
    return this.#connector.diary.entries
  }

  /** The URL of the server, with the scheme `ws:` or `wss:`. */
  get url(): string {
    return this.#url.href
  }

  /** CONNECTING (0), OPEN (1), CLOSING (2) or CLOSED (3). It stays OPEN while a lost connection is sought. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState
  }

  /** The subprotocol that the server chose; empty for none, and until the socket is open. */
  get protocol(): string {
    return this.#protocol
  }

  /**
   * Always empty: no extensions are negotiated. Like every attribute, it throws for an object that is no
   * WebSocket.
   */
  get extensions(): string {
    return this.#protocol && ''
  }

  /** The transport that carries the session now; null while there is no connection. */
  get transport(): Transport | null {
    return this.#live ? this.#connector.transport : null
  }

  /**
   * The state of the session in one word, to show to people. 'resuming': the session is open and has no connection
   * at present.
   */
  get status(): Status {
    if (this.#readyState > 2) return 'closed'
    return this.#live ? (this.transport ? 'open' : 'resuming') : 'connecting'
  }

  /** The bytes that `send` has accepted and the network has not taken yet. They stay counted after the end. */
  get bufferedAmount(): number {
    // A pause between two sessions has none.
    const amount = (this.#readyState % 3 && this.#connector.buffered) || 0
    return this.#sending.reduce((sum, { size }) => sum + size, this.#late + amount)
  }

  /** The form of binary data in `message`: 'blob' or 'arraybuffer'. Any other value is ignored. */
  get binaryType(): 'blob' | 'arraybuffer' {
    return this.#binaryType
  }

  set binaryType(type: 'blob' | 'arraybuffer') {
    // WebIDL: an assignment of an invalid enumeration value is ignored.
    const name = asString(type) as typeof type
    this.#binaryType = name === 'blob' || name === 'arraybuffer' ? name : this.#binaryType
  }

  /**
   * Sends a message. Throws an InvalidStateError before `open`; after the end the data only counts in
   * `bufferedAmount`. https://websockets.spec.whatwg.org/#dom-websocket-send
   */
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    // biome-ignore lint/complexity/noArguments: nothing given is not the same as undefined
    if (!arguments.length) throw new TypeError('1 argument required')
    const item = itemOf(data)
    // 1. While CONNECTING: InvalidStateError.
    if (this.#readyState === 0) throw fault('Still connecting', 'InvalidStateError')
    // 2. Copy the data now. If it is too late to send it, only count it.
    if (this.#readyState !== 1) this.#late += item.size
    else this.#submit(item)
  }

  /**
   * Ends the session, after all data that was sent before. `code` is 1000 or from 3000 to 4999; `reason` has at
   * most 123 bytes. https://websockets.spec.whatwg.org/#dom-websocket-close
   */
  close(...[code, reason]: [code?: number, reason?: string]): void {
    // WebIDL: round the code to the nearest integer, halves to even; replace lone surrogates in the reason.
    const state = this.#readyState
    const number = +(code as number)
    let rounded = Math.round(number)
    if (rounded - number === 0.5) rounded -= rounded % 2
    const bytes = encodeText(reason === undefined ? '' : asString(reason))
    // 1. A code that is neither 1000 nor in 3000-4999: InvalidAccessError.
    if (code === undefined) rounded = CloseCode.noStatus
    else if (!isClientCode(rounded)) throw fault(`Invalid code '${rounded}'`, 'InvalidAccessError')
    // 2. A reason of more than 123 bytes: SyntaxError.
    if (bytes.length > maxReasonBytes) throw fault('Invalid reason')
    // 3. Start to close, once, after the data before it. A reason is sent only with a code.
    if (state > 1) return
    this.#readyState = 2
    this.#submit({ size: 0, code: rounded, reason: decodeText(bytes) as string })
  }

  /** Sends the item after those before it: reading a Blob takes time. */
  #submit(item: Waiting): void {
    const sending = this.#sending
    const connector = this.#connector
    if (sending.length) sending.push(item)
    else if ('arrayBuffer' in item) {
      sending.push(item)
      item.arrayBuffer().then(
        (buffer) => {
          // The session may be over by now, and another one begun.
          if (sending !== this.#sending) return
          sending[0] = binaryMessage(new Uint8Array(buffer))
          for (const next of sending.splice(0)) this.#submit(next)
        },
        () => connector.fail('unreadable Blob'),
      )
    } else if ('reason' in item) connector.close(item.code, item.reason)
    else if (!connector.send(item)) this.#late += item.size
  }

  /** Dispatches an event, and after it another if it has changed the status. */
  #tell(event: Event): void {
    this.dispatchEvent(event)
    const { status } = this
    if (status !== this.#told) {
      this.#told = status
      this.dispatchEvent(new Event('statuschange'))
    }
  }

  /** Calls `run` now if this is a task of its own and no event waits; otherwise in a later task. */
  #deliver(run: () => void, ownTask: boolean): void {
    if (ownTask && this.#events === 0 && this.#platform.ownTasks) run()
    else {
      this.#events++
      this.#platform.task(() => {
        this.#events--
        run()
      })
    }
  }

  /** https://websockets.spec.whatwg.org/#feedback-from-the-protocol: a message has been received. */
  #message(received: string | Uint8Array, origin: string): void {
    const told = this.#platform.messageEvent?.(received, this, origin)
    // 1. If not OPEN, return.
    if (this.#readyState !== 1) return
    if (told) {
      this.dispatchEvent(told)
      return
    }
    // 2. Make a string, a Blob or an ArrayBuffer, according to `binaryType`.
    let data: string | Blob | ArrayBufferLike
    if (typeof received === 'string') data = received
    else if (this.#binaryType === 'blob') data = new Blob([received as Uint8Array<ArrayBuffer>])
    else if (received.byteLength === received.buffer.byteLength) data = received.buffer
    else data = received.slice().buffer
    // 3. Dispatch an event with the data and the origin of the URL. Chromium would parse an origin that is given to the
    // constructor, which takes as long as the event itself.
    const event = new MessageEvent('message', { data })
    this.dispatchEvent(Object.defineProperty(event, 'origin', { value: origin }))
  }

  /** What a class declaration cannot say. Not a static block, because React Native's bundler refuses those. */
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: it is there for what its initializer does
  static readonly #defined = ((prototype) => {
    defineStates(WebSocket)
    // WebIDL: attributes and methods are enumerable, unlike those of a class.
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (name !== 'constructor') Object.defineProperty(prototype, name, { enumerable: true })
    }
    Object.defineProperty(prototype, Symbol.toStringTag, { value: 'WebSocket', configurable: true })
    // Keep the name of the class even if the build shortens names.
    Object.defineProperty(WebSocket, 'name', { value: 'WebSocket', configurable: true })
    defineHandlers(
      prototype,
      ['open', 'message', 'error', 'close', 'transportchange', 'statuschange'],
      (socket) => socket.#handlers,
    )
  })(WebSocket.prototype)
}

export function areProtocols(offered: readonly string[]): boolean {
  return (
    offered.every((name) => token.test(name)) &&
    new Set(offered.map((name) => name.toLowerCase())).size === offered.length
  )
}

/**
 * WebIDL's conversion to a string: `toString` is called before `valueOf`, and a Symbol throws. Not a template literal, which
 * the build of the browser's file would turn into a sum.
 */
function asString(value: unknown): string {
  return ''.concat(value as string)
}

/** Defines the states on a class and its prototype; also for subclasses that have them as their own. */
export function defineStates(Class: { readonly prototype: object }): void {
  for (const [value, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
    for (const owner of [Class, Class.prototype])
      Object.defineProperty(owner, name, { value, enumerable: true })
  }
}

/** WebIDL's choice between a buffer, a view, a Blob (of any realm) and text, which is everything else. */
function itemOf(data: unknown): Message | Blob {
  if (typeof data !== 'string') {
    if (ArrayBuffer.isView(data)) return copyOf(data.buffer, data.byteOffset, data.byteLength)
    if (isOf(ArrayBuffer, 'byteLength', data)) return copyOf(data, 0, data.byteLength)
    if (isOf(Blob, 'size', data)) return data
  }
  const text = asString(data)
  // WebSockets send the string; only HTTP needs the bytes. Most texts have as many bytes as characters.
  return textMessage(text, /[^\0-\x7f]/.test(text) ? encodeText(text).length : text.length)
}

/** Copies the data, so that later changes are not sent. Throws for a resizable or shared buffer, as WebIDL requires. */
function copyOf(buffer: ArrayBufferLike, start: number, size: number): Message {
  if ((buffer as { readonly resizable?: boolean }).resizable) throw new TypeError('resizable')
  // A transferred buffer is empty and cannot be sliced.
  const bytes = size ? ArrayBuffer.prototype.slice.call(buffer, start, start + size) : []
  return binaryMessage(new Uint8Array(bytes as ArrayBuffer))
}

/** Whether `data` is an object of the class, of any realm: only then the class's attribute can be read from it. */
function isOf<T>(Class: { readonly prototype: T & object }, attribute: keyof T, data: unknown): data is T {
  try {
    Reflect.get(Class.prototype, attribute, data)
    return true
  } catch {
    return false
  }
}

function fault(message: string, name = 'SyntaxError'): DOMException {
  return new DOMException(message, name)
}
