/**
 * Keeps a session on the best carrier that can be had: races them at the start, resumes on another when one is lost,
 * and moves to a better one, which is proven before the older is let go. It also drives the session: events go out,
 * frames are flushed, the clock is set.
 */
import { ByteWriter } from '../shared/bytes.ts'
import { CloseCode } from '../shared/codes.ts'
import type { Welcome } from '../shared/control.ts'
import { Ask, idSize, keySize, writeRequestHead } from '../shared/exchange.ts'
import { ackDelay, ackDelayByRequest, defaultLimits, type Limits } from '../shared/limits.ts'
import type { Message } from '../shared/message.ts'
import { never, type Position, Session } from '../shared/session.ts'
import { decodeText } from '../shared/text.ts'
import { Attempt, type Carrier, type Client } from './carrier.ts'
import { now, type Timer } from './clock.ts'
import { plain, strong, TransportMemory, weak } from './memory.ts'
import type { Transport, WebSocketOptions } from './types.ts'

/** What the socket is told. `ownTask`: this is the task that the event deserves; otherwise it is to have one. */
export interface Listener {
  opened(protocol: string): void
  message(data: string | Uint8Array, ownTask: boolean): void
  /** Exactly once and last. `failed`: there never was a connection. */
  closed(code: number, reason: string, clean: boolean, failed: boolean, ownTask: boolean): void
  transportChanged(): void
}

export type OpenCarrier = (client: Client, link: Attempt) => Carrier

const defaultRaceDelay = 300
const defaultConnectTimeout = 10_000
/** How long a carrier that was left may go on to say what it still has. */
const leavePatience = 2000
/** A better transport is not sought before the new connection has come to rest. */
const upgradeDelay = 1000
/** A carrier that lived so long has shown that its transport works here. */
const longLife = 10_000
/** A carrier that lived so long is no sign that the next will be lost at once. */
const restful = 250
const firstPause = 100
const longestPause = 5000

export class Connector implements Client {
  readonly session: Session
  readonly protocols: readonly string[]
  readonly answerPatience: number
  welcome: Welcome | undefined

  readonly #options: WebSocketOptions
  /** Best first. */
  readonly #transports: readonly Transport[]
  readonly #open: OpenCarrier
  readonly #listener: Listener
  readonly #id = crypto.getRandomValues(new Uint8Array(idSize))
  readonly #key = crypto.getRandomValues(new Uint8Array(keySize))
  /** Changed by the welcome; the session reads it anew each time. */
  readonly #limits: { -readonly [K in keyof Limits]: Limits[K] }
  readonly #memory = new TransportMemory()
  #epoch = 0
  /** The carrier in use, those that are not proven yet, and those that were left. */
  #used: Attempt | undefined
  readonly #attempts = new Set<Attempt>()
  readonly #leaving = new Set<Attempt>()
  /** What this round has still to try, and what has failed in it: evidence only if something else gets through. */
  #queue: Transport[] = []
  readonly #failed = new Map<Transport, string>()
  #rounds = 0

  #raceTimer: Timer
  #upgradeTimer: Timer
  #sessionTimer: Timer
  #sessionTimerAt = never

