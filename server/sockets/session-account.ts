/** What a session costs its server: memory, unread answers, the rate of its messages, and its place until its client returns. */
import { CloseCode } from '../../shared/codes.ts'
import type { PortableSession } from '../../shared/snapshot.ts'
import { countedOf, type Weighed, worthCounting } from '../base/memory.ts'
import { safely } from '../base/turn.ts'
import { type Answered, UnreadAnswers } from '../base/unread.ts'
import { now, type Timed, wakeAt } from '../base/wakeups.ts'
import type { Carrier } from './carrier.ts'
import type { EndReason } from './end-reasons.ts'
import { Rate } from './rate.ts'
import type { SocketHost } from './socket-host.ts'

/** If the server looks later than this, it was busy: the requests of its clients may be waiting to be read. */
const muchLater = 1_000
/** In place of a number of bytes: nothing is counted any more. */
const closed = -1

/** What the account needs of its session's socket. */
export interface AccountHost extends Timed {
  readonly session: PortableSession
  readonly carrier: Carrier | undefined
  readonly protocol: string
  /** Ends the session, and tells the client why. */
  abort(code: number, reason: string, cause: EndReason): void
  /** Ends the session, whose client was never seen again. */
  abandon(): void
  /** Gives up the carrier in use. */
  dropCarrier(carrier: Carrier): void
}

/** What the account needs of the server. */
export interface AccountServer extends SocketHost {
  /** The session was opened over HTTP and has not been seen again: how much longer its client may take. */
  timeLeft(socket: AccountHost): number
  /** The session was opened over HTTP, and has been seen again. */
  seen(socket: AccountHost): void
}

export class SessionAccount implements Weighed, Answered {
  readonly #socket: AccountHost
  readonly #server: AccountServer
  /** The bytes that the server's memory counts for the session, without the payloads of sent messages. */
  #counted = 0
  /** The part of these bytes that its carrier keeps of incomplete messages. */
  #partial = 0
  /** Answers that nobody has read yet. They count their bytes themselves. The list is made with the first answer. */
  #answers: UnreadAnswers | undefined
  #rate: Rate | undefined
  /** Until when a client that opened the session over HTTP must have come again; 0: it has. */
  #dueBack = 0

  constructor(socket: AccountHost, server: AccountServer) {
    this.#socket = socket
    this.#server = server
  }

  // ---- memory ----

  /** Enters how much memory is held now. */
  count(): void {
    this.#partial = this.#socket.carrier?.partialBytes ?? 0
    this.countSent()
  }

  /** The same after something was sent, which does not change the incomplete messages. */
  countSent(): void {
    if (this.isClosed) return
    const { session, protocol } = this.#socket
    const counted = session.ownBytes + this.#partial + this.#unread + countedOf(protocol)
    if (counted === this.#counted) return
    this.#server.memory.add(counted - this.#counted)
    this.#counted = counted
  }

  /** The session is forgotten: nothing is counted for it any more. */
  close(): void {
    this.#server.memory.add(-this.#counted)
    this.#counted = closed
  }

  get isClosed(): boolean {
    return this.#counted === closed
  }

  get weight(): number {
    const { session, carrier, protocol } = this.#socket
    const ofCarrier = this.#unread + (carrier?.partialBytes ?? 0)
    return session.weight + countedOf(protocol) + (this.#answers?.bytes ?? 0) + ofCarrier
  }

  /** What its carrier has written, the network has not taken, and the session has not kept: controls, and messages that the client acknowledged all the same. */
  get #unread(): number {
    const { session, carrier } = this.#socket
    const unread = carrier && !session.over ? carrier.unreadBytes - session.sentBytes : 0
    return unread > worthCounting ? unread : 0
  }

  overload(): void {
    const { carrier } = this.#socket
    const reads = this.#unread === 0
    this.#socket.abort(CloseCode.tryAgainLater, 'server out of memory', 'maxMemory')
    this.#answers?.giveUp()
    carrier?.flush()
    // A WebSocket keeps an incomplete message, and what its client does not read, for as long as it is open.
    if (carrier && (carrier.partialBytes > 0 || !reads)) safely(() => this.#socket.dropCarrier(carrier))
    this.count()
  }

  /** The server ends, and the client has not confirmed its end: tells the client why if it can still be told, and forgets the session. */
  giveUp(code: number, reason: string): void {
    const { carrier } = this.#socket
    const takesNothing = carrier && carrier.transport !== 'websocket' && carrier.bufferedAmount > 0
    this.#socket.abort(code, reason, 'server')
    this.#answers?.giveUp()
    carrier?.flush()
    if (takesNothing) safely(() => this.#socket.dropCarrier(carrier))
    this.#socket.abandon()
  }

  get answers(): UnreadAnswers {
    this.#answers ??= new UnreadAnswers()
    return this.#answers
  }

  /** How long an answer, or what was written into a stream, may wait for the client to read it. */
  get answerTimeout(): number {
    return this.#server.options().answerTimeout
  }

  // ---- messages in a span of time ----

  /** Counts messages that came, and returns whether they are too many. */
  exceeds(messages: number): boolean {
    const { rateLimit } = this.#server.options()
    if (!rateLimit || messages === 0) return false
    this.#rate ??= new Rate()
    return this.#rate.exceeded(rateLimit, messages, now())
  }

  // ---- the client's return ----

  /** The client must come again by this time: it may have opened the session only to fill the server. */
  expectAgain(by: number): void {
    this.#dueBack = by
    wakeAt(this.#socket, by)
  }

  seen(): void {
    if (this.#dueBack === 0) return
    this.#dueBack = 0
    this.#server.seen(this.#socket)
  }

  /** When to look again: at the session's own time, or at the client's. */
  get nextTimeout(): number {
    const next = this.#socket.session.nextTimeout()
    return this.#dueBack === 0 ? next : Math.min(next, this.#dueBack)
  }

  /** Ends the session if its client did not return in time; returns whether it has. */
  abandonUnlessSeen(time: number): boolean {
    if (this.#dueBack === 0 || time < this.#dueBack) return false
    if (time > this.#dueBack + muchLater) this.#dueBack = time + muchLater
    else {
      const left = this.#server.timeLeft(this.#socket)
      if (left <= 0) {
        this.seen()
        this.#socket.abandon()
        return true
      }
      this.#dueBack = time + left
    }
    return false
  }
}
