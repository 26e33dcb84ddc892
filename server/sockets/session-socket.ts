/** A client with a session: it lives on while carriers come and go. */
import { isUtf8 } from 'node:buffer'
import { CloseCode } from '../../shared/codes.ts'
import { Fifo } from '../../shared/fifo.ts'
import type { Limits } from '../../shared/limits.ts'
import type { Link, Position, SessionEvent } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import type { Attached } from '../../shared/session.ts'
import { eventOverhead, PortableSession } from '../../shared/snapshot.ts'
import type { Memory, Weighed } from '../base/memory.ts'
import { atEndOfTurn, type Flushable, rethrow } from '../base/turn.ts'
import { type Answered, UnreadAnswers } from '../base/unread.ts'
import { dateOf, forget, notBooked, now, type Timed, wakeAt } from '../base/wakeups.ts'
import type { Carrier, Transport } from './carrier.ts'
import { Diary, type ServerCarrierEntry, type ServerDiaryEntry } from './carrier-diary.ts'
import { Rate, type RateLimit } from './rate.ts'
import { type SendCallback, Socket, shownFor } from './socket.ts'
import type { Topics } from './topics.ts'

/** How much may wait for a paused application before its client is stopped on HTTP, where nothing else does it. */
const pausedBytes = 1024 * 1024
export const tooMany = 'too many messages'
/** A server that looks so late was busy: its clients' requests may be waiting to be read. */
const muchLater = 1_000

type Party = NonNullable<ServerCarrierEntry['by']>

/** The options that a socket asks for each time, so that they can be changed while it lives. */
interface SocketOptions {
  readonly autoPong?: boolean | undefined
  readonly rateLimit?: RateLimit | undefined
  readonly answerTimeout: number
  readonly maxBuffered: number
}

/** What a socket needs of the server that keeps it. */
export interface SocketHost {
  /** The application is about to be told that it is over. */
  ended(socket: Socket): void
  /** There is nothing left to answer. */
  forgotten(socket: SessionSocket): void
  /** What may be changed at any time. */
  options(): SocketOptions
  /** It was opened over HTTP and has not been seen again: how much longer it may take. */
  timeLeft(socket: SessionSocket): number
  /** It was opened over HTTP, and has been seen again. */
  seen(socket: SessionSocket): void
  readonly memory: Memory
}

export class SessionSocket extends Socket implements Flushable, Timed, Weighed, Answered {
  readonly #id: string
  readonly session: PortableSession
  carrier: Carrier | undefined
  /** The exchanges that were cut last: more of them, or again the same, may come. */
  lostCarrier: Carrier | undefined
  waiting = false
  wakeTick: number = notBooked
  #open = true
  #announced = false
  #paused = false
  #pausedBytes = 0
  /** A close received over a WebSocket while paused. Accepting it would answer it, so it waits for resume(). */
  #unheardClose: { link: Link; code: number; reason: string } | undefined
  /** Since when it has been in use. */
  #carrierSince = 0
  #diary: Diary | undefined
  #draining = false
  #sent: Fifo<{ number: number; done: SendCallback }> | undefined
  readonly #host: SocketHost
  #forgotten = false
  /** The application wants, or may get, no more messages. */
  #deaf = false
  /** The application has said its goodbye: what still comes is acknowledged, and not told. */
  #said = false
  /** Until when a client that opened it over HTTP must have come again; 0: it has. */
  #seenBy = 0
  /** Its answers that nobody has read yet; nothing while there are none. */
  #answers: UnreadAnswers | undefined
  /** What the server's memory counts for it, beside the payloads of what it sends. */
  #counted = 0
  #rate: Rate | undefined
  /** A carrier was used that leaves it to us whether text is UTF-8. */
  #checksText = false

  constructor(id: string, protocol: string, limits: Limits, topics: Topics, host: SocketHost) {
    super(protocol, topics)
    this.#id = id
    this.session = new PortableSession(limits, now(), host.memory)
    this.#host = host
  }

  override get id(): string {
    return this.#id
  }

  override get readyState(): 1 | 2 | 3 {
    if (this.session.over) return this.#open ? 2 : 3
    return this.session.closing ? 2 : 1
  }

  override get transport(): Transport | null {
    return this.#open ? (this.carrier?.transport ?? null) : null
  }

  override get bufferedAmount(): number {
    return this.session.unsentBytes + (this.carrier?.bufferedAmount ?? 0) + this.lateBytes
  }

