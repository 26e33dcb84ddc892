/**
 * The names of sessions that have ended, so that what comes late cannot open one again: a delayed handshake, a repeated
 * body. They are kept in two generations, of which the older one is dropped whole; that needs no timer.
 */

/** No more than twice so many are remembered, about 5 MB: whoever makes more sessions than that makes them forgotten sooner. */
const perGeneration = 50_000

export class Tombstones {
  #young = new Set<string>()
  #old = new Set<string>()
  #since = 0

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** `life`: for how long it is to be remembered at least. */
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
