/**
 * A session whose server may die. A message of the other end is acknowledged only when the store knows that the application has been
 * told of it. A message of the application leaves only when it is stored.
 */
import type { Limits } from '../../shared/limits.ts'
import type { Link, Position, SessionEvent } from '../../shared/link.ts'
import { type Message, payloadOf } from '../../shared/message.ts'
import { type Ledger, PortableSession, type Replays, type Snapshot } from '../../shared/snapshot.ts'

type Undelivered = Snapshot['undelivered'][number]

/** The numbers that are stored of a session, beside its messages. */
interface Numbers {
  /** The application has been told of the messages up to this one, and is done with them. */
  readonly taken: number
  /** The other end has the messages up to this one. */
  readonly base: number
  /** The last own message. */
  readonly last: number
  readonly epoch: number
  readonly ownClose: number
  readonly over: boolean
}

const kinds = ['text', 'binary', 'close'] as const
const headSize = 5

export class DurableSession extends PortableSession {
  /** The messages of the other end, and of this end, are stored up to these numbers. */
  #safeIn = 0
  #safeOut = 0
  /** The last message that was acknowledged, and whether more had come by then that could not be acknowledged yet. */
  #stated = 0
  #owesAck = false
  /** The numbers of the messages that the application was told of and is not done with, the oldest first. */
  readonly #handling = new Set<number>()
  /** Messages up to the number `#leftTo` that came with the session. They are acknowledged, so only this server still has them. */
  #left: readonly Undelivered[] = []
  #leftTo = 0
  /** The last message that had come when this end closed; the number of the other end's close, once it has come. */
  #closedAt = 0
  #endsAt = 0

  static make(
    limits: Limits,
    now: number,
    ledger: Ledger,
    replays: Replays,
    from: Snapshot | undefined,
  ): DurableSession {
    const session = new DurableSession(limits, now, ledger, replays)
    if (!from) return session
    PortableSession.restore(from, limits, now, ledger, replays, session)
    session.#safeIn = from.inNumber
    session.#safeOut = session.lastNumber
    session.#left = from.undelivered
    session.#leftTo = from.inNumber
    return session
  }

  // ---- what leaves ----

  override get received(): Position {
    // When everything is over, no message will be told again, so all may be acknowledged.
    return this.done || this.isSafe ? super.received : { number: this.#safeIn, offset: 0 }
  }

  /** Whether everything that has arrived may be acknowledged. */
  get isSafe(): boolean {
    return this.#safeIn >= this.taken
  }

  override peek(link: Link): Message | undefined {
    return link.sent < this.#safeOut ? super.peek(link) : undefined
  }

  override pollControl(link: Link, acks = true): ReturnType<PortableSession['pollControl']> {
    const control = super.pollControl(link, acks && this.#hasNews)
    return control?.kind === 'ack' ? { kind: 'ack', payload: `${this.#stated}` } : control
  }

  override wants(link: Link, acks = true): boolean {
    return super.wants(link, acks && this.#hasNews)
  }

  override ackStated(): void {
    super.ackStated()
    this.#stated = this.received.number
    this.#owesAck = this.#stated < this.taken
  }

  get #hasNews(): boolean {
    return this.isSafe || this.#safeIn > this.#stated
  }

  /** Both directions are stored up to these numbers. */
  stored(taken: number, sent: number, now: number): void {
    this.#safeIn = Math.max(this.#safeIn, taken)
    this.#safeOut = Math.max(this.#safeOut, sent)
    if (!this.#owesAck || this.#safeIn <= this.#stated) return
    this.#owesAck = false
    this.acks.arrived(0, now, this.link?.ackDelay)
  }

  // ---- what the application has been told ----

  /** The application is busy with the message that it was told of last. Returns its number. */
  handle(): number {
    const number = this.told
    this.#handling.add(number)
    return number
  }

  /** The application is done with this message. */
  handled(number: number): void {
    this.#handling.delete(number)
  }

  get isHandling(): boolean {
    return this.#handling.size > 0
  }

  /** The application is done with all messages up to this one. */
  get #finished(): number {
    const [first] = this.#handling
    return first === undefined ? this.told : first - 1
  }

  // ---- what is stored ----

  get numbers(): Numbers {
    const taken = Math.max(this.#finished, this.#safeIn)
    // The other end has closed, and the application is not done with an earlier message: the next server must tell both again.
    const isEarly = taken < this.#endsAt
    const { ownClose = 0 } = this.phase
    // If this end's close only answers the other end's close, it is the last message, and is left out.
    const isAnswer = isEarly && this.#closedAt === this.#endsAt
    return {
      taken,
      base: this.base,
      last: isAnswer ? ownClose - 1 : this.lastNumber,
      epoch: this.epoch,
      ownClose: isAnswer ? 0 : ownClose,
      over: this.over && !isEarly,
    }
  }

  override close(code: number, reason: string, now: number): void {
    if (!this.closing) this.#closedAt = this.taken
    super.close(code, reason, now)
  }

  protected override tell(event: SessionEvent): void {
    if (event.type === 'close' && event.clean) this.#endsAt = this.taken
    super.tell(event)
  }

  /**
   * Acknowledged messages, from the first one on that the application is not done with. The next server counts them backwards from
   * the last one, so none in the middle is left out. There are hardly ever any.
   */
  undelivered(): readonly Undelivered[] {
    const done = this.#left.length - Math.max(this.#leftTo - this.#finished, 0)
    if (done > 0) this.#left = this.#left.slice(done)
    return this.#left
  }

  /** Only what the application is done with: the other end sends the rest again, under the same numbers. */
  override snapshot(): Snapshot {
    const { partial, ...all } = super.snapshot()
    const inNumber = this.numbers.taken
    return {
      ...all,
      inNumber,
      partial: inNumber === this.taken ? partial : new Uint8Array(0),
      undelivered: this.undelivered(),
    }
  }

  /** The messages with these numbers, as bytes. */
  written(first: number, last: number): Buffer {
    const messages: Message[] = []
    let size = 0
    for (let number = first; number <= last; number++) {
      const message = this.outgoing.at(number - this.base - 1) as Message
      messages.push(message)
      size += headSize + payloadOf(message).length
    }
    const bytes = Buffer.allocUnsafe(size)
    let at = 0
    for (const message of messages) {
      const payload = payloadOf(message)
      bytes[at] = kinds.indexOf(message.kind)
      bytes.writeUInt32BE(payload.length, at + 1)
      bytes.set(payload, at + headSize)
      at += headSize + payload.length
    }
    return bytes
  }
}

/** Reads messages as `written` wrote them. */
export function* readMessages(bytes: Buffer): Iterable<Snapshot['out'][number]> {
  for (let at = 0; at < bytes.length; ) {
    const kind = kinds[bytes[at] as number] as Message['kind']
    const end = at + headSize + bytes.readUInt32BE(at + 1)
    const payload = bytes.subarray(at + headSize, end)
    const isClose = kind === 'close'
    yield { kind, data: isClose ? String(payload) : payload, size: isClose ? 0 : payload.length }
    at = end
  }
}
