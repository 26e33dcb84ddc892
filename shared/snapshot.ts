/** A session that can be written down and restored elsewhere without a loss: the other end resumes it like any other. */
import { ByteWriter } from './bytes.ts'
import { CloseCode } from './codes.ts'
import type { Fifo } from './fifo.ts'
import type { Control } from './frame.ts'
import type { Limits } from './limits.ts'
import { type Attached, type Link, never, type Position, type SessionEvent } from './link.ts'
import type { Message } from './message.ts'
import { done } from './phase.ts'
import { Session } from './session.ts'

/** Counts the memory that many sessions share. */
export interface Ledger {
  add(bytes: number): void
}

/** Keeps count of messages that many sessions had to send once more. */
export interface Replays {
  add(bytes: number, messages: number): void
}

/** Everything that `restore` needs to make the session anew. */
export interface Snapshot {
  readonly outBase: number
  readonly outOffset: number
  readonly out: readonly Pick<Message, 'kind' | 'data' | 'size'>[]
  readonly inNumber: number
  /** The bytes of the message after `inNumber` that have arrived. */
  readonly partial: Uint8Array
  readonly undelivered: readonly Extract<SessionEvent, { type: 'message' | 'close' }>[]
  readonly ownClose: number
  readonly over: boolean
  readonly epoch: number
}

/** The memory of an event beside its payload: its object, and the Buffer of the payload. */
export const eventOverhead = 192
/** The memory of a queued message beside its payload: the same, and its place in the queue. */
export const messageOverhead = 256
/** This many of the oldest messages are looked at to estimate how much of a queue other sessions keep, too. */
const sample = 256

function eventSize(event: SessionEvent): number {
  return eventOverhead + (event.type === 'message' ? event.data.length : 0)
}

/** Whether it came as a message with a number. An end without a close of the other end did not. */
function isNumbered(event: SessionEvent): boolean {
  return event.type === 'message' || (event.type === 'close' && event.clean)
}

/** A message for many sessions has its frame beside its payload. */
function payloadSize(message: Message): number {
  return message.size + (message.frame?.length ?? 0)
}

interface Beat {
  readonly kind: 'ping' | 'pong'
  readonly payload: string
}

const owed = { ping: 'pingOwed', pong: 'pongOwed' } as const
const mostWaiting = 16

/** The session of a server and of Node. It also pings, counts its memory and can be written down: browsers do not load that. */
export class PortableSession extends Session {
  /** The pings and pongs behind the one that `link` holds. */
  #waiting: Beat[] | undefined
  /** The other end's application has paused: messages wait here, controls do not. */
  #heldBack = false
  /** The last ping of the application that has no pong yet. The next carrier repeats it: ping or pong may be lost with this one. */
  #unanswered: string | undefined
  /** When this end pings by itself; 0: never. */
  #pingAt = 0
  /** The memory of the events that the application has not taken. */
  #waitingBytes = 0
  /** How many of them came with a number. */
  #waitingNumbers = 0
  /** How many messages of the queue are for many sessions. */
  #sharedCount = 0
  /** Counts the payloads of messages. A message for many sessions counts once. */
  readonly #ledger: Ledger | undefined
  readonly #replays: Replays | undefined
  /** The last carrier, while there is no other: the messages that it was given may not have arrived. */
  #left: Link | undefined
  /** The other end broke the protocol or a limit, and that is why this session ended. */
  failed = false

  constructor(limits: Limits, now: number, ledger?: Ledger, replays?: Replays) {
    super(limits, now)
    this.#ledger = ledger
    this.#replays = replays
  }

  // ---- memory ----

  /** The bytes that the session keeps, without the payloads, which the ledger counts. */
  get ownBytes(): number {
    const partial = this.partial?.whole().buffer.byteLength ?? 0
    return this.outgoing.length * messageOverhead + partial + this.#waitingBytes
  }

  /** All bytes that the session keeps. A message for many sessions counts in part. */
  get weight(): number {
    return this.queuedBytes + this.ownBytes - this.#keptByOthers
  }

  /** The number of the message that the application was told last, or is being told now. */
  get told(): number {
    return this.taken - this.#waitingNumbers
  }

  /** How many messages have arrived, whatever the other end has been told of that. */
  get arrived(): number {
    return this.taken
  }

  /** Messages that the other end has not acknowledged. */
  get waitingMessages(): number {
    return this.outgoing.length - Number((this.phase.ownClose ?? 0) > this.base)
  }

  /** The bytes of the messages that the other end has not acknowledged. */
  get waitingBytes(): number {
    return this.queuedBytes
  }

  /** The memory of the events that the application has not been told of. */
  get untoldBytes(): number {
    return this.#waitingBytes + (this.partial?.size ?? 0)
  }

