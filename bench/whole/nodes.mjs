// Whole systems in Node: who takes part, and what is measured of each.
import { contestant } from './contestants/index.mjs'

export const ws = 'ws'
export const bestPollers = ['engine.io, polling', 'sockjs, xhr-streaming']
export const fallbacks = ['stream', 'sse', 'polling'].map((transport) => `everwire, ${transport}`)

export const contenders = [
  contestant('ws'),
  contestant('engine.io'),
  contestant('socket.io'),
  contestant('everwire'),
  contestant('engine.io', 'polling'),
  contestant('sockjs', 'xhr-streaming'),
  contestant('everwire', 'stream'),
  contestant('everwire', 'sse'),
  contestant('everwire', 'polling'),
]

/** CPU time of both processes; `per` says of what. */
export function costColumns(per) {
  return {
    server: { title: `server CPU, µs/${per}`, digits: 2, ratio: true },
    client: { title: `client CPU, µs/${per}`, digits: 2 },
    together: { title: 'together', digits: 2, ratio: true },
  }
}
