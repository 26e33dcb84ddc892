// Tolerance for rounding errors in sums of times, in milliseconds.
const rounding = 0.001

/** A function to be called at a time that may still change. */
export class Deadline {
  readonly #run: () => void
  #at: number = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #timerAt: number = Number.POSITIVE_INFINITY

  constructor(run: () => void) {
    this.#run = run
  }

  /** Sets the time; `Infinity` means never. A later time costs nothing: the old timer checks the new time when it fires. */
  set(at: number): void {
    this.#at = at
    if (at === Number.POSITIVE_INFINITY) this.#stop()
    else if (at < this.#timerAt) this.#start()
  }

  #start(): void {
    this.#stop()
    this.#timerAt = this.#at
    // Node takes a delay of more than 2^31 ms for 1 ms.
    const wait = Math.min(Math.ceil(Math.max(0, this.#at - performance.now() - rounding)), 2 ** 31 - 1)
    this.#timer = setTimeout(() => this.#look(), wait)
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #look(): void {
    this.#stop()
    if (this.#at - performance.now() > rounding) {
      this.#start()
      return
    }
    this.#at = Number.POSITIVE_INFINITY
    this.#run()
  }
}
