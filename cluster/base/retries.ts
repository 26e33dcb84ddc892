/** One timer for everything of a node that failed and is tried again. Pauses grow while nothing works. */

export interface Trying {
  tryAgain(): void
}

/** Calls `ring` after `ms`. Returns the function that cancels this. */
export type After = (ms: number, ring: () => void) => () => void

const shortest = 100
const longest = 5_000

export class Retries {
  readonly #after: After
  readonly #random: () => number
  readonly #waiting = new Set<Trying>()
  #cancel: (() => void) | undefined
  #pause = shortest

  constructor(after: After, random: () => number) {
    this.#after = after
    this.#random = random
  }

  later(one: Trying): void {
    this.#waiting.add(one)
    if (this.#cancel) return
    // Not all nodes at the same moment.
    this.#cancel = this.#after(this.#pause * (0.5 + this.#random() / 2), () => this.now())
    this.#pause = Math.min(longest, this.#pause * 2)
  }

  /** Something worked. */
  worked(): void {
    this.#pause = shortest
  }

  /** Tries everything now. */
  now(): void {
    const waiting = [...this.#waiting]
    this.close()
    for (const one of waiting) one.tryAgain()
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#waiting.clear()
  }
}
