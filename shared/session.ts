/**
 * The session: two numbered queues of messages, one each way, that survive the carriers which move them.
 *
 * Its two rules:
 * 1. What `send` accepted stays in the queue, under its number, until the other end acknowledged it. Whatever happens
 *    to carriers, a new one starts after what the other end says it has. (Resume, switch and retry are this one step.)
 * 2. What arrives is taken if and only if it is the next in order. So nothing can be seen twice or out of order,
 *    however often and over however many carriers it was sent.
 *
 * It knows neither I/O, nor a clock, nor its own role: calls and the time go in; frames for a carrier come out of
 * `poll`, events for the application out of `event`, and the time of the next look out of `nextTimeout`.
 */
import { enlarge } from './bytes.ts'
import { CloseCode } from './codes.ts'
import { Fifo } from './fifo.ts'
import type { Control, Frame } from './frame.ts'
import { closePace, type Limits } from './limits.ts'
import { type Link, never, type Position, type SessionEvent } from './link.ts'
import { binaryMessage, closeMessage, endPayload, type Message, readEnd } from './message.ts'

export type Attached = 'attached' | 'older' | 'impossible'

const nothing: Fifo<never> = new Fifo()
const none: Uint8Array = new Uint8Array(0)
/** Sent instead of a message that has since been acknowledged, where those behind it are counted from it. */
const blank = binaryMessage(none)
/** What a message costs beside its payload. */
const overhead = 64

export class Session {
  readonly limits: Limits
  /** The carrier that is sent on, if there is one. */
  link: Link | undefined
  /** The highest epoch ever taken. */
  epoch = 0

  /** Sent and not yet acknowledged; the first has number `base + 1`. */
  protected outgoing: Fifo<Message> = nothing
  protected base = 0
  /** What the other end has of message `base + 1`. */
  protected baseOffset = 0
  protected queuedBytes = 0
  /** Bytes that were sent by the application and are not yet with a carrier. */
  unsentBytes = 0

  protected taken = 0
  /** What has come of message `taken + 1`; the buffer grows, so that small pieces cost no more than their bytes. */
  protected partial: Uint8Array = none
  protected partialSize = 0
  #unackedCount = 0
  #unackedBytes = 0

  /** The number of our own close; 0 while there is none. */
  protected ownClose = 0
  /** The application has been told that it is over. */
  over = false
  /** Nothing is left to be said or heard: forget it. */
  done = false
  /** The payload of the abort that is to be said. */
  #abort: string | undefined

  protected events: Fifo<SessionEvent> = nothing

  heardAt: number
  #asked = false
  /** 0: none is owed. (What is never a fraction and not infinite needs no memory of its own.) */
  #ackAt = 0
  /** When the last carrier was lost, or the session made. */
  #aloneSince: number
  /** When this end's part is over, and the other end has had its time to answer; 0 before. Nothing that end does moves it. */
  protected closeBy = 0

  constructor(limits: Limits, now: number) {
    this.limits = limits
    this.heardAt = now
    this.#aloneSince = now
  }

  // ---- what the application does ----

  /** Takes a message, or says why not: 'closed' once a close was sent or heard, 'full' when the replay buffer is. */
  send(message: Message): 'taken' | 'closed' | 'full' {
    if (this.ownClose || this.over) return 'closed'
    if (this.queuedBytes + this.outgoing.length * overhead >= this.limits.maxBuffered) return 'full'
    this.enlist(message)
    return 'taken'
  }

  /** The numbered close: it arrives after all that was sent before. `CloseCode.noStatus` for a close without a code. */
  close(code: number, reason: string, now: number): void {
    if (this.ownClose || this.over) return
    this.#sendClose(code, reason, now)
  }

  /** Ends it here and now. The other end is told `code` if a carrier still goes there; what was queued is gone. */
  abort(code: number, reason: string, now: number): void {
    if (this.done) return
    this.discard()
    this.#abort = endPayload(code, reason)
    this.#emitClose(code, reason, false)
    if (this.link) this.limitClose(now)
    else this.#finish()
  }

