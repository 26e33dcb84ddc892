/**
 * Frames over HTTP exchanges: a short one takes ours along, a held one brings the server's - by long-polling, by an
 * answer that goes on and on, or by an EventSource. Each may be lost, repeated or overtaken: docs/PROTOCOL.md, section 3.
 */
import { Malformed } from '../../shared/bytes.ts'
import { hear, writeControls, writeMessages } from '../../shared/carry.ts'
import { CloseCode } from '../../shared/codes.ts'
import {
  type AnswerHead,
  Ask,
  BodyReader,
  type BodyRecord,
  readAnswerHead,
  Status,
  writeRecord,
} from '../../shared/exchange.ts'
import { readControl, readWelcome, type Welcome } from '../../shared/frame.ts'
import { defaultPiece, maxRecord } from '../../shared/limits.ts'
import type { Position } from '../../shared/link.ts'
import { encodeText } from '../../shared/text.ts'
import type { Carrier, CarrierHost, CarrierLink } from '../base/carrier.ts'
import { now } from '../base/clock.ts'
import type { Answer, PostInit, WholeAnswer } from '../base/natives.ts'
import type { Why } from '../base/why.ts'
import { Lane } from './lane.ts'

/** The two requests that HTTP needs, to the address of this socket. */
export interface Requests {
  post(init: PostInit): Promise<Answer>
  listen(ticket: string, signal: AbortSignal): Answer
  /** Leave to keep a connection busy, or none for now; without it, always. `giveBack` is called when it is wanted back. */
  readonly slot?: ((giveBack: () => void) => Promise<(() => void) | undefined>) | undefined
}

/** Came before what should come before it: the held answer and the short one overtake each other. */
interface Early {
  readonly at: Position
  readonly record: BodyRecord
}

/** How many of them are kept. */
const maxEarly = 64
/** The smallest piece that is tried where bodies are refused. */
const minPiece = 1024
/** What a body may hold beside its last piece: the head of that. */
const room = 16
/** A body as small as this is not refused for its size. */
const modest = 16 * minPiece
/** The server says the second piece of a stream so long after the first, and a little. */
const secondPiece = 150
/** About the largest event of an event stream. */
const eventSize = 90_000
/** Before the second retry. */
const retryPause = 300
/** How often a client asks that must not send, or must not keep a connection busy: hidden pages have a turn each second. */
const askPause = 900
/** A stream did not begin, or began and did not go on. */
const heldBack: Why = { is: 'held back' }

export class HttpCarrier implements Carrier {
  buffered = 0
  readonly #host: CarrierHost
  readonly #link: CarrierLink
  readonly #requests: Requests
  #state: 'opening' | 'used' | 'ended' = 'opening'
  #flushing = false
  readonly #short: Lane = new Lane(() => this.flush())
  readonly #held: Lane = new Lane(() => this.flush())
  #ticket: string | undefined
  /** Ends the leave to hold exchanges, while there is one. */
  #slot: (() => void) | undefined
  /** It is wanted back. */
  #wanted = false
  /** There was none: a short exchange is to ask what there is, and then comes a pause. */
  #denied = false
  /** The connection of the first exchange is not for the held one: the application's first messages may have it. */
  #settled = false
  /** A piece of the stream is late: a short exchange that is asked then is to show that the server would answer now. */
  #late: 'no' | 'yes' | 'asked' = 'no'
  /** The last short answer said that messages are not taken now. */
  #refused = false
  #welcome: Welcome | undefined
  /** What the server has, as the last answer says. */
  #has: Position = this.#held.at
  #piece = defaultPiece
  #early: Early[] = []

  constructor(host: CarrierHost, link: CarrierLink, requests: Requests) {
    this.#host = host
    this.#link = link
    this.#requests = requests
    if (!requests.slot) this.#slot = () => {}
    this.flush()
  }

