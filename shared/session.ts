/**
 * The session: two numbered queues of messages, one in each direction, that outlive the carriers which move them.
 *
 * Two rules keep every message exactly once and in order:
 * 1. A message that `send` took stays in the queue, under its number, until the other end has acknowledged it. A new carrier
 *    begins after the last message that the other end says it has. (Resume, switch and retry are this one step.)
 * 2. The session takes an arriving message only if its number is the next one, over whichever carrier it comes.
 *
 * The session has no I/O, no clock, and does not know whether it is a client's or a server's. Calls and the time go in. Out come
 * frames (`poll`), events for the application (`event`), and the time of the next look (`nextTimeout`).
 *
 * How a session ends is a table, in the head of `phase.ts`.
 */
import { Acks } from './acks.ts'
import { ByteWriter } from './bytes.ts'
import { CloseCode } from './codes.ts'
import { Fifo } from './fifo.ts'
import type { Control, Frame } from './frame.ts'
import { closePace, closePatience, type Limits, overhead } from './limits.ts'
import { type Attached, type Link, never, type Position, type SessionEvent, takeBeat } from './link.ts'
import { blank, closeMessage, endPayload, type Message, type MessageKind, readEnd } from './message.ts'
import { done, open, type Phase } from './phase.ts'

export class Session {
  readonly limits: Limits
  /** The carrier in use. */
  link: Link | undefined
  /** The highest epoch of all carriers so far. */
  epoch = 0

  /** The messages that are not acknowledged; the first has the number `base + 1`. */
  protected outgoing: Fifo<Message> = new Fifo()
  protected base = 0
  /** The bytes of message `base + 1` that the other end has. */
  protected baseOffset = 0
  protected queuedBytes = 0
  /** The bytes of messages that no carrier has taken yet. */
  unsentBytes = 0

  protected taken = 0
  /** The bytes of message `taken + 1` that have arrived. */
  protected partial: ByteWriter | undefined
  protected readonly acks: Acks = new Acks()

  protected phase: Phase = open
  protected events: Fifo<SessionEvent> = new Fifo()
  heardAt: number
  #asked = false
  /** When the last carrier was lost, or the session was made. */
  #aloneSince: number

  constructor(limits: Limits, now: number) {
    this.limits = limits
    this.heardAt = now
    this.#aloneSince = now
  }

  // ---- what the application does ----

  /** Takes a message, or says why not: 'closed' after a close of either end, 'full' if too many bytes wait. */
  send(message: Message): 'taken' | 'closed' | 'full' {
    if (this.closing) return 'closed'
    if (this.queuedBytes + this.outgoing.length * overhead >= this.limits.maxBuffered) return 'full'
    this.enlist(message)
    return 'taken'
  }

  /** Queues a close behind all messages. `CloseCode.noStatus` is a close without a code. */
  close(code: number, reason: string, now: number): void {
    if (this.closing) return
    const deadline = this.closeDeadline(now)
    this.enlist(closeMessage(code, reason))
    this.phase = { is: 'closing', ownClose: this.lastNumber, deadline }
  }

  /** Ends the session at once and drops all messages. A carrier in use tells the other end `code`. */
  abort(code: number, reason: string, now: number): void {
    if (this.done) return
    this.discard()
    const deadline = this.closing ? this.phase.deadline : this.closeDeadline(now)
    const aborting: Phase = { is: 'aborting', abort: endPayload(code, reason), deadline }
    this.#end(this.link ? aborting : done, code, reason, false)
  }

  /** The other end broke a rule: it is told `code`, in order; the application here sees a lost connection. */
  fail(code: number, reason: string, now: number): void {
    if (this.over) return
    this.close(code, reason, now)
    this.partial = undefined
    this.#end({ ...this.phase, is: 'closed' } as Phase, CloseCode.lost, reason, false)
  }

  // ---- what carriers do ----

  /**
   * Makes `link` the carrier in use. It sends from the place that the other end has reached.
   * 'older': the session has had a carrier with a higher epoch. 'impossible': the other end claims messages that were never sent.
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

  /** A carrier has ended. If it was the one in use, patience begins. */
  detach(link: Link, now: number): void {
    if (this.link !== link) return
    this.link = undefined
    this.#aloneSince = now
    this.unsentBytes = this.queuedBytes
    if (this.phase.abort !== undefined) this.phase = done
  }

  /** This carrier lost what it sent after the acknowledged place: it sends that again. */
  resend(link: Link): void {
    if (this.link === link) this.#rewind(link)
  }

