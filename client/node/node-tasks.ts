/**
 * The tasks in which the application is told of what arrived, each in a turn of its own. What its listeners send while more such
 * tasks wait leaves in one write, when the last of them has run.
 */
import type { Socket } from 'node:net'

let waiting = 0
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

/** What is about to be written to this connection waits for what comes with it, if tasks wait. */
export function gather(connection: Socket | undefined): void {
  // What Bun's `ws` has for a connection cannot be corked.
  if (waiting === 0 || !connection || !('cork' in connection) || corked.has(connection)) return
  // Tasks may go on to come: nothing waits for longer than until the next turn.
  if (corked.size === 0) setImmediate(writeAll)
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
