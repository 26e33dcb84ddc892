/**
 * The tasks in which the application is told of what arrived, each in a turn of its own. What its listeners send while more such
 * tasks wait leaves in one write, when the last of them has run. The first event of a turn needs no other turn.
 */
import type { Socket } from 'node:net'

let waiting = 0
/** An event was told in this turn. */
let told = false
const corked = new Set<Socket>()

/** Calls `run` in a turn of its own, after the tasks that were requested before. */
export function task(run: () => void): void {
  waiting++
  setImmediate(() => {
    waiting--
    try {
      run()
    } finally {
      if (waiting === 0) writeAll()
    }
  })
}

/** Whether the turn that has begun may be that of an event: none was told in it. From now on one was. */
export function takeTurn(): boolean {
  if (told) return false
  told = true
  // Behind Node's ticks, which come before the promises that a listener has settled: another event in a tick is too early for them.
  queueMicrotask(endTurn)
  return true
}

function endTurn(): void {
  told = false
  if (corked.size === 0) return
  if (waiting === 0) writeAll()
  else setImmediate(writeAll)
}

/** What is about to be written to this connection waits for what comes with it, if tasks wait or the turn goes on. */
export function gather(connection: Socket | undefined): void {
  // What Bun's `ws` has for a connection cannot be corked.
  if ((waiting === 0 && !told) || !connection || !('cork' in connection) || corked.has(connection)) return
  // Tasks may go on to come: nothing waits for longer than until the next turn.
  if (corked.size === 0 && !told) setImmediate(writeAll)
  corked.add(connection)
  connection.cork()
}

/** Writes now what waits for this connection. */
export function write(connection: Socket | undefined): void {
  if (connection && corked.delete(connection)) connection.uncork()
}

function writeAll(): void {
  for (const connection of corked) write(connection)
}