  /** A whole message arrived on a carrier that keeps order, and so sends no numbers. */
  receive(link: Link, kind: MessageKind, data: string | Uint8Array, now: number): void {
    link.got++
    this.heard(now)
    if (link.got <= this.taken) this.acks.arrived(0, now, this.link?.ackDelay)
    else if (link.got > this.taken + 1) this.tell({ type: 'drop', link, why: 'faulty' })
    else this.#accept(kind, data, now)
  }

  /** A message, a piece of one, or a close (a string) arrived with its place. Returns false if something before it is missing. */
  receiveAt(at: Position, kind: MessageKind, data: string | Uint8Array, more: boolean, now: number): boolean {
    this.heard(now)
    const number = at.number + 1
    const have = this.partial?.size ?? 0
    if (number <= this.taken) this.acks.arrived(0, now, this.link?.ackDelay)
    else if (number > this.taken + 1 || at.offset > have) return false
    else if (typeof data === 'string') {
      // A close is in one piece. If something of this message has come, it was no close.
      if (have) this.fail(CloseCode.protocolError, 'malformed close', now)
      else this.#accept(kind, data, now)
    } else {
      const skip = have - at.offset
      const fresh = skip ? data.subarray(skip) : data
      if (skip > data.length || (skip === data.length && more)) return true
      if (have + fresh.length > this.limits.maxPayload) this.fail(CloseCode.tooBig, 'message too big', now)
      else {
        if (more || have) this.keep(fresh)
        if (!more) this.#accept(kind, this.partial?.whole() ?? fresh, now)
      }
    }
    return true
  }

  /** Keeps a piece of a message until the message is whole. */
  protected keep(piece: Uint8Array): void {
    this.partial ??= new ByteWriter(0)
    this.partial.bytes(piece)
  }

  /** The other end has everything up to this place. Returns false if it claims messages that were never sent. */
  acknowledge(has: Position): boolean {
    if (has.number < this.base) return true
    if (this.phase.ownClose === undefined) {
      // The messages are gone; both ends still count alike.
      this.base = has.number
      return true
    }
    if (has.number > this.lastNumber || has.offset > (this.outgoing.at(has.number - this.base)?.size ?? 0))
      return false
    // `link.sent` stays: the receiver counts on from what this carrier sent before.
    const sent = this.link?.sent ?? 0
    while (this.base < has.number) {
      const { size } = this.forgetFirst() as Message
      this.base++
      this.queuedBytes -= size
      if (sent < this.base) this.unsentBytes -= size
    }
    this.baseOffset = has.offset
    if (this.phase.is === 'closed' && this.base >= this.phase.ownClose) this.phase = done
    return true
  }

  /** An acknowledgement over the carrier in use. A claim to messages that were never sent fails the session. */
  ackArrived(has: Position, now: number): boolean {
    this.heard(now)
    const taken = this.acknowledge(has)
    if (!taken) this.fail(CloseCode.protocolError, 'bad ack', now)
    return taken
  }

  pingArrived(link: Link, payload: string, now: number): void {
    this.heard(now)
    link.pongOwed = payload
  }

  /** The other end gave the session up, or does not know it, or this end has waited long enough. */
  abortArrived(code: number, reason: string): void {
    this.#end(done, code, reason, false)
  }

  /** Something arrived, so the carrier is alive. A time in the future: a message that was announced may take until then. */
  heard(now: number): void {
    this.heardAt = now
    this.#asked = false
  }

  // ---- what goes out ----

  /** The next frame for this carrier. Messages come whole; a carrier that cuts them uses `peek` and `advance`. */
  poll(link: Link): Frame | undefined {
    const control = this.pollControl(link)
    if (control) return control
    const message = this.peek(link)
    if (message) this.advance(link, 0, true)
    return message
  }

  /** The next control. Without `acks` for a carrier that states acknowledgements in its heads. */
  pollControl(link: Link, acks = true): Control | undefined {
    if (link !== this.link) return undefined
    const abort = this.phase.abort
    if (abort !== undefined) {
      this.phase = done
      return { kind: 'abort', payload: abort }
    }
    const beat = takeBeat(link)
    if (beat || !acks || !this.acks.due) return beat
    this.ackStated()
    return { kind: 'ack', payload: `${this.taken}` }
  }

  /** The message that this carrier sends next, from its byte `link.sentOffset` on. */
  peek(link: Link): Message | undefined {
    if (link !== this.link || Math.max(link.sent, this.base) >= this.lastNumber) return undefined
    return this.outgoing.at(link.sent - this.base) ?? blank
  }

  /** The carrier has sent so many bytes of the message that `peek` gave; `whole`: all that was left of it. */
  advance(link: Link, bytes: number, whole: boolean): void {
    link.sentOffset += bytes
    if (!whole) return
    this.unsentBytes -= this.outgoing.at(link.sent - this.base)?.size ?? 0
    link.sent++
    link.sentOffset = 0
  }

