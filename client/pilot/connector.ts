/**
 * Keeps a session on the best carrier that can be had: races them at the start, resumes on another when one is lost or
 * in doubt, and moves to a better one, which is proven before the older is let go. It also drives the session: events go
 * out, frames are flushed, the clock is set.
 */
import type { ByteWriter } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import { Ask } from '../../shared/exchange.ts'
import type { Welcome } from '../../shared/frame.ts'
import { defaultLimits, type Limits } from '../../shared/limits.ts'
import { never, type Position } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'
import { decodeText } from '../../shared/text.ts'
import type { Carrier, CarrierHost, CarrierLink } from '../base/carrier.ts'
import { longestDelay, now, type Timer } from '../base/clock.ts'
import { type Network, plain, weak } from '../base/network-memory.ts'
import type { CarrierEntry, NetworkSignal as Sign, Transport, WebSocketOptions } from '../base/types.ts'
import type { Why } from '../base/why.ts'
import { Diary } from './diary.ts'
import { Identity } from './identity.ts'
import { Race, type RaceHost } from './race.ts'
import { Vigil } from './vigil.ts'

/** What the socket is told. `ownTask`: this is the task that the event deserves; otherwise it is to have one. */
export interface ConnectorHost {
  opened(protocol: string): void
  message(data: string | Uint8Array, ownTask: boolean): void
  /** Exactly once and last. `failed`: there never was a connection. */
  closed(code: number, reason: string, clean: boolean, failed: boolean, ownTask: boolean): void
  transportChanged(): void
}

/** The dialer to the server. */
export interface Dialer {
  open(client: CarrierHost, link: CarrierLink): Carrier
  /** Sends a last request whose answer does not matter, and which outlives the page. */
  farewell(body: Uint8Array<ArrayBuffer>): void
}

const defaultConnectTimeout = 10_000
/** How long a carrier that was left may go on to say what it still has. */
const leavePatience = 2000
/** A carrier that lived so long has shown that its transport works here. */
const longLife = 10_000
/** A carrier that lived so long is no sign that the next will be lost at once. */
const restful = 250
/** How long an attempt to resume may take, or eight round trips, or longer where much is before it on a slow line. */
const resumePatience = 3000
/** How long the carrier in use may be silent after it was asked. Others are tried beside it: to give it up is not urgent. */
const grace = 15_000
const pageAway: Why = { is: 'page away' }
const closed: Why = { is: 'closed' }
/** A timer that comes so late belongs to a page that was throttled or a machine that slept. */
const late = 1000

export class Connector implements CarrierHost, RaceHost {
  readonly session: Session
  readonly protocols: readonly string[]
  readonly answerPatience: number
  readonly network: Network
  readonly diary: Diary = new Diary()
  welcome: Welcome | undefined

  readonly #options: WebSocketOptions
  /** Best first. */
  readonly #transports: readonly Transport[]
  readonly #dialer: Dialer
  readonly #host: ConnectorHost
  readonly #identity: Identity
  /** Changed by the welcome; the session reads it anew each time. */
  readonly #limits: { -readonly [K in keyof Limits]: Limits[K] }
  /** The carrier in use, and those that were left. The race has those that are not proven yet. */
  #used: CarrierLink | undefined
  readonly #leaving = new Set<CarrierLink>()
  readonly #race: Race
  readonly #vigil: Vigil
  /** Why the carrier in use may be none: others are tried beside it until it answers. */
  #doubt: Sign['sign'] | undefined
  /** The page is in the back/forward cache. */
  #away = false

  #sessionTimer: Timer
  #sessionTimerAt = never

