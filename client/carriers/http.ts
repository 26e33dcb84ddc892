/**
 * Frames over HTTP exchanges: a short one takes ours along, a held one brings the server's - by long-polling, by an
 * answer that goes on and on, or by an EventSource. Each may be lost, repeated or overtaken: docs/PROTOCOL.md, section 3.
 */
import { Malformed } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import { readWelcome, type Welcome } from '../../shared/control.ts'
import {
  type AnswerHead,
  Ask,
  BodyReader,
  type FrameRecord,
  readAnswerHead,
  Status,
  takeData,
  writeControl,
  writeMessages,
  writeRecord,
} from '../../shared/exchange.ts'
import { defaultPiece, maxRecord } from '../../shared/limits.ts'
import { type Message, readClosePayload } from '../../shared/message.ts'
import type { Position } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'
import type { Attempt, Carrier, Client } from '../carrier.ts'
import { now, type Timer } from '../clock.ts'
import type { Answer, PostInit } from '../platform.ts'

/** The two requests that HTTP needs, to the address of this socket. */
export interface Requests {
  post(init: PostInit): Promise<Answer>
  listen(ticket: string, signal: AbortSignal): Answer
}

/** The exchanges of one kind: at most one of them is under way. */
interface Lane {
  serial: number
  /** In a row; the third ends the carrier. */
  failures: number
  /** Under way, or waiting for its next try. */
  busy: boolean
  /** Its answer has begun, and will end by itself. */
  ending: boolean
  /** The next one asks to begin again after what has arrived. */
  again: boolean
  timer: Timer
  abort: AbortController | undefined
  /** The place of the next record of its answer. */
  at: { number: number; offset: number }
}

/** Came before what should come before it: the held answer and the short one overtake each other. */
interface Early {
  readonly at: Position
  readonly record: FrameRecord
}

/** How many of them are kept. */
const maxEarly = 64
/** The smallest piece that is tried where bodies are refused. */
const minPiece = 1024
/** What a body may hold beside its last piece: the head of that. */
const margin = 16
/** A stream that has not begun by then is held back by something on the way. */
const headPatience = 2000
/** Before the second retry. */
const retryPause = 300

export class HttpCarrier implements Carrier {
  buffered = 0
  readonly #client: Client
  readonly #link: Attempt
  readonly #requests: Requests
  #state: 'opening' | 'used' | 'ended' = 'opening'
  #flushing = false
  readonly #short: Lane = newLane()
  readonly #held: Lane = newLane()
  #ticket: string | undefined
  /** The connection of the first exchange is not for the held one: the application's first messages may have it. */
  #settled = false
  /** What the server has, as the last answer says. */
  #has: Position = this.#held.at
  #piece = defaultPiece
  #early: Early[] = []

  constructor(client: Client, link: Attempt, requests: Requests) {
    this.#client = client
    this.#link = link
    this.#requests = requests
    this.flush()
  }

  take(): void {
    this.#state = 'used'
    this.#link.sound ||= this.#link.transport === 'polling'
    this.#piece = Math.min((this.#client.welcome as Welcome).maxBody, defaultPiece) - margin
    this.#settled = this.#link.standby
    this.#client.attach(this.#link, this.#has)
    // What only showed that streams get through makes room for the one in use.
    const { abort } = this.#held
    setTimeout(() => abort?.abort())
    this.flush()
  }

