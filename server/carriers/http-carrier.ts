/**
 * Requests and answers that carry a session. The short exchange brings the client's messages and is answered at the end
 * of the turn, with the server's as far as there are any; the held one (long-poll, stream or event stream) brings the rest.
 * An answer that perhaps nobody reads, because its request was repeated or overtaken, brings no messages.
 * There is one carrier for each epoch: after a cut the client's requests go on with it.
 */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { ByteWriter } from '../../shared/bytes.ts'
import { writeControls, writeMessages } from '../../shared/carry.ts'
import { Ask, type RequestHead, Status, writeRecord } from '../../shared/exchange.ts'
import { ackDelayByRequest } from '../../shared/limits.ts'
import { Link, type Position } from '../../shared/link.ts'
import { encodeText } from '../../shared/text.ts'
import { isOver } from '../base/responses.ts'
import { atEndOfTurn } from '../base/turn.ts'
import { now } from '../base/wakeups.ts'
import { type Carrier, type Transport, wanted } from '../sockets/carrier.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import { type Extra, finish, respond, startAnswer, writerFor } from './answers.ts'
import {
  firstPiece,
  type Held,
  type HeldHost,
  type HeldPoll,
  HeldStream,
  holdPoll,
  nothingHeld,
} from './held.ts'

/** About the largest body of one answer. */
const answerSize = 256 * 1024
/** How long a ticket for an event stream is good. */
const ticketLife = 15_000
const secretSize = 18

interface Short {
  readonly response: ServerResponse
  readonly extra: readonly Extra[]
}

export class HttpCarrier implements Carrier, HeldHost {
  link: Link
  transport: Transport
  readonly #owner: SessionSocket
  #held: Held = nothingHeld
  /** The short exchange that is answered at the end of this turn. */
  #short: Short | undefined
  /** The latest serials of the client's held and short requests. */
  #heldSerial = 0
  #shortSerial = 0
  /** The last held request came more than once, so it is not known which of its answers the client got. */
  #doubtful = false
  /**
   * The last message that the answers of each kind have brought, once they are over. A client that begins the next exchange of
   * that kind has read the answer: if it does not have the message then, somebody on the way has cut the answer short unnoticed.
   */
  #heldSent = 0
  #shortSent = 0
  #ticket: { secret: string; until: number } | undefined
  /** How long the client wants its streams to last, in milliseconds; 0: no limit. */
  #life = 0

  constructor(owner: SessionSocket, epoch: number, transport: Transport = 'polling') {
    this.#owner = owner
    this.link = new Link(epoch, ackDelayByRequest)
    this.transport = transport
  }

