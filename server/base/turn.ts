/**
 * Data written during one turn of the event loop leaves together at the turn's end: one system call per connection,
 * however many messages. A turn ends when the running code and the promises that it settled are done.
 */

export interface Flushable {
  /** Whether this already waits for the end of the turn. */
  waiting: boolean
  flush(): void
}

let waiting: Flushable[] = []

export function atEndOfTurn(flushable: Flushable): void {
  if (flushable.waiting) return
  flushable.waiting = true
  if (waiting.push(flushable) === 1) process.nextTick(flushAll)
}

/** Throws an exception of the application's own later, so that it reaches the application and does not stop our work. */
export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

/** Calls what the application listens to. Its exception reaches the application, and does not disturb the caller. */
export function safely(run: () => void): void {
  try {
    run()
  } catch (error) {
    rethrow(error)
  }
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
    // A callback of the application threw: still flush the others.
    if (next < all.length) {
      waiting = all.slice(next).concat(waiting)
      process.nextTick(flushAll)
    }
  }
}
