/**
 * The pilot decides which carrier moves the session: it races them at the start, doubts the one in use, resumes on another
 * when one is lost, and seeks a better one, which is proven before the older is let go.
 *
 * Like the session it knows no I/O, no timer, no clock and no randomness of its own: events and the time go in, actions come
 * out of `poll`, and the time of the next look out of `next`. What it learnt of the network it reads; to write it down is an action.
 */
import { CloseCode } from '../../shared/codes.ts'
import type { Welcome } from '../../shared/frame.ts'
import { ackDelay, ackDelayByRequest, ackDelayOfClient, type Limits } from '../../shared/limits.ts'
import { hasReached, never, type Position } from '../../shared/link.ts'
import type { Session } from '../../shared/session.ts'
import { CarrierLink, much } from '../base/carrier.ts'
import type { Network } from '../base/network-memory.ts'
import type { NetworkSignal, Transport } from '../base/types.ts'
import type { Why } from '../base/why.ts'
import { type Action, hasMoved, type Party, type Phase } from './action.ts'
import * as times from './deadlines.ts'

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** How much a failure says of a transport: it did not get through; or it did, and was lost soon, which once is nothing. */
const plain = 1
const weak = 0.5

export class Pilot {
  /** What the server said when the session was opened. */
  welcome: Welcome | undefined
  phase: Phase = { is: 'opening' }
  /** The server takes no messages now, and says so. */
  paused = false
  readonly answerPatience: number

  readonly #session: Session
  readonly #network: Network
  /** Best first. */
  readonly #transports: readonly Transport[]
  readonly #options: times.PilotOptions
  readonly #random: () => number
  /** What the browser says. */
  readonly #isOffline: () => boolean

  /** The time that came with the last event. */
  #now: number
  readonly #actions: Action[] = []
  /** When something is dialed, and until when each carrier has time that is tried or was left. That in use has no end. */
  readonly #deadlines = new Map<'dial' | CarrierLink, number>()
  #epoch = 0

  /** What is dialed when the deadline comes: the next transport of this round, a new round, or a better one than is in use. */
  #dial: 'next' | 'round' | 'better' = 'round'
  /** What goes on when the application has said who it is, for which it is being asked. */
  #onToken: (() => void) | undefined
  /** What this round has still to try, and what has failed in it: evidence only if something else gets through. */
  #queue: Transport[] = []
  readonly #failed = new Map<Transport, Why>()
  #rounds = 0
  /** Since when all that HTTP exchanges were answered with is 401 or 403, and nothing has carried the session. */
  #refusedSince = never
  /** Before that time the server wants no other attempt; 0: it has not said so since the last round began. */
  #retryAt = 0

  /** How many messages had come when a large one was announced last. */
  #announcedAfter = -1
  /** How much of what was sent had been acknowledged when last looked at. */
  #acknowledged: Position

  constructor(
    session: Session,
    network: Network,
    transports: readonly Transport[],
    options: times.PilotOptions,
    random: () => number,
    isOffline: () => boolean,
    now: number,
  ) {
    this.#session = session
    this.#network = network
    this.#transports = transports
    this.#options = options
    this.#random = random
    this.#isOffline = isOffline
    this.#now = now
    this.#acknowledged = session.acknowledged
    this.answerPatience = Math.min(options.connectTimeout ?? times.defaultConnectTimeout, times.longestDelay)
    this.#plan('round', 0)
  }

