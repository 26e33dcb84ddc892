/** POSTs that are held back until a later one has overtaken them. */

interface Held {
  readonly index: number
  release(overtaken: boolean): void
}

export class Overtaking {
  readonly #held = new Set<Held>()

  /** Calls `release` once, unless the returned function is called before. */
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

  /** Whether somebody waits for a POST like this one. */
  isAwaited(index: number): boolean {
    return [...this.#held].some((held) => held.index < index)
  }

  /** This POST has reached the server. */
  reached(index: number): void {
    for (const held of [...this.#held]) if (held.index < index) held.release(true)
  }
}
