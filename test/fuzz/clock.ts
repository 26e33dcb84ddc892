/** The time of everything that is fuzzed: it stands still unless it is told to go on, and no timer is waited for. */

/** What `setTimeout` gives in Node, as far as it is used. */
class Alarm {
  at: number
  readonly every: number | undefined
  readonly ring: () => void

  constructor(at: number, every: number | undefined, ring: () => void) {
    this.at = at
    this.every = every
    this.ring = ring
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }
}

type Callback = (...args: unknown[]) => void

const begin = 1_000_000

export class Clock {
  now = begin
  readonly #alarms = new Set<Alarm>()

  /** Puts it in the place of the process's own; returns what puts that back. */
  install(): () => void {
    const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis
    const performanceNow = performance.now
    const dateNow = Date.now
    const set =
      (every: boolean) =>
      (ring: Callback, ms?: number, ...args: unknown[]) => {
        // As in Node: what cannot be waited for is waited for a millisecond.
        const delay = typeof ms === 'number' && ms >= 1 && ms < 2 ** 31 ? Math.floor(ms) : 1
        const alarm = new Alarm(this.now + delay, every ? delay : undefined, () => ring(...args))
        this.#alarms.add(alarm)
        return alarm
      }
    const clear = (alarm: Alarm | undefined): void => void (alarm && this.#alarms.delete(alarm))
    Object.assign(globalThis, {
      setTimeout: set(false),
      setInterval: set(true),
      clearTimeout: clear,
      clearInterval: clear,
    })
    performance.now = () => this.now
    Date.now = () => 1_700_000_000_000 + this.now
    return () => {
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval })
      performance.now = performanceNow
      Date.now = dateNow
    }
  }

  get waiting(): number {
    return this.#alarms.size
  }

  /** Lets so many milliseconds pass; after each timer `turn` lets the event loop do what follows. Returns how many rang. */
  async advance(ms: number, turn: () => Promise<void>, most: number): Promise<number> {
    const end = this.now + ms
    let rang = 0
    for (let next = this.#next(end); next && rang < most; next = this.#next(end)) {
      this.now = Math.max(this.now, next.at)
      if (next.every === undefined) this.#alarms.delete(next)
      else next.at = this.now + next.every
      rang++
      next.ring()
      await turn()
    }
    this.now = Math.max(this.now, Number.isFinite(end) ? end : this.now)
    return rang
  }

  /** From the beginning, for what knows nothing of what was before. */
  reset(): void {
    this.now = begin
    this.#alarms.clear()
  }

  #next(end: number): Alarm | undefined {
    let next: Alarm | undefined
    for (const alarm of this.#alarms) if (alarm.at <= end && (!next || alarm.at < next.at)) next = alarm
    return next
  }
}
