/**
 * The ids of ended sessions, so that late data cannot open one again: a delayed handshake, a repeated body. They are kept
 * in two generations, and the older one is dropped as a whole, which needs no timer.
 */

/** At most twice this number is kept, about 5 MB. If more sessions end, they are forgotten sooner. */
const perGeneration = 50_000

export class Tombstones {
  #young = new Set<string>()
  #old = new Set<string>()
  #since = 0

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Keeps an id for at least `life` milliseconds. */
  add(id: string, life: number, now: number): void {
    if (now >= this.#since + life || this.#young.size >= perGeneration) {
      this.#old = this.#young
      this.#young = new Set()
      this.#since = now
    }
    this.#young.add(id)
  }

  has(id: string): boolean {
    return this.#young.has(id) || this.#old.has(id)
  }
}
