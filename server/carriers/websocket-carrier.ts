/** A WebSocket that carries a session: messages as they are, controls as text that begins with U+0000. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CloseCode } from '../../shared/codes.ts'
import type { RequestHead } from '../../shared/exchange.ts'
import { type Control, controlText, type Piece, readControl, type Welcome } from '../../shared/frame.ts'
import { ackDelay } from '../../shared/limits.ts'
import { Link, type Position } from '../../shared/link.ts'
import { endPayload, type Message } from '../../shared/message.ts'
import { FrameWriter } from '../base/frame-writer.ts'
import { atEndOfTurn } from '../base/turn.ts'
import { forget, notBooked, now, type Timed, wakeAt } from '../base/wakeups.ts'
import { maxControl, pieceOf, tolerated, type Wire, type WireHandler } from '../base/wire.ts'
import { type Carrier, wanted } from '../sockets/carrier.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'

/** While the network has more than this to take, messages wait in the session, and controls can overtake them. */
const highWater = 1024 * 1024

/** A larger message is announced, so that the client does not take the time that it needs for silence. */
const longMessage = 64 * 1024

/** The longest time that a carrier may stand by: a client takes it as soon as it has got an answer over it. */
const standbyTime = 60_000

/** The most messages that are sent in one turn of the event loop. */
const mostAtOnce = 4096

const open = 1

export class WebSocketCarrier implements Carrier, Timed, WireHandler {
  readonly transport = 'websocket'
  wakeTick: number = notBooked
  readonly link: Link
  readonly #owner: SessionSocket
  readonly #ws: Wire
  readonly #socket: Duplex
  readonly #out: FrameWriter
  #standby = false
  /** The welcome has been sent: nothing may be sent before it. */
  #begun = false
  #ended = false
  /** Nothing more is sent until the network has taken some, or until the next turn. */
  #blocked = false
  #bytesRead = 0
  #bytesQueued = 0

  constructor(
    owner: SessionSocket,
    webSocket: Wire,
    socket: Duplex,
    { epoch, quiet }: Pick<RequestHead, 'epoch' | 'quiet'>,
  ) {
    this.link = new Link(epoch, ackDelay)
    this.link.quiet = wanted(quiet)
    this.#owner = owner
    this.#ws = webSocket
    this.#socket = socket
    this.#out = new FrameWriter(webSocket, socket)
    webSocket.handler = this
    webSocket.watch(socket)
  }

