/** A client with a session: it lives on while carriers come and go. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { hear } from '../../shared/carry.ts'
import { CloseCode } from '../../shared/codes.ts'
import { type Piece, readControl } from '../../shared/frame.ts'
import { type Limits, maxToken } from '../../shared/limits.ts'
import type { Attached, Link, Position, SessionEvent } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import { PortableSession, type Snapshot } from '../../shared/snapshot.ts'
import { atEndOfTurn, type Flushable, safely } from '../base/turn.ts'
import { forget, notBooked, now, wakeAt } from '../base/wakeups.ts'
import type { Keeper, Kept, KeptSocket } from '../durable/durable.ts'
import { DurableSession } from '../durable/durable-session.ts'
import { type BinaryType, toBuffer } from '../messages/data.ts'
import type { Topics } from '../messages/topics.ts'
import type { Carrier, Transport } from './carrier.ts'
import type { ServerDiaryEntry } from './carrier-diary.ts'
import type { EndReason } from './end-reasons.ts'
import { tooMany } from './rate.ts'
import type { Reports } from './reports.ts'
import { callAll, SendCallbacks } from './send-callbacks.ts'
import { type AccountHost, type AccountServer, SessionAccount } from './session-account.ts'
import { type Party, SessionCarriers } from './session-carriers.ts'
import { SessionPause } from './session-pause.ts'
import { Socket, shownFor } from './socket.ts'
import type { SendCallback } from './socket-events.ts'
import { type AskTokenOptions, TokenQuestion } from './token-question.ts'

/** What a session's socket needs of the server that keeps it. */
export interface SessionSocketHost extends AccountServer {
  /** The session has ended, and no request of its client needs an answer any more. */
  forgotten(socket: SessionSocket): void
  /** Another server goes on with the session. */
  handedOver(socket: SessionSocket): void
  /** Stores the sessions in durable mode; undefined without it. */
  readonly keeper?: Keeper | undefined
}

export class SessionSocket extends Socket implements Flushable, AccountHost, KeptSocket {
  readonly #id: string
  readonly session: PortableSession
  waiting = false
  wakeTick: number = notBooked
  readonly sessionAccount: SessionAccount
  readonly #host: SessionSocketHost
  readonly #carriers = new SessionCarriers()
  #callbacks: SendCallbacks | undefined
  #pause: SessionPause | undefined
  #question: TokenQuestion | undefined
  /** Whether the application knows of the socket: until its 'close' has been told. */
  #shown: 'not yet' | 'yes' | 'closed' = 'not yet'
  /**
   * 'closing': the application has called close(). Messages that come later are acknowledged, and the application is not told of them.
   * 'ended': terminated, given up or at fault. The application is told of no message, and a pause does not delay its `close` event.
   */
  #hears: 'all' | 'closing' | 'ended' = 'all'
  /** After close(): how many messages that came before it must still be told. */
  #owed = 0
  /** Why the session ends, where its state alone does not say it. */
  #cause: EndReason | undefined
  #telling = false
  /** An HTTP carrier was used: these do not check that text is UTF-8. */
  #checksText = false
  /** In durable mode only. */
  readonly #kept: Kept | undefined

  /** `from`: the session of another server, as it was handed over. */
  constructor(
    id: string,
    protocol: string,
    limits: Limits,
    topics: Topics,
    host: SessionSocketHost,
    from?: Snapshot,
  ) {
    super(protocol, topics)
    this.#id = id
    const { replayed } = host.reports.statistics
    const { keeper } = host
    if (keeper) {
      const session = DurableSession.make(limits, now(), host.memory, replayed, from)
      this.session = session
      this.#kept = keeper.keep(this, session, !from)
      // The application on the other server has been told of the end.
      if (from?.over) this.#shown = 'closed'
    } else if (from) this.session = PortableSession.restore(from, limits, now(), host.memory, replayed)
    else this.session = new PortableSession(limits, now(), host.memory, replayed)
    this.#host = host
    this.sessionAccount = new SessionAccount(this, host)
    this.sessionAccount.count()
    if (!this.session.closing) return
    // The application on the other server has called close().
    this.#endClosing()
  }

