/**
 * The pilot decides which carrier moves the session: it races them at the start, doubts the one in use, resumes on another
 * when one is lost, and seeks a better one, which is proven before the older is let go.
 *
 * Like the session it knows no I/O, no timer, no clock and no randomness of its own: events and the time go in, actions come
 * out of `poll`, and the time of the next look out of `next`. It reads the memory of the network; to change that is an action.
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

/** The weights of a failure against a transport. `plain`: it did not get through. `weak`: it was lost soon, which does not count alone. */
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
  /** Whether the browser says that it is offline. */
  readonly #isOffline: () => boolean

  /** The time that came with the last event. */
  #now: number
  readonly #actions: Action[] = []
  /** When to dial, and the deadline of each carrier that is tried or was left. The carrier in use has none. */
  readonly #deadlines = new Map<'dial' | CarrierLink, number>()
  #epoch = 0

  /** What to dial at that time: the next transport of this round, the first of a new round, or a better one than the one in use. */
  #dial: 'next' | 'round' | 'better' = 'round'
  /** The application is being asked for a token: called when it has given one. */
  #onToken: (() => void) | undefined
  /** The transports that this round must still try, and its failures, which count only if another transport gets through. */
  #queue: Transport[] = []
  readonly #failed = new Map<Transport, Why>()
  #rounds = 0
  /** Since when HTTP exchanges got only 401 and 403, and nothing has carried the session. */
  #refusedSince = never
  /** The server wants no other attempt before this time (`Retry-After`); 0: it has not said so since the last round began. */
  #retryAt = 0

  /** How many messages had come when a large one was announced last. */
  #announcedAfter = -1
  /** The place up to which the server had acknowledged at the last look. */
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

  /** After this many ms without an answer it is cheaper to try another way than to wait. */
  get soon(): number {
    const { on } = this.phase
    // Connecting takes two round trips or more: an answer may take as long as the carrier in use took to connect.
    return Math.max(times.raceDelayOf(this.#options, this.#network), on ? 2 * on.took : 0)
  }

  /** How late an answer may be before it gives reason to doubt. */
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
    // The line is so busy that this carrier, too, took long to be proven. The carrier in use is only slow, and to send its messages
    // again would make everything slower still.
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

  /** A carrier has ended. */
  lost(link: CarrierLink, why: Why, by: Party, now: number): void {
    this.#now = now
    const { state, transport } = link
    const { is, on } = this.phase
    const isSuperseded = why.is === 'superseded'
    const isMeant = why.is === 'status' && (why.status === 401 || why.status === 403)
    this.#close(link, why, isSuperseded ? 'server' : by)
    // `Retry-After` counts for all transports.
    if (why.is === 'status' && (why.retryAfter as number) > 0) {
      this.#retryAt = now + (why.retryAfter as number)
      this.#queue = []
    }
    if (state === 'used') {
      if (!isSuperseded) this.#judge(link)
      // Whatever holds streams back holds event streams back, too.
      if (why.is === 'held back' && transport === 'stream') this.#learn('sse', plain)
      if (now - link.provenAt > Math.min(times.restful * 2 ** this.#rounds, times.mostRestful))
        this.#rounds = 0
      if (isMeant) this.#refusedSince = now
      this.#alone(link)
    } else if (state === 'tried' && is === 'carried') {
      this.#learn(transport, plain)
      this.#carried(on)
    } else if (state === 'tried') {
      // The attempt may have waited behind the bytes that are under way.
      if (why.is === 'timeout' && on && on.isLoaded) this.#network.slower()
      // It is not known who refused a WebSocket: some firewalls answer 403 to all of them.
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
    // Without `go` the attempt that needed the token is no longer wanted.
    if (!go) return
    this.#plan('next', never)
    if (!why) go()
    // Only a better transport was sought: the session works without it.
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

  /** An answer to something that was sent over this carrier arrived, so both directions are open. */
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
    // Only the carrier in use brings messages: an announcement over another one is ignored.
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
      // Patience begins now, because a page that is away cannot look for a connection.
      if (on) this.#alone(on)
      else {
        this.phase = { is: this.welcome ? 'alone' : 'opening' }
        this.#resume()
      }
    }
  }

  /** Ends the session at once and for good. A request of its own tells the server, whatever happens to the carrier in use. */
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
    // A plain loop: this runs after each message, and to spread the map into `Math.min` would cost more than everything else here.
    for (const at of this.#deadlines.values()) next = Math.min(next, at)
    return next
  }

  /** The next action. Actions that are decided already come first; then the pilot looks at what is due. */
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

  /** Sets how long the server may be silent, by the interval of pings that it was asked for. */
  #listen(): void {
    const limits: Writable<Limits> = this.#session.limits
    limits.silence = Math.min(this.#network.quiet, (this.welcome as Welcome).heartbeat) + this.overdue
  }

  /**
   * Sends no ping while an announced message may take its time. The carrier may be dead, and the server waits for two heartbeats and
   * its patience: half of that is left to resume. A message that was begun again over another carrier gets all its time: with this
   * bound it could be begun again for ever.
   */
  #awaitLong(link: CarrierLink): void {
    const { patience, heartbeat } = this.welcome as Welcome
    const most = link.longAgain ? never : this.#now + patience / 2 + heartbeat
    const until = Math.min(link.longSince + link.longBytes / this.#network.pace, most)
    this.#session.heard(Math.max(this.#now, Math.floor(until)))
  }

  /** After each change: notes whether the carrier in use owes an answer. An answer since the last look ends a doubt. */
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
    // Bytes that still leave show that the connection is open, if they are more than the buffers of a dead one take.
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
    // An HTTP carrier was open in both directions before it was in use.
    const mayWait = link.sound || link.transport !== 'websocket' || link.isLoaded
    return (
      Math.max(link.owesSince, this.#session.heardAt - margin) +
      (mayWait ? margin : this.soon) +
      Math.floor(link.sentThen / this.#network.pace)
    )
  }

  /** When there is reason to doubt the carrier in use: an answer is overdue, or nothing has come for long. */
  get #doubtAt(): number {
    const { is, on } = this.phase
    const { heardAt, limits } = this.#session
    return is === 'carried' ? Math.min(this.#answerBy(on), heardAt + limits.silence) : never
  }

  // ---- inside: the carrier in use ----

  /** The carrier in use works. If a better transport exists, plans to try it, more seldom the more often it has failed. */
  #carried(link: CarrierLink): void {
    this.phase = { is: 'carried', on: link }
    this.#refusedSince = never
    this.#plan('better', this.#transports[0] === link.transport ? never : times.upgradeDelay)
  }

  /** Begins a doubt: asks over the carrier in use, and tries others beside it, at once or if it does not answer soon. */
  #begin(link: CarrierLink, sign: NetworkSignal['sign'], atOnce: boolean): void {
    const isLoaded = link.isLoaded
    // The carrier was never open in both directions: count that against its transport now, so that the next one is of another kind.
    const neverAnswered = !link.sound && !isLoaded
    link.pingOwed ??= ''
    link.asked = true
    link.owesSince = never
    if (isLoaded) this.#network.slower()
    if (neverAnswered) this.#judge(link)
    if (this.phase.sign && !atOnce) return
    this.phase = { is: 'doubted', on: link, sign }
    this.#callOff({ is: 'in doubt' })
    // A carrier that never answered at all has had its time.
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

  /** No carrier is in use any more. Another one is being tried already if this one was in doubt. */
  #alone(link: CarrierLink): void {
    this.phase = { is: 'alone' }
    this.#session.detach(link, this.#now)
    if (this.#session.done) return
    this.#actions.push((shell) => shell.changed())
    this.#resume()
  }

  /** Counts for or against the carrier's transport, once for each carrier, and not after a change of network. */
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

  /** The links of all carriers that are not closed: tried, in use, or left. */
  get #links(): CarrierLink[] {
    return [...this.#deadlines.keys()].filter((name) => name !== 'dial')
  }

  get #isTrying(): boolean {
    return this.#links.some(({ state }) => state === 'tried')
  }

  /** Plans the next attempt. There is only one plan at a time. */
  #plan(dial: 'next' | 'round' | 'better', delay: number): void {
    this.#dial = dial
    this.#onToken = undefined
    this.#deadlines.set('dial', this.#now + delay)
  }

  /** Asks for the token before an attempt, if there is the option. The attempts of one round share the answer. */
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
      // Choose the transport now: while a token is awaited, another socket may learn that it must rest.
      const best = better.find((name) => !network.rest(name))
      const rest = Math.max(Math.min(...better.map((name) => network.rest(name))), this.#retryAt - this.#now)
      if (rest || this.#isTrying) this.#plan('better', rest || times.upgradeDelay)
      else this.#withToken(() => this.#try(best as Transport))
    } else if (this.#dial === 'next') this.#next()
    else
      this.#withToken(() => {
        // Transports that fared badly come last.
        const queue = (['well', 'badly'] as const).flatMap((how) =>
          all.filter((name) => network.fares(name) === how),
        )
        // A session that resumes tries one transport at a time after the first round: in every other round the one that fares best.
        const turn = this.#rounds
        this.#retryAt = 0
        this.#queue =
          this.welcome && (turn > 1 || this.#isOffline())
            ? queue.splice(turn % 2 && (turn >> 1) % queue.length, 1)
            : queue
        this.#next()
      })
  }

  /** Tries the next transport of this round, and plans the one after it for the case that it is slow. After the last one: another round. */
  #next(): void {
    const transport = this.#queue.shift()
    this.#plan('next', this.#queue.length ? times.raceDelayOf(this.#options, this.#network) : never)
    if (transport) this.#try(transport)
    else if (this.welcome || (this.#retryAt && this.#retryAt < this.#session.nextTimeout())) this.#resume()
    else if (!this.#isTrying) this.#actions.push((shell) => shell.giveUp(this.#failed))
  }

  /** Plans a round if none is under way: the first at once, the others after pauses that grow. */
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
    // An attempt to resume succeeds soon, or is better begun anew: packets that were swallowed do not come back with the network.
    const patience = this.welcome ? Math.max(times.resumePatience, 8 * roundTrip, queueTime) : never
    // The carrier in use may still answer if it has answered before or is loaded, and the network is the same. Then the new carrier is
    // a standby, so that the server does not move the session.
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

  /** Closes a carrier. One that is given up must be closed: a connection that hangs would hold up others. */
  #close(link: CarrierLink, why: Why, by: Party = 'client'): void {
    if (!this.#deadlines.delete(link)) return
    link.state = 'ended'
    this.#actions.push((shell) => shell.end(link, by, why))
  }
}