  /** Once the turn is over, so that all that is sent in it goes into one body. */
  flush(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      if (this.#state !== 'ended') this.#next()
    })
  }

  close(): void {
    const { session } = this.#client
    const last = this.#state === 'used' && session.done
    this.#state = 'ended'
    // The last acknowledgement spares the server its patience. What is under way may carry our last words.
    if (last && session.wants(this.#link)) void this.#exchange(this.#short, 0)
    for (const lane of last ? [this.#held] : [this.#held, this.#short]) {
      clearTimeout(lane.timer)
      // Chromium can keep an answer open that is aborted in the turn of its first byte.
      setTimeout(() => lane.abort?.abort())
    }
  }

  #end(why: string): void {
    if (this.#state === 'ended') return
    this.close()
    this.#client.lost(this.#link, why)
  }

  /** Begins what there is to begin. */
  #next(): void {
    const { session } = this.#client
    const { transport, standby } = this.#link
    const held = this.#held
    const used = this.#state === 'used'
    const polling = transport === 'polling'
    const sse = transport === 'sse'
    // A short answer also gets through where streams are held back: only a stream that begins proves them.
    const probing = !used && standby && !polling
    const wantsTicket = used && sse && !held.busy && !this.#ticket
    if (!held.busy && (probing || (used && (sse ? this.#ticket : this.#settled))))
      void this.#exchange(held, polling ? Ask.hold : Ask.hold | Ask.stream)
    if (
      !this.#short.busy &&
      !probing &&
      // A long-poll that is being answered is about to be renewed: that one takes along all that is no message.
      (!held.ending || session.peek(this.#link)) &&
      (!used || wantsTicket || this.#short.again || session.wants(this.#link))
    )
      void this.#exchange(this.#short, wantsTicket ? Ask.ticket : polling ? 0 : Ask.stream)
  }

  /** The body of a request: controls go with any, messages with a short one. */
  #body(lane: Lane, ask: number): Uint8Array<ArrayBuffer> {
    const { session, protocols, welcome } = this.#client
    const link = this.#link
    const short = lane === this.#short
    if (lane.again) {
      ask |= Ask.again
      if (short) session.resend(link)
    }
    lane.again = false
    const to = this.#client.head(link, ask, ++lane.serial)
    if (this.#state === 'opening' && !welcome)
      writeRecord(to, 'hello', encodeText(JSON.stringify({ protocols })))
    for (let frame = session.pollControl(link, false); frame; frame = session.pollControl(link, false))
      writeControl(to, frame as Parameters<typeof writeControl>[1])
    if (short) {
      const unsent = session.unsentBytes
      writeMessages(to, session, link, this.#piece)
      this.buffered = unsent - session.unsentBytes
    }
    if (link === session.link) session.ackStated()
    return to.whole()
  }

  async #exchange(lane: Lane, ask: number): Promise<void> {
    const { answerPatience, session } = this.#client
    const { silence } = session.limits
    const short = lane === this.#short
    const ticket = this.#ticket
    const reader = new BodyReader(readAnswerHead, maxRecord)
    const abort = new AbortController()
    const { signal } = abort
    let why = ''
    const wait = (ms: number) => {
      clearTimeout(lane.timer)
      lane.timer = setTimeout(() => {
        why = short || reader.head || this.#link.transport === 'polling' ? 'timeout' : 'held back'
        abort.abort()
      }, ms)
    }
    lane.busy = true
    lane.abort = abort
    wait(
      short
        ? answerPatience
        : this.#link.transport === 'polling'
          ? silence
          : Math.min(headPatience, answerPatience),
    )
    try {
      let answer: Answer
      if (!short && ticket) {
        this.#ticket = undefined
        answer = this.#requests.listen(ticket, signal)
      } else {
        const body = this.#body(lane, ask)
        // That may have been the last word.
        if (session.done) queueMicrotask(() => this.#client.settle())
        answer = await this.#requests.post({ body, signal, keepalive: session.done })
      }
      if (answer.status !== 200) why = `${answer.status} ${answer.statusText}`.trim()
      else {
        const stream = answer.body?.getReader()
        for (let chunk = await stream?.read(); chunk?.value; chunk = await stream?.read()) {
          if (!short) wait(silence)
          const { value } = chunk
          if (this.#state !== 'ended')
            this.#take(
              lane,
              reader,
              typeof value === 'string' ? Uint8Array.from(atob(value), (c) => c.charCodeAt(0)) : value,
            )
        }
        if (!reader.complete) why = 'truncated'
      }
    } catch (error) {
      why ||= (error as Error | undefined)?.message || 'not ours'
    }
    clearTimeout(lane.timer)
    if (why) setTimeout(() => abort.abort())
    if (this.#state !== 'ended') this.#after(lane, why)
  }

  /** An exchange is over: well, or for a reason. */
  #after(lane: Lane, why: string): void {
    const { session } = this.#client
    const link = this.#link
    lane.busy = lane.ending = false
    if (lane === this.#short) {
      this.buffered = 0
      setTimeout(() => {
        this.#settled = true
        this.flush()
      })
      const { number, offset } = session.acknowledged
      // What the server has not taken, it had no place for: something before it was lost.
      if (!why && link === session.link && (number - link.sent || offset - link.sentOffset) < 0)
        why = 'not taken'
    } else {
      if (why === 'held back') link.sound = false
      if (!link.sound) {
        this.#end(why)
        return
      }
      // A GET cannot ask to begin again; what asks for its ticket can.
      if (link.transport === 'sse') this.#short.again = true
    }
    if (!why) {
      lane.failures = 0
      lane.again ||= lane === this.#held && this.#early.length > 0
    } else {
      lane.again = true
      if (why.startsWith('413') && this.#piece > minPiece) this.#piece = Math.max(minPiece, this.#piece >> 1)
      else if (++lane.failures > 2 || (this.#state === 'opening' && why.startsWith('4'))) {
        this.#end(why)
        return
      }
      if (lane.failures > 1) {
        lane.busy = true
        lane.timer = setTimeout(() => {
          lane.busy = false
          this.flush()
        }, retryPause)
      }
    }
    this.#next()
  }

  /** Takes in what has come of an answer. Throws `Malformed`. */
  #take(lane: Lane, reader: BodyReader<AnswerHead>, chunk: Uint8Array): void {
    const { session } = this.#client
    const begun = reader.head
    const records = reader.push(chunk)
    session.heard(now())
    if (!reader.head) return
    if (!begun) {
      lane.at = { ...reader.head.at }
      lane.ending = this.#link.transport === 'polling'
      if (lane === this.#held) this.#link.sound = true
      this.#heed(reader.head)
    }
    for (const record of records) if (this.#state !== 'ended') this.#record(lane, record)
    for (let before = -1; before !== this.#early.length; ) {
      before = this.#early.length
      this.#early = this.#early.filter(
        ({ at, record: { kind, payload, more } }) =>
          !session.receiveAt(at, kind as Message['kind'], payload, more, now()),
      )
    }
    if (this.#early.length > maxEarly) {
      this.#early = []
      this.#short.again = true
    }
    this.#client.settle()
  }

  #heed({ status, has }: AnswerHead): void {
    const { session, welcome } = this.#client
    if (status === Status.superseded) this.#end('superseded')
    else if (status === Status.unknown) session.abortArrived(CloseCode.lost, 'unknown session')
    else if (!session.ackArrived(has, now())) session.fail(CloseCode.protocolError, 'bad ack', now())
    else {
      this.#has = has
      // A resume is answered without a welcome.
      if (welcome && !this.#link.standby) this.#proven()
    }
  }

  #proven(welcome?: Welcome): void {
    if (this.#state === 'opening') this.#client.proven(this.#link, welcome)
  }

  #record(lane: Lane, record: FrameRecord): void {
    const { session } = this.#client
    const { kind, payload } = record
    const at = { ...lane.at }
    if (!takeData(session, lane.at, record, now())) this.#early.push({ at, record })
    else if (kind === 'abort') {
      const { code, reason } = readClosePayload(payload)
      session.abortArrived(code, reason ?? '')
    } else if (kind === 'ticket') this.#ticket = decodeText(payload)
    else if (kind === 'ping') session.pingArrived(this.#link, decodeText(payload) ?? '', now())
    else if (kind === 'welcome') {
      const welcome = readWelcome(decodeText(payload) ?? '')
      if (!welcome) throw new Malformed()
      this.#proven(welcome)
    }
  }
}

function newLane(): Lane {
  return {
    serial: 0,
    failures: 0,
    busy: false,
    ending: false,
    again: false,
    timer: undefined,
    abort: undefined,
    at: { number: 0, offset: 0 },
  }
}