  /** In how many ms an answer may be expected whose delay costs more than to do without it. */
  get soon(): number {
    const { on } = this.phase
    // To connect takes two round trips or more: what took so long then may take so long again.
    return Math.max(times.raceDelayOf(this.#options, this.#network), on ? 2 * on.took : 0)
  }

  /** How late something may be. */
  get overdue(): number {
    return Math.max(times.leastMargin, 4 * (this.#network.roundTrip ?? 0) + ackDelay)
  }

  // ---- what the carriers report ----

  /** An answer came back. The first that gets through opens the session; a later one is a resume, or a better one. */
  proven(link: CarrierLink, welcome: Welcome | undefined, now: number): void {
    this.#now = now
    const { on, sign } = this.phase
    const network = this.#network
    const took = now - link.beganAt
    if (link.state !== 'tried' || this.#session.done) this.#close(link, { is: 'superseded' })
    // The line is so busy that the other carrier, too, took long to show that it goes both ways: it is slow, as is everything
    // here, and to begin again would make it slower still.
    else if (sign && link.standby && on.isLoaded && took > times.queueing + 4 * on.took) {
      this.#close(link, { is: 'the line is busy' })
      network.slower()
      this.#awaitLong(on)
      this.#trust()
    } else {
      link.state = 'used'
      link.provenAt = now
      link.took = took
      this.#deadlines.set(link, never)
      for (const transport of this.#failed.keys()) this.#learn(transport, plain)
      this.#callOff({ is: 'another was first' })
      this.#actions.push((shell) => shell.take(link))
      if (on) {
        if (sign) this.#judge(on)
        on.state = sign ? { is: 'sign', text: sign } : { is: 'left' }
        this.#deadlines.set(on, now + times.leavePatience)
      }
      if (welcome) {
        this.welcome = welcome
        const limits: Writable<Limits> = this.#session.limits
        limits.patience = this.#options.patience ?? welcome.patience
      }
      this.paused = false
      this.#carried(link)
      this.#listen()
    }
  }

  /** It has ended. */
  lost(link: CarrierLink, why: Why, by: Party, now: number): void {
    this.#now = now
    const { state, transport } = link
    const { is, on } = this.phase
    const isSuperseded = why.is === 'superseded'
    const isMeant = why.is === 'status' && (why.status === 401 || why.status === 403)
    this.#close(link, why, isSuperseded ? 'server' : by)
    // It speaks for all transports.
    if (why.is === 'status' && (why.retryAfter as number) > 0) {
      this.#retryAt = now + (why.retryAfter as number)
      this.#queue = []
    }
    if (state === 'used') {
      if (!isSuperseded) this.#judge(link)
      // One kind of stream is held back like the other.
      if (why.is === 'held back' && transport === 'stream') this.#learn('sse', plain)
      if (now - link.provenAt > Math.min(times.restful * 2 ** this.#rounds, times.mostRestful))
        this.#rounds = 0
      if (isMeant) this.#refusedSince = now
      this.#alone(link)
    } else if (state === 'tried' && is === 'carried') {
      this.#learn(transport, plain)
      this.#carried(on)
    } else if (state === 'tried') {
      // It may have waited behind all that is under way.
      if (why.is === 'timeout' && on && on.isLoaded) this.#network.slower()
      // Of a WebSocket nobody knows who refused it: firewalls answer 403 to all of them.
      if (this.welcome && transport !== 'websocket') {
        if (isMeant && now - this.#refusedSince > times.mistaken)
          this.#session.abort(CloseCode.policy, `${why.status} ${why.text}`.trim(), now)
        this.#refusedSince = isMeant ? Math.min(this.#refusedSince, now) : never
      }
      this.#failed.set(transport, why)
      this.#next()
    }
  }

  /** The application has given a token, or there is none for this reason. */
  tokenCame(why: Why | undefined, now: number): void {
    const go = this.#onToken
    const { is } = this.phase
    this.#now = now
    // Without, what it was for is no longer wanted.
    if (!go) return
    this.#plan('next', never)
    if (!why) go()
    // The session works without what the token was for.
    else if (is === 'carried') this.#plan('better', times.rareLook)
    else if (this.welcome) this.#resume()
    else this.#actions.push((shell) => shell.giveUp(new Map([['token', why]])))
  }

  /** Something arrived. */
  heard(link: CarrierLink, now: number): void {
    const session = this.#session
    const { welcome } = this
    if (link !== this.phase.on || !welcome) return
    this.#now = now
    this.#network.wasQuiet(now - session.heardAt, welcome.heartbeat)
    session.heard(now)
    this.#listen()
    if (this.phase.sign === 'silent') this.#trust()
  }

  /** It was an answer to what was sent over it, so both ways are open. */
  answered(link: CarrierLink, now: number): void {
    this.#now = now
    link.asked = false
    if (link === this.phase.on) this.#trust()
  }

  /** A large message comes next. */
  announced(link: CarrierLink, now: number): void {
    const { number } = this.#session.received
    this.#now = now
    link.longSince = now
    // Over another there is none; a server that announces one says nothing of that in use.
    if (link !== this.phase.on) return
    link.longAgain = number === this.#announcedAfter
    this.#announcedAfter = number
    this.#awaitLong(link)
  }

  // ---- what the page reports ----

  sign(sign: NetworkSignal['sign'], now: number): void {
    const { is, on } = this.phase
    if (is === 'over' || (is === 'away') !== (sign === 'back')) return
    this.#now = now
    this.#note(sign)
    const moved = hasMoved(sign)
    if (moved) this.#network.moved()
    if (sign === 'leaving') this.leave(CloseCode.goingAway, 'page left', now)
    else if (sign === 'away') {
      // Connections would keep the page out of the back/forward cache, or be found dead on return.
      this.phase = { is: sign, on }
      this.#callOff({ is: 'page away' }, true)
    } else if (on && sign !== 'back') this.#begin(on, sign, moved)
    else {
      if (moved) this.#callOff({ is: 'sign', text: sign })
      this.#rounds = 0
      // Patience begins now: nobody could look for a connection before.
      if (on) this.#alone(on)
      else {
        this.phase = { is: this.welcome ? 'alone' : 'opening' }
        this.#resume()
      }
    }
  }

  /** For good, and at once: the server is told by a request of its own, whatever happens to the carrier in use. */
  leave(code: number, reason: string, now: number): void {
    this.#now = now
    if (this.#transports.some((name) => name !== 'websocket')) {
      const link = this.#link('polling', false)
      this.#actions.push((shell) => shell.farewell(link))
    }
    this.#session.abort(code, reason, now)
  }

  // ---- time, and what is to be done ----

  /** When to look again. */
  get next(): number {
    let next = Math.min(this.#sessionAt, this.#doubtAt)
    // Asked after each message: to spread the deadlines would take longer than all else that is asked then.
    for (const at of this.#deadlines.values()) next = Math.min(next, at)
    return next
  }

  /** The next thing to do. What was decided goes out first, and what was learnt with it; then it looks at what is due. */
  poll(now: number): Action | undefined {
    this.#now = now
    if (!this.#actions.length) this.#look()
    return this.#actions.shift()
  }

  // ---- inside: time ----

  #look(): void {
    const { is, on } = this.phase
    if (this.#session.done && is !== 'over') {
      this.phase = { is: 'over' }
      this.#callOff({ is: 'closed' }, true)
    }
    for (const [name, at] of this.#deadlines) {
      if (this.#now < at) continue
      this.#deadlines.set(name, never)
      if (name === 'dial') this.#dialNow()
      else if (typeof name.state === 'object') this.#close(name, name.state)
      else this.lost(name, { is: 'timeout' }, 'client', this.#now)
    }
    if (on) this.#watch(on)
    if (this.#now >= this.#sessionAt) this.#actions.push((shell) => shell.expire())
  }

  get #sessionAt(): number {
    return this.welcome && this.phase.is !== 'away' ? this.#session.nextTimeout() : never
  }

  /** How long nothing may be heard follows from what the server was asked for. */
  #listen(): void {
    const limits: Writable<Limits> = this.#session.limits
    limits.silence = Math.min(this.#network.quiet, (this.welcome as Welcome).heartbeat) + this.overdue
  }

  /**
   * Nothing is asked while an announced message has its time. The carrier may be dead, and the server waits for two heartbeats
   * and its patience: half of this is left to resume. One that was begun again has all its time: it would be begun for ever.
   */
  #awaitLong(link: CarrierLink): void {
    const { patience, heartbeat } = this.welcome as Welcome
    const most = link.longAgain ? never : this.#now + patience / 2 + heartbeat
    const until = Math.min(link.longSince + link.longBytes / this.#network.pace, most)
    this.#session.heard(Math.max(this.#now, Math.floor(until)))
  }

  /** After each change: does the carrier in use owe an answer? An answer since the last look ends a doubt. */
  #watch(link: CarrierLink): void {
    const has = this.#session.acknowledged
    const progress = !hasReached(this.#acknowledged, has)
    this.#acknowledged = has
    if (progress) this.#trust()
    const owes = link.asked || !hasReached(has, link.place)
    if (!owes || this.paused) link.owesSince = never
    else if (progress || link.owesSince === never) {
      link.owesSince = this.#now
      link.sentThen = this.#session.sentBytes + link.sentOffset
      link.bufferedThen = link.carrier?.buffered ?? 0
    }
    const overdue = this.#now - this.#doubtAt
    if (overdue < 0) return
    const buffered = link.carrier?.buffered ?? 0
    // What still leaves shows that the way is open, if it is more than what a dead connection takes too.
    if (buffered > much && buffered < link.bufferedThen) link.owesSince = this.#now
    link.bufferedThen = buffered
    if (this.#now < this.#doubtAt) return
    const sign = overdue > times.late ? 'wake' : this.#now < this.#answerBy(link) ? 'silent' : 'unanswered'
    this.#note(sign)
    this.#begin(link, sign, false)
  }

  /** When the answer that the carrier in use owes is overdue. */
  #answerBy(link: CarrierLink): number {
    const margin = this.overdue
    // What carries HTTP has gone both ways before it was in use.
    const mayWait = link.sound || link.transport !== 'websocket' || link.isLoaded
    return (
      Math.max(link.owesSince, this.#session.heardAt - margin) +
      (mayWait ? margin : this.soon) +
      Math.floor(link.sentThen / this.#network.pace)
    )
  }

  /** When there is reason to doubt the carrier in use: an answer is overdue, or nothing has been heard for long. */
  get #doubtAt(): number {
    const { is, on } = this.phase
    const { heardAt, limits } = this.#session
    return is === 'carried' ? Math.min(this.#answerBy(on), heardAt + limits.silence) : never
  }

  // ---- inside: the carrier in use ----

  /** Nothing is the matter with it. If it is not the best, a better one is sought, the more seldom the more often it failed. */
  #carried(link: CarrierLink): void {
    this.phase = { is: 'carried', on: link }
    this.#refusedSince = never
    this.#plan('better', this.#transports[0] === link.transport ? never : times.upgradeDelay)
  }

  /** The carrier in use is asked whether it still is one; beside it another is tried, at once or when it does not answer soon. */
  #begin(link: CarrierLink, sign: NetworkSignal['sign'], atOnce: boolean): void {
    const isLoaded = link.isLoaded
    // It never went both ways: that is known without another one, which is to be of another kind.
    const neverAnswered = !link.sound && !isLoaded
    link.pingOwed ??= ''
    link.asked = true
    link.owesSince = never
    if (isLoaded) this.#network.slower()
    if (neverAnswered) this.#judge(link)
    if (this.phase.sign && !atOnce) return
    this.phase = { is: 'doubted', on: link, sign }
    this.#callOff({ is: 'in doubt' })
    // What never answered at all has had its time.
    this.#plan('round', atOnce || neverAnswered ? 0 : times.raceDelayOf(this.#options, this.#network))
  }

  /** The carrier in use has answered: no other is needed. */
  #trust(): void {
    const { on, sign } = this.phase
    if (on) on.owesSince = never
    if (!sign) return
    this.#callOff({ is: 'not needed' })
    this.#carried(on)
  }

  /** Nothing carries the session any more. Another carrier is on its way if this one was in doubt. */
  #alone(link: CarrierLink): void {
    this.phase = { is: 'alone' }
    this.#session.detach(link, this.#now)
    if (this.#session.done) return
    this.#actions.push((shell) => shell.changed())
    this.#resume()
  }

  /** Once for each carrier, and never for another network: did its transport work here? */
  #judge(link: CarrierLink): void {
    if (link.judged || hasMoved(this.phase.sign)) return
    link.judged = true
    this.#learn(link.transport, this.#now - link.provenAt > times.longLife ? 0 : link.sound ? weak : plain)
  }

  #learn(transport: Transport, weight: number): void {
    this.#actions.push((shell) => shell.learn(transport, weight))
  }

  #note(sign: NetworkSignal['sign']): void {
    this.#actions.push((shell) => shell.note(sign))
  }

  // ---- inside: the race ----

  /** All whose carriers are not closed: tried, in use, or left. */
  get #links(): CarrierLink[] {
    return [...this.#deadlines.keys()].filter((name) => name !== 'dial')
  }

  get #isTrying(): boolean {
    return this.#links.some(({ state }) => state === 'tried')
  }

  /** One thing is to be dialed at a time, in so many ms. */
  #plan(dial: 'next' | 'round' | 'better', delay: number): void {
    this.#dial = dial
    this.#onToken = undefined
    this.#deadlines.set('dial', this.#now + delay)
  }

  /** Each attempt says who this is, as of now; those of one round say the same. */
  #withToken(go: () => void): void {
    if (!this.#options.token) go()
    else {
      this.#plan(this.#dial, this.answerPatience)
      this.#onToken = go
      this.#actions.push((shell) => shell.askToken())
    }
  }

  #dialNow(): void {
    const network = this.#network
    const all = this.#transports
    if (this.#onToken) this.tokenCame({ is: 'timeout' }, this.#now)
    else if (this.#dial === 'better') {
      const better = all.slice(0, all.indexOf((this.phase.on as CarrierLink).transport))
      // Chosen now: while a token is awaited, another socket may learn that it is to rest.
      const best = better.find((name) => !network.rest(name))
      const rest = Math.max(Math.min(...better.map((name) => network.rest(name))), this.#retryAt - this.#now)
      if (rest || this.#isTrying) this.#plan('better', rest || times.upgradeDelay)
      else this.#withToken(() => this.#try(best as Transport))
    } else if (this.#dial === 'next') this.#next()
    else
      this.#withToken(() => {
        // Those that fared badly come last.
        const queue = (['well', 'badly'] as const).flatMap((how) =>
          all.filter((name) => network.fares(name) === how),
        )
        // To resume, after the first round one transport at a time: in every other turn the one that fares best.
        const turn = this.#rounds
        this.#retryAt = 0
        this.#queue =
          this.welcome && (turn > 1 || this.#isOffline())
            ? queue.splice(turn % 2 && (turn >> 1) % queue.length, 1)
            : queue
        this.#next()
      })
  }

  /** The next transport of this round; the one after it if that is slow. When all have failed, another round. */
  #next(): void {
    const transport = this.#queue.shift()
    this.#plan('next', this.#queue.length ? times.raceDelayOf(this.#options, this.#network) : never)
    if (transport) this.#try(transport)
    else if (this.welcome || (this.#retryAt && this.#retryAt < this.#session.nextTimeout())) this.#resume()
    else if (!this.#isTrying) this.#actions.push((shell) => shell.giveUp(this.#failed))
  }

  /** A round if none is under way: the first at once, the next after pauses that grow. */
  #resume(): void {
    if (this.#isTrying) return
    this.#failed.clear()
    const wait = Math.max(this.#retryAt - this.#now, 0)
    const { min = 500, max = 5000 } = this.#options.reconnectionDelay ?? {}
    const pause = this.#isOffline() ? times.rareLook : Math.min(min * 2 ** (this.#rounds - 1), max)
    this.#plan('round', this.#rounds++ || wait ? wait + pause * this.#random() : 0)
  }

  #try(transport: Transport): void {
    const { on, sign } = this.phase
    const { roundTrip = 0, queueTime } = this.#network
    // What was open before opens again soon, or is better begun anew: what was swallowed stays so when the network is back.
    const patience = this.welcome ? Math.max(times.resumePatience, 8 * roundTrip, queueTime) : never
    // Whether the carrier in use may yet answer: it has before, or has much before it; and the network is the same. The server
    // is not to move the session then: the answer may be on its way, just late.
    const mayAnswer = on && (!sign || ((on.sound || on.isLoaded) && !hasMoved(sign)))
    const link = this.#link(transport, !!mayAnswer || this.#isTrying)
    this.#deadlines.set(link, this.#now + Math.min(this.answerPatience, patience))
    const purpose = !this.welcome ? 'open' : !on ? 'resume' : sign ? 'doubt' : 'better'
    this.#actions.push((shell) => shell.dial(link, purpose))
  }

  #link(transport: Transport, standby: boolean): CarrierLink {
    const delay = transport === 'websocket' ? ackDelayOfClient : ackDelayByRequest
    return new CarrierLink(transport, ++this.#epoch, delay, standby, this.#now)
  }

  /** Ends all attempts, or all carriers. */
  #callOff(why: Why, all = false): void {
    this.#plan('next', never)
    this.#queue = []
    this.#failed.clear()
    for (const link of this.#links) if (all || link.state === 'tried') this.#close(link, why)
  }

  /** What is given up must be closed: one that hangs holds up others. */
  #close(link: CarrierLink, why: Why, by: Party = 'client'): void {
    if (!this.#deadlines.delete(link)) return
    link.state = 'ended'
    this.#actions.push((shell) => shell.end(link, by, why))
  }
}