  take(): void {
    this.#state = 'used'
    if (this.#link.transport === 'polling') this.#host.sound(this.#link)
    const { welcome, network } = this.#host
    this.#piece = Math.min((welcome as Welcome).maxBody, defaultPiece, network.piece) - room
    this.#settled = this.#held.busy
    this.#host.attach(this.#link, this.#has)
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

  close(atOnce = false): void {
    const { session } = this.#host
    const last = this.#state === 'used' && session.done
    this.#state = 'ended'
    this.#freeSlot()
    // The last acknowledgement spares the server its patience. What is under way may carry our last words.
    if (last && session.wants(this.#link)) void this.#exchange(this.#short, 0)
    for (const lane of last ? [this.#held] : [this.#held, this.#short]) {
      lane.stop()
      const abort = () => lane.abort?.abort()
      // Chromium can keep an answer open that is aborted in the turn of its first byte.
      if (atOnce) abort()
      else setTimeout(abort)
    }
  }

  #end(why: Why): void {
    if (this.#state === 'ended') return
    this.close()
    this.#host.lost(this.#link, why)
  }

  /** Begins what there is to begin. */
  #next(): void {
    const { session, paused, welcome } = this.#host
    const { transport, standby } = this.#link
    const held = this.#held
    const used = this.#state === 'used'
    const polling = transport === 'polling'
    const sse = transport === 'sse'
    // A request of a carrier that was left could overtake what the next one says, and would state more than that.
    if (used && session.link !== this.#link) {
      if (!held.busy && !this.#short.busy) this.#end({ is: 'superseded' })
      return
    }
    // A short answer also gets through where streams are held back: only a stream that begins proves them. Where nothing
    // is open yet that can wait.
    const probing = !used && standby && !polling && !!welcome
    if (this.#wanted && !held.busy) this.#freeSlot()
    if (!held.busy && (probing || (used && (sse ? this.#ticket || !this.#slot : this.#settled)))) {
      // What only shows that streams get through is over soon.
      if (this.#slot || probing) void this.#exchange(held, polling ? Ask.hold : Ask.hold | Ask.stream)
      else void this.#askForSlot()
    }
    const wantsTicket = used && sse && !held.busy && !!this.#slot
    if (
      !this.#short.busy &&
      !probing &&
      // A long-poll that is being answered is about to be renewed: that one takes along all that is no message.
      (!(polling && held.begun) || (!paused && session.peek(this.#link))) &&
      (!used ||
        wantsTicket ||
        this.#denied ||
        this.#short.again ||
        this.#late === 'yes' ||
        session.wants(this.#link))
    )
      void this.#exchange(this.#short, wantsTicket ? Ask.ticket : polling ? 0 : Ask.stream)
  }

  /** Before anything is held. While there is no leave for it, a short exchange asks from time to time. */
  async #askForSlot(): Promise<void> {
    const held = this.#held
    held.busy = true
    this.#wanted = false
    const slot = await this.#requests.slot?.(() => {
      this.#wanted = true
      this.#dismiss()
    })
    if (this.#state === 'ended') {
      slot?.()
      return
    }
    this.#slot = slot
    held.busy = this.#denied = !slot
    // More is not asked of it for now.
    if (!slot && !this.#link.sound) this.#host.sound(this.#link)
    this.#next()
  }

  /** While it is wanted back: the server ends what it holds when it is asked to start again. It must have it by then. */
  #dismiss(): void {
    if (!this.#wanted || this.#state === 'ended') return
    const polling = this.#link.transport === 'polling'
    this.#short.again ||= this.#held.begun || polling
    this.flush()
    // Nobody knows whether a long-poll has arrived.
    if (polling) setTimeout(() => this.#dismiss(), retryPause)
  }

  #freeSlot(): void {
    this.#slot?.()
    this.#slot = this.#ticket = undefined
  }

  /** The body of a request: controls go with any, messages with a short one. */
  #body(lane: Lane, ask: number): Uint8Array<ArrayBuffer> {
    const { session, protocols, welcome, paused } = this.#host
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
    if (short && this.#late === 'yes') this.#late = 'asked'
    // Who asks from time to time need not be told that the server is there.
    const to = this.#host.head(link, ask, ++lane.serial, this.#slot ? undefined : 0)
    if (this.#state === 'opening' && !welcome)
      writeRecord(to, 'hello', encodeText(JSON.stringify({ protocols })))
    writeControls(to, session, link)
    if (short && !paused) {
      const unsent = session.unsentBytes
      writeMessages(to, session, link, this.#piece)
      this.buffered = unsent - session.unsentBytes
    }
    if (link === session.link) session.ackStated()
    lane.size = to.size
    return to.whole()
  }

  async #exchange(lane: Lane, ask: number): Promise<void> {
    const { answerPatience, session, network } = this.#host
    const short = lane === this.#short
    const streaming = !short && (ask & Ask.stream) > 0
    const began = now()
    let heardAt = began
    const ticket = this.#ticket
    const reader = new BodyReader(readAnswerHead, maxRecord)
    const abort = lane.begin(streaming)
    const { signal } = abort
    let why: Why | undefined
    // Our own bytes may be what is in the way.
    const upload = () => this.#short.size / network.pace
    const soon = () => Math.min(this.#host.soon + (this.#short.busy ? upload() : 0), answerPatience)
    if (short) lane.wait(answerPatience)
    else if (streaming) this.#awaitPiece(soon())
    else lane.wait(session.limits.silence)
    try {
      let answer: Answer
      if (!short && ticket) {
        this.#ticket = undefined
        answer = this.#requests.listen(ticket, signal)
      } else {
        const body = this.#body(lane, ask)
        if (short) lane.wait(answerPatience + upload())
        // That may have been the last word.
        if (session.done) queueMicrotask(() => this.#host.settle())
        answer = await this.#requests.post({ body, signal, keepalive: session.done })
      }
      if (answer.status !== 200)
        why = answer.status
          ? {
              is: 'status',
              status: answer.status,
              text: answer.statusText,
              retryAfter: Number(answer.headers?.get('retry-after')) * 1000,
            }
          : { is: 'redirected' }
      else {
        const stream = answer.body?.getReader()
        for (;;) {
          // Where there are no streams all of it comes at once.
          const value = stream
            ? (await stream.read()).value
            : !reader.head && new Uint8Array(await (answer as WholeAnswer).arrayBuffer())
          if (!value) break
          if (short && lane.serial > 1 && !reader.head) network.measured(now() - began)
          heardAt = now()
          if (this.#state !== 'ended')
            this.#take(
              lane,
              reader,
              typeof value === 'string' ? Uint8Array.from(atob(value), (c) => c.charCodeAt(0)) : value,
            )
          if (short) lane.wait(answerPatience)
          else this.#awaitMore()
        }
        if (!reader.complete) why = { is: 'truncated' }
      }
    } catch (error) {
      const text = (error as Error | undefined)?.message
      why = lane.why ?? (text ? { is: 'network', text } : { is: 'not ours' })
    }
    lane.stop()
    if (why) setTimeout(() => abort.abort())
    if (this.#state === 'ended') return
    // An answer that a gateway gives in place of ours is a cut too. What is held back or late was not cut.
    const time = now()
    if (
      !short &&
      !signal.aborted &&
      !lane.dismissed &&
      this.#link === session.link &&
      (why ? why.is !== 'status' || why.status >= 500 : streaming && !network.life)
    )
      this.#host.cut(time - began, time - heardAt)
    this.#after(lane, why, time - began)
  }

  /** Something has come of the held answer: how long may it be silent now? */
  #awaitMore(): void {
    const held = this.#held
    const { session, soon, overdue, network } = this.#host
    const { due } = held
    this.#late = 'no'
    if (due && (session.received.number - due.number || session.received.offset - due.offset) >= 0)
      held.due = undefined
    // Some let the beginning of a stream through, and keep what follows.
    if (held.streaming && !held.shown) this.#awaitPiece(soon + secondPiece)
    // Others keep the end of it until more comes. An event is there when all of it is.
    else if (held.due)
      this.#awaitPiece(overdue + (this.#link.transport === 'sse' ? eventSize / network.pace : 0))
    else held.wait(session.limits.silence)
  }

  /**
   * A piece of the stream should come within so many milliseconds. If not, either it is held back or everything is late:
   * a short exchange that goes through meanwhile tells.
   */
  #awaitPiece(ms: number): void {
    const held = this.#held
    if (this.#state === 'used')
      held.wait(ms - this.#host.soon / 2, () => {
        this.#late = 'yes'
        this.flush()
      })
    else held.wait(ms, heldBack)
  }

  /** An exchange is over: well, or for a reason. It took so many milliseconds. */
  #after(lane: Lane, why: Why | undefined, took: number): void {
    const { session } = this.#host
    const link = this.#link
    const held = this.#held
    lane.busy = lane.begun = lane.shown = false
    if (lane === this.#short) {
      this.buffered = 0
      // What was on its way before it may come after it, but not as long after it as it took.
      if (!why && this.#late === 'asked') {
        this.#late = 'no'
        held.wait(Math.max(took, this.#host.soon / 2 - took), heldBack)
      }
      // Not a timer after a timer: those of hidden pages Chromium delays by a minute.
      if (this.#denied) held.rest(askPause)
      this.#denied = false
      setTimeout(() => {
        this.#settled = true
        this.flush()
      })
      const { number, offset } = session.acknowledged
      const taken = link !== session.link || (number - link.sent || offset - link.sentOffset) >= 0
      if (!why && this.#state === 'used') {
        this.#host.pausing(this.#refused)
        if (this.#refused) {
          if (!taken) session.resend(link)
          lane.rest(askPause)
          this.#next()
          return
        }
      }
      // What the server has not taken, it had no place for: something before it was lost.
      if (!why && !taken) why = { is: 'not taken' }
    } else {
      this.#late = 'no'
      if (why?.is === 'held back') link.sound = false
      else if (!link.sound || this.#state === 'opening') why ??= { is: 'ended early' }
      if (why && (why.is === 'held back' || this.#state === 'opening')) {
        this.#end(why)
        return
      }
      // A GET cannot ask to begin again; what asks for its ticket can.
      if (link.transport === 'sse') this.#short.again = true
    }
    if (!why) {
      lane.failures = 0
      lane.again ||= lane === held && this.#early.length > 0
      lane.over(JSON.stringify([session.received, session.acknowledged]))
    } else {
      lane.again = true
      const status = why.is === 'status' ? why.status : 0
      const refused = status === 413
      // Not everything that refuses a body for its size says so.
      const cut = this.#piece > minPiece && (refused || (lane.size > modest && lane.failures > 0))
      if (cut) this.#piece = Math.max(minPiece, Math.min(this.#piece, lane.size) >> 1)
      if (refused && cut) this.#host.refused(this.#piece)
      else if (
        ++lane.failures > 2 ||
        // In opening a server that failed may answer the next request; what resumes comes again later.
        (this.#state === 'opening' && status >= 400 && (status < 500 || this.#host.welcome))
      ) {
        this.#end(why)
        return
      }
      if (lane.failures > 1) lane.rest(retryPause)
    }
    this.#next()
  }

  /** Takes in what has come of an answer. Throws `Malformed`. */
  #take(lane: Lane, reader: BodyReader<AnswerHead>, chunk: Uint8Array): void {
    const { session } = this.#host
    const begun = reader.head
    const records = reader.push(chunk)
    this.#host.heard(this.#link)
    if (!reader.head) return
    if (!begun) {
      lane.at = { ...reader.head.at }
      lane.begun = true
      if (lane === this.#short) {
        this.#refused = false
        this.buffered = 0
        this.#host.answered(this.#link)
      } else this.#dismiss()
      this.#heed(reader.head)
      this.#expect(lane, reader.head.at)
    }
    for (const record of records) if (this.#state !== 'ended') this.#record(lane, record)
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
    const { session, welcome } = this.#host
    if (status === Status.superseded) this.#end({ is: 'superseded' })
    else if (status === Status.unknown) session.abortArrived(CloseCode.lost, 'unknown session')
    // What stands by says nothing of the carrier in use, which may be in doubt: its word counts once it is taken.
    else if (this.#link.standby) this.#has = has
    else if (session.ackArrived(has, now())) {
      this.#has = has
      // A resume is answered without a welcome.
      if (welcome) this.#proven()
    }
  }

  /** What the server has given to the stream that is under way ought to come there. */
  #expect(lane: Lane, due: Position): void {
    const held = this.#held
    if (lane !== this.#short || this.#link !== this.#host.session.link || !held.streaming || !held.shown)
      return
    const waited = held.due
    held.due = due
    if (!waited) this.#awaitMore()
  }

  #proven(welcome?: Welcome): void {
    if (this.#state === 'opening') this.#host.proven(this.#link, welcome)
  }

  #record(lane: Lane, record: BodyRecord): void {
    const { session } = this.#host
    const control = readControl(record)
    switch (control?.kind) {
      case 'ticket':
        this.#ticket = control.payload
        break
      case 'pong':
        this.#host.ponged?.(control.payload)
        if (lane === this.#held) {
          // The second piece of a stream.
          lane.shown = true
          if (!this.#link.sound) this.#host.sound(this.#link)
        }
        break
      case 'pause':
        this.#refused = control.payload > '0'
        if (lane === this.#held) {
          this.#host.pausing(this.#refused)
          this.#short.rouse()
        }
        break
      case 'welcome':
        this.#welcome = readWelcome(control.payload)
        break
      default: {
        // What may not be read before it is known whose answer this is, is not the session's fault.
        if (record.kind === 'welcome') throw new Malformed()
        const at = { ...lane.at }
        if (!hear(session, this.#link, record, now(), lane.at)) this.#early.push({ at, record })
      }
    }
    // A stream that only shows that streams get through has shown it with its second piece.
    if (this.#welcome && (lane === this.#short || this.#link.sound)) this.#proven(this.#welcome)
  }
}
