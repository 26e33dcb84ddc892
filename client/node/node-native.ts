/** A WebSocket of `ws` as this client needs it: under a session, or by itself with `session: false`. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { type ClientOptions, WebSocket as Native } from 'ws'
import { CloseCode } from '../../shared/codes.ts'
import type { WebSocket } from '../socket/websocket-class.ts'
import { blobUnread, wasClosed } from './node-errors.ts'
import type { NodeWebSocketOptions, SendOptions } from './node-options.ts'
import { carries, type SendCallback, type Side, sideOf } from './node-side.ts'

/** What was sent by the application with options or a callback, and waits for a Blob before it to be read. */
interface Submitted {
  readonly options: SendOptions
  readonly done: SendCallback | undefined
}

/** What a session says of itself is never longer; a message that is too large is the session's to refuse. */
const roomForControls = 4096

/** `bufferedAmount` is payload alone, and all that was sent in this turn, whatever the system has taken of it already. */
export class NodeNative extends Native {
  override bufferedAmount = 0
  readonly #side: Side | undefined
  readonly #direct: boolean
  readonly #asked: string
  /** A listener has been given the answer to the handshake, and all that comes of it. */
  #taken = false
  #submitted: Submitted[] = []
  /** Under a session: the attempt that it carries. */
  readonly #link: { readonly sent: number } | undefined
  written = 0

  constructor(
    url: string,
    protocols: string[],
    options: NodeWebSocketOptions,
    link: { readonly sent: number } | undefined,
  ) {
    const side = sideOf(options)
    const address = side?.address ?? url
    super(address, protocols, optionsForWs(options, side))
    this.#side = side
    this.#asked = address
    this.#direct = options.session === false
    if (!side) return
    this.on('error', (error: Error) => {
      // It is also said of what we have given up.
      if (this.#direct || error.message !== wasClosed) side.failure ??= error
    })
    if (link) {
      this.#link = link
      carries(this, link)
      return
    }
    side.direct = this
    this.on('close', () => this.#giveUp())
    for (const type of ['ping', 'pong'])
      this.on(type, (data: Buffer) => setImmediate(() => side.emit?.(type, data)))
  }

  /** The next that is sent is to be sent like this. */
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
    // What is no message goes with the one before it.
    const number = this.#link?.sent ?? 0
    super.send(data, options, (error) => {
      this.bufferedAmount -= size
      if (!error) this.written = number
      this.#side?.connector?.called()
      // Of a stream it is null.
      done?.(error ?? undefined)
    })
  }

  override close(code?: number, reason?: string | Buffer): void {
    if (!this.#taken) super.close((this.#direct && this.#side?.closeCode) || code, reason)
  }

  override terminate(): void {
    if (!this.#taken) super.terminate()
    this.#giveUp()
  }

  /** What `ws` says of the handshake is said to the application's listeners; it goes by whether there are any. */
  override emit(type: string | symbol, ...args: unknown[]): boolean {
    const side = this.#side
    const opened = side?.connector?.welcome
    if (type === 'redirect') return this.#redirected(args[0] as string, args[1] as ClientRequest)
    if (type === 'unexpected-response' && !opened)
      return this.#handOver(args[0] as ClientRequest, args[1] as IncomingMessage)
    if (type === 'upgrade' && !opened) side?.emit?.('upgrade', ...args)
    return super.emit(type, ...args)
  }

  override listenerCount(type: string | symbol): number {
    return type === 'redirect' ? (this.#side?.socket?.listenerCount(type) ?? 0) : super.listenerCount(type)
  }

  /** What opens a session goes to nobody else than whom it was meant for. */
  #redirected(to: string, request: ClientRequest): boolean {
    const weaker = this.#asked.startsWith('wss:') && !to.startsWith('wss:')
    if (!this.#direct && (weaker || placeOf(to) !== placeOf(this.#asked)))
      request.destroy(new Error(`Redirected to ${to}`))
    else this.#side?.emit?.('redirect', to, request)
    return true
  }

  /** Whoever listens has the request and its answer from now on. To a session it is under way until that has been read, or ended. */
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

  /** What waits for a Blob will not be sent. */
  #giveUp(): void {
    for (const { done } of this.#submitted.splice(0)) if (done) process.nextTick(done, new Error(blobUnread))
  }
}

function optionsForWs(options: NodeWebSocketOptions, side: Side | undefined): ClientOptions {
  const { session, connectTimeout, maxPayload, finishRequest, autoPong, ...others } = options
  const direct = session === false
  // What is not ours is for `ws`, and for what makes its connection: certificates, lookups, proxies.
  return {
    ...others,
    perMessageDeflate: options.perMessageDeflate ?? false,
    ...(maxPayload !== undefined && {
      maxPayload: direct ? maxPayload : Math.max(maxPayload + 1, roomForControls),
    }),
    ...(direct && autoPong !== undefined && { autoPong }),
    ...(direct && connectTimeout !== undefined && { handshakeTimeout: connectTimeout }),
    ...(finishRequest && {
      finishRequest(request: ClientRequest) {
        const finish = (): void => finishRequest(request, side?.socket as unknown as WebSocket)
        // The first is made while the socket is.
        if (side && !side.socket) side.whenMade.push(finish)
        else finish()
      },
    }),
  } as ClientOptions
}

/** Where a URL leads: a host and its port, or a file. */
function placeOf(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return protocol === 'ws+unix:' ? `${pathname.split(':')[0]}` : host
}
