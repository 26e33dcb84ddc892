/** How many messages a client may send: so many at once, and as many again in each span of time. */

/** `messages` in any span of `per` milliseconds, on average; as many may come at once. */
export interface RateLimit {
  readonly messages: number
  /** Default 1,000. */
  readonly per?: number | undefined
}

const defaultSpan = 1_000

export class Rate {
  /** When all that came will have been paid for. */
  #paidAt = 0

  /** Counts so many that came, and returns whether they are too many. */
  exceeded({ messages, per = defaultSpan }: RateLimit, came: number, now: number): boolean {
    const paidAt = Math.max(this.#paidAt, now) + (came * per) / messages
    // A little more, for what is lost in rounding.
    if (paidAt > now + per + per / messages / 2) return true
    this.#paidAt = paidAt
    return false
  }
}
