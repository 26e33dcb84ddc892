/** When to give up waiting for an answer: one rule for the whole examination. */
import type { WakingClock } from './fair-clock.ts'
import type { Witness } from './witness.ts'

interface Means {
  readonly clock: WakingClock
  /** Without a witness, an overdue answer is given up at once. */
  readonly witness: Witness | undefined
}

/** A server, or a proxy before it, may pause for this long. */
export const longestPause = 10_000

export interface Expected {
  /** How long the server is to hold the answer after it has received the request. */
  readonly hold?: number
  /** How much longer the answer may take. */
  readonly timeout: number
}

/**
 * Calls `giveUp` once this process could act for all that time and, if there is a witness, short exchanges that began
 * later were answered: a server that pauses is not silent. Returns a function that cancels the wait.
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
    // A server that paused held nothing meanwhile: its time begins when it is seen to answer.
    const seen = hold > 0 ? witness.answeredSince(begun) : begun
    const left = seen === undefined ? 0 : seen + hold - performance.now()
    if (seen === undefined) stop = witness.compare((found) => (found ? judge() : giveUp()))
    else if (left > 0) stop = clock.after(left, judge)
    else stop = witness.compare(giveUp)
  }
  return () => stop()
}
