// Who takes part where numbers grow.
import { openFiles } from '../machine.mjs'
import { contestant } from '../whole/contestants/index.mjs'

export const contenders = [
  contestant('ws'),
  contestant('socket.io'),
  contestant('everwire'),
  contestant('engine.io', 'polling'),
  contestant('everwire', 'polling'),
]

/** What a process opens for itself, and for busy sessions. */
const reserve = 800

/** How many sessions the open files of one process allow: over HTTP a second connection may be open beside the held one. */
export function mostSessions({ transport }) {
  return Math.floor((openFiles() - reserve) / (transport === 'websocket' ? 1 : 2))
}