  constructor(
    transports: readonly Transport[],
    protocols: readonly string[],
    options: WebSocketOptions,
    network: Network,
    dialer: Dialer,
    host: ConnectorHost,
  ) {
    this.#transports = transports
    this.protocols = protocols
    this.#options = options
    this.network = network
    this.#dialer = dialer
    this.#host = host
    const {
      connectTimeout = defaultConnectTimeout,
      maxBuffered = defaultLimits.maxBuffered,
      maxPayload = defaultLimits.maxPayload,
    } = options
    this.answerPatience = Math.min(connectTimeout, longestDelay)
    this.#limits = { ...defaultLimits, grace, maxBuffered, maxPayload }
    this.session = this.makeSession(this.#limits)
    this.#identity = new Identity(this.session, network)
    this.#vigil = new Vigil(this.session, network)
    this.#race = new Race(this, transports, network)
    this.#race.start()
  }

  protected makeSession(limits: Limits): Session {
    return new Session(limits, now())
  }

  // ---- what the socket does ----

  get transport(): Transport | null {
    return this.#used?.transport ?? null
  }

  get buffered(): number {
    return this.session.unsentBytes + (this.#used?.carrier?.buffered ?? 0)
  }

  /** Returns false if the session no longer takes anything. */
  send(message: Message): boolean {
    const answer = this.session.send(message)
    if (answer === 'full') this.session.abort(CloseCode.tryAgainLater, 'send buffer full', now())
    this.settle()
    return answer === 'taken'
  }

  close(code: number, reason: string): void {
    if (this.welcome) this.session.close(code, reason, now())
    else {
      // The server may have let it in by now.
      this.#farewell()
      this.session.abort(CloseCode.lost, 'closed', now())
    }
    this.settle()
  }

  /** What was promised cannot be kept, or cannot be had. */
  fail(reason: string): void {
    this.session.abort(CloseCode.lost, reason, now())
    this.settle()
  }

  // ---- what the page does ----

  /** Something happened that connections often do not survive: look at once, and have another one ready. */
  sign(sign: Sign['sign']): void {
    if (this.session.done || this.#away) return
    this.#note(sign)
    const moved = hasMoved(sign)
    if (moved) this.network.moved()
    if (this.#used) this.#begin(sign, moved)
    else {
      if (moved) this.#race.callOff({ is: 'sign', text: sign })
      this.#race.resumeAtOnce()
    }
  }

  /** Into the back/forward cache: connections would keep the page out of it, or be found dead on return. */
  away(): void {
    if (this.session.done) return
    this.#note('away')
    this.#away = true
    this.#stopTimer()
    this.#race.callOff(pageAway)
    for (const link of this.#leaving) this.discard(link, pageAway)
    if (this.#used) this.discard(this.#used, pageAway)
  }

  back(): void {
    if (!this.#away) return
    this.#note('back')
    this.#away = false
    this.#race.rested()
    // Patience begins now: nobody could look for a connection before.
    if (this.#used) this.#left(this.#used)
    else this.#race.resume()
    this.settle()
  }

  /** For good: the server is told at once, whatever the page's connections do now. */
  leave(): void {
    if (this.session.done) return
    this.#note('leaving')
    this.#farewell()
    this.session.abort(CloseCode.goingAway, 'page left', now())
    this.settle()
    // There is no later.
    if (this.#used) this.session.detach(this.#used, now())
    this.settle()
  }

  // ---- what the race asks for ----

  get raceDelay(): number {
    const { raceDelay = {} } = this.#options
    if (typeof raceDelay === 'number') return Math.min(raceDelay, longestDelay)
    const { start = 300, min = 100, max = 1500 } = raceDelay
    const { roundTrip } = this.network
    const delay = roundTrip === undefined ? start : Math.min(Math.max(4 * roundTrip + 50, min), max)
    return Math.min(delay, longestDelay)
  }

  begin(transport: Transport): CarrierLink {
    // The server is not to move the session yet where an answer may be on its way, just late.
    const patient = !this.#doubt || this.#mayAnswer
    const standby = (!!this.#used && patient) || this.#race.attempts.size > 0
    return this.#identity.attempt(transport, standby)
  }

  open(link: CarrierLink): void {
    const purpose = !this.welcome ? 'open' : !this.#used ? 'resume' : this.#doubt ? 'doubt' : 'better'
    this.diary.began(link, purpose)
    link.timer = setTimeout(() => this.lost(link, { is: 'timeout' }, 'client'), this.#attemptPatience)
    link.carrier = this.#dialer.open(this, link)
  }

  exhausted(reasons: string): boolean {
    if (!this.welcome) this.fail(reasons)
    return !!this.welcome
  }

  // ---- what the carriers are given, and what they report ----

  get soon(): number {
    // To connect takes two round trips or more: what took so long then may take so long again.
    const took = this.#used ? this.#used.provenAt - this.#used.beganAt : 0
    return Math.max(this.raceDelay, 2 * took)
  }

  get overdue(): number {
    return this.#vigil.margin
  }

  head(link: CarrierLink, ask: number, serial: number, quiet: number = this.network.quiet): ByteWriter {
    const all = ask | (this.welcome ? 0 : Ask.open) | (link.standby ? Ask.standby : 0)
    return this.#identity.head(link, all, serial, quiet)
  }

  attach(link: CarrierLink, has: Position): void {
    if (this.session.attach(link, has, now()) !== 'attached')
      this.session.abortArrived(CloseCode.lost, 'bad ack')
  }

  heard(link: CarrierLink): void {
    const time = now()
    if (link !== this.#used) return
    if (this.welcome) this.network.wasQuiet(time - this.session.heardAt, this.welcome.heartbeat)
    this.session.heard(time)
    this.#listen()
    if (this.#doubt === 'silent') this.#trust()
  }

  answered(link: CarrierLink): void {
    link.asked = false
    if (link !== this.#used) return
    this.#vigil.answered()
    this.#trust()
  }

  get paused(): boolean {
    return this.#vigil.paused
  }

  pausing(paused: boolean): void {
    this.#vigil.paused = paused
  }

  cut(age: number, silence: number): boolean {
    const lesson = this.network.cut(age, silence)
    if (lesson) this.diary.add(lesson)
    return !!lesson
  }

  refused(piece: number): void {
    this.diary.add(this.network.refused(piece))
  }

  sound(link: CarrierLink): void {
    link.sound = true
    this.diary.reached(link, 'sound')
  }

  /** After anything that the session was told: events out, frames out, the clock set. */
  settle(ownTask = false): void {
    const { session } = this
    for (let event = session.event(); event; event = session.event()) {
      if (event.type === 'message') {
        const data = event.binary || typeof event.data === 'string' ? event.data : decodeText(event.data)
        if (data === undefined) session.fail(CloseCode.badText, 'bad UTF-8', now())
        else this.#host.message(data, ownTask)
      } else if (event.type === 'close') {
        this.diary.add({ type: 'close', at: Date.now(), code: event.code, reason: event.reason })
        this.#host.closed(event.code, event.reason, event.clean, !this.welcome, ownTask)
      } else if (event.type === 'drop' && event.link === this.#used)
        this.lost(this.#used, { is: event.why }, 'client')
      ownTask = false
    }
    this.#used?.carrier?.flush()
    if (session.done) this.#finish()
    else if (this.welcome && !this.#away) {
      if (this.#used && this.#vigil.look(this.#used, now())) this.#trust()
      this.#setTimer()
    }
  }

  /** The first that gets through opens the session; a later one is a resume, or a better one. */
  proven(link: CarrierLink, welcome?: Welcome): void {
    const older = this.#used
    const opening = !this.welcome
    this.diary.reached(link, 'proven')
    // The server has already taken a newer one.
    if (this.session.done || link.epoch < this.session.epoch) {
      this.discard(link, { is: 'superseded' })
      return
    }
    if (older && link.standby && this.#doubt && this.#vigil.congested(older, now() - link.beganAt)) {
      this.#race.attempts.delete(link)
      this.discard(link, { is: 'the line is busy' })
      this.#bear(older)
      return
    }
    clearTimeout(link.timer)
    for (const transport of this.#race.won(link)) this.#failedHere(transport, plain)
    if (welcome) {
      this.welcome = welcome
      this.#limits.patience = this.#options.patience ?? welcome.patience
    }
    this.#used = link
    link.provenAt = now()
    this.#vigil.begin(link, this.soon)
    this.#listen()
    link.carrier?.take()
    link.standby = false
    if (older) {
      const text = this.#doubt
      if (text) this.#judge(older)
      this.#leaving.add(older)
      older.timer = setTimeout(
        () => this.discard(older, text ? { is: 'sign', text } : { is: 'left' }),
        leavePatience,
      )
    }
    this.#doubt = undefined
    const { protocol } = this.welcome as Welcome
    // WHATWG: a server that takes none of the offered subprotocols, or another one, has refused.
    const offered = this.protocols.length ? this.protocols : ['']
    if (!opening) this.#host.transportChanged()
    else if (offered.includes(protocol)) this.#host.opened(protocol)
    else {
      this.welcome = undefined
      this.session.abort(CloseCode.lost, 'no subprotocol chosen', now())
    }
    this.#seekBetter()
  }

  lost(link: CarrierLink, why: Why, by: CarrierEntry['by'] = 'network'): void {
    const wasAttempt = this.#race.attempts.delete(link)
    this.discard(link, why, why.is === 'superseded' ? 'server' : by)
    if (wasAttempt && this.#used && !this.#doubt) {
      this.#failedHere(link.transport, plain)
      this.#seekBetter()
    } else if (wasAttempt) {
      // It may have waited behind all that is under way.
      if (why.is === 'timeout' && this.#used && this.#vigil.loaded(this.#used)) this.network.slower()
      this.#race.lost(link, why)
    } else if (link === this.#used && !this.#away) {
      const time = now()
      // What is silent for too long is cut on any transport: that is no reason to leave this one.
      const idle =
        by === 'network' && link.transport === 'websocket' && this.cut(0, time - this.session.heardAt)
      if (why.is !== 'superseded' && !idle) this.#judge(link)
      // One kind of stream is held back like the other.
      if (why.is === 'held back' && link.transport === 'stream') this.#failedHere('sse', plain)
      if (time - link.provenAt > restful) this.#race.rested()
      this.#left(link)
      this.settle()
    }
  }

  // ---- inside ----

  /** Nothing carries the session any more. Another carrier is on its way if this one was in doubt. */
  #left(link: CarrierLink): void {
    this.#used = this.#doubt = undefined
    this.session.detach(link, now())
    if (this.session.done) return
    this.#host.transportChanged()
    this.#race.resume()
  }

  #judge(link: CarrierLink): void {
    const { transport, provenAt, sound } = link
    if (link.judged || hasMoved(this.#doubt)) return
    link.judged = true
    if (now() - provenAt > longLife) this.network.worked(transport)
    else this.#failedHere(transport, sound ? weak : plain)
  }

  #failedHere(transport: Transport, weight: number): void {
    this.diary.add(this.network.failed(transport, weight))
  }

  #note(sign: Sign['sign']): void {
    this.diary.add({ type: 'sign', at: Date.now(), sign })
  }

  /** How long nothing may be heard follows from what the server was asked for. */
  #listen(): void {
    const { heartbeat } = this.welcome as Welcome
    this.#limits.silence = Math.min(this.network.quiet, heartbeat) + this.#vigil.margin
  }

  /** What was open before opens again soon, or is better begun anew: what was swallowed stays so when the network is back. */
  get #attemptPatience(): number {
    const { roundTrip = 0, queueTime } = this.network
    const again = Math.max(resumePatience, 8 * roundTrip, queueTime)
    return this.welcome ? Math.min(this.answerPatience, again) : this.answerPatience
  }

  /** The carrier in use is asked whether it still is one; beside it another is tried, at once or when it does not answer soon. */
  #begin(doubt: Sign['sign'], atOnce: boolean): void {
    const link = this.#used as CarrierLink
    link.pingOwed ??= ''
    link.asked = true
    this.#vigil.doubted(link)
    link.carrier?.flush()
    // It never went both dialer: that is known without another one, which is to be of another kind.
    const neverAnswered = !link.sound && !this.#vigil.loaded(link)
    if (neverAnswered) this.#judge(link)
    if (this.#doubt && !atOnce) return
    this.#doubt = doubt
    this.#race.callOff({ is: 'in doubt' })
    // What never answered at all has had its time.
    if (atOnce || neverAnswered) this.#race.start()
    else this.#race.startSoon()
  }

  /** Whether the carrier in use, in doubt, may yet answer: it has before, or has much before it; and the network is the same. */
  get #mayAnswer(): boolean {
    const link = this.#used
    return !!link && (link.sound || this.#vigil.loaded(link)) && !hasMoved(this.#doubt)
  }

  /** It is slow, as is everything on this line: to begin again would make it slower still. */
  #bear(link: CarrierLink): void {
    this.network.slower()
    this.session.heard(Math.max(now(), link.longUntil(this.network.pace)))
    this.#vigil.answered()
    this.#trust()
    this.settle()
  }

  /** The carrier in use has answered: no other is needed. */
  #trust(): void {
    if (!this.#doubt) return
    this.#doubt = undefined
    this.#race.callOff({ is: 'not needed' })
    this.#seekBetter()
  }

  #seekBetter(): void {
    if (this.#used && !this.session.done) this.#race.seek(this.#used.transport)
  }

  /** What is given up must be closed: one that hangs holds up others. */
  discard(link: CarrierLink, why: Why, by: NonNullable<CarrierEntry['by']> = 'client'): void {
    clearTimeout(link.timer)
    this.#leaving.delete(link)
    this.diary.ended(link, by, why)
    link.carrier?.close(this.#away)
  }

  /** Tells the server that this client is gone, by a request of its own. */
  #farewell(): void {
    if (this.#transports.some((name) => name !== 'websocket'))
      this.#dialer.farewell(this.#identity.farewell())
  }

  #stopTimer(): void {
    clearTimeout(this.#sessionTimer)
    this.#sessionTimerAt = never
  }

  #finish(): void {
    this.#stopTimer()
    if (this.#used) this.#leaving.add(this.#used)
    this.#used = undefined
    this.#race.callOff(closed)
    for (const link of this.#leaving) this.discard(link, closed)
  }

  /** Most deadlines only move further away: an earlier timer looks again and is set anew. */
  #setTimer(): void {
    const at = Math.min(this.session.nextTimeout(), this.#used && !this.#doubt ? this.#vigil.due : never)
    if (at >= this.#sessionTimerAt) return
    clearTimeout(this.#sessionTimer)
    this.#sessionTimerAt = at
    this.#sessionTimer = setTimeout(() => this.#look(at), Math.min(Math.max(at - now(), 0), longestDelay))
  }

  #look(at: number): void {
    this.#sessionTimerAt = never
    const time = now()
    if (this.#used && !this.#doubt) {
      const why = this.#vigil.doubtful(time)
      if (why) {
        const sign = time - at > late ? 'wake' : why
        this.#note(sign)
        this.#begin(sign, false)
      }
    }
    this.session.handleTimeout(time)
    this.settle()
  }
}

/** Whether that means another network, on which what was open before is dead. */
function hasMoved(sign: Sign['sign'] | undefined): boolean {
  return sign === 'online' || sign === 'network'
}
