/** A session written down, and taken up again elsewhere with nothing lost: the other end resumes it like any other. */
import { CloseCode } from './codes.ts'
import type { Fifo } from './fifo.ts'
import type { Control } from './frame.ts'
import type { Limits } from './limits.ts'
import { type Link, never, type Position, type SessionEvent } from './link.ts'
import type { Message } from './message.ts'
import { type Attached, Session } from './session.ts'

/** Keeps count of memory that many sessions share. */
export interface Ledger {
  add(bytes: number): void
}

/** All that must be written down to take a session up again elsewhere. */
export interface Snapshot {
  readonly outBase: number
  readonly outOffset: number
  readonly out: readonly Pick<Message, 'kind' | 'data' | 'size'>[]
  readonly inNumber: number
  /** What has come of the message after `inNumber`. */
  readonly partial: Uint8Array
  readonly undelivered: readonly Extract<SessionEvent, { type: 'message' | 'close' }>[]
  readonly ownClose: number
  readonly over: boolean
  readonly epoch: number
}

/** What an event costs beside its payload: the object, and the Buffer that a payload is. */
export const eventOverhead = 192
/** What a message costs that waits to be acknowledged: the same, and its place in the queue. */
export const messageOverhead = 256
/** So many of the oldest messages show how much of the queue others keep anyway. */
const sample = 256

function eventSize(event: SessionEvent): number {
  return eventOverhead + (event.type === 'message' ? event.data.length : 0)
}

/** A message for many has its frame beside its payload. */
function payloadSize(message: Message): number {
  return message.size + (message.frame?.length ?? 0)
}

interface Beat {
  readonly kind: 'ping' | 'pong'
  readonly payload: string
}

const owed = { ping: 'pingOwed', pong: 'pongOwed' } as const
const mostWaiting = 16

/** A session with all that a browser's never needs, so that no browser loads it: it asks, and it can be written down. */
export class PortableSession extends Session {
  /** Pings and pongs that wait for those before them. */
  #waiting: Beat[] | undefined
  /** The other end's application has paused: messages wait here, the rest goes on. */
  #heldBack = false
  /** What the application asked last, until it is answered: a carrier that is lost may take question or answer with it. */
  #unanswered: string | undefined
  /** 0: not at all. */
  #pingAt = 0
  /** What the events cost that the application has not been told of. */
  #waitingBytes = 0
  /** How many of the messages in its queue are for many. */
  #sharedCount = 0
  /** Counts the payloads of messages: one for many once, in however many sessions it is. */
  readonly #ledger: Ledger | undefined

  constructor(limits: Limits, now: number, ledger?: Ledger) {
    super(limits, now)
    this.#ledger = ledger
  }

  // ---- memory ----

  /** Bytes that it keeps beside the payloads that the ledger counts. */
  get ownBytes(): number {
    return this.outgoing.length * messageOverhead + this.partial.length + this.#waitingBytes
  }

  /** All bytes that it keeps; of a message for many its part. */
  get weight(): number {
    return this.queuedBytes + this.ownBytes - this.#keptByOthers
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

  /** Of what nobody will be told only the size is needed. */
  protected override keep(piece: Uint8Array, size: number): void {
    if (this.over) this.partialSize = size
    else super.keep(piece, size)
  }

  protected override tell(event: SessionEvent): void {
    this.#waitingBytes += eventSize(event)
    super.tell(event)
  }

  override event(): SessionEvent | undefined {
    const event = super.event()
    if (event) this.#waitingBytes -= eventSize(event)
    return event
  }

  #release(message: Message): void {
    if (message.shared) this.#sharedCount--
    if (message.shared === undefined || --message.shared.holders === 0)
      this.#ledger?.add(-payloadSize(message))
  }

  // ---- pings ----

  /** Asks the other end for a pong; without a carrier the next one asks. */
  ping(payload: string): void {
    if (this.over) return
    this.#unanswered = payload
    this.#owe('ping', payload)
  }

  pong(payload: string): void {
    if (this.link && !this.over) this.#owe('pong', payload)
  }

  /** Each is answered; a browser's session answers the last of those that come together, which is enough for us. */
  override pingArrived(link: Link, payload: string, now: number): void {
    const before = link.pongOwed
    super.pingArrived(link, payload, now)
    if (before === undefined) return
    link.pongOwed = before
    this.#owe('pong', payload)
  }

  /** It is for the application to answer. */
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
    const attached = super.attach(link, has, now)
    this.quietFrom(now)
    if (attached === 'attached') {
      this.#heldBack = false
      this.#next(link, 'ping')
      this.#askAgain(link)
    }
    return attached
  }

  override resend(link: Link): void {
    super.resend(link)
    if (this.link === link) this.#askAgain(link)
  }

  /** What each carrier, and over HTTP each request, says anew. */
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

  /** Whoever asks in order to know whether the other end is there takes it for gone without an answer. */
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
      // The last are the ones that matter.
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

  /** From now on there is to be no silence longer than the two ends want: after it this end asks. */
  quietFrom(now: number): void {
    const { link } = this
    const { pingInterval } = this.limits
    const quiet = link?.quiet || pingInterval
    this.#pingAt = link && quiet ? now + Math.min(quiet, pingInterval || quiet) : 0
  }

  override nextTimeout(): number {
    const next = super.nextTimeout()
    return this.link && this.#pingAt && !this.done ? Math.min(next, this.#pingAt) : next
  }

  override handleTimeout(now: number): void {
    // As with `ws`, where a close that nobody answers has no reason.
    const { closeTimeout = never, patience } = this.limits
    if (closeTimeout < patience && this.closeBy > 0 && now >= this.closeBy)
      this.abortArrived(CloseCode.lost, '')
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
      partial: this.partial.slice(0, this.partialSize),
      undelivered: undelivered as Snapshot['undelivered'],
      ownClose: this.ownClose,
      over: this.over,
      epoch: this.epoch,
    }
  }

  /** The session as it was, without a carrier. */
  static restore(from: Snapshot, limits: Limits, now: number, ledger?: Ledger): PortableSession {
    const session = new PortableSession(limits, now, ledger)
    session.base = from.outBase
    session.baseOffset = from.outOffset
    for (const message of from.out)
      session.enlist({ encoded: undefined, frame: undefined, shared: undefined, ...message })
    session.taken = from.inNumber
    session.partial = from.partial
    session.partialSize = from.partial.length
    for (const event of from.undelivered) session.tell(event)
    session.ownClose = from.ownClose
    session.over = from.over
    session.epoch = from.epoch
    if (from.ownClose || from.over) session.limitClose(now)
    return session
  }
}

function itemsOf<T>(queue: Fifo<T>): T[] {
  return Array.from({ length: queue.length }, (_, at) => queue.at(at) as T)
}