  override get diary(): ServerDiaryEntry[] {
    const entries: ServerDiaryEntry[] = (this.#diary?.entries ?? []).map((entry) => ({ ...entry }))
    if (this.carrier) entries.push(this.#entryOf(this.carrier))
    // A carrier is entered when it has ended.
    const last = ({ type }: ServerDiaryEntry) => Number(type === 'close')
    return entries.sort((one, other) => one.at - other.at || last(one) - last(other))
  }

  override get isPaused(): boolean {
    return this.#paused
  }

  override get extensions(): string {
    return ''
  }

  override pause(): void {
    if (this.#paused || this.session.over) return
    this.#paused = true
    this.carrier?.pause()
  }

  override resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#pausedBytes = 0
    this.carrier?.resume()
    this.#hearClose()
    // Not before it has returned: who resumes may be in the middle of what came before.
    process.nextTick(settle, this)
  }

  override terminate(): void {
    if (!this.session.over) this.abort(CloseCode.lost, '')
    else {
      // Its close is on its way to the client. As with `ws`, it is not taken back: it may name the fault.
      this.#deaf = true
      process.nextTick(settle, this)
    }
  }

  /** Gives the client up, and tells it why. The application hears of it as of any end: not before it has returned. */
  abort(code: number, reason: string): void {
    this.#deaf = true
    this.session.abort(code, reason, now())
    process.nextTick(settle, this)
  }

  // ---- carriers ----

  /** Takes a carrier into use and ends the older one. */
  take(carrier: Carrier, has: Position): Attached {
    // Nothing would end it any more.
    if (this.#forgotten) return 'impossible'
    const older = this.carrier
    const result = this.session.attach(carrier.link, has, now())
    if (result !== 'attached') return result
    if (older && older !== carrier) this.#note(older, 'client', 'another was taken')
    if (older !== carrier) this.#carrierSince = now()
    this.carrier = carrier
    this.lostCarrier = undefined
    if (carrier.transport !== 'websocket') this.#checksText = true
    if (older && older !== carrier) older.end('superseded')
    if (this.#paused) carrier.pause()
    if (older !== carrier) this.#tellTransport(carrier.transport)
    this.settle()
    return result
  }

  /** The application knows of it from now on. */
  announce(): void {
    this.#announced = true
  }

  /** The carrier has ended by itself. */
  lost(carrier: Carrier, by: Party, why: string): void {
    this.session.detach(carrier.link, now())
    if (this.carrier !== carrier) return
    this.#note(carrier, by, why)
    this.carrier = undefined
    if (carrier.transport !== 'websocket') this.lostCarrier = carrier
    if (!this.session.over) this.#tellTransport(null)
    this.settle()
  }

  /** The carrier's transport name changed (polling became sse). */
  transportChanged(carrier: Carrier): void {
    if (carrier === this.carrier) this.#tellTransport(carrier.transport)
  }

  /** Its end is known on this side; whether it is on the other no longer matters. */
  dismiss(): void {
    if (this.session.over) this.carrier?.end('closed')
  }

  /** A whole message came over a carrier that keeps order. */
  receive(link: Link, kind: Message['kind'], data: Buffer | string, code: number): void {
    if (kind === 'close' && this.#waits) this.#unheardClose = { link, code, reason: data as string }
    else this.session.receive(link, kind, data, code, now())
    this.came(1)
    this.settle()
  }

  /** So many messages came. */
  came(messages: number): void {
    const { rateLimit } = this.#host.options()
    if (!rateLimit || messages === 0) return
    this.#rate ??= new Rate()
    if (!this.#rate.exceeded(rateLimit, messages, now())) return
    this.#deaf = true
    this.session.fail(CloseCode.policy, tooMany, now())
  }

  pingArrived(link: Link, payload: string): void {
    // One without payload may be the client's own, which takes silence for its end.
    if (payload === '' || this.#host.options().autoPong !== false)
      this.session.pingArrived(link, payload, now())
    else this.session.pingHeard(payload, now())
  }

  /** The peer broke the protocol. */
  fail(code: number, reason: string): void {
    this.session.fail(code, reason, now())
    this.settle()
  }

  /** So much came by HTTP, where nothing stops the sender while the application has paused. */
  arrived(bytes: number): void {
    if (this.#paused) this.#pausedBytes += bytes + eventOverhead
  }

  /** Too much waits for a paused application: let the client wait too. */
  get congested(): boolean {
    return this.#pausedBytes > pausedBytes
  }

  /** A close came by HTTP. An application that has paused does not hear it, so it is not answered: let the client wait. */
  closeArrived(): void {
    if (this.#waits) this.#pausedBytes = pausedBytes + 1
  }

  /** Tells the application what happened, and sends at the end of the turn what there is to send. */
  settle(): void {
    if (this.#draining || !this.#announced) return
    this.#draining = true
    let thrown = true
    try {
      // Where nothing more can come, as with `ws`, not even a paused application is kept from knowing.
      while (!this.#paused || this.#deaf || this.session.done) {
        const event = this.session.event()
        if (event === undefined) break
        this.#tell(event)
      }
      thrown = false
    } finally {
      this.#draining = false
      wakeAt(this, this.#nextTimeout)
      this.count()
      // A listener threw: the remaining events are told on the next tick.
      if (thrown) process.nextTick(settle, this)
      if (this.session.done || (this.carrier && this.session.wants(this.carrier.link))) atEndOfTurn(this)
    }
  }

  flush(): void {
    this.carrier?.flush()
    if (this.session.done) this.#forget()
    else wakeAt(this, this.#nextTimeout)
    this.count()
    if (this.#sent) this.#callBack()
  }

  #forget(): void {
    if (this.#forgotten) return
    this.#forgotten = true
    this.#host.forgotten(this)
    forget(this)
    if (this.carrier) this.#note(this.carrier, 'server', 'closed')
    this.carrier?.end('closed')
    this.carrier = undefined
    this.lostCarrier = undefined
    this.session.discard()
  }

  // ---- what it costs ----

  /** Its client has to come again until then: it may have opened it only to fill the server. */
  expectAgain(by: number): void {
    this.#seenBy = by
    wakeAt(this, by)
  }

  seen(): void {
    if (this.#seenBy === 0) return
    this.#seenBy = 0
    this.#host.seen(this)
  }

  /** Its client was never seen again. Whoever lets it go is in the middle of something that no exception may disturb. */
  abandon(): void {
    this.session.abortArrived(CloseCode.lost, 'connection lost')
    try {
      this.settle()
    } catch (error) {
      rethrow(error)
    }
    this.flush()
  }

  get answers(): UnreadAnswers {
    this.#answers ??= new UnreadAnswers()
    return this.#answers
  }

  /** How long an answer, or what was written into a stream, may wait for the client to read it. */
  get answerTimeout(): number {
    return this.#host.options().answerTimeout
  }

  get weight(): number {
    return this.session.weight + (this.#answers?.bytes ?? 0) + (this.carrier?.partialBytes ?? 0)
  }

  overload(): void {
    this.abort(CloseCode.tryAgainLater, 'server out of memory')
    this.#answers?.giveUp()
    const { carrier } = this
    carrier?.flush()
    try {
      // What has come in part stays with a WebSocket for as long as that is open.
      if (carrier && carrier.partialBytes > 0) this.#drop(carrier)
    } catch (error) {
      rethrow(error)
    }
    this.count()
  }

  /** Answers that nobody reads are counted where they are watched. */
  count(): void {
    const counted = this.#forgotten ? 0 : this.session.ownBytes + (this.carrier?.partialBytes ?? 0)
    if (counted === this.#counted) return
    this.#host.memory.add(counted - this.#counted)
    this.#counted = counted
  }

  wake(time: number): void {
    // A large message is heard as a whole when its last byte has come.
    if (this.carrier?.progressed) this.session.heard(time)
    this.session.handleTimeout(time)
    const { carrier } = this
    // At once: while the application has paused, no event is told.
    if (carrier && carrier.link !== this.session.link) this.#drop(carrier)
    // An exchange that is held is answered; of a WebSocket its client would have to confirm the end.
    else if (this.session.done && carrier?.transport === 'websocket') carrier.end('dead')
    if (this.#seenBy !== 0 && time > this.#seenBy + muchLater) this.#seenBy = time + muchLater
    else if (this.#seenBy !== 0 && time >= this.#seenBy) {
      const left = this.#host.timeLeft(this)
      if (left <= 0) {
        this.#host.seen(this)
        this.abandon()
        return
      }
      this.#seenBy = time + left
    }
    this.settle()
    atEndOfTurn(this)
  }

  // ---- what Socket asks for ----

  protected override transmit(message: Message, done: SendCallback | undefined): void {
    const taken = this.session.send(message)
    if (taken === 'taken') {
      if (done) {
        this.#sent ??= new Fifo()
        this.#sent.push({ number: this.session.lastNumber, done })
      }
      if (this.carrier) atEndOfTurn(this)
      return
    }
    if (taken === 'closed') this.tooLate(message.size, done)
    else {
      if (done) process.nextTick(done, new Error('Too many bytes wait for the client (maxBuffered)'))
      this.abort(CloseCode.tryAgainLater, 'too many bytes wait for the client (maxBuffered)')
    }
  }

  protected override beginClose(code: number, reason: string): void {
    if (this.readyState === 1) this.#said = true
    this.session.close(code, reason, now())
    this.#hearClose()
    this.settle()
  }

  protected override sendPing(kind: 'ping' | 'pong', payload: Buffer, done: SendCallback | undefined): void {
    if (this.readyState !== 1) {
      this.tooLate(payload.length, done)
      return
    }
    this.session[kind](payload.toString('latin1'))
    if (done) process.nextTick(done)
    this.settle()
  }

  #tell(event: SessionEvent): void {
    switch (event.type) {
      case 'message': {
        const data = asBuffer(event.data)
        if (this.#deaf || this.#said) return
        if (this.#checksText && !event.binary && !isUtf8(data)) {
          this.#deaf = true
          this.session.fail(CloseCode.badText, 'invalid UTF-8', now())
        } else this.emitMessage(data, event.binary)
        return
      }
      case 'ping':
      case 'pong':
        shownFor(this).emit(event.type, Buffer.from(event.payload, 'latin1'))
        return
      case 'drop':
        if (event.link === this.carrier?.link) this.#drop(this.carrier)
        return
      case 'close':
        this.#ended(event.code, event.reason, event.clean)
    }
  }

  /** While carriers change hands no exception of the application's may come between. */
  #tellTransport(transport: Transport | null): void {
    if (!this.#announced) return
    try {
      shownFor(this).emit('transportchange', transport)
    } catch (error) {
      rethrow(error)
    }
  }

  get #nextTimeout(): number {
    const next = this.session.nextTimeout()
    return this.#seenBy === 0 ? next : Math.min(next, this.#seenBy)
  }

  get #waits(): boolean {
    return this.#paused && !this.session.closing
  }

  #hearClose(): void {
    const close = this.#unheardClose
    this.#unheardClose = undefined
    if (close) this.session.receive(close.link, 'close', close.reason, close.code, now())
  }

  #drop(carrier: Carrier): void {
    carrier.end('dead')
    this.lost(carrier, 'server', 'silent')
  }

  #note(carrier: Carrier, by: Party, why: string): void {
    this.#diary ??= new Diary()
    this.#diary.add({ ...this.#entryOf(carrier), ended: now() - this.#carrierSince, by, why })
  }

  #entryOf({ transport, link }: Carrier): ServerCarrierEntry {
    const { session } = this
    return {
      type: 'carrier',
      at: dateOf(this.#carrierSince),
      transport,
      epoch: link.epoch,
      received: session.received.number,
      acknowledged: session.acknowledged.number,
    }
  }

  #ended(code: number, reason: string, clean: boolean): void {
    if (!this.#open) return
    this.#open = false
    this.#diary ??= new Diary()
    this.#diary.add({ type: 'close', at: dateOf(now()), code, reason })
    if (!clean && reason !== '' && this.session.closing)
      this.emitError(Object.assign(new Error(reason), { code: 'EVERWIRE_PROTOCOL_ERROR' }))
    if (this.#sent) this.#callBack(new Error(`The session has ended: ${reason || code}`))
    this.#host.ended(this)
    this.emitClose(code, Buffer.from(reason))
  }

  #callBack(error?: Error): void {
    const reached = this.carrier?.link.sent ?? this.session.acknowledged.number
    const called: SendCallback[] = []
    for (let next = this.#sent?.at(0); next && (error || next.number <= reached); next = this.#sent?.at(0)) {
      called.push(next.done)
      this.#sent?.shift()
    }
    if (this.#sent?.length === 0) this.#sent = undefined
    for (const done of called) done(error)
  }
}

function asBuffer(data: string | Uint8Array): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

function settle(socket: SessionSocket): void {
  socket.settle()
}
