/**
 * How long something waited, whatever the machine was doing: a clock that goes on with the turns its process gets, and stands
 * still while the process gets none, or works. It runs in pages too, so it knows nothing of Node. (A page that nobody sees has too
 * few turns for it.)
 */
const tick = 10
/** The clock goes on by no more between two turns. */
const most = 50

export class OwnTime {
  #now = 0
  /** How long the longest turn was that the process had to wait for. */
  #longestStall = 0
  #last = performance.now()
  #waiting: (() => void) | undefined
  readonly #timer = setInterval(() => {
    const time = performance.now()
    const passed = time - this.#last
    this.#longestStall = Math.max(this.#longestStall, passed - tick)
    this.#last = time
    this.#now += Math.min(passed, most)
    this.#waiting?.()
  }, tick)

  /** Milliseconds since it was made. */
  get now(): number {
    return this.#now
  }

  get longestStall(): number {
    return this.#longestStall
  }

  /** Waits for so many of its milliseconds; for ever if it is stopped before. */
  passes(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds
    return new Promise((resolve) => {
      this.#waiting = () => this.#now >= until && resolve()
    })
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** How long it takes, by the own time of this process. */
export async function ownTimeOf(run: () => Promise<unknown>): Promise<number> {
  const clock = new OwnTime()
  try {
    await run()
    return clock.now
  } finally {
    clock.stop()
  }
}