  /** How many messages the application has not been told of. */
  get untoldMessages(): number {
    return itemsOf(this.events).filter(({ type }) => type === 'message').length
  }

  get #keptByOthers(): number {
    if (this.#sharedCount === 0) return 0
    const { length } = this.outgoing
    const looked = Math.min(length, sample)
    let bytes = 0
    for (let index = 0; index < looked; index++) {
      const { size, shared } = this.outgoing.at(index) as Message
      if (shared) bytes += size - size / shared.holders
    }
    return (bytes * length) / looked
  }

  protected override enlist(message: Message): void {
    if (message.shared) this.#sharedCount++
    if (message.shared === undefined || message.shared.holders++ === 0)
      this.#ledger?.add(payloadSize(message))
    super.enlist(message)
  }

  protected override forgetFirst(): Message | undefined {
    const message = super.forgetFirst()
    if (message) this.#release(message)
    return message
  }

  /** Keeps only the size of a message that the application will not be told of. */
  protected override keep(piece: Uint8Array): void {
    if (this.over) {
      this.partial ??= new ByteWriter(0)
      this.partial.size += piece.length
    } else super.keep(piece)
  }

  override fail(code: number, reason: string, now: number): void {
    this.failed ||= !this.over
    super.fail(code, reason, now)
  }

  protected override tell(event: SessionEvent): void {
    this.#count(event, 1)
    super.tell(event)
  }

  override event(): SessionEvent | undefined {
    const event = super.event()
    if (event) this.#count(event, -1)
    return event
  }