  constructor(
    transports: readonly Transport[],
    protocols: readonly string[],
    options: WebSocketOptions,
    open: OpenCarrier,
    listener: Listener,
  ) {
    this.#transports = transports
    this.protocols = protocols
    this.#options = options
    this.#open = open
    this.#listener = listener
    const {
      connectTimeout = defaultConnectTimeout,
      maxBuffered = defaultLimits.maxBuffered,
      maxPayload = defaultLimits.maxPayload,
    } = options
    this.answerPatience = connectTimeout
    this.#limits = { ...defaultLimits, maxBuffered, maxPayload }
    this.session = new Session(this.#limits, now())
    this.#round()
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
    else this.session.abort(CloseCode.lost, 'closed', now())
    this.settle()
  }

  /** What was promised cannot be kept, or cannot be had. */
  fail(reason: string): void {
    this.session.abort(CloseCode.lost, reason, now())
    this.settle()
  }

  // ---- what the carriers are given, and what they report ----

  head(link: Attempt, ask: number, serial: number): ByteWriter {
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask: ask | (this.welcome ? 0 : Ask.open) | (link.standby ? Ask.standby : 0),
      id: this.#id,
      key: this.#key,
      epoch: link.epoch,
      serial,
      has: this.session.received,
      at: { number: link.sent, offset: link.sentOffset },
    })
    return to
  }

  attach(link: Attempt, has: Position): void {
    if (this.session.attach(link, has, now()) !== 'attached')
      this.session.abortArrived(CloseCode.lost, 'bad ack')
  }

  /** After anything that the session was told: events out, frames out, the clock set. */
  settle(ownTask = false): void {
    const { session } = this
    for (let event = session.event(); event; event = session.event()) {
      if (event.type === 'message') {
        const data = event.binary || typeof event.data === 'string' ? event.data : decodeText(event.data)
        if (data === undefined) session.fail(CloseCode.badText, 'bad UTF-8', now())
        else this.#listener.message(data, ownTask)
      } else if (event.type === 'close')
        this.#listener.closed(event.code, event.reason, event.clean, !this.welcome, ownTask)
      else if (event.type === 'drop' && event.link === this.#used) this.lost(this.#used, event.why)
      ownTask = false
    }
    this.#used?.carrier?.flush()
    if (session.done) this.#finish()
    else if (this.welcome) this.#setTimer()
  }

  /** The first that gets through opens the session; a later one is a resume, or a better one. */
  proven(link: Attempt, welcome?: Welcome): void {
    const older = this.#used
    const opening = !this.welcome
    // The server has already taken a newer one.
    if (this.session.done || link.epoch < this.session.epoch) {
      this.#discard(link)
      return
    }
    clearTimeout(link.timer)
    this.#attempts.delete(link)
    for (const other of this.#attempts) this.#discard(other)
    clearTimeout(this.#raceTimer)
    this.#queue = []
    for (const transport of this.#failed.keys()) this.#memory.failed(transport, plain, now())
    this.#failed.clear()
    if (welcome) {
      this.welcome = welcome
      this.#limits.patience = this.#options.patience ?? welcome.patience
      this.#limits.silence = welcome.heartbeat + this.#limits.grace
    }
    this.#used = link
    link.provenAt = now()
    link.carrier?.take()
    link.standby = false
    if (older) {
      this.#leaving.add(older)
      older.timer = setTimeout(() => this.#discard(older), leavePatience)
    }
    const { protocol } = this.welcome as Welcome
    // WHATWG: a server that takes none of the offered subprotocols, or another one, has refused.
    const offered = this.protocols.length ? this.protocols : ['']
    if (!opening) this.#listener.transportChanged()
    else if (offered.includes(protocol)) this.#listener.opened(protocol)
    else {
      this.welcome = undefined
      this.session.abort(CloseCode.lost, 'no subprotocol chosen', now())
    }
    this.#seekBetter()
  }

  lost(link: Attempt, why: string): void {
    const wasAttempt = this.#attempts.has(link)
    this.#discard(link)
    if (wasAttempt && this.#used) {
      this.#memory.failed(link.transport, plain, now())
      this.#seekBetter()
    } else if (wasAttempt) {
      this.#failed.set(link.transport, why)
      this.#next()
    } else if (link === this.#used) {
      const lived = now() - link.provenAt
      this.#used = undefined
      this.session.detach(link, now())
      if (lived > longLife) this.#memory.worked(link.transport)
      else this.#memory.failed(link.transport, link.sound ? weak : strong, now())
      if (lived > restful) this.#rounds = 0
      if (!this.session.done) {
        this.#listener.transportChanged()
        this.#roundAfterPause()
      }
      this.settle()
    }
  }

  // ---- inside ----

  /** Tries what there is: best first, those that rest last. */
  #round(): void {
    const rests = (transport: Transport) => Number(this.#memory.restsUntil(transport) > now())
    this.#queue = [...this.#transports].sort((a, b) => rests(a) - rests(b))
    this.#next()
  }

  /** The first at once, the next after pauses that grow; the session's patience ends it. */
  #roundAfterPause(): void {
    const pause = Math.min(firstPause * 2 ** (this.#rounds - 1), longestPause)
    if (!this.#rounds++) this.#round()
    else this.#raceTimer = setTimeout(() => this.#round(), pause * (0.5 + Math.random() / 2))
  }

  /** The next one: at once where one has failed, beside the others where they are merely slow. */
  #next(): void {
    clearTimeout(this.#raceTimer)
    const transport = this.#queue.shift()
    if (transport) {
      if (this.#queue.length)
        this.#raceTimer = setTimeout(() => this.#next(), this.#options.raceDelay ?? defaultRaceDelay)
      this.#try(transport)
    } else if (!this.#attempts.size) {
      const reasons = [...this.#failed].map(([name, why]) => `${name}: ${why}`).join('; ')
      this.#failed.clear()
      if (this.welcome) this.#roundAfterPause()
      else this.fail(reasons)
    }
  }

  #try(transport: Transport): void {
    const standby = !!this.#used || this.#attempts.size > 0
    const delay = transport === 'websocket' ? ackDelay : ackDelayByRequest
    const link = new Attempt(transport, ++this.#epoch, delay, standby)
    this.#attempts.add(link)
    link.timer = setTimeout(() => this.lost(link, 'timeout'), this.answerPatience)
    link.carrier = this.#open(this, link)
  }

  /** Running on a worse transport than could be: a better one is tried beside it, the more seldom the more often it failed. */
  #seekBetter(): void {
    clearTimeout(this.#upgradeTimer)
    const better = this.#transports.slice(0, this.#transports.indexOf(this.#used?.transport as Transport))
    if (!this.#used || !better.length || this.session.done) return
    const rests = better.map((name) => this.#memory.restsUntil(name) - now())
    this.#upgradeTimer = setTimeout(
      () => {
        const transport = better.find((name) => this.#memory.restsUntil(name) <= now())
        if (this.#used && transport && !this.#attempts.size) this.#try(transport)
        else this.#seekBetter()
      },
      Math.max(Math.min(...rests), upgradeDelay),
    )
  }

  /** What is given up must be closed: one that hangs holds up others. */
  #discard(link: Attempt): void {
    clearTimeout(link.timer)
    this.#attempts.delete(link)
    this.#leaving.delete(link)
    link.carrier?.close()
  }

  #finish(): void {
    this.#queue = []
    clearTimeout(this.#raceTimer)
    clearTimeout(this.#upgradeTimer)
    clearTimeout(this.#sessionTimer)
    if (this.#used) this.#leaving.add(this.#used)
    this.#used = undefined
    for (const link of [...this.#attempts, ...this.#leaving]) this.#discard(link)
  }

  /** Most deadlines only move further away: an earlier timer looks again and is set anew. */
  #setTimer(): void {
    const at = this.session.nextTimeout()
    if (at >= this.#sessionTimerAt) return
    clearTimeout(this.#sessionTimer)
    this.#sessionTimerAt = at
    this.#sessionTimer = setTimeout(
      () => {
        this.#sessionTimerAt = never
        this.session.handleTimeout(now())
        this.settle()
      },
      Math.max(at - now(), 0),
    )
  }
}
