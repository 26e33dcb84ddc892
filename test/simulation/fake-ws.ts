/** In the place of `ws`: WebSockets on connections of the simulation, which carry frames. The frames are made by `ws` itself. */
import type { IncomingMessage } from 'node:http'
import type * as ws from 'ws'
import type { Line } from './connection.ts'
import type { Arrived, ServerWebSocket } from './path.ts'

const open = 1
const closing = 2
const closed = 3
/** So long a peer may take to answer a goodbye. */
const closeTimeout = 30_000

interface Options {
  readonly WebSocket: new (address: null) => FakeWebSocket
  maxPayload?: number
}

/** What ours extends, as `ws`'s WebSocket behaves on a server. */
abstract class FakeWebSocket implements ServerWebSocket {
  static readonly OPEN = open
  readyState = open
  readonly extensions = ''
  isPaused = false
  readonly bufferedAmount = 0
  readonly _receiver: object = { _buffers: [], _bufferedBytes: 0, _fragments: [], _messageLength: 0 }
  #line!: Line
  #maxPayload = 0
  #unheard: Arrived[] = []

  abstract emit(event: string, ...args: unknown[]): boolean

  begin(line: Line, maxPayload: number): void {
    this.#line = line
    this.#maxPayload = maxPayload
  }

  arrive(arrived: Arrived): void {
    if (this.readyState === closed) return
    if (this.isPaused) this.#unheard.push(arrived)
    else if (arrived.kind === 'close') {
      this.close(arrived.code)
      this.gone(arrived.code)
    } else if (this.#maxPayload > 0 && arrived.data.length > this.#maxPayload) {
      this.close(1009)
      const error = new RangeError('Max payload size exceeded')
      this.emit('error', Object.assign(error, { code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' }))
    } else this.emit('message', arrived.data, arrived.binary)
  }

  /** The connection has ended. */
  gone(code: number): void {
    if (this.readyState === closed) return
    this.readyState = closed
    this.#line.ended()
    this.#after(0, () => this.emit('close', code, Buffer.alloc(0)))
  }

  send(text: string): void {
    if (this.readyState === open) this.#line.say(Buffer.from(text), false)
  }

  close(code = 1005): void {
    if (this.readyState !== open) return
    this.readyState = closing
    this.#line.sayClose(code)
    this.#after(closeTimeout, () => this.terminate())
  }

  #after(ms: number, run: () => void): void {
    const { connection } = this.#line
    connection.network.world.after(ms, () => connection.enter(run))
  }

  terminate(): void {
    if (this.readyState !== closed) this.#line.destroy()
  }

  pause(): void {
    if (this.readyState !== closed) this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    while (!this.isPaused && this.#unheard.length > 0) this.arrive(this.#unheard.shift() as Arrived)
  }
}

class FakeServer {
  readonly options: Options
  readonly #listeners = new Map<string, (...args: unknown[]) => void>()

  constructor(options: Options) {
    this.options = options
  }

  on(event: string, listener: (...args: unknown[]) => void): this {
    this.#listeners.set(event, listener)
    return this
  }

  handleUpgrade(
    request: IncomingMessage,
    line: Line,
    _head: Buffer,
    done: (webSocket: FakeWebSocket) => void,
  ): void {
    const headers = ['HTTP/1.1 101 Switching Protocols']
    this.#listeners.get('headers')?.(headers, request)
    const name = 'Sec-WebSocket-Protocol: '
    line.open(headers.find((header) => header.startsWith(name))?.slice(name.length) ?? '')
    const webSocket = new this.options.WebSocket(null)
    webSocket.begin(line, this.options.maxPayload ?? 0)
    line.webSocket = webSocket
    done(webSocket)
  }
}

export function fakeWs(real: typeof ws & { readonly Sender: unknown }): object {
  return { WebSocket: FakeWebSocket, WebSocketServer: FakeServer, Sender: real.Sender }
}
