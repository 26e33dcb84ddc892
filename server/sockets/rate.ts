/** Limits the number of messages that a client may send. */

/** `messages` in `per` milliseconds on average; as many may come at once. */
export interface RateLimit {
  /** How many messages a client may send in `per` milliseconds. Above 0. */
  readonly messages: number
  /** Milliseconds. Default 1,000. */
  readonly per?: number | undefined
}

/** The reason of the close for a session that sends more. */
export const tooMany = 'too many messages'

const defaultSpan = 1_000

export class Rate {
  /** The time at which all received messages are within the limit again. */
  #paidAt = 0

  /** Counts `came` messages. Returns whether they are too many. */
  exceeded({ messages, per = defaultSpan }: RateLimit, came: number, now: number): boolean {
    const paidAt = Math.max(this.#paidAt, now) + (came * per) / messages
    // Allow a little more because of rounding.
    if (paidAt > now + per + per / messages / 2) return true
    this.#paidAt = paidAt
    return false
  }
}
