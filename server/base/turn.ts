/**
 * What was written during one turn of the event loop leaves together at its end: one system call for each connection,
 * however many messages. The end of a turn is when what runs now, and the promises it settled, are through.
 */

export interface Flushable {
  /** Whether it is already waiting for the end of this turn. */
  waiting: boolean
  flush(): void
}

let waiting: Flushable[] = []

export function atEndOfTurn(flushable: Flushable): void {
  if (flushable.waiting) return
  flushable.waiting = true
  if (waiting.push(flushable) === 1) process.nextTick(flushAll)
}

/** The application's fault: it hears of it as of any exception of its own, and nothing that is under way suffers. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

function flushAll(): void {
  const all = waiting
  waiting = []
  let next = 0
  try {
    while (next < all.length) {
      const flushable = all[next++] as Flushable
      flushable.waiting = false
      flushable.flush()
    }
  } finally {
    // An application's callback threw: that must not stop the others.
    if (next < all.length) {
      waiting = all.slice(next).concat(waiting)
      process.nextTick(flushAll)
    }
  }
}