  /** A fault of the other end: it is told `code` in order, the application here sees a lost connection. */
  fail(code: number, reason: string, now: number): void {
    if (this.over) return
    if (!this.ownClose) this.#sendClose(code, reason, now)
    this.#forgetPartial()
    this.#emitClose(CloseCode.lost, reason, false)
  }

  // ---- what carriers do ----

  /**
   * Makes `link` the carrier to send on, starting after what the other end says it has (`link.sent` says where).
   * 'older': a carrier of a higher epoch was taken before. 'impossible': it claims to have what was never sent.
   */
  attach(link: Link, has: Position, now: number): Attached {
    if (link.epoch < this.epoch) return 'older'
    if (!this.acknowledge(has)) return 'impossible'
    this.link = link
    this.epoch = link.epoch
    this.#rewind(link)
    this.heard(now)
    return 'attached'
  }

  /** The carrier has ended. Patience begins, if it was the one in use. */
  detach(link: Link, now: number): void {
    if (this.link !== link) return
    this.link = undefined
    this.#aloneSince = now
    this.unsentBytes = this.queuedBytes
    if (this.#abort) this.#finish()
  }

  /** Goes back to what the other end is known to have: what was sent after that on this carrier was lost. */
  resend(link: Link): void {
    if (this.link === link) this.#rewind(link)
  }

  /** A whole message arrived on a carrier that keeps order. */
  receive(link: Link, kind: Message['kind'], data: string | Uint8Array, now: number): void {
    link.got++
    this.heard(now)
    if (link.got <= this.taken) {
      this.#oweAck(0, now)
      return
    }
    if (link.got > this.taken + 1) {
      this.tell({ type: 'drop', link, why: 'faulty' })
      return
    }
    this.#forgetPartial()
    this.#accept(kind, data, now)
  }

  /**
   * A message or a piece of one arrived with its place: bytes, or the payload of a close. Returns false if something
   * before it is missing.
   */
  receiveAt(
    at: Position,
    kind: Message['kind'],
    data: string | Uint8Array,
    more: boolean,
    now: number,
  ): boolean {
    this.heard(now)
    const number = at.number + 1
    if (number <= this.taken) {
      this.#oweAck(0, now)
      return true
    }
    const have = this.partialSize
    if (number > this.taken + 1 || at.offset > have) return false
    if (typeof data === 'string') {
      // It is in one piece, so what has come of this message was none.
      if (have) this.fail(CloseCode.protocolError, 'malformed close', now)
      else this.#accept(kind, data, now)
      return true
    }
    const skip = have - at.offset
    if (skip > data.length || (skip === data.length && more)) return true
    const fresh = skip === 0 ? data : data.subarray(skip)
    const size = have + fresh.length
    if (size > this.limits.maxPayload) {
      this.fail(CloseCode.tooBig, 'message too big', now)
      return true
    }
    if (more || have > 0) this.keep(fresh, size)
    if (more) return true
    const whole = have > 0 ? this.partial.subarray(0, size) : fresh
    this.#forgetPartial()
    this.#accept(kind, whole, now)
    return true
  }

  /** A piece of a message, which has this size with it. */
  protected keep(piece: Uint8Array, size: number): void {
    const have = this.partialSize
    if (size > this.partial.length) this.partial = enlarge(this.partial, have, size)
    this.partial.set(piece, have)
    this.partialSize = size
  }

  /**
   * The other end has all up to here. What it says of a message it has in part holds until it says otherwise.
   * Returns false if it claims what was never sent.
   */
  acknowledge(has: Position): boolean {
    if (has.number < this.base) return true
    if (this.#abort) {
      // Nothing is kept any more; the ends still count alike.
      this.base = has.number
      return true
    }
    if (has.number > this.lastNumber || has.offset > (this.outgoing.at(has.number - this.base)?.size ?? 0))
      return false
    // Where `link` stands is not moved: what it sends next has its place after what it sent before, as the receiver counts.
    const sent = this.link?.sent ?? 0
    while (this.base < has.number) {
      const { size } = this.forgetFirst() as Message
      this.base++
      this.queuedBytes -= size
      if (sent < this.base) this.unsentBytes -= size
    }
    // An idle session keeps no list.
    if (!this.outgoing.length) this.outgoing = nothing
    this.baseOffset = has.offset
    if (this.ownClose && this.base >= this.ownClose && this.over) this.#finish()
    return true
  }

  /** The same as a sign of life. What was never sent fails the session. */
  ackArrived(has: Position, now: number): boolean {
    this.heard(now)
    const taken = this.acknowledge(has)
    if (!taken) this.fail(CloseCode.protocolError, 'bad ack', now)
    return taken
  }

  pingArrived(link: Link, payload: string, now: number): void {
    this.heard(now)
    link.pongOwed = payload
    if (!this.over) this.tell({ type: 'ping', payload })
  }

  /** The other end gave the session up, or does not know it. */
  abortArrived(code: number, reason: string): void {
    this.#emitClose(code, reason, false)
    this.#finish()
  }

  /** Anything at all arrived: the carrier lives. A time to come: it is busy until then with what it has announced. */
  heard(now: number): void {
    this.heardAt = now
    this.#asked = false
  }

  // ---- what goes out ----

  /** The next frame for this carrier, or nothing. Messages come whole; a carrier that cuts them uses `peek` and `advance`. */
  poll(link: Link): Frame | undefined {
    const control = this.pollControl(link)
    if (control) return control
    const message = this.peek(link)
    if (message) this.advance(link, 0, true)
    return message
  }

  /** The next frame that is no message. Acknowledgements only for a carrier that does not state them by itself. */
  pollControl(link: Link, acks = true): Control | undefined {
    if (link !== this.link) return undefined
    if (this.#abort && !this.done) {
      this.#finish()
      return { kind: 'abort', payload: this.#abort }
    }
    if (link.pongOwed !== undefined) {
      const payload = link.pongOwed
      link.pongOwed = undefined
      return { kind: 'pong', payload }
    }
    if (link.pingOwed !== undefined) {
      const payload = link.pingOwed
      link.pingOwed = undefined
      return { kind: 'ping', payload }
    }
    if (link.tokenOwed !== undefined) {
      const payload = link.tokenOwed
      link.tokenOwed = undefined
      return { kind: 'token', payload }
    }
    if (acks && this.#ackIsDue) {
      this.ackStated()
      return { kind: 'ack', payload: `${this.taken}` }
    }
    return undefined
  }

  /** What this carrier would send next, and from which byte of it. */
  peek(link: Link): Message | undefined {
    if (link !== this.link || Math.max(link.sent, this.base) >= this.lastNumber) return undefined
    return this.outgoing.at(link.sent - this.base) ?? blank
  }

  /** The carrier has sent so many bytes of what `peek` gave, `whole` if that ends it. */
  advance(link: Link, bytes: number, whole: boolean): void {
    link.sentOffset += bytes
    if (!whole) return
    this.unsentBytes -= this.outgoing.at(link.sent - this.base)?.size ?? 0
    link.sent++
    link.sentOffset = 0
  }

  /** Whether `poll` or a carrier of pieces would have something to send. */
  wants(link: Link, acks = true): boolean {
    if (link !== this.link) return false
    return (
      (!!this.#abort && !this.done) ||
      link.pongOwed !== undefined ||
      link.pingOwed !== undefined ||
      link.tokenOwed !== undefined ||
      this.peek(link) !== undefined ||
      (acks && this.#ackIsDue)
    )
  }

  /** Where this end's reading stands. */
  get received(): Position {
    return { number: this.taken, offset: this.partialSize }
  }

  /** A carrier has stated `received`. */
  ackStated(): void {
    this.#unackedCount = 0
    this.#unackedBytes = 0
    this.#ackAt = 0
  }

  /** What the other end is known to have. */
  get acknowledged(): Position {
    return { number: this.base, offset: this.baseOffset }
  }

  /** The next event for the application. */
  event(): SessionEvent | undefined {
    const event = this.events.shift()
    if (!this.events.length) this.events = nothing
    return event
  }

  /** The number of the last message that was sent by the application. */
  get lastNumber(): number {
    return this.base + this.outgoing.length
  }

  /** Bytes that are with a carrier and not yet acknowledged. */
  get sentBytes(): number {
    return this.queuedBytes - this.unsentBytes
  }

  get closing(): boolean {
    return this.ownClose !== 0
  }

  // ---- time ----

  nextTimeout(): number {
    if (this.done) return never
    if (!this.link) return this.#giveUpAt
    const silent = this.heardAt + this.limits.silence + (this.#asked ? this.limits.grace : 0)
    return Math.min(this.#ackAt || never, silent, this.#giveUpAt)
  }

  handleTimeout(now: number): void {
    if (this.done) return
    const link = this.link
    if (now >= this.#giveUpAt) {
      this.#emitClose(CloseCode.lost, 'connection lost', false)
      this.#finish()
    }
    if (this.done || !link) return
    if (this.#ackAt && now >= this.#ackAt) {
      this.#unackedCount = this.limits.ackMessages
      this.#ackAt = 0
    }
    if (now < this.heardAt + this.limits.silence) return
    if (!this.#asked) {
      this.#asked = true
      link.pingOwed ??= ''
      // Asked late (a throttled timer, a sleeping machine): the answer still gets its time.
      this.heardAt = Math.max(this.heardAt, now - this.limits.silence)
    } else if (now >= this.heardAt + this.limits.silence + this.limits.grace) {
      this.tell({ type: 'drop', link, why: 'silent' })
      this.detach(link, now)
    }
  }

  // ---- inside ----

  get #giveUpAt(): number {
    return Math.min(this.link ? never : this.#aloneSince + this.limits.patience, this.closeBy || never)
  }

  protected limitClose(now: number): void {
    const { closeTimeout, patience } = this.limits
    this.closeBy ||= now + (closeTimeout ?? patience + this.queuedBytes / closePace)
  }

  /** No message is kept any more. */
  discard(): void {
    while (this.forgetFirst());
    this.outgoing = nothing
    this.queuedBytes = this.unsentBytes = 0
    this.#forgetPartial()
  }

  protected forgetFirst(): Message | undefined {
    return this.outgoing.shift()
  }

  get #ackIsDue(): boolean {
    return this.#unackedCount >= this.limits.ackMessages || this.#unackedBytes >= this.limits.ackBytes
  }

  protected enlist(message: Message): void {
    if (this.outgoing === nothing) this.outgoing = new Fifo()
    this.outgoing.push(message)
    this.queuedBytes += message.size
    this.unsentBytes += message.size
  }

  #sendClose(code: number, reason: string, now: number): void {
    this.limitClose(now)
    this.enlist(closeMessage(code, reason))
    this.ownClose = this.lastNumber
  }

  #accept(kind: Message['kind'], data: string | Uint8Array, now: number): void {
    this.taken++
    this.#oweAck(data.length, now)
    // After a close, or after this end has failed, nothing more is told to the application; it is still acknowledged.
    if (kind === 'close') {
      const { code, reason } = readEnd(data as string)
      this.#emitClose(code, reason, true)
      this.#unackedCount = this.limits.ackMessages
      if (!this.ownClose) this.#sendClose(code, reason, now)
      else if (this.base >= this.ownClose) this.#finish()
    } else if (!this.over) {
      if (data.length > this.limits.maxPayload) this.fail(CloseCode.tooBig, 'message too big', now)
      else this.tell({ type: 'message', binary: kind === 'binary', data })
    }
  }

  /** Something arrived that the other end keeps until it is told so: for the first time, or once more. */
  #oweAck(bytes: number, now: number): void {
    this.#unackedCount++
    this.#unackedBytes += bytes
    if (this.#unackedCount === 1) this.#ackAt = now + (this.link?.ackDelay ?? 0)
  }

  #forgetPartial(): void {
    this.partial = none
    this.partialSize = 0
  }

  #emitClose(code: number, reason: string, clean: boolean): void {
    if (this.over) return
    this.over = true
    this.tell({ type: 'close', code, reason, clean })
  }

  #finish(): void {
    this.done = true
  }

  #rewind(link: Link): void {
    link.sent = this.base
    link.sentOffset = this.baseOffset
    this.unsentBytes = this.queuedBytes
  }

  protected tell(event: SessionEvent): void {
    if (this.events === nothing) this.events = new Fifo()
    this.events.push(event)
  }
}
