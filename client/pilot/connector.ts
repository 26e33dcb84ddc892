/**
 * The shell around session and pilot: makes the carriers, has the one timer, and does what the two decide. Whatever is
 * reported ends in `settle`, one loop that is not entered again from within: events out, frames out, actions done.
 */
import type { ByteWriter, OwnBytes } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import { Ask, writeRecord } from '../../shared/exchange.ts'
import type { Welcome } from '../../shared/frame.ts'
import { defaultLimits, type Limits, maxToken } from '../../shared/limits.ts'
import { never, type Position, type SessionEvent } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'
import type { Carrier, CarrierHost, CarrierLink, CarrierPilot } from '../base/carrier.ts'
import { now, type Timer } from '../base/clock.ts'
import type { Network } from '../base/network-memory.ts'
import type { CarrierEntry, NetworkSignal, Transport, WebSocketOptions } from '../base/types.ts'
import type { Why } from '../base/why.ts'
import type { Party, PilotShell } from './action.ts'
import { longestDelay } from './deadlines.ts'
import { Diary, wordsOf } from './diary.ts'
import { farewell, type Head, makeIdentity } from './identity.ts'
import { Pilot } from './pilot.ts'

/** What the socket is told. `ownTask`: the present task is the event's own; otherwise the socket gives the event one. */
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
  farewell(body: OwnBytes): void
}

/** How long the carrier in use may be silent after it was asked. It is not urgent to give it up, because others are tried beside it. */
const grace = 15_000
/** A timer that rings less than this too early is left as it is. */
const early = 1000

export class Connector implements CarrierHost, PilotShell {
  readonly session: Session
  readonly protocols: readonly string[]
  readonly network: Network
  readonly diary: Diary = new Diary()

  readonly #pilot: Pilot
  readonly #dialer: Dialer
  readonly #host: ConnectorHost
  readonly #head: Head
  readonly #asked: WebSocketOptions['token']
  /** The token that the application gave last. */
  #token = ''
  /** The application has not been told that the session is open. */
  #failed = true
  /** `settle` is running; `#again`: it must run its loop once more. */
  #settling = false
  #again = false
  protected timer: Timer
  #timerAt = never

  constructor(
    transports: readonly Transport[],
    protocols: readonly string[],
    options: WebSocketOptions,
    network: Network,
    dialer: Dialer,
    host: ConnectorHost,
  ) {
    this.protocols = protocols
    this.network = network
    this.#dialer = dialer
    this.#host = host
    this.#asked = options.token
    const {
      maxBuffered = defaultLimits.maxBuffered,
      maxPayload = defaultLimits.maxPayload,
      patience = defaultLimits.patience,
    } = options
    this.session = this.makeSession({ ...defaultLimits, grace, maxBuffered, maxPayload, patience })
    this.#head = makeIdentity(this.session, network)
    const isOffline = () => globalThis.navigator?.onLine === false
    this.#pilot = new Pilot(this.session, network, transports, options, Math.random, isOffline, now())
    this.settle()
  }

  protected makeSession(limits: Limits): Session {
    return new Session(limits, now())
  }

  // ---- what the socket does ----

  get transport(): Transport | null {
    return this.#pilot.phase.on?.transport ?? null
  }

