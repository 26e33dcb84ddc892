/** The one clock and the one timer of all sessions in this process: a session that waits owns neither. */

export interface Timed {
  /** The tick it is booked for; the clock writes it. */
  wakeTick: number
  wake(now: number): void
}

/** The tick of what is not booked, and of what is not to be booked again. Small integers cost no memory of their own. */
export const notBooked = 1_073_741_823
const forgotten = -1

/** Times are rounded up to this. */
const tick = 50

/** A timer that is set for later than this rings at once: Node counts in 32 bits. */
export const longestDelay: number = 2 ** 31 - 1

const booked = new Map<number, Timed[]>()
let timer: NodeJS.Timeout | undefined
let nextTick = Number.POSITIVE_INFINITY
/** How many were forgotten since the last sweep, and how many it takes for the next one. */
let forgottenCount = 0
const leastToSweep = 1024
let sweepAt = leastToSweep

/** Whole milliseconds: small integers cost no memory of their own. */
export function now(): number {
  return Math.floor(performance.now())
}

const began = Date.now() - now()

/** In milliseconds since 1970, so that what came later is not dated earlier. */
export function dateOf(time: number): number {
  return began + time
}

/** Wakes `timed` at `at`, or when it was already booked for earlier, in which case it books again by itself. */
export function wakeAt(timed: Timed, at: number): void {
  if (at === Number.POSITIVE_INFINITY) return
  const due = Math.ceil(at / tick)
  if (due >= timed.wakeTick) return
  timed.wakeTick = due
  const others = booked.get(due)
  if (others) others.push(timed)
  else booked.set(due, [timed])
  if (due < nextTick) arm(due)
}

/** Rings once, after so many milliseconds; never for 0 and for what is longer than a timer can be. It does not keep the process. */
export function deadline(ms: number, ring: () => void): NodeJS.Timeout | undefined {
  return ms > 0 && ms <= longestDelay ? setTimeout(ring, ms).unref() : undefined
}

/** It is not woken any more. Soon nothing here refers to it: the bookings are swept when many of them are forgotten. */
export function forget(timed: Timed): void {
  timed.wakeTick = forgotten
  if (++forgottenCount >= sweepAt) sweep()
}

/** Looks at every booking, but only once for as many forgotten ones as there are others. */
function sweep(): void {
  let kept = 0
  for (const [at, all] of booked) {
    const live = all.filter(({ wakeTick }) => wakeTick === at)
    kept += live.length
    if (live.length > 0) booked.set(at, live)
    else booked.delete(at)
  }
  forgottenCount = 0
  sweepAt = Math.max(leastToSweep, kept)
}

function arm(due: number): void {
  nextTick = due
  clearTimeout(timer)
  timer = setTimeout(ring, Math.min(Math.max(0, due * tick - performance.now()), longestDelay))
  // Sessions live as long as the server does; that keeps the process, not this.
  timer.unref()
}

function ring(): void {
  nextTick = Number.POSITIVE_INFINITY
  const time = now()
  const current = Math.floor(time / tick)
  let next = Number.POSITIVE_INFINITY
  const due: Timed[] = []
  for (const [at, all] of booked) {
    if (at > current) {
      next = Math.min(next, at)
      continue
    }
    booked.delete(at)
    for (const timed of all) {
      // Booked for an earlier tick since, which has served it; or here more than once.
      if (timed.wakeTick !== at) continue
      timed.wakeTick = notBooked
      due.push(timed)
    }
  }
  if (next < nextTick) arm(next)
  wakeAll(due, time)
}

function wakeAll(due: Timed[], time: number): void {
  let next = 0
  try {
    while (next < due.length) due[next++]?.wake(time)
  } finally {
    // An application's listener threw: that must not stop the others.
    if (next < due.length) process.nextTick(wakeAll, due.slice(next), time)
  }
}