  /**
   * Sends the welcome: what the server has, and how it behaves. On a carrier in use the messages follow. Returns false if
   * the client's counts do not belong to this session.
   */
  begin(welcome: Omit<Welcome, 'got' | 'start'>, has: Position, standby: boolean): boolean {
    const got = this.#owner.session.received.number
    this.link.got = got
    this.#standby = standby
    if (standby) {
      this.#say('welcome', JSON.stringify({ got, ...welcome }))
      this.#begun = true
      this.#out.flush()
      wakeAt(this, now() + standbyTime)
      return true
    }
    const taken = this.#owner.take(this, has)
    if (taken === 'attached') {
      this.#say('welcome', JSON.stringify({ got, start: this.link.sent, ...welcome }))
    } else if (taken === 'older') this.end('superseded')
    else this.#impossible()
    this.#begun = true
    if (this.#owner.isPaused) this.#tellPause(true)
    this.#out.beside(() => this.flush())
    return taken !== 'impossible'
  }

  /** Says that there is no such session, with the same answer for unknown, expired and foreign ones; or how the session ended. */
  static refuse(webSocket: Wire, socket: Duplex, code: number, reason: string): void {
    webSocket.watch(socket)
    webSocket.send(controlText('abort', endPayload(code, reason)))
    webSocket.dismiss()
  }

  /** Called when a carrier has stood by for too long. */
  wake(): void {
    if (this.#standby) this.#finish()
  }

  get bufferedAmount(): number {
    return this.#out.buffered
  }

  get unreadBytes(): number {
    return this.#out.cost
  }

  get partialBytes(): number {
    return this.#ws.partialBytes
  }

  growing(): void {
    // A standby carries no messages. Where events are deferred, a first message may have come before `take` is read.
    if (!this.#standby) this.#owner.sessionAccount.count()
    else if (this.partialBytes > tolerated) this.#finish()
  }

  get progressed(): boolean {
    const bytesRead = this.#bytesRead
    const bytesQueued = this.#bytesQueued
    this.#bytesRead = (this.#socket as Partial<Socket>).bytesRead ?? 0
    // Node itself looks at this size before it lets a connection time out.
    const { _handle: handle } = this.#socket as { _handle?: { writeQueueSize?: number } | null }
    this.#bytesQueued = handle?.writeQueueSize ?? 0
    // The application has paused, and the connection is no longer read: the client's pings wait behind its messages.
    if (this.#ws.isPaused && this.#socket.readableLength >= this.#socket.readableHighWaterMark) return true
    return this.#bytesRead > bytesRead || this.#bytesQueued < bytesQueued
  }

  flush(): void {
    if (this.#ended || this.#ws.readyState !== open) return
    const { session } = this.#owner
    let room = highWater - this.#out.cost
    for (let count = 0; !this.#blocked; count++) {
      if (count === mostAtOnce) {
        this.#goOnLater()
        break
      }
      const frame = session.poll(this.link)
      if (frame === undefined) break
      if (!('data' in frame)) this.#say(frame.kind, frame.payload)
      else if (frame.kind === 'close') this.#say(frame.kind, frame.data as string)
      else {
        this.#send(frame)
        room -= frame.size
      }
      if (room < 0) {
        this.#block()
        room = highWater - this.#out.cost
      }
    }
    this.#out.flush()
  }

  end(why: 'superseded' | 'closed' | 'dead' | 'moved'): void {
    if (this.#ended) return
    // Data queued on a superseded carrier would only delay its successor: reset it.
    if (why === 'dead' || (why !== 'closed' && this.#out.buffered > longMessage)) {
      this.#ended = true
      forget(this)
      this.#ws.terminate()
      return
    }
    if (why !== 'closed') this.#say('superseded', '')
    this.#finish()
  }

  /** Tells the client of the pause, so that it does not take unacknowledged messages for lost ones. */
  pause(): void {
    this.#tellPause(true)
    this.#ws.pause()
  }

  resume(): void {
    this.#tellPause(false)
    this.#ws.resume()
  }

  #tellPause(paused: boolean): void {
    if (this.#ended || !this.#begun) return
    this.#say('pause', paused ? '1' : '0')
    this.#out.flush()
  }

  messaged(data: Buffer, binary: boolean): void {
    if (this.#ended) return
    const isControl = !binary && data[0] === 0 && data[1] !== 0
    if (isControl) this.#obey(pieceOf(data))
    else if (this.#standby) this.#finish()
    else if (binary || data[0] !== 0) this.#owner.receive(this.link, binary ? 'binary' : 'text', data)
    else this.#owner.receive(this.link, 'text', data.subarray(1))
  }

  /** The WebSocket is gone, whoever ended it. */
  closed(code: number): void {
    if (this.#ended) return
    this.#ended = true
    forget(this)
    this.#owner.lost(this, code === CloseCode.lost ? 'network' : 'client', `closed ${code}`)
  }

  /** `ws` found the incoming data invalid, and has closed the WebSocket; the session ends for the same reason. */
  faulty(error: Error & { code?: string }): void {
    if (this.#ended || !error.code?.startsWith('WS_ERR_')) return
    const code =
      error.code === 'WS_ERR_INVALID_UTF8'
        ? CloseCode.badText
        : error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
          ? CloseCode.tooBig
          : CloseCode.protocolError
    this.#owner.fail(code, error.message)
  }

  #obey(piece: Piece): void {
    const control = readControl(piece)
    if (this.#standby && control?.kind !== 'take' && control?.kind !== 'hear') {
      // A standby may say nothing else: even a paused application would not stop such a client.
      this.#finish()
    } else if (this.#standby && control?.kind === 'take') {
      const [got = 0, start = 0] = control.payload.split(',').map(Number)
      this.#takeOver(got, start)
    } else {
      if (control?.kind === 'hear') this.#hear(+control.payload)
      else this.#owner.hear(this.link, piece)
      this.#owner.settle()
    }
  }

  #takeOver(got: number, start: number): void {
    this.#standby = false
    forget(this)
    this.link.got = start
    const taken = this.#owner.take(this, { number: got, offset: 0 })
    if (taken === 'older') this.end('superseded')
    else if (
      taken === 'impossible' ||
      this.link.sent !== got ||
      start > this.#owner.session.received.number
    ) {
      this.#impossible()
    }
  }

  #hear(quiet: number): void {
    const { session } = this.#owner
    this.link.quiet = wanted(quiet)
    session.heard(now())
    if (this.#standby) this.#answerBeside()
    else {
      session.quietFrom(now())
      this.link.pongOwed ??= ''
    }
  }

  /** Answers a `hear` on a standby. A client that asks again and again and reads nothing loses the standby. */
  #answerBeside(): void {
    if (this.#out.buffered > maxControl) this.#finish()
    else {
      this.#say('pong', '')
      this.#out.flush()
    }
  }

  /** The client's counts cannot be those of this session: it has another session, although the key is the same. */
  #impossible(): void {
    if (this.#owner.isHandedOver) {
      // Another server has the session: the client must come again.
      this.end('moved')
      return
    }
    this.#say('abort', endPayload(CloseCode.lost, 'unknown session'))
    this.#finish()
    this.#owner.lost(this, 'server', 'counts do not agree')
  }

  #say(kind: Control['kind'], payload: string): void {
    // Compressing so few bytes saves none of them, and costs as much as a message of the application.
    this.#out.add(Buffer.from(controlText(kind, payload)), false, undefined, false)
  }

  #send(message: Message): void {
    const data = message.data as Buffer
    if (data.length > longMessage) this.#say('long', `${data.length}`)
    if (message.kind === 'text' && data[0] === 0) this.#out.add(Buffer.concat([zero, data]), false)
    else this.#out.add(data, message.kind === 'binary', message.frame as Buffer | undefined)
  }

  #finish(): void {
    this.#ended = true
    forget(this)
    this.#out.flush()
    this.#ws.dismiss()
  }

  /** Many small messages take long: lets other clients have their turn in between. */
  #goOnLater(): void {
    this.#blocked = true
    setImmediate(() => this.#unblock())
  }

  #unblock(): void {
    this.#blocked = false
    this.flush()
    // Callbacks of `send` wait for the messages that have gone out now.
    atEndOfTurn(this.#owner)
  }

  #block(): void {
    this.#out.flush()
    if (!this.#socket.writableNeedDrain) return
    this.#blocked = true
    this.#socket.once('drain', () => this.#unblock())
  }
}

const zero = Buffer.from([0])
