/** A session written down, and taken up again elsewhere with nothing lost: the other end resumes it like any other. */
import type { Limits } from './limits.ts'
import type { Message } from './message.ts'
import { type Attached, type Link, type Position, Session, type SessionEvent } from './session.ts'

/** All that must be written down to take a session up again elsewhere. */
export interface Snapshot {
  readonly outBase: number
  readonly outOffset: number
  readonly out: readonly Pick<Message, 'kind' | 'data' | 'size' | 'code'>[]
  readonly inNumber: number
  /** What has come of the message after `inNumber`. */
  readonly partial: Uint8Array
  readonly undelivered: readonly Extract<SessionEvent, { type: 'message' | 'close' }>[]
  readonly ownClose: number
  readonly over: boolean
  readonly epoch: number
}

/** A session with all that a browser's never needs, so that no browser loads it: it asks, and it can be written down. */
export class PortableSession extends Session {
  #pingWanted: string | undefined
  /** 0: not at all. */
  #pingAt = 0

  /** Asks the other end for a pong; without a carrier the next one asks. */
  ping(payload: string): void {
    if (this.ended) return
    if (this.link) this.link.pingOwed = payload
    else this.#pingWanted = payload
  }

  pong(payload: string): void {
    if (this.link && !this.ended) this.link.pongOwed = payload
  }

  pongArrived(payload: string, now: number): void {
    this.heard(now)
    if (!this.ended) this.tell({ type: 'pong', payload })
  }

  override attach(link: Link, has: Position, now: number): Attached {
    const attached = super.attach(link, has, now)
    this.quietFrom(now)
    if (attached === 'attached' && this.#pingWanted !== undefined) {
      link.pingOwed = this.#pingWanted
      this.#pingWanted = undefined
    }
    return attached
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
    if (this.link && this.#pingAt && now >= this.#pingAt) {
      this.link.pingOwed ??= ''
      this.quietFrom(now)
    }
    super.handleTimeout(now)
  }

  snapshot(): Snapshot {
    const undelivered = this.events.filter((event) => event.type === 'message' || event.type === 'close')
    return {
      outBase: this.base,
      outOffset: this.baseOffset,
      out: this.outgoing.map(({ kind, data, size, code }) => ({ kind, data, size, code })),
      inNumber: this.taken,
      partial: this.partial.slice(0, this.partialSize),
      undelivered: undelivered as Snapshot['undelivered'],
      ownClose: this.ownClose,
      over: this.ended,
      epoch: this.epoch,
    }
  }

  /** The session as it was, without a carrier. */
  static restore(from: Snapshot, limits: Limits, now: number): PortableSession {
    const session = new PortableSession(limits, now)
    session.base = from.outBase
    session.baseOffset = from.outOffset
    for (const message of from.out) session.enqueue({ ...message, encoded: undefined, frame: undefined })
    session.taken = from.inNumber
    session.partial = from.partial
    session.partialSize = from.partial.length
    session.events = [...from.undelivered]
    session.ownClose = from.ownClose
    session.ended = from.over
    session.epoch = from.epoch
    return session
  }
}
