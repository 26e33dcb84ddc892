/**
 * Short exchanges, to compare with. Something that is late was held back only if others were answered meanwhile; otherwise
 * the server, the line or this machine is slow, and all is late alike.
 */

/** So many short exchanges, one after the other, show that an answer could have come. One might have overtaken it. */
const enough = 2
/** From the beginning of one to that of the next, first and later: where it takes long they need not be many. */
const every = 100
const laterEvery = 400

interface Exchange {
  readonly begun: number
  readonly answered: number
}

interface Comparison {
  readonly since: number
  /** Without it, goes on until it is ended. */
  readonly done: ((found: boolean) => void) | undefined
}

export class Witness {
  readonly #ask: () => Promise<boolean>
  readonly #signal: AbortSignal
  readonly #noted: Exchange[] = []
  readonly #comparisons = new Set<Comparison>()
  #asking = false
  #lost = false

  /** `ask` makes one short exchange, with all the time that a pause may take, and says whether it was answered. */
  constructor(ask: () => Promise<boolean>, signal: AbortSignal) {
    this.#ask = ask
    this.#signal = signal
  }

  /** A short exchange was answered; times of `performance.now()`. */
  note(begun: number, answered: number): void {
    this.#noted.push({ begun, answered })
    this.#lost = false
    for (const comparison of this.#comparisons)
      if (this.answeredWithin(comparison.since, answered)) this.#end(comparison, true)
  }

  /** Whether something that was there at `from` and came at `to` could have come between. */
  answeredWithin(from: number, to: number): boolean {
    return (this.answeredSince(from) ?? Number.POSITIVE_INFINITY) <= to
  }

  /** When enough short exchanges that began after `from` had been answered, if they have. */
  answeredSince(from: number): number | undefined {
    let count = 0
    let free = from
    // They are noted as they are answered, so this finds the earliest that follow each other.
    for (const { begun, answered } of this.#noted) {
      if (begun < free) continue
      if (++count === enough) return answered
      free = answered
    }
    return undefined
  }

  /**
   * Asks short exchanges, one after the other. `done` is called, and that ends it, once enough that began after this call have
   * been answered, or, with false, if none is answered at all. Returns how to end it sooner.
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
      // Nobody answers any more: what is asked in vain once is not waited for again.
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
