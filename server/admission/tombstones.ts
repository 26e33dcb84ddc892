/**
 * The ids of ended sessions, so that late data cannot open one again: a delayed handshake, a repeated body. They are kept
 * in two generations, and the older one is dropped as a whole, which needs no timer.
 */

/** At most twice this number is kept, about 5 MB. If more sessions end, they are forgotten sooner. */
const perGeneration = 50_000

/** How a refused session ended, for every later request of its client: the session's key, and the close. */
export interface Epitaph {
  readonly key: string
  readonly code: number
  readonly reason: string
}

export class Tombstones {
  #young = new Map<string, Epitaph | undefined>()
  #old = new Map<string, Epitaph | undefined>()
  #since = 0

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** Keeps an id for at least `life` milliseconds. */
  add(id: string, life: number, now: number, epitaph?: Epitaph): void {
    if (now >= this.#since + life || this.#young.size >= perGeneration) {
      this.#old = this.#young
      this.#young = new Map()
      this.#since = now
    }
    this.#young.set(id, epitaph)
  }

  has(id: string): boolean {
    return this.#young.has(id) || this.#old.has(id)
  }

  epitaphOf(id: string): Epitaph | undefined {
    return this.#young.get(id) ?? this.#old.get(id)
  }
}
