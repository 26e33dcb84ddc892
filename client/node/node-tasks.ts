/**
 * The tasks in which the application is told of events, each in a turn of its own. Data that listeners send while more such tasks
 * wait leaves in one write, when the last task has run. The first event of a turn uses that turn.
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

/** Whether no event was told in this turn yet, so that the turn may be an event's own. From now on it is taken. */
export function takeTurn(): boolean {
  if (told) return false
  told = true
  // The turn ends with the promises. An event in one of Node's ticks, which run before, would come before the listener's promises.
  queueMicrotask(endTurn)
  return true
}

function endTurn(): void {
  told = false
  if (corked.size === 0) return
  if (waiting === 0) writeAll()
  else setImmediate(writeAll)
}

/** If tasks wait or the turn goes on, collects what is written to this connection, so that it leaves in one write. */
export function gather(connection: Socket | undefined): void {
  // The connection of Bun's `ws` cannot be corked.
  if ((waiting === 0 && !told) || !connection || !('cork' in connection) || corked.has(connection)) return
  // New tasks may come again and again, so write at the latest in the next turn.
  if (corked.size === 0 && !told) setImmediate(writeAll)
  corked.add(connection)
  connection.cork()
}

/** Writes the data that was collected for this connection now. */
export function write(connection: Socket | undefined): void {
  if (connection && corked.delete(connection)) connection.uncork()
}

function writeAll(): void {
  for (const connection of corked) write(connection)
}
