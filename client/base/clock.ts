/** Milliseconds, whole: what the session counts in. */
export function now(): number {
  return Math.floor(performance.now())
}

export type Timer = ReturnType<typeof setTimeout> | undefined

/** A timer that is set for later than this rings at once: runtimes count in 32 bits. */
export const longestDelay: number = 2 ** 31 - 1
