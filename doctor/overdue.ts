/** When to give up what does not come: the one rule for all that an examination waits for. */
import type { WakingClock } from './fair-clock.ts'
import type { Witness } from './witness.ts'

interface Means {
  readonly clock: WakingClock
  /** Without it, what is overdue is given up. */
  readonly witness: Witness | undefined
}

/** A server, or what is on the way to it, may pause for so long. */
export const longestPause = 10_000

export interface Expected {
  /** How long the server is to hold it, once it knows of it. */
  readonly hold?: number
  /** How much longer it may take. */
  readonly timeout: number
}

/**
 * Calls `giveUp` once all that time has passed in which this process could act and, where there is something to compare with,
 * short exchanges were answered after that: a server that pauses is not silent. Returns how to call it off.
 */
export function whenOverdue(
  { clock, witness }: Means,
  { hold = 0, timeout }: Expected,
  giveUp: () => void,
): () => void {
  const begun = performance.now()
  let stop = clock.after(hold + timeout, () => judge())
  const judge = (): void => {
    if (!witness) {
      giveUp()
      return
    }
    // While the server paused it did not hold either: that begins when it is seen to answer.
    const seen = hold > 0 ? witness.answeredSince(begun) : begun
    const left = seen === undefined ? 0 : seen + hold - performance.now()
    if (seen === undefined) stop = witness.compare((found) => (found ? judge() : giveUp()))
    else if (left > 0) stop = clock.after(left, judge)
    else stop = witness.compare(giveUp)
  }
  return () => stop()
}