  /** Whether this carrier has something to send. */
  wants(link: Link, acks = true): boolean {
    if (link !== this.link) return false
    const { pingOwed, pongOwed, tokenOwed } = link
    const owed = this.phase.abort ?? pongOwed ?? pingOwed ?? tokenOwed ?? this.peek(link)
    return owed !== undefined || (acks && this.acks.due)
  }

  /** The place up to which everything has arrived here. */
  get received(): Position {
    return { number: this.taken, offset: this.partial?.size ?? 0 }
  }

  /** A carrier has told the other end `received`. */
  ackStated(): void {
    this.acks.stated()
  }

  /** The place up to which the other end has everything, as far as this end knows. */
  get acknowledged(): Position {
    return { number: this.base, offset: this.baseOffset }
  }

  /** The next event for the application. */
  event(): SessionEvent | undefined {
    return this.events.shift()
  }

  /** The number of the last message in the queue. */
  get lastNumber(): number {
    return this.base + this.outgoing.length
  }

  /** The bytes that a carrier has taken and that are not acknowledged. */
  get sentBytes(): number {
    return this.queuedBytes - this.unsentBytes
  }

  /** `send` takes no message any more. */
  get closing(): boolean {
    return this.phase.is !== 'open'
  }

  /** The application has been told of the end. */
  get over(): boolean {
    return this.closing && this.phase.is !== 'closing'
  }

  /** Nothing is left to say or to hear: the owner may forget the session. */
  get done(): boolean {
    return this.phase.is === 'done'
  }

  // ---- time ----

  nextTimeout(): number {
    if (this.done) return never
    if (!this.link) return this.#giveUpAt
    return Math.min(this.acks.at || never, this.#silentAt, this.#giveUpAt)
  }

  handleTimeout(now: number): void {
    const link = this.link
    if (now >= this.#giveUpAt) this.abortArrived(CloseCode.lost, 'connection lost')
    if (this.done || !link) return
    if (this.acks.at && now >= this.acks.at) this.acks.hurry()
    if (now < this.#silentAt) return
    if (!this.#asked) {
      this.#asked = true
      link.pingOwed ??= ''
      // A timer that came late (a hidden page, a machine that slept) must not shorten the time for the answer.
      this.heardAt = Math.max(this.heardAt, now - this.limits.silence)
    } else {
      this.tell({ type: 'drop', link, why: 'silent' })
      this.detach(link, now)
    }
  }

  // ---- inside ----

  /** When the carrier in use is asked, or, if it was asked, given up. */
  get #silentAt(): number {
    return this.heardAt + this.limits.silence + (this.#asked ? this.limits.grace : 0)
  }

  get #giveUpAt(): number {
    return Math.min(this.link ? never : this.#aloneSince + this.limits.patience, this.phase.deadline)
  }

  protected closeDeadline(now: number): number {
    return now + Math.max(this.limits.patience, closePatience) + this.queuedBytes / closePace
  }

  /** Drops all messages. */
  discard(): void {
    while (this.forgetFirst());
    this.queuedBytes = this.unsentBytes = 0
    this.partial = undefined
  }

  protected forgetFirst(): Message | undefined {
    return this.outgoing.shift()
  }

  protected enlist(message: Message): void {
    this.outgoing.push(message)
    this.queuedBytes += message.size
    this.unsentBytes += message.size
  }

  #accept(kind: MessageKind, data: string | Uint8Array, now: number): void {
    this.taken++
    this.partial = undefined
    this.acks.arrived(data.length, now, this.link?.ackDelay)
    // After its end the application is told nothing more. Messages are still acknowledged, so that the other end can finish.
    if (kind === 'close') {
      const { code, reason } = readEnd(data as string)
      this.acks.hurry()
      this.close(code, reason, now)
      const phase = this.phase
      if (phase.ownClose)
        this.#end(this.base >= phase.ownClose ? done : { ...phase, is: 'closed' }, code, reason, true)
    } else if (!this.over) {
      if (data.length > this.limits.maxPayload) this.fail(CloseCode.tooBig, 'message too big', now)
      else this.tell({ type: 'message', binary: kind === 'binary', data })
    }
  }

  /** Enters a phase in which the application knows of the end, and tells it unless it knows. */
  #end(phase: Phase, code: number, reason: string, clean: boolean): void {
    if (!this.over) this.tell({ type: 'close', code, reason, clean })
    this.phase = phase
  }

  #rewind(link: Link): void {
    link.sent = this.base
    link.sentOffset = this.baseOffset
    this.unsentBytes = this.queuedBytes
  }

  protected tell(event: SessionEvent): void {
    this.events.push(event)
  }
}