  get bufferedAmount(): number {
    return isStream(this.#held) ? this.#held.bufferedAmount : 0
  }

  get unreadBytes(): number {
    return this.bufferedAmount
  }

  /** Always 0: incomplete bodies are counted where they are read (`request.ts`). */
  get partialBytes(): number {
    return 0
  }

  /** Never: a body counts when it has been read, and reading has deadlines of its own. */
  get progressed(): boolean {
    return false
  }

  /** The client came again after a cut. A new link: it finds its place anew, and the silence of the old one does not count. */
  beginAgain(transport: Transport = this.transport): void {
    this.link = new Link(this.link.epoch, ackDelayByRequest)
    this.#heldSent = this.#shortSent = 0
    this.transport = transport
  }

  // ---- requests ----

  /** A short exchange: the body has been taken already. */
  answer({ serial, ask, quiet, life }: RequestHead, response: ServerResponse, extra: readonly Extra[]): void {
    if (serial <= this.#shortSerial) {
      if (serial === this.#shortSerial) {
        this.#giveUpShort()
        this.#startAgain()
      }
      this.#respondWithout(response, extra)
      return
    }
    this.#giveUpShort()
    this.#shortSerial = serial
    if ((ask & Ask.ticket) !== 0) this.#life = life
    if ((ask & Ask.again) !== 0 || this.#lacks(this.#shortSent)) this.#startAgain()
    // A short request that was made before the held one, and came after it, must not take back the `quiet` of the held one.
    const isWish = quiet > 0 || this.#held.is === 'nothing'
    if (isWish && this.link.quiet !== wanted(quiet)) this.#hear(quiet)
    this.#short = { response, extra }
  }

  /** A held exchange: a long-poll that waits, or a stream. */
  hold({ serial, ask, quiet, life }: RequestHead, response: ServerResponse, extra: readonly Extra[]): void {
    if (serial < this.#heldSerial) {
      respond(response, Status.superseded)
      return
    }
    const repeated = serial === this.#heldSerial
    if (repeated || this.#doubtful || (ask & Ask.again) !== 0 || this.#lacks(this.#heldSent))
      this.#startAgain()
    this.#doubtful = repeated
    this.#heldSerial = serial
    this.#hear(quiet)
    const streaming = (ask & Ask.stream) !== 0
    if (streaming) this.#life = life
    this.#hold(response, streaming ? 'stream' : 'polling', extra)
  }

  /** Whether the ticket with this secret was given out for this carrier, is still valid, and its stream is not open. */
  accepts(secret: string, now: number): boolean {
    const ticket = this.#ticket
    return ticket?.secret === secret && now <= ticket.until && this.#held.is !== 'sse'
  }

  /** The event stream that a ticket was given for. */
  stream(response: ServerResponse): void {
    this.#owner.session.resend(this.link)
    this.#owner.askAgain()
    this.#hold(response, 'sse', noExtra)
  }

  /** The ticket for the request with this serial. A request that was repeated or overtaken gets the ticket that was given already. */
  ticketFor(serial: number, now: number): string {
    if (this.#ticket === undefined || serial > this.#shortSerial) {
      this.#ticket = { secret: randomBytes(secretSize).toString('base64url'), until: now + ticketLife }
      this.release()
      this.#become('sse')
    }
    return this.#ticket.secret
  }

  // ---- what the socket asks for ----

  flush(): void {
    const held = this.#held
    // The stream first, so that the head of a short answer says how far the stream beside it was written.
    if (isStream(held)) this.#writeInto(held)
    const short = this.#short && this.#owner.mayAnswer ? this.#takeShort() : undefined
    if (short) this.#answerShort(short)
    if (held.is === 'polling' && this.#owner.session.wants(this.link, false)) this.#answerPoll(held, noExtra)
  }

  end(why: 'superseded' | 'closed' | 'dead' | 'moved'): void {
    const short = this.#takeShort()
    if (short) {
      if (why === 'closed') this.#respond(short.response, short.extra)
      else if (why === 'moved') this.#respondWithout(short.response, short.extra)
      else respond(short.response, why === 'superseded' ? Status.superseded : Status.ok)
    }
    const held = this.#held
    if (held.is === 'polling' && why === 'closed') this.#answerPoll(held, noExtra)
    else if (held.is === 'polling' && why === 'moved') {
      this.#letGo()
      this.#respondWithout(held.response, noExtra)
    } else if (held.is !== 'nothing' && why === 'dead') {
      this.#letGo()
      held.response.destroy()
    } else this.release()
  }

  pause(): void {}

  /** While the application had paused, the messages of short exchanges were not taken, and the client was told so. Now it may send again. */
  resume(): void {
    const held = this.#held
    if (held.is === 'polling') this.#answerPoll(held, [goOn])
    else if (held.is !== 'nothing') {
      const to = new ByteWriter(4)
      writeRecord(to, goOn.kind, encodeText(goOn.payload))
      held.write(to)
    }
  }

  // ---- what the held exchange reports ----

  drained(): void {
    this.flush()
    // Callbacks of `send` wait for the messages that have gone out now.
    atEndOfTurn(this.#owner)
  }

  /** The held exchange was cut before its answer was complete: the client is away, or about to come again. */
  cut(held: Held): void {
    if (this.#held !== held) return
    this.#letGo()
    this.#owner.lost(this, 'network', 'answer cut')
  }

  /** The held exchange makes room for a newer one. */
  release(): void {
    const held = this.#letGo()
    if (held.is === 'polling') respond(held.response, Status.superseded)
    else if (held.is !== 'nothing') held.end(this.#owner.sessionAccount)
  }

  // ---- inside ----

  #hold(response: ServerResponse, is: Exclude<Held['is'], 'nothing'>, extra: readonly Extra[]): void {
    this.release()
    if (isOver(response)) {
      this.#owner.lost(this, 'network', 'request cut')
      return
    }
    this.#become(is)
    if (is !== 'polling') {
      this.#held = new HeldStream(response, is, this.#life, this.#start(64, extra), this)
    } else if (extra.length > 0) this.#respond(response, extra)
    else this.#held = holdPoll(response, this)
  }

  /** Whether the client does not have this message yet. */
  #lacks(number: number): boolean {
    return this.#owner.session.acknowledged.number < number
  }

  /** Holds nothing any more; returns what it held. */
  #letGo(): Held {
    const held = this.#held
    this.#held = nothingHeld
    if (isStream(held)) {
      held.stop()
      this.#heldSent = this.link.sent
    }
    return held
  }

  /** Goes back to the last place that the client is known to have. The places in a stream follow from its beginning, so it ends. */
  #startAgain(): void {
    if (this.#held.is === 'polling') {
      // The client may read this answer, and must then go on with this carrier.
      this.#respondWithout(this.#held.response, noExtra)
      this.#held = nothingHeld
    } else this.release()
    this.#owner.session.resend(this.link)
    this.#heldSent = this.#shortSent = 0
    this.#owner.askAgain()
  }

  /** The silence that the client allows counts from here. */
  #hear(quiet: number): void {
    this.link.quiet = wanted(quiet)
    this.#owner.session.quietFrom(now())
  }

  /** The transport's name follows from the exchange that the client holds, if the client has not named it before. */
  #become(transport: Transport): void {
    if (this.transport === transport) return
    this.transport = transport
    this.#owner.transportChanged(this)
  }

  #takeShort(): Short | undefined {
    const short = this.#short
    this.#short = undefined
    return short
  }

