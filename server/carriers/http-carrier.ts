/**
 * Requests and answers that carry a session. The short exchange brings the client's messages and is answered at the end
 * of the turn, with the server's as far as there are any; the held one (long-poll, stream or event stream) brings the rest.
 * An answer that perhaps nobody reads, because its request was repeated or overtaken, brings no messages.
 */
import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { ByteWriter } from '../../shared/bytes.ts'
import {
  Ask,
  type RequestHead,
  Status,
  writeControl,
  writeMessages,
  writeRecord,
} from '../../shared/exchange.ts'
import { ackDelayByRequest } from '../../shared/limits.ts'
import { type Frame, Link, type Position } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import { isOver, needsDrain } from '../base/responses.ts'
import { atEndOfTurn } from '../base/turn.ts'
import { longestDelay, now } from '../base/wakeups.ts'
import { type Carrier, type Transport, wanted } from '../sockets/carrier.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import {
  type Extra,
  finish,
  type Going,
  proof,
  respond,
  secondPiece,
  startAnswer,
  startHolding,
  writePiece,
} from './answers.ts'

/** About the largest body of one answer. */
const answerSize = 256 * 1024
/** About the largest write into a stream, whose records are read when they are whole: on a slow line that is what shows that it goes on. */
const streamPiece = 64 * 1024
/** … and as long as a carrier, or a stream, has not shown that it gets through, when the client has less patience. */
const firstPiece = 8 * 1024
/** How long a ticket for an event stream is good. */
const ticketLife = 15_000
const secretSize = 18
/** A stream that is to end sooner would be a poll. */
const shortestLife = 1_000
interface Short {
  readonly response: ServerResponse
  readonly extra: readonly Extra[]
}

export class HttpCarrier implements Carrier {
  readonly link: Link
  transport: Transport
  readonly #owner: SessionSocket
  #held: Going | undefined
  #short: Short | undefined
  #heldSerial = 0
  #shortSerial = 0
  /** The last held request came more than once: which of its answers the client got is not known. */
  #doubtful = false
  #ticket: { secret: string; until: number } | undefined
  #ended = false
  /** Of streams: says the second piece and later ends it; how long the client wants them to last, 0 for as long as they will. */
  #stream: { timer: NodeJS.Timeout | undefined; life: number } | undefined
  /** Since when the stream that is held takes no more; 0: it does. */
  #blockedSince = 0
  /** The stream that is held has its second piece. */
  #goesOn = false

  /** `lost`: the one that went on before, if it was of the same epoch. */
  constructor(owner: SessionSocket, epoch: number, transport: Transport | undefined, lost?: Carrier) {
    this.#owner = owner
    this.link = new Link(epoch, ackDelayByRequest)
    this.transport = transport ?? 'polling'
    if (!(lost instanceof HttpCarrier) || lost.link.epoch !== epoch) return
    this.transport = transport ?? lost.transport
    this.#heldSerial = lost.#heldSerial
    this.#shortSerial = lost.#shortSerial
    this.#doubtful = lost.#doubtful
    this.#ticket = lost.#ticket
  }

  get bufferedAmount(): number {
    const held = this.#held
    if (!held || held.kind === 'polling') return 0
    const { response, out } = held
    return response.writableLength + (out === response ? 0 : out.writableLength)
  }

  /** Of bodies, those who read them keep count. */
  get partialBytes(): number {
    return 0
  }

