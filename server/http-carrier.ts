/**
 * Requests and answers that carry a session. The short exchange brings the client's messages and is answered at the end
 * of the turn, with the server's as far as there are any; the held one (long-poll, stream or event stream) brings the rest.
 */
import type { ServerResponse } from 'node:http'
import { ByteWriter } from '../shared/bytes.ts'
import {
  Ask,
  type RequestHead,
  Status,
  writeAnswerHead,
  writeControl,
  writeMessages,
  writeRecord,
} from '../shared/exchange.ts'
import { ackDelayByRequest } from '../shared/limits.ts'
import type { Message } from '../shared/message.ts'
import { type Frame, Link, type Position } from '../shared/session.ts'
import type { Carrier, Transport } from './carrier.ts'
import type { SessionSocket } from './session-socket.ts'

/** About the largest body of one answer, and of one write into a stream. */
const answerSize = 256 * 1024
/** How long a client waits for a paused application before it is answered without having been read. */
const pausedAnswer = 5_000
/** How long a ticket for an event stream is good. */
const ticketLife = 15_000

interface Held {
  readonly response: ServerResponse
  readonly kind: 'stream' | 'sse' | 'polling'
}

interface Short {
  readonly response: ServerResponse
  readonly extra: readonly Extra[]
}

/** A record that only one answer carries. */
export interface Extra {
  readonly kind: 'welcome' | 'ticket'
  readonly payload: Uint8Array
}

export class HttpCarrier implements Carrier {
  readonly link: Link
  readonly transport: Transport
  readonly #owner: SessionSocket
  #held: Held | undefined
  #shorts: Short[] = nothing
  #heldSerial = 0
  #shortSerial = 0
  #ticket: { secret: string; until: number } | undefined
  #ended = false
  #stopped: NodeJS.Timeout | undefined

  constructor(owner: SessionSocket, epoch: number, transport: Transport) {
    this.#owner = owner
    this.link = new Link(epoch, ackDelayByRequest)
    this.transport = transport
  }

  get bufferedAmount(): number {
    return this.#held && this.#held.kind !== 'polling' ? this.#held.response.writableLength : 0
  }

