/**
 * Looks for a carrier: tries what there is, best first; the next at once where one has failed, beside the others where they are
 * merely slow. A round in which all have failed is followed by another, after pauses that grow.
 */
import type { CarrierLink } from '../base/carrier.ts'
import type { Timer } from '../base/clock.ts'
import type { Network } from '../base/network-memory.ts'
import type { Transport } from '../base/types.ts'
import type { Why } from '../base/why.ts'
import { wordsOf } from './diary.ts'

/** Who races, and is told. */
export interface RaceHost {
  /** How long an attempt may be slow before the next is begun beside it, in ms. */
  readonly raceDelay: number
  /** An attempt that is not under way yet. */
  begin(transport: Transport): CarrierLink
  open(link: CarrierLink): void
  discard(link: CarrierLink, why: Why): void
  /** Everything has failed, for these reasons. Returns whether there is to be another round. */
  exhausted(reasons: string): boolean
}

const firstPause = 100
const longestPause = 2000
/** A better transport is not sought before the new connection has come to rest. */
const upgradeDelay = 1000

export class Race {
  /** Under way, and not proven. */
  readonly attempts: Set<CarrierLink> = new Set()
  readonly #host: RaceHost
  /** Best first. */
  readonly #transports: readonly Transport[]
  readonly #network: Network
  /** What this round has still to try, and what has failed in it: evidence only if something else gets through. */
  #queue: Transport[] = []
  readonly #failed = new Map<Transport, Why>()
  #rounds = 0
  /** When the next is tried: of this round, of a new one, or a better one than what is in use. */
  #timer: Timer

  constructor(host: RaceHost, transports: readonly Transport[], network: Network) {
    this.#host = host
    this.#transports = transports
    this.#network = network
  }

  /** A round at once. Those that fared badly come last. */
  start(): void {
    this.#queue = (['well', 'badly'] as const).flatMap((how) =>
      this.#transports.filter((name) => this.#network.fares(name) === how),
    )
    this.#next()
  }

  /** A round if none is under way: the first at once, the next after pauses that grow. */
  resume(): void {
    if (this.attempts.size) return
    clearTimeout(this.#timer)
    this.#failed.clear()
    const pause = Math.min(firstPause * 2 ** (this.#rounds - 1), longestPause)
    if (this.#rounds++) this.#later(pause * (0.5 + Math.random() / 2))
    else this.start()
  }

  /** The same without a pause: there is reason to think that it will go better now. */
  resumeAtOnce(): void {
    this.#rounds = 0
    this.resume()
  }

  /** A round unless it is called off before. */
  startSoon(): void {
    this.#later(this.#host.raceDelay)
  }

  /** What was in use did last: the next round need not wait. */
  rested(): void {
    this.#rounds = 0
  }

  /** What is in use is not the best: a better one is tried beside it from time to time, the more seldom the more often it failed. */
  seek(used: Transport): void {
    clearTimeout(this.#timer)
    const better = this.#transports.slice(0, this.#transports.indexOf(used))
    if (!better.length) return
    const rests = better.map((name) => this.#network.rest(name))
    this.#timer = setTimeout(
      () => {
        const transport = better.find((name) => !this.#network.rest(name))
        if (transport && !this.attempts.size) this.#try(transport)
        else this.seek(used)
      },
      Math.max(Math.min(...rests), upgradeDelay),
    )
  }

  /** One has failed: on with what is still to be tried, or another round. */
  lost({ transport }: CarrierLink, why: Why): void {
    this.#failed.set(transport, why)
    this.#next()
  }

  /** One got through: the others are called off. Returns those that had failed before, which is evidence now. */
  won(link: CarrierLink): Transport[] {
    this.attempts.delete(link)
    const failed = [...this.#failed.keys()]
    this.callOff({ is: 'another was first' })
    return failed
  }

  callOff(why: Why): void {
    clearTimeout(this.#timer)
    this.#queue = []
    this.#failed.clear()
    for (const link of this.attempts) {
      this.attempts.delete(link)
      this.#host.discard(link, why)
    }
  }

  #next(): void {
    clearTimeout(this.#timer)
    const transport = this.#queue.shift()
    if (transport) {
      if (this.#queue.length) this.#timer = setTimeout(() => this.#next(), this.#host.raceDelay)
      this.#try(transport)
    } else if (!this.attempts.size) {
      const reasons = [...this.#failed].map(([name, why]) => `${name}: ${wordsOf(why)}`).join('; ')
      this.#failed.clear()
      if (this.#host.exhausted(reasons)) this.resume()
    }
  }

  #try(transport: Transport): void {
    const link = this.#host.begin(transport)
    this.attempts.add(link)
    this.#host.open(link)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.start(), ms)
  }
}
