/** Milliseconds, whole: what the session counts in. */
export function now(): number {
  return Math.floor(performance.now())
}

export type Timer = ReturnType<typeof setTimeout> | undefined
