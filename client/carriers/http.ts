/**
 * Frames over HTTP exchanges: a short one takes the client's along, a held one brings the server's, by long-polling, by a
 * streamed answer, or by an EventSource. Each may be lost, repeated or overtaken: docs/PROTOCOL.md, section 3.
 */
import { Malformed } from '../../shared/bytes.ts'
import { hear, writeControls, writeMessages } from '../../shared/carry.ts'
import { CloseCode } from '../../shared/codes.ts'
import {
  type AnswerHead,
  Ask,
  type BodyReader,
  type BodyRecord,
  Status,
  writeRecord,
} from '../../shared/exchange.ts'
import { readControl, readWelcome, type Welcome } from '../../shared/frame.ts'
import { defaultPiece } from '../../shared/limits.ts'
import { hasReached, type Position } from '../../shared/link.ts'
import { encodeText } from '../../shared/text.ts'
import type { Carrier, CarrierHost, CarrierLink } from '../base/carrier.ts'
import { now } from '../base/clock.ts'
import type { Answer, PostInit } from '../base/natives.ts'
import type { Why } from '../base/why.ts'
import { type HttpView, isUnderWay, nextStep, smallPiece, verdict } from './http-plan.ts'
import { Lane } from './lane.ts'

/** The two requests that HTTP needs, to the address of this socket. */
export interface Requests {
  post(init: PostInit): Promise<Answer>
  listen(ticket: string, signal: AbortSignal): Answer | Promise<Answer>
  /** Calls `run` later, when the events that have come already have had their turns. Without this, requests begin at the end of the turn. */
  readonly later?: ((run: () => void) => void) | undefined
  /**
   * Asks for a slot, the permission to keep a connection busy; without this, none is needed. Resolves with the function that gives
   * the slot back, or with undefined if none is free. `giveBack` is called when the slot is wanted back, soon or `atOnce`. `inTheWay`:
   * a short exchange waited for long beside the held one.
   */
  readonly slot?:
    | ((giveBack: (atOnce?: boolean) => void) => Promise<((inTheWay?: boolean) => void) | undefined>)
    | undefined
}

/** A record that came before earlier ones: the held answer and the short one overtake each other. */
interface Early {
  readonly at: Position
  readonly record: BodyRecord
}

/** How many early records are kept. */
const maxEarly = 64
/** The bytes for the head of the last piece in a body. */
const room = 16
/** The server sends the second piece of a stream 100 ms after the first; this is a little more. */
const secondPiece = 150
/** About the largest event of an event stream. */
const eventSize = 90_000
/** The pause before the second retry. */
const retryPause = 300
/**
 * How often a client asks that must not send or has no slot. Hidden pages have one turn each second: a whole second after a slow
 * answer would miss it.
 */
const askPause = 900
/** A stream did not begin, or began and did not go on. */
const heldBack: Why = { is: 'held back' }
const gaveWay: Why = { is: 'gave way' }

export class HttpCarrier implements Carrier {
  buffered = 0
  readonly #host: CarrierHost
  readonly #link: CarrierLink
  readonly #requests: Requests
  readonly #short: Lane = new Lane(() => this.flush())
  readonly #held: Lane = new Lane(() => this.flush())
  /** What the plan depends on. */
  readonly #view: HttpView
  /** Gives the slot back. */
  #release: ((inTheWay?: boolean) => void) | undefined
  #flushing = false
  /** The last short answer said that messages are not taken now. */
  #refused = false
  #welcome: Welcome | undefined
  /** The place up to which the server has the client's messages, by its last answer. */
  #has: Position = this.#held.at
  #piece = defaultPiece
  #early: Early[] = []