  /** A client has one short exchange under way: when another one comes, it no longer waits for this one. */
  #giveUpShort(): void {
    const short = this.#takeShort()
    if (short) this.#respondWithout(short.response, short.extra)
  }

  // ---- answers ----

  #answerShort({ response, extra }: Short): void {
    const all = this.#owner.congested ? [...extra, congested] : extra
    this.#shortSent = this.#bring(response, all) || this.#shortSent
  }

  #answerPoll({ response }: HeldPoll, extra: readonly Extra[]): void {
    this.#held = nothingHeld
    this.#heldSent = this.#bring(response, extra) || this.#heldSent
  }

  /** Answers, and returns the number of the last message that the answer brings; 0 if it brings none. */
  #bring(response: ServerResponse, extra: readonly Extra[]): number {
    const before = this.link.sent
    this.#respond(response, extra)
    return this.link.sent > before ? this.link.sent : 0
  }

  #respond(response: ServerResponse, extra: readonly Extra[]): void {
    const { session, sessionAccount } = this.#owner
    // While a stream is open, all messages go over the stream, which keeps their order.
    const whole = !isStream(this.#held)
    const to = this.#start(whole ? this.#room : 64, extra)
    if (whole) {
      writeControls(to, session, this.link)
      // The client may still give this attempt up: a large answer would then only delay the next attempt.
      const isProven = this.#shortSerial > 1 || this.#heldSerial > 0
      writeMessages(to, session, this.link, isProven ? answerSize : firstPiece)
    }
    session.ackStated()
    finish(response, to, sessionAccount)
  }

  /** Answers without anything that would be lost if nobody reads it. */
  #respondWithout(response: ServerResponse, extra: readonly Extra[]): void {
    finish(response, this.#start(64, extra), this.#owner.sessionAccount)
  }

  #writeInto(stream: HeldStream): void {
    const { session, sessionAccount } = this.#owner
    while (session.wants(this.link, false) && stream.takesMore(sessionAccount.answerTimeout)) {
      const most = stream.pieceSize
      const to = writerFor(Math.min(most, this.#room))
      writeControls(to, this.#owner.session, this.link)
      writeMessages(to, session, this.link, most)
      if (to.size === 0) return
      stream.write(to)
    }
  }

  #start(size: number, extra: readonly Extra[]): ByteWriter {
    const at: Position = { number: this.link.sent, offset: this.link.sentOffset }
    return startAnswer(size, this.#owner.session.received, at, extra)
  }

  /** The bytes for the messages that wait, and the heads of their records. */
  get #room(): number {
    return Math.min(answerSize, 64 + this.#owner.session.unsentBytes)
  }
}

const noExtra: readonly Extra[] = []
/** Too much waits for an application that has paused: the messages of this request were not taken. */
const congested: Extra = { kind: 'pause', payload: '1' }
/** The application goes on. */
const goOn: Extra = { kind: 'pause', payload: '0' }

function isStream(held: Held): held is HeldStream {
  return held.is === 'stream' || held.is === 'sse'
}