  get buffered(): number {
    return this.session.unsentBytes + (this.#pilot.phase.on?.carrier?.buffered ?? 0)
  }

  /** Returns false if the session no longer takes anything. */
  send(message: Message): boolean {
    const answer = this.session.send(message)
    if (answer === 'full') this.session.abort(CloseCode.tryAgainLater, 'send buffer full', now())
    this.settle()
    return answer === 'taken'
  }

  close(code: number, reason: string): void {
    if (this.#pilot.welcome) this.session.close(code, reason, now())
    // The server may have opened the session by now.
    else this.#pilot.leave(CloseCode.lost, 'closed', now())
    this.settle()
  }

  /** Ends the session because it cannot be opened, or cannot keep its promise. */
  fail(reason: string): void {
    this.session.abort(CloseCode.lost, reason, now())
    this.settle()
  }

  // ---- what the page does ----

  sign(sign: NetworkSignal['sign']): void {
    this.#pilot.sign(sign, now())
    this.settle()
    const { link } = this.session
    if (sign === 'leaving' && link) {
      // The page has no later turn.
      this.session.detach(link, now())
      this.settle()
    }
  }

  // ---- what the carriers are given, and what they report ----

  get pilot(): CarrierPilot {
    return this.#pilot
  }

  head(link: CarrierLink, ask: number, serial: number, quiet: number = this.network.quiet): ByteWriter {
    const all = ask | (this.#pilot.welcome ? 0 : Ask.open) | (link.standby ? Ask.standby : 0)
    const to = this.#head(link, all, serial, quiet)
    // In each request, until an answer shows that the server has the token.
    if (this.#token && link.state === 'tried') writeRecord(to, 'token', encodeText(this.#token))
    return to
  }

  attach(link: CarrierLink, has: Position): void {
    if (this.session.attach(link, has, now()) !== 'attached')
      this.session.abortArrived(CloseCode.lost, 'bad ack')
  }

  cut(age: number, silence: number): boolean {
    const lesson = this.network.cut(age, silence)
    this.diary.add(lesson)
    return !!lesson
  }

  refused(piece: number): void {
    this.diary.add(this.network.refused(piece))
  }

  passed(size: number, balked: number): void {
    this.diary.add(this.network.passed(size, balked))
  }

  sound(link: CarrierLink): void {
    link.sound = true
    this.diary.reached(link, 'sound')
  }

  proven(link: CarrierLink, welcome?: Welcome): void {
    this.diary.reached(link, 'proven')
    this.#pilot.proven(link, welcome, now())
    this.settle()
  }

  lost(link: CarrierLink, why: Why, by: NonNullable<CarrierEntry['by']> = 'network'): void {
    const time = now()
    // If the connection was cut because it was silent, it would be cut on any transport: do not blame this one.
    link.judged ||=
      link.state === 'used' &&
      link.transport === 'websocket' &&
      by === 'network' &&
      this.cut(0, time - this.session.heardAt)
    this.#pilot.lost(link, why, by, time)
    this.settle()
  }

  // ---- inside ----

  /** Called after every report. `ownTask`: this is the task of a single message. */
  settle(ownTask = false, time?: number): void {
    this.#again = true
    if (this.#settling) return
    this.#settling = true
    time ??= now()
    try {
      while (this.#again) {
        this.#again = false
        for (let event = this.session.event(); event; event = this.session.event()) {
          this.#tell(event, ownTask)
          ownTask = false
        }
        this.#pilot.phase.on?.carrier?.flush()
        for (let action = this.#pilot.poll(time); action; action = this.#pilot.poll(time)) {
          action(this)
          this.#again = true
          this.#timerAt = never
        }
      }
    } finally {
      // A listener or the platform may throw: the session goes on.
      this.#settling = false
      this.#setTimer()
    }
  }

  #tell(event: SessionEvent, ownTask: boolean): void {
    const host = this.#host
    if (event.type === 'message') {
      const data = event.binary || typeof event.data === 'string' ? event.data : decodeText(event.data)
      if (data === undefined) this.session.fail(CloseCode.badText, 'bad UTF-8', now())
      else host.message(data, ownTask)
    } else if (event.type === 'close') {
      const { code, reason, clean } = event
      this.diary.add({ type: 'close', at: Date.now(), code, reason })
      host.closed(code, reason, clean, this.#failed, ownTask)
    } else if (event.type === 'drop') this.lost(event.link as CarrierLink, { is: event.why }, 'client')
  }

  // ---- what the pilot wants done ----

  /** Asks the application for the token: for the next attempt, or for a server that asks over this link. */
  async askToken(link?: CarrierLink): Promise<void> {
    const asked = this.#asked
    let why: Why | undefined
    let token = ''
    try {
      token = (typeof asked === 'function' ? await asked() : asked) ?? ''
      if (encodeText(token).length > maxToken) throw new Error(`over ${maxToken} bytes`)
      this.#token = token
    } catch (error) {
      why = { is: 'network', text: `${(error as Error | undefined)?.message ?? error}` }
    }
    if (link) link.tokenOwed = why ? '' : token
    this.#pilot.tokenCame(why, now())
    this.settle()
  }

  dial(link: CarrierLink, purpose: CarrierEntry['purpose']): void {
    this.diary.began(link, purpose)
    link.carrier = this.#dialer.open(this, link)
  }

  /** The first carrier opens the session; every later one only changes the transport. */
  take(link: CarrierLink): void {
    link.carrier?.take()
    link.standby = false
    const { protocol } = this.#pilot.welcome as Welcome
    if (!this.#failed) this.changed()
    // WHATWG: a server that takes none of the offered subprotocols, or another one, has refused.
    else if ((this.protocols.length ? this.protocols : ['']).includes(protocol)) {
      this.#failed = false
      this.#host.opened(protocol)
    } else this.fail('no subprotocol chosen')
  }

  end(link: CarrierLink, by: Party, why: Why): void {
    this.diary.ended(link, by, why)
    link.carrier?.close(this.#pilot.phase.is === 'away')
  }

  expire(): void {
    this.session.handleTimeout(now())
  }

  changed(): void {
    this.#host.transportChanged()
  }

  giveUp(failed: ReadonlyMap<Transport | 'token', Why>): void {
    this.fail([...failed].map(([name, why]) => `${name}: ${wordsOf(why)}`).join('; '))
  }

  farewell(link: CarrierLink): void {
    this.#dialer.farewell(farewell(this.#head, link))
  }

  learn(transport: Transport, weight: number): void {
    if (weight) this.diary.add(this.network.failed(transport, weight))
    else this.network.worked(transport)
  }

  note(sign: NetworkSignal['sign']): void {
    this.diary.add({ type: 'sign', at: Date.now(), sign })
  }

  // ---- inside: time ----

  /**
   * The timer may ring up to a second early, and is then set anew. So messages that come one after the other move it only once a
   * second, and a heartbeat moves it before it rings. After an action it is exact.
   */
  #setTimer(): void {
    const at = this.#pilot.next
    if (at >= this.#timerAt && at < this.#timerAt + early) return
    clearTimeout(this.timer)
    this.#timerAt = at
    if (at < never)
      this.timer = setTimeout(
        () => {
          this.#timerAt = never
          this.settle()
        },
        Math.min(Math.max(at - now(), 0), longestDelay),
      )
  }
}
