/** The WebSocket of `ws` below a client: as a carrier of a session, or by itself with `session: false`. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type ClientOptions, WebSocket as Native } from 'ws'
import { CloseCode } from '../../shared/codes.ts'
import { escape as nul } from '../../shared/frame.ts'
import type { Answered } from '../base/asked-headers.ts'
import { longestDelay } from '../pilot/deadlines.ts'
import type { WebSocket } from '../socket/websocket-class.ts'
import { blobUnread, wasClosed } from './node-errors.ts'
import type { NodeWebSocketOptions, SendOptions } from './node-options.ts'
import { carries, type SendCallback, type Side, sideOf } from './node-side.ts'
import { gather, takeTurn, write } from './node-tasks.ts'
import { wayOf } from './node-way.ts'

/** The options and callback of a message that may still wait for a Blob before it. */
interface Submitted {
  readonly options: SendOptions
  readonly done: SendCallback | undefined
}

/** The controls of a session are never longer than this. The session itself refuses messages that are too large. */
const roomForControls = 4096
/** How long, in ms, a connection that a session has left may take to end. */
const restOfSession = 10_000
/** Compressing the few bytes of a control saves none of them, and costs as much as a message of the application. */
const uncompressed: SendOptions = { compress: false }

/** `bufferedAmount` counts only payload, and all payload that was sent in this turn, even if the system has taken it. */
export class NodeNative extends Native {
  override bufferedAmount = 0
  readonly #side: Side | undefined
  readonly #direct: boolean
  readonly #asked: string
  /** Whether a listener has taken the answer to the handshake. */
  #taken = false
  /** Calls off a connection through a proxy that is still being made. */
  readonly #unwanted: AbortController
  #submitted: Submitted[] = []
  /** The link of the session that this WebSocket carries, if there is one. */
  readonly #link: { readonly sent: number } | undefined
  written = 0

