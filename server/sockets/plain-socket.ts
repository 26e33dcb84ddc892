/** An ordinary WebSocket client, without a session: its messages are sent and received unchanged. */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { CloseCode } from '../../shared/codes.ts'
import type { Message } from '../../shared/message.ts'
import { FrameWriter } from '../base/frame-writer.ts'
import { countedOf, type Weighed, worthCounting } from '../base/memory.ts'
import { atEndOfTurn, type Flushable } from '../base/turn.ts'
import { now } from '../base/wakeups.ts'
import type { Wire, WireHandler } from '../base/wire.ts'
import type { Topics } from '../messages/topics.ts'
import type { CloseEntry, ServerDiaryEntry } from './carrier-diary.ts'
import type { EndReason } from './end-reasons.ts'
import { Rate, tooMany } from './rate.ts'
import { callAll } from './send-callbacks.ts'
import { Socket, shownFor } from './socket.ts'
import type { SendCallback } from './socket-events.ts'
import type { SocketHost } from './socket-host.ts'

export class PlainSocket extends Socket implements Flushable, WireHandler, Weighed {
  readonly #ws: Wire
  readonly #out: FrameWriter
  readonly #connection: Duplex
  readonly #host: SocketHost
  #id = ''
  #callbacks: SendCallback[] | undefined
  readonly #since = Date.now()
  #close: CloseEntry | undefined
  waiting = false
  /** The bytes that the server's memory counts for this client. */
  #counted = 0
  #awaitsDrain = false
  #rate: Rate | undefined
  #received = 0
  /** Why the client ends, where the code of the close does not say it. */
  #cause: EndReason | undefined

  constructor(webSocket: Wire, socket: Duplex, protocol: string, topics: Topics, host: SocketHost) {
    super(protocol, topics)
    this.#ws = webSocket
    this.#out = new FrameWriter(webSocket, socket)
    this.#connection = socket
    this.#host = host
    webSocket.handler = this
    webSocket.watch(socket)
    this.#count()
  }

  override get received(): number {
    return this.#received
  }

  override touch(): void {}

  override get readyState(): 0 | 1 | 2 | 3 {
    return this.#ws.readyState
  }

  override get id(): string {
    if (this.#id === '') this.#id = randomBytes(12).toString('base64url')
    return this.#id
  }

  override get transport(): 'websocket' | null {
    return this.#ws.readyState === 3 ? null : 'websocket'
  }

  override get bufferedAmount(): number {
    return this.#out.buffered + this.lateBytes
  }

  override get diary(): ServerDiaryEntry[] {
    const entry = { type: 'carrier', at: this.#since, transport: 'websocket', epoch: 0 } as const
    const counts = { received: 0, acknowledged: 0 }
    const close = this.#close
    if (!close) return [{ ...entry, ...counts }]
    // If there is a cause, the server has ended the client, perhaps for the client's own fault.
    const by = this.#cause ? 'server' : close.code === CloseCode.lost ? 'network' : 'client'
    const end = { ended: close.at - this.#since, by, why: `closed ${close.code}` } as const
    return [{ ...entry, ...counts, ...end }, close]
  }

  override get isPaused(): boolean {
    return this.#ws.isPaused
  }

  override get extensions(): string {
    return this.#ws.extensions
  }

  override pause(): void {
    this.#ws.pause()
  }

  override askToken(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  override resume(): void {
    this.#ws.resume()
  }

  override terminate(): void {
    this.#cause ??= 'terminated'
    this.#out.release()
    this.#ws.terminate()
  }

  flush(): void {
    const callbacks = this.#callbacks
    this.#callbacks = undefined
    const { compresses } = this.#out
    this.#out.flush(
      callbacks || compresses
        ? (error) => {
            if (compresses) this.#count()
            if (callbacks) callAll(callbacks, error ?? undefined)
          }
        : undefined,
    )
    if (this.#out.cost > this.#host.options().maxBuffered) {
      this.#cause ??= 'maxBuffered'
      this.#ws.terminate()
    }
    this.#count()
  }

  get weight(): number {
    const { cost } = this.#out
    return (cost > worthCounting ? cost : 0) + this.#ws.partialBytes + countedOf(this.protocol)
  }

  overload(): void {
    this.#cause ??= 'maxMemory'
    this.#ws.close(CloseCode.tryAgainLater, 'server out of memory')
    this.terminate()
    this.#count()
  }

  growing(): void {
    this.#count()
  }

  #count(): void {
    const counted = this.#ws.readyState === 3 || this.#connection.destroyed ? 0 : this.weight
    if (counted !== this.#counted) this.#host.memory.add(counted - this.#counted)
    this.#counted = counted
    if (this.#out.cost <= worthCounting || this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.#connection.once('drain', () => {
      this.#awaitsDrain = false
      this.#count()
    })
  }

  protected override transmit(message: Message, done: SendCallback | undefined, compress?: boolean): void {
    if (this.#ws.readyState !== 1) {
      this.tooLate(message.size, done)
      return
    }
    this.#host.reports.statistics.sent.add(message.size)
    if (done) {
      this.#callbacks ??= []
      this.#callbacks.push(done)
    }
    this.#out.add(
      message.data as Buffer,
      message.kind === 'binary',
      message.frame as Buffer | undefined,
      compress,
    )
    atEndOfTurn(this)
  }

  protected override beginClose(code: number, reason: string): void {
    if (this.#ws.readyState === 1) this.#cause ??= 'server'
    this.flush()
    this.#out.beside(() => (code === 1005 ? this.#ws.close() : this.#ws.close(code, reason)))
  }

  protected override sendPing(kind: 'ping' | 'pong', payload: Buffer, done: SendCallback | undefined): void {
    if (this.#ws.readyState !== 1) {
      this.tooLate(payload.length, done)
      return
    }
    this.flush()
    this.#out.beside(() => this.#ws[kind](payload, undefined, done as ((error: Error) => void) | undefined))
  }

  messaged(data: Buffer, binary: boolean): void {
    const { rateLimit } = this.#host.options()
    if (rateLimit) {
      this.#rate ??= new Rate()
      if (this.#rate.exceeded(rateLimit, 1, now())) {
        this.#cause ??= 'rateLimit'
        if (this.#ws.readyState === 1) this.#ws.close(CloseCode.policy, tooMany)
        return
      }
    }
    if (this.#counted > 0) this.#count()
    this.#host.reports.statistics.received.add(data.length)
    this.#received++
    this.emitMessage(data, binary)
  }

  leaving(): void {
    this.flush()
  }

  closed(code: number, reason: Buffer): void {
    this.#close = { type: 'close', at: Date.now(), code, reason: String(reason) }
    this.#count()
    const cause = this.#cause ?? (code === CloseCode.lost ? 'lost' : 'client')
    this.#host.reports.ended(this, cause, code, String(reason), true)
    this.#host.ended(this)
    this.emitClose(code, reason)
  }

  faulty(error: Error & { code?: string }): void {
    if (error.code?.startsWith('WS_ERR_')) this.#cause ??= 'fault'
    this.emitError(error)
  }

  pinged(data: Buffer): void {
    shownFor(this).emit('ping', data)
  }

  ponged(data: Buffer): void {
    shownFor(this).emit('pong', data)
  }
}