  /** `by`: 1 for an event that waits from now on, -1 for one that was taken. */
  #count(event: SessionEvent, by: 1 | -1): void {
    this.#waitingBytes += by * eventSize(event)
    if (isNumbered(event)) this.#waitingNumbers += by
  }

  /** The application will not be told of the messages that wait for it. */
  forgetUntold(): void {
    for (let left = this.events.length; left > 0; left--) {
      const event = this.event() as SessionEvent
      if (event.type === 'message') continue
      this.#count(event, 1)
      this.events.push(event)
    }
  }

  #release(message: Message): void {
    if (message.shared) this.#sharedCount--
    if (message.shared === undefined || --message.shared.holders === 0)
      this.#ledger?.add(-payloadSize(message))
  }

  // ---- pings ----

  /** Asks the other end for a pong. Without a carrier the next one asks. */
  ping(payload: string): void {
    if (this.over) return
    this.#unanswered = payload
    this.#owe('ping', payload)
  }

  pong(payload: string): void {
    if (this.link && !this.over) this.#owe('pong', payload)
  }

  /** Answers every ping. A browser's session answers only the last of several that arrive together. */
  override pingArrived(link: Link, payload: string, now: number): void {
    const before = link.pongOwed
    super.pingArrived(link, payload, now)
    if (!this.over) this.tell({ type: 'ping', payload })
    if (before === undefined) return
    link.pongOwed = before
    this.#owe('pong', payload)
  }

  /** A ping that the application answers by itself. */
  pingHeard(payload: string, now: number): void {
    this.heard(now)
    if (!this.over) this.tell({ type: 'ping', payload })
  }

  pongArrived(payload: string, now: number): void {
    this.heard(now)
    if (payload === this.#unanswered) this.#unanswered = undefined
    if (!this.over) this.tell({ type: 'pong', payload })
  }

  override attach(link: Link, has: Position, now: number): Attached {
    const older = this.link ?? this.#left
    // The same link may be attached again, which resets its place.
    const { sent = 0, sentOffset = 0 } = older ?? {}
    const attached = super.attach(link, has, now)
    this.quietFrom(now)
    if (attached === 'attached') {
      this.#left = undefined
      this.#countReplay(sent, sentOffset)
      this.#heldBack = false
      this.#next(link, 'ping')
      this.#askAgain(link)
    }
    return attached
  }

  override resend(link: Link): void {
    const { sent, sentOffset } = link
    super.resend(link)
    if (this.link !== link) return
    this.#countReplay(sent, sentOffset)
    this.#askAgain(link)
  }

  override detach(link: Link, now: number): void {
    if (this.link === link) this.#left = link
    super.detach(link, now)
  }

  /** A carrier was given messages up to `sent`, and `offset` bytes of the next: those not known to have arrived go out again. */
  #countReplay(sent: number, offset: number): void {
    let bytes = offset - this.baseOffset
    let messages = Number(offset > 0)
    for (let index = 0; index < sent - this.base; index++) {
      const message = this.outgoing.at(index)
      if (!message || message.kind === 'close') break
      bytes += message.size
      messages++
    }
    if (sent >= this.base && messages > 0) this.#replays?.add(Math.max(bytes, 0), messages)
  }

  /** Each carrier says anew whether the other end's application has paused, and over HTTP each request does. */
  holdBack(held: boolean): void {
    this.#heldBack = held
  }

  override peek(link: Link): Message | undefined {
    return this.#heldBack ? undefined : super.peek(link)
  }

  override pollControl(link: Link, acks?: boolean): Control | undefined {
    const frame = super.pollControl(link, acks)
    if (this.#waiting && (frame?.kind === 'ping' || frame?.kind === 'pong')) this.#next(link, frame.kind)
    return frame
  }

  /** Repeats a ping without a pong. An application that checks by pings whether the other end is there would take it for gone. */
  #askAgain(link: Link): void {
    const payload = this.#unanswered
    const asked = payload === undefined || link.pingOwed === payload
    if (!asked && !this.#waiting?.some((beat) => beat.kind === 'ping' && beat.payload === payload))
      this.#owe('ping', payload)
  }

  #owe(kind: Beat['kind'], payload: string): void {
    const { link } = this
    if (link && link[owed[kind]] === undefined) link[owed[kind]] = payload
    else {
      this.#waiting ??= []
      this.#waiting.push({ kind, payload })
      // Drop the oldest: whoever pings waits for the newest.
      if (this.#waiting.length > mostWaiting) this.#waiting.shift()
    }
  }

  #next(link: Link, kind: Beat['kind']): void {
    const waiting = this.#waiting
    const place = waiting?.findIndex((beat) => beat.kind === kind) ?? -1
    if (!waiting || place < 0 || link[owed[kind]] !== undefined) return
    link[owed[kind]] = waiting.splice(place, 1)[0]?.payload
    if (waiting.length === 0) this.#waiting = undefined
  }

  /** Plans the next ping: no silence is to be longer than both ends want. */
  quietFrom(now: number): void {
    const { link } = this
    const { pingInterval = 0 } = this.limits
    const quiet = link?.quiet || pingInterval
    this.#pingAt = link && quiet ? now + Math.min(quiet, pingInterval || quiet) : 0
  }

  protected override closeDeadline(now: number): number {
    const { closeTimeout } = this.limits
    return closeTimeout === undefined ? super.closeDeadline(now) : now + closeTimeout
  }

  override nextTimeout(): number {
    const next = super.nextTimeout()
    return this.link && this.#pingAt && !this.done ? Math.min(next, this.#pingAt) : next
  }

  override handleTimeout(now: number): void {
    // A close that nobody answers has no reason, as with `ws`.
    const { closeTimeout = never, patience } = this.limits
    if (closeTimeout < patience && now >= this.phase.deadline) this.abortArrived(CloseCode.lost, '')
    if (this.link && this.#pingAt && now >= this.#pingAt) {
      this.link.pingOwed ??= ''
      this.quietFrom(now)
    }
    super.handleTimeout(now)
  }

  snapshot(): Snapshot {
    const undelivered = itemsOf(this.events).filter(({ type }) => type === 'message' || type === 'close')
    return {
      outBase: this.base,
      outOffset: this.baseOffset,
      out: itemsOf(this.outgoing).map(({ kind, data, size }) => ({ kind, data, size })),
      inNumber: this.taken,
      partial: this.partial?.whole().slice() ?? new Uint8Array(0),
      undelivered: undelivered as Snapshot['undelivered'],
      ownClose: this.phase.ownClose ?? 0,
      over: this.over,
      epoch: this.epoch,
    }
  }

  /** Ends the session here without a frame to the other end: another server goes on with it and delivers the rest. */
  leave(code: number, reason: string): void {
    this.discard()
    while (this.event());
    this.abortArrived(code, reason)
  }

  /** Makes the session anew from a snapshot, without a carrier. */
  static restore(
    from: Snapshot,
    limits: Limits,
    now: number,
    ledger?: Ledger,
    replays?: Replays,
    session: PortableSession = new PortableSession(limits, now, ledger, replays),
  ): PortableSession {
    session.base = from.outBase
    session.baseOffset = from.outOffset
    for (const message of from.out)
      session.enlist({ ...message, encoded: undefined, frame: undefined, shared: undefined })
    session.taken = from.inNumber
    if (from.partial.length > 0) session.keep(from.partial)
    for (const event of from.undelivered) session.tell(event)
    session.epoch = from.epoch
    const { ownClose, over } = from
    if (ownClose)
      session.phase = { is: over ? 'closed' : 'closing', ownClose, deadline: session.closeDeadline(now) }
    else if (over) session.phase = done
    return session
  }
}

function itemsOf<T>(queue: Fifo<T>): T[] {
  return Array.from({ length: queue.length }, (_, at) => queue.at(at) as T)
}
