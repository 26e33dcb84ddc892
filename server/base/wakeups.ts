/** One clock and one timer for all sessions of this process, so that a waiting session needs none of its own. */

export interface Timed {
  /** The tick for which this is booked; only this module writes it. */
  wakeTick: number
  wake(now: number): void
}

/** `wakeTick` of a Timed that is not booked. Small integers cost no memory of their own. */
export const notBooked = 1_073_741_823
const forgotten = -1

/** Times are rounded up to a multiple of this, in milliseconds. */
const tick = 50

/** Node counts timers in 32 bits: a timer with a longer delay fires at once. */
export const longestDelay: number = 2 ** 31 - 1

/** How long an answer may wait for its client to read it. */
export const defaultAnswerTimeout = 60_000

const booked = new Map<number, Timed[]>()
let timer: NodeJS.Timeout | undefined
let nextTick = Number.POSITIVE_INFINITY
/** The number of bookings. `stale` counts about how many of them wake nobody: forgotten, or booked for earlier since. */
let bookings = 0
let stale = 0
const leastToSweep = 64

/** The present time in whole milliseconds: small integers cost no memory of their own. */
export function now(): number {
  return Math.floor(performance.now())
}

const began = Date.now() - now()

/** The date of a time of this clock, in milliseconds since 1970. Later times never get earlier dates. */
export function dateOf(time: number): number {
  return began + time
}

/** Wakes `timed` at `at`, or at the earlier time for which it is booked already; then `timed` books again itself. */
export function wakeAt(timed: Timed, at: number): void {
  if (at === Number.POSITIVE_INFINITY) return
  const due = Math.ceil(at / tick)
  if (due >= timed.wakeTick) return
  if (timed.wakeTick !== notBooked) stale++
  timed.wakeTick = due
  bookings++
  const others = booked.get(due)
  if (others) others.push(timed)
  else booked.set(due, [timed])
  if (due < nextTick) arm(due)
}

/** Calls `ring` after `ms`; never for 0, or for more than a timer can wait. The timer does not keep the process alive. */
export function deadline(ms: number, ring: () => void): NodeJS.Timeout | undefined {
  return ms > 0 && ms <= longestDelay ? setTimeout(ring, ms).unref() : undefined
}

/** Cancels the booking of `timed`, which cannot be booked again. */
export function forget(timed: Timed): void {
  if (timed.wakeTick !== notBooked && timed.wakeTick !== forgotten) stale++
  timed.wakeTick = forgotten
  if (stale >= leastToSweep && stale * 2 >= bookings) sweep()
}

/** Frees ended sessions before their time comes: checks all bookings whenever half of them are stale. */
function sweep(): void {
  bookings = 0
  stale = 0
  for (const [at, all] of booked) {
    const live = all.filter(({ wakeTick }) => wakeTick === at)
    bookings += live.length
    if (live.length > 0) booked.set(at, live)
    else booked.delete(at)
  }
}

function arm(due: number): void {
  nextTick = due
  clearTimeout(timer)
  timer = setTimeout(ring, Math.min(Math.max(0, due * tick - performance.now()), longestDelay))
  // The server keeps the process alive, not this timer.
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
    bookings -= all.length
    for (const timed of all) {
      // A booking for an earlier tick has replaced this one, or this is a second booking for the same tick.
      if (timed.wakeTick !== at) {
        stale--
        continue
      }
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
    // A listener of the application threw: still wake the others.
    if (next < due.length) process.nextTick(wakeAll, due.slice(next), time)
  }
}