  /** A short exchange: the body has been taken already. */
  answer(head: RequestHead, response: ServerResponse, extra: readonly Extra[]): void {
    this.#arrived(head, head.serial === this.#shortSerial)
    this.#shortSerial = Math.max(this.#shortSerial, head.serial)
    if (this.#shorts === nothing) this.#shorts = []
    this.#shorts.push({ response, extra })
    if (this.#owner.congested) {
      this.#stopped ??= setTimeout(() => this.#continue(), pausedAnswer)
      this.#stopped.unref()
    }
  }

  /** An exchange that waits, or that is written on for as long as it lasts. */
  hold(head: RequestHead, response: ServerResponse): void {
    if (head.serial < this.#heldSerial) {
      respond(response, Status.superseded)
      return
    }
    this.#arrived(head, head.serial === this.#heldSerial)
    this.#heldSerial = head.serial
    this.#begin({ response, kind: (head.ask & Ask.stream) !== 0 ? 'stream' : 'polling' })
  }

  /** The event stream that the ticket was given for. Returns false if it is none of ours. */
  stream(secret: string, response: ServerResponse, now: number): boolean {
    const ticket = this.#ticket
    if (ticket?.secret !== secret || now > ticket.until || this.#held?.kind === 'sse') return false
    this.#owner.session.resend(this.link)
    this.#begin({ response, kind: 'sse' })
    return true
  }

  setTicket(secret: string, now: number): void {
    this.#ticket = { secret, until: now + ticketLife }
    this.#release()
  }

  flush(): void {
    if (this.#shorts !== nothing && this.#stopped === undefined) {
      const shorts = this.#shorts
      this.#shorts = nothing
      for (const { response, extra } of shorts) this.#respond(response, extra)
    }
    const held = this.#held
    if (held === undefined) return
    if (held.kind !== 'polling') this.#write(held)
    else if (this.#owner.session.wants(this.link, false)) {
      this.#held = undefined
      this.#respond(held.response, noExtra)
    }
  }

  end(why: 'superseded' | 'closed' | 'dead'): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#stopped)
    const status = why === 'superseded' ? Status.superseded : Status.ok
    for (const { response, extra } of this.#shorts) {
      if (why === 'closed') this.#respond(response, extra)
      else respond(response, status)
    }
    this.#shorts = nothing
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    if (why === 'dead') held.response.destroy()
    else if (held.kind === 'polling') {
      if (why === 'closed') this.#respond(held.response, noExtra)
      else respond(held.response, status)
    } else held.response.end()
  }

  pause(): void {}

  resume(): void {
    this.#continue()
  }

  /** The held exchange was cut, not answered: the client is away, or about to come again. */
  cut(response: ServerResponse): void {
    if (this.#held?.response !== response) return
    this.#held = undefined
    if (!this.#ended) this.#owner.lost(this)
  }

  #continue(): void {
    clearTimeout(this.#stopped)
    this.#stopped = undefined
    this.flush()
  }

  /** What of the head concerns this carrier: a repeated request, or a lost answer, starts again after what was had. */
  #arrived(head: RequestHead, repeated: boolean): void {
    if ((head.ask & Ask.again) === 0 && !repeated) return
    // In a stream the places follow from its beginning: what is to begin again needs another one.
    if (this.#held && this.#held.kind !== 'polling') this.#release()
    this.#owner.session.resend(this.link)
  }

  #begin(held: Held): void {
    this.#release()
    this.#held = held
    const { response, kind } = held
    ;(response as Carried)[carrierOf] = this
    response.on('close', onClose)
    if (kind === 'polling') return
    response.writeHead(200, kind === 'sse' ? eventStreamHeaders : streamHeaders)
    const to = new ByteWriter(64)
    writeAnswerHead(to, { status: Status.ok, has: this.#owner.session.received, at: this.#at })
    write(held, to)
  }

  /** An older held exchange makes room. */
  #release(): void {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    if (held.kind === 'polling') respond(held.response, Status.superseded)
    else held.response.end()
  }

  #respond(response: ServerResponse, extra: readonly Extra[]): void {
    const { session } = this.#owner
    const to = new ByteWriter()
    writeAnswerHead(to, { status: Status.ok, has: session.received, at: this.#at })
    for (const { kind, payload } of extra) writeRecord(to, kind, payload)
    // What goes over an open stream stays in one order there.
    if (this.#held === undefined || this.#held.kind === 'polling') {
      this.#writeControls(to)
      writeMessages(to, session, this.link, answerSize)
    }
    session.ackStated()
    finish(response, to)
  }

  #write(held: Held): void {
    const { session } = this.#owner
    while (session.wants(this.link, false)) {
      if (held.response.writableNeedDrain) {
        held.response.once('drain', () => this.flush())
        return
      }
      const to = new ByteWriter()
      this.#writeControls(to)
      writeMessages(to, session, this.link, answerSize)
      if (to.size === 0) return
      write(held, to)
    }
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

const nothing: Short[] = []
const noExtra: readonly Extra[] = []
const carrierOf: unique symbol = Symbol('carrier')
type Carried = ServerResponse & { [carrierOf]?: HttpCarrier }

const answerHeaders = {
  'Content-Type': 'application/octet-stream',
  'Cache-Control': 'no-store, no-transform',
}
const streamHeaders = { ...answerHeaders, 'X-Accel-Buffering': 'no' }
const eventStreamHeaders = { ...streamHeaders, 'Content-Type': 'text/event-stream' }

function onClose(this: ServerResponse): void {
  ;(this as Carried)[carrierOf]?.cut(this)
}

function write(held: Held, to: ByteWriter): void {
  const { response, kind } = held
  if (kind === 'sse') {
    const whole = to.whole()
    response.write(
      `data: ${Buffer.from(whole.buffer, whole.byteOffset, whole.length).toString('base64')}\n\n`,
    )
    return
  }
  response.write(to.whole())
}

/** An answer without a session behind it. */
export function respond(response: ServerResponse, status: number): void {
  const to = new ByteWriter(16)
  writeAnswerHead(to, { status, has: zero, at: zero })
  finish(response, to)
}

function finish(response: ServerResponse, to: ByteWriter): void {
  const whole = to.whole()
  // An HTTP/1.1 connection is kept without being told so; that saves a third of a small answer.
  response.removeHeader('Connection')
  response.writeHead(200, { ...answerHeaders, 'Content-Length': whole.length })
  response.end(whole)
}

const zero: Position = { number: 0, offset: 0 }

/** Only to show that this way is open: the session stays where it is. */
export function respondStandby(response: ServerResponse, has: Position, extra: readonly Extra[]): void {
  const to = new ByteWriter()
  writeAnswerHead(to, { status: Status.ok, has, at: zero })
  for (const { kind, payload } of extra) writeRecord(to, kind, payload)
  finish(response, to)
}
