/** POSTs that are held back until a later one has overtaken them. */

interface Held {
  readonly index: number
  release(overtaken: boolean): void
}

export class Overtaking {
  readonly #held = new Set<Held>()

  /** Calls `release` once a later POST has overtaken this one, or after `within`. Returns a function that cancels it. */
  hold(index: number, within: number, release: (overtaken: boolean) => void): () => void {
    const leave = (): void => {
      clearTimeout(timer)
      this.#held.delete(held)
    }
    const go = (overtaken: boolean): void => {
      leave()
      release(overtaken)
    }
    const timer = setTimeout(go, within, false)
    const held = { index, release: go }
    this.#held.add(held)
    return leave
  }

  /** Whether a held POST waits for a POST like this one. */
  isAwaited(index: number): boolean {
    return [...this.#held].some((held) => held.index < index)
  }

  /** This POST has reached the server. */
  reached(index: number): void {
    for (const held of [...this.#held]) if (held.index < index) held.release(true)
  }
}
