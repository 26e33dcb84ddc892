/**
 * A clock that counts the time in which this process could act. Data that reaches a paused process late may have arrived
 * in time, so a late turn counts only in part. Deadlines use this clock; measured times are real times.
 */

const tick = 25
/** A turn that takes longer than this was late. */
const lateTurn = 50

interface Waiting {
  readonly at: number
  readonly run: () => void
}

export class WakingClock {
  #now = 0
  #lookedAt: number = performance.now()
  readonly #hidden: () => boolean
  readonly #waiting = new Set<Waiting>()
  readonly #timer: ReturnType<typeof setInterval>

  /** `hidden` tells whether the runtime throttles timers, which makes them late though the network is read at once. */
  constructor(hidden: () => boolean) {
    this.#hidden = hidden
    this.#timer = setInterval(() => this.#look(), tick)
  }

  /** Milliseconds since the clock was started, without most of the time of pauses. */
  get now(): number {
    return this.#now
  }

  /** Calls `run` once the clock has advanced by `ms`. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void {
    const waiting = { at: this.#now + ms, run }
    this.#waiting.add(waiting)
    return () => void this.#waiting.delete(waiting)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#waiting.clear()
  }

  #look(): void {
    const time = performance.now()
    const passed = time - this.#lookedAt
    this.#lookedAt = time
    // The later a turn, the less of its time could this process use.
    this.#now += this.#hidden() ? passed : Math.min(passed, lateTurn ** 2 / passed)
    for (const waiting of this.#waiting) {
      if (waiting.at > this.#now) continue
      this.#waiting.delete(waiting)
      waiting.run()
    }
  }
}
