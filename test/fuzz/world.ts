/** What the runs of one batch share: chance, time, what was said, and how often each interesting thing happened. */
import type { Random } from '../support/random.ts'
import type { Clock } from './clock.ts'
import type * as everwire from './everwire.ts'
import { Violation } from './reading.ts'

/** The code under test: as it is, or a copy with a planted bug. */
export type Everwire = typeof everwire

export type Counts = Map<string, number>

/** Some runs on what they share. */
export interface Batch {
  run(): Promise<void>
  /** Everything must come to its end. */
  finish(): Promise<void>
}

/** More timers than that in one go never come to an end. */
const mostTimers = 3000

export class World {
  readonly everwire: Everwire
  readonly random: Random
  readonly clock: Clock
  readonly #counts: Counts
  readonly #prefix: string
  /** What was fed in this run, for whoever has to understand it. */
  said: { readonly to: string; readonly bytes: Uint8Array }[] = []

  constructor(everwire: Everwire, random: Random, clock: Clock, counts: Counts, kind: string) {
    this.everwire = everwire
    this.random = random
    this.clock = clock
    this.#counts = counts
    this.#prefix = `${kind}: `
  }

  count(name: string): void {
    const key = this.#prefix + name
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  say(to: string, bytes: Uint8Array): void {
    this.said.push({ to, bytes })
  }

  /** Lets the event loop do what there is to do. */
  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.turn()
  }

  /** Lets so many milliseconds pass. */
  async pass(ms: number): Promise<void> {
    const rang = await this.clock.advance(ms, () => this.turn(), mostTimers)
    if (rang === mostTimers) throw new Violation(`${mostTimers} timers rang in ${ms} ms`)
  }

  /** Until no timer waits any more. */
  async passAll(): Promise<void> {
    const rang = await this.clock.advance(Number.POSITIVE_INFINITY, () => this.turn(), mostTimers)
    if (rang === mostTimers) throw new Violation('timers go on for ever')
  }
}