  constructor(host: CarrierHost, link: CarrierLink, requests: Requests) {
    this.#host = host
    this.#link = link
    this.#requests = requests
    this.#view = {
      link: this.#link,
      host: this.#host,
      held: this.#held,
      short: this.#short,
      state: 'opening',
      slot: requests.slot ? 'vacant' : 'leased',
      ticket: undefined,
      settled: false,
      lateness: 'no',
      tested: 'yes',
    }
    this.flush()
  }

  take(): void {
    this.#view.state = 'used'
    if (this.#link.transport === 'polling') this.#host.sound(this.#link)
    const { pilot, network } = this.#host
    this.#piece = Math.min((pilot.welcome as Welcome).maxBody, defaultPiece, network.piece) - room
    this.#view.settled = this.#held.is !== 'free'
    this.#host.attach(this.#link, this.#has)
    // The stream that only showed that streams get through makes room for the one in use.
    const { abort } = this.#held
    setTimeout(() => abort?.abort())
    this.flush()
  }

  /** Begins exchanges when the turn is over, so that everything that is sent in it goes into one body. */
  flush(): void {
    if (this.#flushing) return
    this.#flushing = true
    const { later = queueMicrotask } = this.#requests
    later(() => {
      this.#flushing = false
      if (this.#view.state !== 'over') this.#next()
    })
  }

  close(atOnce = false): void {
    const { session } = this.#host
    const last = this.#view.state === 'used' && session.done
    this.#view.state = 'over'
    this.#freeSlot()
    // With the last acknowledgement the server need not wait for its patience. The request under way may carry the last messages, so it
    // goes on until the acknowledgement is answered.
    const { abort } = this.#short
    if (last && session.wants(this.#link)) this.#exchange(this.#short, 0).then(() => abort?.abort())
    for (const lane of last ? [this.#held] : [this.#held, this.#short]) {
      lane.stop()
      const { abort } = lane
      // Chromium can keep an answer open that is aborted in the turn of its first byte.
      if (atOnce) abort?.abort()
      else setTimeout(() => abort?.abort())
    }
  }

  #end(why: Why): void {
    if (this.#view.state === 'over') return
    this.close()
    this.#host.lost(this.#link, why)
  }

  /** Takes the steps of the plan until there is none. */
  #next(): void {
    const polling = this.#link.transport === 'polling'
    const step = nextStep(this.#view)
    if (!step) return
    if (step === 'quit') this.#end({ is: 'superseded' })
    else if (step === 'giveBackSlot') this.#freeSlot()
    else if (step === 'askForSlot') void this.#askForSlot()
    else if (step === 'holdOne') void this.#exchange(this.#held, polling ? Ask.hold : Ask.hold | Ask.stream)
    else void this.#exchange(this.#short, step === 'askOne' ? (polling ? 0 : Ask.stream) : Ask.ticket)
    this.#next()
  }

  /** Asks for a slot before an exchange is held. While there is none, a short exchange asks from time to time. */
  async #askForSlot(): Promise<void> {
    const held = this.#held
    held.is = 'asking'
    const release = await this.#requests.slot?.((atOnce) => {
      this.#view.slot = 'recalled'
      if (atOnce) this.#giveWay()
      this.#dismiss()
    })
    if (this.#view.state === 'over') {
      release?.()
      return
    }
    this.#release = release
    this.#view.tested = 'no'
    held.is = release ? 'free' : 'slotless'
    if (!release) this.#freeSlot()
    // A slot may be wanted back before it is granted.
    else if (this.#view.slot === 'vacant') this.#view.slot = 'leased'
    // Without a slot the carrier cannot show more for now.
    if (!release) this.#host.sound(this.#link)
    this.#next()
  }

  /** The slot is wanted back. The server ends the held exchange when it is asked to start again, if that exchange has arrived. */
  #dismiss(): void {
    if (this.#view.slot !== 'recalled' || this.#view.state === 'over') return
    const polling = this.#link.transport === 'polling'
    this.#short.again ||= polling || this.#held.is === 'begun' || this.#held.is === 'shown'
    this.flush()
    // It is not known whether a long-poll has arrived: ask again after a pause.
    if (polling) setTimeout(() => this.#dismiss(), retryPause)
  }

  /**
   * Ends the held exchange at this end, where a short one cannot ask the server to end it: the page may be about to freeze, or no
   * connection or stream is left for the short one.
   */
  #giveWay(inTheWay = false): void {
    const held = this.#held
    if (!this.#release || !isUnderWay(held)) return
    this.#freeSlot(inTheWay)
    held.dismissed = true
    held.why = gaveWay
    held.abort?.abort()
  }

  #freeSlot(inTheWay = false): void {
    this.#release?.(inTheWay)
    this.#release = this.#view.ticket = undefined
    this.#view.slot = 'vacant'
  }

  /** The body of a request: controls go with any, messages with a short one. */
  #body(lane: Lane, ask: number): Uint8Array<ArrayBuffer> {
    const { session, protocols, pilot } = this.#host
    const link = this.#link
    const short = lane === this.#short
    if (lane.again) {
      ask |= Ask.again
      if (short) {
        session.resend(link)
        this.#held.dismissed = true
      }
    }
    lane.again = false
    if (short && this.#view.lateness === 'yes') this.#view.lateness = 'asked'
    if (short && isUnderWay(this.#held, this.#link.transport === 'sse')) this.#view.tested = 'yes'
    // A client that asks from time to time needs no pings.
    const to = this.#host.head(link, ask, ++lane.serial, this.#view.slot === 'vacant' ? 0 : undefined)
    if (this.#view.state === 'opening' && !pilot.welcome)
      writeRecord(to, 'hello', encodeText(JSON.stringify({ protocols })))
    writeControls(to, session, link)
    if (short && !pilot.paused) {
      const unsent = session.unsentBytes
      writeMessages(to, session, link, lane.balked ? Math.min(this.#piece, smallPiece) : this.#piece)
      this.buffered = unsent - session.unsentBytes
    }
    if (link === session.link) session.ackStated()
    lane.size = to.size
    return to.whole()
  }

  async #exchange(lane: Lane, ask: number): Promise<void> {
    const host = this.#host
    const ticket = this.#view.ticket
    const { pilot, session, network } = host
    const { answerPatience } = pilot
    const short = lane === this.#short
    const began = now()
    let heardAt = began
    // The time that the client's own upload may take.
    const upload = () => this.#short.size / network.pace
    const request = (signal: AbortSignal): Answer | Promise<Answer> => {
      if (!short && ticket) {
        this.#view.ticket = undefined
        return this.#requests.listen(ticket, signal)
      }
      const body = this.#body(lane, ask)
      if (short) {
        const waited = this.#release ? pilot.overdue / 2 : answerPatience
        lane.wait(waited + upload(), () => {
          this.#giveWay(true)
          lane.wait(answerPatience - waited)
        })
      }
      // This may have been the last frame of the session.
      if (session.done) queueMicrotask(() => host.settle())
      return this.#requests.post({ body, signal, keepalive: session.done })
    }
    if (short) lane.wait(answerPatience)
    else if (ask & Ask.stream)
      this.#awaitPiece(Math.min(pilot.soon + (this.#short.is === 'free' ? 0 : upload()), answerPatience))
    else lane.wait(session.limits.silence)
    const why = await lane.run(request, (reader, chunk) => {
      if (short && lane.serial > 1 && !reader.head && !this.#held.dismissed) network.measured(now() - began)
      heardAt = now()
      if (this.#view.state !== 'over') this.#take(lane, reader, chunk)
      if (short) lane.wait(answerPatience)
      else this.#awaitMore()
    })
    if (this.#view.state === 'over') return
    // The answer of a gateway in place of the server's is a cut, too. An exchange that this end gave up was not cut.
    const time = now()
    if (
      !short &&
      !lane.abort?.signal.aborted &&
      !lane.dismissed &&
      this.#link === session.link &&
      (why ? why.is !== 'status' || why.status >= 500 : ask & Ask.stream && !network.life)
    )
      host.cut(time - began, time - heardAt)
    this.#after(lane, why, time - began)
  }

  /** A part of the held answer has come: sets how long the answer may be silent now. */
  #awaitMore(): void {
    const held = this.#held
    const { session, pilot, network } = this.#host
    const { soon, overdue } = pilot
    const { due } = held
    this.#view.lateness = 'no'
    if (due && hasReached(session.received, due)) held.due = undefined
    // Some middleboxes let the beginning of a stream through and keep the rest.
    if (this.#link.transport !== 'polling' && held.is !== 'shown') this.#awaitPiece(soon + secondPiece)
    // Others keep the end of a stream until more comes. An event arrives only as a whole.
    else if (held.due)
      this.#awaitPiece(overdue + (this.#link.transport === 'sse' ? eventSize / network.pace : 0))
    else held.wait(session.limits.silence)
  }

  /**
   * A piece of the stream should come within this time. If not, either the stream is held back or everything is late: a short
   * exchange that gets through meanwhile shows which.
   */
  #awaitPiece(ms: number): void {
    const held = this.#held
    if (this.#view.state === 'used')
      held.wait(ms - this.#host.pilot.soon / 2, () => {
        this.#view.lateness = 'yes'
        this.flush()
      })
    else held.wait(ms, heldBack)
  }

  /** An exchange is over. `failure`: why it failed, if it did. `took`: its duration in ms. */
  #after(lane: Lane, failure: Why | undefined, took: number): void {
    const host = this.#host
    const link = this.#link
    const held = this.#held
    const short = this.#short
    const { session } = host
    const opening = this.#view.state === 'opening'
    const taken = link !== session.link || hasReached(session.acknowledged, link.place)
    lane.is = 'free'
    if (lane === short) {
      this.buffered = 0
      // A piece that was on its way before this answer may come after it, but no later than this exchange took.
      if (!failure && this.#view.lateness === 'asked') {
        this.#view.lateness = 'no'
        held.wait(Math.max(took, host.pilot.soon / 2 - took), heldBack)
      }
      // No timer that follows another timer: in hidden pages Chromium delays these by up to a minute.
      if (held.is === 'slotless') held.rest(Math.max(askPause - took, retryPause))
      if (!this.#view.settled)
        setTimeout(() => {
          this.#view.settled = true
          this.flush()
        })
      if (!failure && !opening) {
        host.pilot.paused = this.#refused
        if (this.#refused) {
          if (!taken) session.resend(link)
          lane.rest(askPause)
          this.#next()
          return
        }
      }
    } else {
      this.#view.lateness = 'no'
      if (failure?.is === 'held back') link.sound = false
      // A GET cannot ask the server to start again; the exchange that asks for the ticket can.
      if (link.transport === 'sse') short.again = true
      if (failure?.is === 'gave way') {
        lane.is = 'slotless'
        short.again = true
        this.#next()
        return
      }
    }
    const over = verdict(
      lane === short,
      failure,
      opening && (host.pilot.welcome ? 'again' : 'first'),
      link.sound,
      taken,
      lane,
      this.#piece,
    )
    const { why } = over
    lane.failures = over.failures
    this.#piece = over.piece
    if (over.lesson) host.refused(over.piece)
    if (why && over.end) {
      this.#end(why)
      return
    }
    if (why) {
      lane.again = true
      if (lane.failures > 1) lane.rest(retryPause)
    } else {
      host.passed(lane.size, lane.balked)
      this.#piece = Math.min(this.#piece, host.network.piece)
      lane.again ||= lane === held && this.#early.length > 0
      lane.over(JSON.stringify([session.received, session.acknowledged]))
    }
    lane.balked = over.balked
    this.#next()
  }

  /** Takes a chunk of an answer. Throws `Malformed`. */
  #take(lane: Lane, reader: BodyReader<AnswerHead>, chunk: Uint8Array): void {
    const { session } = this.#host
    const begun = reader.head
    const records = reader.push(chunk)
    this.#host.pilot.heard(this.#link, now())
    if (!reader.head) return
    if (!begun) {
      lane.at = { ...reader.head.at }
      lane.is = 'begun'
      if (lane === this.#short) {
        this.#refused = false
        this.buffered = 0
        this.#host.pilot.answered(this.#link, now())
      } else this.#dismiss()
      this.#heed(reader.head)
      this.#expect(lane, reader.head.at)
    }
    for (const record of records) if (this.#view.state !== 'over') this.#record(lane, record)
    for (let before = -1; before !== this.#early.length; ) {
      before = this.#early.length
      this.#early = this.#early.filter(
        ({ at, record }) => !hear(session, this.#link, record, now(), { ...at }),
      )
    }
    if (this.#early.length > maxEarly) {
      this.#early = []
      this.#short.again = true
    }
    this.#host.settle()
  }

  #heed({ status, has }: AnswerHead): void {
    const { session, pilot } = this.#host
    if (status === Status.superseded) this.#end({ is: 'superseded' })
    else if (status === Status.unknown) session.abortArrived(CloseCode.lost, 'unknown session')
    // The answer of a standby acknowledges nothing yet: the carrier in use may be in doubt. It counts once the standby is taken.
    else if (this.#link.standby) this.#has = has
    else if (session.ackArrived(has, now())) {
      this.#has = has
      // A resume is answered without a welcome.
      if (pilot.welcome) this.#proven()
    }
  }

  /** The stream under way ought to bring everything up to `due`: the server has written that much into it. */
  #expect(lane: Lane, due: Position): void {
    const held = this.#held
    if (lane !== this.#short || this.#link !== this.#host.session.link || held.is !== 'shown') return
    const waited = held.due
    held.due = due
    if (!waited) this.#awaitMore()
  }

  #proven(welcome?: Welcome): void {
    if (this.#view.state === 'opening') this.#host.proven(this.#link, welcome)
  }

  #record(lane: Lane, record: BodyRecord): void {
    const { session } = this.#host
    const control = readControl(record)
    switch (control?.kind) {
      case 'ticket':
        this.#view.ticket = control.payload
        break
      case 'pong':
        this.#host.ponged?.(control.payload)
        if (lane === this.#held && this.#link.transport !== 'polling') {
          // The second piece of a stream.
          lane.is = 'shown'
          this.#host.sound(this.#link)
        }
        break
      case 'pause':
        this.#refused = control.payload > '0'
        if (lane === this.#held) {
          this.#host.pilot.paused = this.#refused
          this.#short.rouse()
        }
        break
      case 'token':
        this.#host.askToken(this.#link)
        break
      case 'welcome':
        this.#welcome = readWelcome(control.payload)
        break
      default: {
        // A malformed welcome: the answer may not be an everwire server's, so it is no fault of the session.
        if (record.kind === 'welcome') throw new Malformed()
        const at = { ...lane.at }
        if (!hear(session, this.#link, record, now(), lane.at)) this.#early.push({ at, record })
      }
    }
    // A stream of a standby is proven by its second piece.
    if (this.#welcome && (lane === this.#short || this.#link.sound)) this.#proven(this.#welcome)
  }
}