  /** Bodies are read before they count, each within limits of its own. */
  get progressed(): boolean {
    return false
  }

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
    if (this.link.quiet !== wanted(quiet)) this.#hear(quiet)
    if ((ask & Ask.ticket) !== 0) this.#stream = { timer: this.#stream?.timer, life }
    if ((ask & Ask.again) !== 0) this.#startAgain()
    this.#short = { response, extra }
  }

  /** An exchange that waits, or that is written on for as long as it lasts. */
  hold({ serial, ask, quiet, life }: RequestHead, response: ServerResponse, extra: readonly Extra[]): void {
    if (serial < this.#heldSerial) {
      respond(response, Status.superseded)
      return
    }
    const repeated = serial === this.#heldSerial
    if (repeated || this.#doubtful || (ask & Ask.again) !== 0) this.#startAgain()
    this.#doubtful = repeated
    this.#heldSerial = serial
    this.#hear(quiet)
    const streaming = (ask & Ask.stream) !== 0
    if (streaming) this.#stream = { timer: this.#stream?.timer, life }
    this.#begin(response, streaming ? 'stream' : 'polling', extra)
  }

  /** Whether it was given out for this carrier, is still good, and its stream is not open. */
  accepts(secret: string, now: number): boolean {
    const ticket = this.#ticket
    return ticket?.secret === secret && now <= ticket.until && this.#held?.kind !== 'sse'
  }

  /** The event stream that a ticket was given for. */
  stream(response: ServerResponse): void {
    this.#owner.session.resend(this.link)
    this.#begin(response, 'sse', noExtra)
  }

  /** For the request with this serial: one that was repeated or overtaken gets what was given already. */
  ticketFor(serial: number, now: number): string {
    if (this.#ticket === undefined || serial > this.#shortSerial) {
      this.#ticket = { secret: randomBytes(secretSize).toString('base64url'), until: now + ticketLife }
      this.#release()
      this.#become('sse')
    }
    return this.#ticket.secret
  }

  flush(): void {
    const held = this.#held
    // First, so that the head of a short answer tells how far the stream beside it has been given things to say.
    if (held !== undefined && held.kind !== 'polling') this.#write(held)
    const short = this.#short
    if (short) {
      this.#short = undefined
      this.#respond(short.response, this.#owner.congested ? [...short.extra, congested] : short.extra)
    }
    if (held?.kind === 'polling' && this.#owner.session.wants(this.link, false)) {
      this.#held = undefined
      this.#respond(held.response, noExtra)
    }
  }

  drained(): void {
    this.#blockedSince = 0
    this.flush()
    // Callbacks wait for what has gone out now.
    atEndOfTurn(this.#owner)
  }

  end(why: 'superseded' | 'closed' | 'dead'): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#stream?.timer)
    const status = why === 'superseded' ? Status.superseded : Status.ok
    const short = this.#short
    this.#short = undefined
    if (short) {
      if (why === 'closed') this.#respond(short.response, short.extra)
      else respond(short.response, status)
    }
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    if (why === 'dead') held.response.destroy()
    else if (held.kind === 'polling') {
      if (why === 'closed') this.#respond(held.response, noExtra)
      else respond(held.response, status)
    } else held.out.end()
  }

  pause(): void {}

  /** Its short exchanges were answered unread, and it was told so: now it may send again. */
  resume(): void {
    const held = this.#held
    if (held === undefined) return
    if (held.kind === 'polling') {
      this.#held = undefined
      this.#respond(held.response, [{ kind: 'pause', payload: no }])
    } else {
      const to = new ByteWriter(4)
      writeRecord(to, 'pause', no)
      writePiece(held, to)
    }
  }

  /** The held exchange was cut, not answered: the client is away, or about to come again. */
  cut(response: ServerResponse): void {
    if (this.#held?.response !== response) return
    this.#held = undefined
    clearTimeout(this.#stream?.timer)
    if (!this.#ended) this.#owner.lost(this, 'network', 'answer cut')
  }

  /** Goes back to what the client is known to have. In a stream the places follow from its beginning: it takes another. */
  #startAgain(): void {
    if (this.#held?.kind === 'polling') {
      // The client may be given this answer: it is to go on with this carrier.
      this.#respondWithout(this.#held.response, noExtra)
      this.#held = undefined
    } else this.#release()
    this.#owner.session.resend(this.link)
  }

  #begin(response: ServerResponse, kind: Going['kind'], extra: readonly Extra[]): void {
    this.#release()
    if (isOver(response)) {
      this.#owner.lost(this, 'network', 'request cut')
      return
    }
    this.#become(kind)
    if (kind === 'polling' && extra.length > 0) {
      this.#respond(response, extra)
      return
    }
    const held = startHolding(response, kind)
    this.#held = held
    const { out } = held
    ;(response as Carried)[carrierOf] = (out as Carried)[carrierOf] = this
    response.on('close', onClose)
    if (kind === 'polling') return
    this.#goesOn = false
    this.#blockedSince = 0
    out.on('drain', onDrain)
    writePiece(held, this.#start(64, extra))
    this.#streamOn(held, secondPiece, () => this.#goOn(held))
  }

  #streamOn(held: Going, ms: number, run: () => void): void {
    const ring = (): void => {
      if (this.#held === held) run()
    }
    const timer = setTimeout(ring, Math.min(ms, longestDelay))
    timer.unref()
    this.#stream = { timer, life: this.#stream?.life ?? 0 }
  }

  /** The stream has begun: its second piece, and later its end, which is no loss. */
  #goOn(held: Going): void {
    writePiece(held, proof())
    this.#goesOn = true
    const { life = 0 } = this.#stream ?? {}
    if (life > 0) this.#streamOn(held, Math.max(life, shortestLife) - secondPiece, () => this.#release())
  }

  /** The silence that the client allows counts from here. */
  #hear(quiet: number): void {
    this.link.quiet = wanted(quiet)
    this.#owner.session.quietFrom(now())
  }

  /** What it is called follows what the client does, if it has not said so before. */
  #become(transport: Transport): void {
    if (this.transport === transport) return
    this.transport = transport
    this.#owner.transportChanged(this)
  }

  /** A client has one short exchange under way: when another one comes, it no longer waits for this one. */
  #giveUpShort(): void {
    const short = this.#short
    this.#short = undefined
    if (short) this.#respondWithout(short.response, short.extra)
  }

  /** An older held exchange makes room. */
  #release(): void {
    const held = this.#held
    this.#held = undefined
    clearTimeout(this.#stream?.timer)
    if (held === undefined) return
    if (held.kind === 'polling') respond(held.response, Status.superseded)
    else held.out.end()
  }

  #respond(response: ServerResponse, extra: readonly Extra[]): void {
    const { session } = this.#owner
    // What goes over an open stream stays in one order there.
    const whole = this.#held === undefined || this.#held.kind === 'polling'
    const to = this.#start(whole ? this.#room : 64, extra)
    if (whole) {
      this.#writeControls(to)
      // What is large would only be in the way of the next attempt, should this one be given up.
      writeMessages(
        to,
        session,
        this.link,
        this.#shortSerial > 1 || this.#heldSerial > 0 ? answerSize : firstPiece,
      )
    }
    session.ackStated()
    finish(response, to, this.#owner)
  }

  /** Answers without anything that would be lost if nobody reads it. */
  #respondWithout(response: ServerResponse, extra: readonly Extra[]): void {
    finish(response, this.#start(64, extra), this.#owner)
  }

  #start(size: number, extra: readonly Extra[]): ByteWriter {
    return startAnswer(size, this.#owner.session.received, this.#at, extra)
  }

  /** For what waits, and the heads of its records. */
  get #room(): number {
    return Math.min(answerSize, 64 + this.#owner.session.unsentBytes)
  }

  #write(held: Going): void {
    const { session } = this.#owner
    while (session.wants(this.link, false)) {
      if (needsDrain(held.out)) {
        this.#endIfUnread(held)
        return
      }
      if (held.out.writableEnded) return
      const most = this.#goesOn ? streamPiece : firstPiece
      const to = new ByteWriter(Math.min(most, this.#room))
      this.#writeControls(to)
      writeMessages(to, session, this.link, most)
      if (to.size === 0) return
      writePiece(held, to)
    }
  }

  /** Nobody reads the stream: what waits goes over the next one. */
  #endIfUnread({ response }: Going): void {
    this.#blockedSince ||= now()
    if (now() >= this.#blockedSince + this.#owner.answerTimeout) response.destroy()
  }

  #writeControls(to: ByteWriter): void {
    const { session } = this.#owner
    for (
      let frame = session.pollControl(this.link, false);
      frame;
      frame = session.pollControl(this.link, false)
    ) {
      writeControl(to, frame as Exclude<Frame, Message | { kind: 'ack' }>)
    }
  }

  get #at(): Position {
    return { number: this.link.sent, offset: this.link.sentOffset }
  }
}

const noExtra: readonly Extra[] = []
const no: Uint8Array = Uint8Array.of(0)
/** Too much waits for an application that has paused: what this request brought was not taken. */
const congested: Extra = { kind: 'pause', payload: Uint8Array.of(1) }
const carrierOf: unique symbol = Symbol('carrier')
type Carried = Writable & { [carrierOf]?: HttpCarrier }

function onClose(this: ServerResponse): void {
  ;(this as Carried)[carrierOf]?.cut(this)
}

function onDrain(this: Writable): void {
  ;(this as Carried)[carrierOf]?.drained()
}