  constructor(
    url: string,
    protocols: string[],
    options: Answered<NodeWebSocketOptions>,
    link: { readonly sent: number } | undefined,
  ) {
    const side = sideOf(options)
    const address = side?.address ?? url
    const unwanted = new AbortController()
    super(address, protocols, {
      ...optionsForWs(options, side),
      agent: wayOf(options, url).forWebSocket,
      unwanted: unwanted.signal,
    } as ClientOptions)
    this.#unwanted = unwanted
    this.#side = side
    this.#asked = address
    this.#direct = options.session === false
    if (!side) return
    this.on('error', (error: Error) => {
      // `ws` reports this error also for attempts that the client has given up.
      if (this.#direct || error.message !== wasClosed) side.failure ??= error
    })
    if (link) {
      this.#link = link
      carries(this, link)
      return
    }
    side.direct = this
    side.failure = undefined
    // A message that came with the answer to the handshake is told in another turn than `open`.
    this.on('open', takeTurn)
    this.on('close', () => this.#giveUp())
    for (const type of ['ping', 'pong'])
      this.on(type, (data: Buffer) => setImmediate(() => side.emit?.(type, data)))
  }

  /** Sets the options and callback of the next message. */
  submitting(done: SendCallback | undefined, options: SendOptions): void {
    this.#submitted.push({ options, done })
  }

  withdraw(): void {
    this.#submitted.pop()
  }

  override send(data: string | Uint8Array): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength
    const { options = {}, done } = this.#submitted.shift() ?? {}
    this.bufferedAmount += size
    // A control counts as part of the message before it.
    const number = this.#link?.sent ?? 0
    gather(this.#connection)
    super.send(data, this.#link && isControl(data) ? uncompressed : options, (error) => {
      this.bufferedAmount -= size
      if (!error) this.written = number
      this.#cut()
      this.#side?.connector?.called()
      // A stream calls back with null.
      done?.(error ?? undefined)
    })
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === Native.CONNECTING) this.#unwanted.abort()
    if (!this.#taken) super.close((this.#direct && this.#side?.closeCode) || code, reason)
    if (this.#side?.connector?.isTerminated) {
      write(this.#connection)
      this.#cut()
    }
  }

  /** After `terminate()` of a session nobody waits for an answer: cuts the connection when the system has taken the last frame. */
  #cut(): void {
    const { readyState } = this
    if (readyState === Native.CLOSING && !this.bufferedAmount && this.#side?.connector?.isTerminated)
      super.terminate()
  }

  override terminate(): void {
    if (this.readyState === Native.CONNECTING) this.#unwanted.abort()
    // Data that was sent before still goes out.
    write(this.#connection)
    if (!this.#taken) super.terminate()
    this.#giveUp()
  }

  /** The connection below, which `ws` has after the handshake. */
  get #connection(): Socket | undefined {
    return (this as { _socket?: Socket })._socket
  }

  /** Passes on the events of `ws` about the handshake. `ws` checks whether there are listeners, so this does too. */
  override emit(type: string | symbol, ...args: unknown[]): boolean {
    const side = this.#side
    const opened = side?.connector?.pilot.welcome
    if (type === 'redirect') return this.#redirected(args[0] as string, args[1] as ClientRequest)
    if (type === 'unexpected-response' && !opened)
      return this.#handOver(args[0] as ClientRequest, args[1] as IncomingMessage)
    if (type === 'upgrade' && !opened) side?.emit?.('upgrade', ...args)
    return super.emit(type, ...args)
  }

  override listenerCount(type: string | symbol): number {
    return type === 'redirect' ? (this.#side?.socket?.listenerCount(type) ?? 0) : super.listenerCount(type)
  }

  /** Follows a redirect of a session only to the same host, because the handshake contains the session's key. */
  #redirected(to: string, request: ClientRequest): boolean {
    const weaker = this.#asked.startsWith('wss:') && !to.startsWith('wss:')
    if (!this.#direct && (weaker || placeOf(to) !== placeOf(this.#asked)))
      request.destroy(new Error(`Redirected to ${to}`))
    else this.#side?.emit?.('redirect', to, request)
    return true
  }

  /** Gives the request and its answer to a listener. A session's attempt lasts until the listener has read or ended it. */
  #handOver(request: ClientRequest, response: IncomingMessage): boolean {
    const side = this.#side
    const taken = side?.emit?.('unexpected-response', request, response) ?? false
    if (!side || this.#direct || !taken) return taken
    this.#taken = true
    const error = new Error(`Unexpected server response: ${response.statusCode}`)
    side.failure ??= error
    response.once('close', () => {
      super.emit('error', error)
      super.emit('close', CloseCode.lost, Buffer.alloc(0))
    })
    return true
  }

  /** Calls back with an error for all messages that wait for a Blob. */
  #giveUp(): void {
    for (const { done } of this.#submitted.splice(0)) if (done) process.nextTick(done, new Error(blobUnread))
  }
}

function optionsForWs(options: Answered<NodeWebSocketOptions>, side: Side | undefined): ClientOptions {
  const { session, connectTimeout, maxPayload, finishRequest, autoPong, token, proxy, ...others } = options
  const direct = session === false
  const { closeTimeout } = others
  // All other options are for `ws`, and for the connection: certificates, lookups, proxies.
  return {
    ...others,
    // A WebSocket that its session has left has nothing more to bring, and must not keep the process for long.
    ...(!direct && { closeTimeout: restOfSession }),
    ...(direct && closeTimeout !== undefined && { closeTimeout: Math.min(closeTimeout, longestDelay) }),
    perMessageDeflate: options.perMessageDeflate ?? false,
    ...(maxPayload !== undefined && {
      maxPayload: direct ? maxPayload : Math.max(maxPayload + 1, roomForControls),
    }),
    ...(direct && autoPong !== undefined && { autoPong }),
    ...(direct &&
      connectTimeout !== undefined && {
        handshakeTimeout: Math.min(connectTimeout, longestDelay),
      }),
    ...(finishRequest && {
      finishRequest(request: ClientRequest) {
        const finish = (): void => {
          try {
            finishRequest(request, side?.socket as unknown as WebSocket)
          } catch (error) {
            // Thrown on, it would leave a WebSocket of `ws` half made, whose errors nobody hears.
            request.destroy(error as Error)
          }
        }
        // The first WebSocket is created while the socket is still being constructed.
        if (side && !side.socket) side.whenMade.push(finish)
        else finish()
      },
    }),
  } as object as ClientOptions
}

/** Whether a session sends this by itself. A message that begins with U+0000 is sent with one more. */
function isControl(data: string | Uint8Array): boolean {
  return data[0] === nul && data[1] !== nul
}

/** The target of a URL: a host with its port, or a file. */
function placeOf(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return protocol === 'ws+unix:' ? `${pathname.split(':')[0]}` : host
}
