/**
 * How long this process has been able to act. What comes late to a process that was paused or had no processor may have been
 * there in time, so such a turn counts only in part. Deadlines for "too late" use this clock; what is measured is real time.
 */

const tick = 25
/** A turn that takes longer was late. */
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

  /** `hidden`: timers are late because the runtime throttles them, though the network is read at once. */
  constructor(hidden: () => boolean) {
    this.#hidden = hidden
    this.#timer = setInterval(() => this.#look(), tick)
  }

  /** Milliseconds since it was started. */
  get now(): number {
    return this.#now
  }

  /** Returns how to call it off. */
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
    // The later a turn, the less of it was ours.
    this.#now += this.#hidden() ? passed : Math.min(passed, lateTurn ** 2 / passed)
    for (const waiting of this.#waiting) {
      if (waiting.at > this.#now) continue
      this.#waiting.delete(waiting)
      waiting.run()
    }
  }
}
