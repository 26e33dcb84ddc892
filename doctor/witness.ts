/**
 * Short exchanges for comparison. A late answer was held back only if short exchanges were answered while it was missing;
 * otherwise the server, the line or this machine is slow for all answers.
 */

/** This many answered exchanges, one after the other, show that an answer could have arrived: one might have overtaken it. */
const enough = 2
/** Time from the beginning of one short exchange to the next: at first, and later, when fewer are enough. */
const every = 100
const laterEvery = 400

interface Exchange {
  readonly begun: number
  readonly answered: number
}

interface Comparison {
  readonly since: number
  /** Without `done` the comparison continues until it is cancelled. */
  readonly done: ((found: boolean) => void) | undefined
}

export class Witness {
  readonly #ask: () => Promise<boolean>
  readonly #signal: AbortSignal
  readonly #noted: Exchange[] = []
  readonly #comparisons = new Set<Comparison>()
  #asking = false
  #lost = false

  /** `ask` makes one short exchange, waits as long as a pause may take, and tells whether it was answered. */
  constructor(ask: () => Promise<boolean>, signal: AbortSignal) {
    this.#ask = ask
    this.#signal = signal
  }

  /** Notes a short exchange that was answered; both times are of `performance.now()`. */
  note(begun: number, answered: number): void {
    this.#noted.push({ begun, answered })
    this.#lost = false
    for (const comparison of this.#comparisons)
      if (this.answeredWithin(comparison.since, answered)) this.#end(comparison, true)
  }

  /** Whether enough short exchanges were answered between `from` and `to`. */
  answeredWithin(from: number, to: number): boolean {
    return (this.answeredSince(from) ?? Number.POSITIVE_INFINITY) <= to
  }

  /** When enough short exchanges that began after `from` had been answered, if they have. */
  answeredSince(from: number): number | undefined {
    let count = 0
    let free = from
    // Exchanges are noted in the order of their answers, so this finds the earliest ones that follow each other.
    for (const { begun, answered } of this.#noted) {
      if (begun < free) continue
      if (++count === enough) return answered
      free = answered
    }
    return undefined
  }

  /**
   * Sends short exchanges, one after the other, until enough that began after this call have been answered: then calls
   * `done(true)`. If none is answered, calls `done(false)`. Returns a function that cancels the comparison.
   */
  compare(done?: (found: boolean) => void): () => void {
    const comparison = { since: performance.now(), done }
    this.#comparisons.add(comparison)
    if (!this.#asking) void this.#askOn()
    return () => void this.#comparisons.delete(comparison)
  }

  async #askOn(): Promise<void> {
    this.#asking = true
    let spacing = every
    while (this.#comparisons.size > 0 && !this.#signal.aborted) {
      const begun = performance.now()
      // The last exchange was not answered: do not wait for another one.
      if (this.#lost) await undefined
      else if (await this.#ask()) this.note(begun, performance.now())
      else this.#lost = true
      if (this.#lost) for (const comparison of this.#comparisons) this.#end(comparison, false)
      const pause = begun + spacing - performance.now()
      spacing = Math.min(spacing * 1.5, laterEvery)
      if (this.#comparisons.size > 0 && pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
    }
    this.#asking = false
  }

  #end(comparison: Comparison, found: boolean): void {
    if (comparison.done && this.#comparisons.delete(comparison)) comparison.done(found)
  }
}