  override get id(): string {
    return this.#id
  }

  override get readyState(): 1 | 2 | 3 {
    if (this.session.over) return this.#shown === 'closed' ? 3 : 2
    return this.session.closing ? 2 : 1
  }

  override get transport(): Transport | null {
    return this.#shown === 'closed' ? null : (this.carrier?.transport ?? null)
  }

  override get bufferedAmount(): number {
    return this.session.unsentBytes + (this.carrier?.bufferedAmount ?? 0) + this.lateBytes
  }

  override get diary(): ServerDiaryEntry[] {
    return this.#carriers.diary(this.session)
  }

  override get isPaused(): boolean {
    return this.#pause?.isOver === false
  }

  override get extensions(): string {
    return ''
  }

  override pause(): void {
    if (this.isPaused || this.session.over) return
    // The last pause is over, but not all events have been told since: the carrier is still paused.
    if (this.#pause) this.#pause.begin(this.session)
    else {
      this.#pause = new SessionPause(this.session)
      this.carrier?.pause()
    }
  }

  override resume(): void {
    if (!this.isPaused) return
    this.#pause?.end()
    // Events come after this call has returned: the caller may be in the middle of an earlier one.
    process.nextTick(settle, this)
  }

  override askToken(options: AskTokenOptions = {}): Promise<string | undefined> {
    if (this.session.over) return Promise.resolve(undefined)
    if (!this.#question?.isOpen) this.#question = new TokenQuestion(this.session, options)
    this.askAgain()
    atEndOfTurn(this)
    return this.#question.answered
  }

  /** Asks for the token again: the carrier is a new one, or the client may not have read the question. */
  askAgain(): void {
    this.#question?.ask()
  }

  override terminate(): void {
    if (!this.session.over) this.abort(CloseCode.lost, '', 'terminated')
    else {
      // This end's close is on its way to the client. As with `ws`, it is not taken back: it may name the client's fault.
      this.#hears = 'ended'
      process.nextTick(settle, this)
    }
  }

  /** Gives the client up, and tells it why. The application gets `close` after this call has returned. */
  abort(code: number, reason: string, cause: EndReason): void {
    this.#endsFor(cause)
    this.#hears = 'ended'
    // At once, because the session may be ended for its memory.
    this.session.forgetUntold()
    this.session.abort(code, reason, now())
    process.nextTick(settle, this)
  }

  // ---- carriers ----

  get carrier(): Carrier | undefined {
    return this.#carriers.current
  }

  /** The carrier in use, or a cut HTTP carrier, which may be taken again. */
  get lastCarrier(): Carrier | undefined {
    return this.#carriers.last
  }

  /** Takes a carrier into use and ends the older one. */
  take(carrier: Carrier, has: Position): Attached {
    // The session is forgotten: nothing would end the carrier any more.
    if (this.sessionAccount.isClosed) return 'impossible'
    const older = this.carrier
    const isFirst = this.session.epoch === 0
    const result = this.session.attach(carrier.link, has, now())
    if (result !== 'attached') return result
    this.#carriers.use(this, carrier, isFirst)
    if (carrier.transport !== 'websocket') this.#checksText = true
    older?.end('superseded')
    if (this.#pause) carrier.pause()
    this.askAgain()
    this.#tellTransport(carrier.transport)
    this.settle()
    return result
  }

  /** From now on the application knows of the session. */
  announce(): void {
    this.#shown = 'yes'
    this.#kept?.changed()
  }

  get isAnnounced(): boolean {
    return this.#shown !== 'not yet'
  }

  get isShown(): boolean {
    return this.#shown === 'yes'
  }

  get reports(): Reports {
    return this.#host.reports
  }

  /** The application is about to see the socket: reports the session and its first carrier. */
  reportOpening(request: IncomingMessage): void {
    this.reports.opened(this, request, false)
    this.#carriers.reportFirst(this)
  }

  /** The carrier has ended by itself. */
  lost(carrier: Carrier, by: Party, why: string): void {
    this.session.detach(carrier.link, now())
    if (this.carrier !== carrier) return
    this.#carriers.leave(this, by, why)
    if (!this.session.over) this.#tellTransport(null)
    this.settle()
  }

  /** The carrier's transport name changed (polling became sse). */
  transportChanged(carrier: Carrier): void {
    if (carrier === this.carrier) this.#tellTransport(carrier.transport)
  }

  /** If the session is over here, ends the carrier, whether or not the client knows of the end. */
  dismiss(): void {
    if (this.session.over) this.carrier?.end('closed')
  }

  /** A whole message came over a carrier that keeps order. */
  receive(link: Link, kind: Message['kind'], data: Buffer | string): void {
    const pause = kind === 'close' ? this.#keepingPause : undefined
    if (pause) pause.keepClose(link, data as string)
    else this.session.receive(link, kind, data, now())
    this.came(1)
    this.settle()
  }

  /** A control, or a malformed one, came over a carrier; or a record of a body, with its place `at`. */
  hear(link: Link, piece: Piece, at?: { number: number; offset: number }): void {
    const control = readControl(piece)
    if (control?.kind === 'ping') this.#pingArrived(link, control.payload)
    else if (control?.kind === 'pong') this.session.pongArrived(control.payload, now())
    else if (control?.kind === 'token' && Buffer.byteLength(control.payload) <= maxToken)
      this.#question?.answer(control.payload)
    else if (control?.kind === 'pause') this.session.holdBack(control.payload > '0')
    else if (control?.kind === 'close' && !at) this.receive(link, 'close', control.payload)
    else if (piece.kind === 'close' && typeof piece.payload !== 'string' && !isUtf8(piece.payload))
      this.session.fail(CloseCode.badText, 'invalid UTF-8', now())
    else {
      if (control?.kind === 'abort') this.#endsFor('left')
      hear(this.session, link, piece, now(), at, control)
    }
  }

  /** This many messages came. */
  came(messages: number): void {
    if (!this.sessionAccount.exceeds(messages)) return
    this.#endsFor('rateLimit')
    this.#hears = 'ended'
    this.session.fail(CloseCode.policy, tooMany, now())
  }

  #pingArrived(link: Link, payload: string): void {
    // A ping without payload may come from the client's session, which would take silence for a lost connection.
    if (payload === '' || this.#host.options().autoPong !== false)
      this.session.pingArrived(link, payload, now())
    else this.session.pingHeard(payload, now())
  }

  /** The peer broke the protocol. */
  fail(code: number, reason: string): void {
    this.session.fail(code, reason, now())
    this.settle()
  }

  /** This many bytes came over HTTP, where no buffer of the network stops the client while the application has paused. */
  arrived(bytes: number): void {
    this.#pause?.arrived(bytes)
  }

  /** Too much waits for a paused application, or for the store: let the client wait too. */
  get congested(): boolean {
    return this.#pause?.congested === true || this.#kept?.isLate === true
  }

  /** Whether a short exchange may be answered. */
  get mayAnswer(): boolean {
    return !this.#kept || this.session.done || this.#kept.mayAnswer
  }

  /** A close came over HTTP. Accepting it would answer it, so a client waits while the application has paused. */
  closeArrived(): void {
    this.#keepingPause?.congest()
  }

  /** Tells the application what happened, and sends at the end of the turn what there is to send. */
  settle(): void {
    if (this.#telling) return
    if (this.#shown === 'not yet') {
      // The session has ended before the application knew of it.
      if (this.session.done) atEndOfTurn(this)
      return
    }
    this.#telling = true
    let thrown = true
    let hasTold = false
    try {
      for (;;) {
        // When nothing more can come, even a paused application is told of the end, as with `ws`.
        const hears = !this.isPaused || this.#hears === 'ended' || this.session.done
        const event = hears ? this.session.event() : undefined
        if (event !== undefined) {
          hasTold = true
          this.#tell(event)
        } else if (this.#pause?.isOver) this.#goOn(this.#pause)
        else break
      }
      thrown = false
    } finally {
      this.#telling = false
      if (hasTold) this.#kept?.changed()
      else this.#kept?.acknowledged()
      wakeAt(this, this.sessionAccount.nextTimeout)
      this.sessionAccount.count()
      // A listener threw: the remaining events are told on the next tick.
      if (thrown) process.nextTick(settle, this)
      if (this.session.done || (this.carrier && this.session.wants(this.carrier.link))) atEndOfTurn(this)
    }
  }

  /** The application has been told of everything that waited during its pause: the carrier goes on. */
  #goOn(pause: SessionPause): void {
    this.#pause = undefined
    this.carrier?.resume()
    pause.acceptClose(this.session)
  }

  flush(): void {
    this.carrier?.flush()
    if (this.session.done) this.#forget()
    else wakeAt(this, this.sessionAccount.nextTimeout)
    this.sessionAccount.countSent()
    if (this.#callbacks) this.#callBack(this.carrier?.link.sent ?? this.session.acknowledged.number)
  }

  #forget(): void {
    if (this.sessionAccount.isClosed) return
    this.sessionAccount.close()
    this.#kept?.close()
    this.#host.forgotten(this)
    forget(this)
    const { carrier } = this
    this.#carriers.leave(this, 'server', 'closed')
    this.#carriers.forget()
    carrier?.end('closed')
    this.session.discard()
  }

  /** Whether another server can go on with the session as it is now. */
  get isPortable(): boolean {
    return this.#shown === 'yes' && !this.session.over && !this.isReading
  }

  /**
   * Ends the session here, because another server goes on with it. The client must come again at once; the application here gets
   * `close`.
   */
  handOver(code: number, reason: string): void {
    // Also if the application has called close() before.
    this.#cause = 'handedOver'
    this.#kept?.close()
    const { carrier } = this
    this.#carriers.leave(this, 'server', reason)
    this.#carriers.forget()
    carrier?.end('moved')
    this.#host.handedOver(this)
    this.session.leave(code, reason)
    // The messages that wait are not lost, so their callbacks get no error.
    if (this.#callbacks) this.#callBack(Number.POSITIVE_INFINITY)
    safely(() => this.settle())
    this.flush()
  }

  // ---- the durable mode ----

  override get received(): number {
    return this.session.told
  }

  override touch(): void {
    this.#kept?.changed()
  }

  get shownType(): BinaryType {
    return shownFor(this).binaryType
  }

  get shownData(): unknown {
    return shownFor(this).data
  }

  /** Whether the application is still busy with a message. */
  get isHandling(): boolean {
    return this.session instanceof DurableSession && this.session.isHandling
  }

  stored(): void {
    atEndOfTurn(this)
  }

  notKept(): void {
    this.abort(CloseCode.serverError, 'socket.data cannot be written down', 'server')
  }

  /** Whether another server goes on with the session. */
  get isHandedOver(): boolean {
    return this.#cause === 'handedOver'
  }

  /** Ends the session: its client was never seen again. An exception of a listener must not disturb the caller. */
  abandon(): void {
    this.#endsFor('unused')
    this.session.abortArrived(CloseCode.lost, 'connection lost')
    safely(() => this.settle())
    this.flush()
  }

  wake(time: number): void {
    // A large message arrives for the session only with its last byte, so look for progress here.
    if (this.carrier?.progressed) this.session.heard(time)
    this.session.handleTimeout(time)
    const { carrier } = this
    // At once: while the application has paused, no event is told.
    if (carrier && carrier.link !== this.session.link) this.dropCarrier(carrier)
    // A held exchange is answered at the end of the turn. A WebSocket is cut, because its client would have to confirm a close.
    else if (this.session.done && carrier?.transport === 'websocket') carrier.end('dead')
    if (this.sessionAccount.abandonUnlessSeen(time)) return
    this.settle()
    atEndOfTurn(this)
  }

  // ---- what Socket asks for ----

  protected override transmit(message: Message, done: SendCallback | undefined): void {
    const taken = this.session.send(message)
    if (taken === 'taken') {
      this.#host.reports.statistics.sent.add(message.size)
      if (done) {
        this.#callbacks ??= new SendCallbacks()
        this.#callbacks.add(this.session.lastNumber, done)
      }
      // In durable mode the message leaves when it is stored.
      if (this.#kept) this.#kept.changed()
      else if (this.carrier) atEndOfTurn(this)
      return
    }
    if (taken === 'closed') this.tooLate(message.size, done)
    else {
      if (done) process.nextTick(done, new Error('Too many bytes wait for the client (maxBuffered)'))
      this.abort(CloseCode.tryAgainLater, 'too many bytes wait for the client (maxBuffered)', 'maxBuffered')
    }
  }

  protected override beginClose(code: number, reason: string): void {
    if (this.readyState === 1) this.#endClosing()
    this.session.close(code, reason, now())
    this.#kept?.changed()
    this.#pause?.acceptClose(this.session)
    this.settle()
  }

  /** As with `ws`, the application is told of the messages that came before its close, also when it goes on after a pause. */
  #endClosing(): void {
    this.#hears = 'closing'
    this.#owed = this.session.untoldMessages
    this.#endsFor('server')
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
        const data = toBuffer(event.data, false)
        if (this.#hears === 'ended' || (this.#hears === 'closing' && this.#owed-- < 1)) return
        if (this.#checksText && !event.binary && !isUtf8(data)) {
          this.#hears = 'ended'
          this.session.fail(CloseCode.badText, 'invalid UTF-8', now())
        } else {
          this.#host.reports.statistics.received.add(data.length)
          if (this.#kept) this.#kept.told(this.tellMessage(data, event.binary))
          else this.emitMessage(data, event.binary)
        }
        return
      }
      case 'ping':
      case 'pong':
        shownFor(this).emit(event.type, Buffer.from(event.payload, 'latin1'))
        return
      case 'drop':
        if (event.link === this.carrier?.link) this.dropCarrier(this.carrier)
        return
      case 'close':
        this.#ended(event.code, event.reason, event.clean)
    }
  }

  /** An exception of a listener must not interrupt a change of carriers. */
  #tellTransport(transport: Transport | null): void {
    if (!this.isShown) return
    safely(() => shownFor(this).emit('transportchange', transport))
  }

  /** The pause, if a close that comes now must wait until it is over. */
  get #keepingPause(): SessionPause | undefined {
    return this.session.closing ? undefined : this.#pause
  }

  dropCarrier(carrier: Carrier): void {
    carrier.end('dead')
    this.lost(carrier, 'server', 'silent')
  }

  /** The first reason counts. */
  #endsFor(cause: EndReason): void {
    if (!this.session.over) this.#cause ??= cause
  }

  #ended(code: number, reason: string, clean: boolean): void {
    if (this.#shown === 'closed') return
    this.#shown = 'closed'
    const cause = this.#cause ?? (this.session.failed ? 'fault' : clean ? 'client' : 'lost')
    if (this.session.epoch > 0) this.reports.ended(this, cause, code, reason, false)
    this.#carriers.closed(code, reason)
    if (this.session.failed)
      this.emitError(Object.assign(new Error(reason), { code: 'EVERWIRE_PROTOCOL_ERROR' }))
    if (this.#callbacks)
      this.#callBack(Number.POSITIVE_INFINITY, new Error(`The session has ended: ${reason || code}`))
    this.#question?.answer('')
    this.#host.ended(this)
    this.emitClose(code, Buffer.from(reason))
  }

  #callBack(reached: number, error?: Error): void {
    const due = this.#callbacks?.upTo(reached) ?? []
    if (this.#callbacks?.isEmpty) this.#callbacks = undefined
    callAll(due, error)
  }
}

function settle(socket: SessionSocket): void {
  socket.settle()
}
