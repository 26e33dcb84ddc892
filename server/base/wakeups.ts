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
/** Bookings, and about how many of them wake nobody: forgotten, or booked for earlier since. */
let bookings = 0
let stale = 0
const leastToSweep = 64

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
  if (timed.wakeTick !== notBooked) stale++
  timed.wakeTick = due
  bookings++
  const others = booked.get(due)
  if (others) others.push(timed)
  else booked.set(due, [timed])
  if (due < nextTick) arm(due)
}

/** Rings once, after so many milliseconds; never for 0 and for what is longer than a timer can be. It does not keep the process. */
export function deadline(ms: number, ring: () => void): NodeJS.Timeout | undefined {
  return ms > 0 && ms <= longestDelay ? setTimeout(ring, ms).unref() : undefined
}

/** It is not woken any more. */
export function forget(timed: Timed): void {
  if (timed.wakeTick !== notBooked && timed.wakeTick !== forgotten) stale++
  timed.wakeTick = forgotten
  if (stale >= leastToSweep && stale * 2 >= bookings) sweep()
}

/** Nothing that has ended is kept until its time. Whenever half of the bookings are stale, all are looked at. */
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
    bookings -= all.length
    for (const timed of all) {
      // Booked for an earlier tick since, which has served it; or here more than once.
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
    // An application's listener threw: that must not stop the others.
    if (next < due.length) process.nextTick(wakeAll, due.slice(next), time)
  }
}
