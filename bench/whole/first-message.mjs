// How long it takes to the first echoed message where a round trip takes 50 ms.
import { Table } from '../tables.mjs'
import { contestant } from './contestants/index.mjs'

const contenders = [
  contestant('ws'),
  { ...contestant('everwire', undefined), row: 'everwire' },
  ...['websocket', 'stream', 'sse', 'polling'].map((transport) => ({
    row: `everwire, ${transport}`,
    library: 'everwire',
    transport,
  })),
  contestant('engine.io', 'polling'),
  { row: 'socket.io', library: 'socket.io' },
  { row: 'socket.io, websocket', library: 'socket.io', transport: 'websocket' },
  { row: 'sockjs', library: 'sockjs' },
]
const roundTrip = 50
/** A fifth of a round trip: timers are no better. */
const equal = 1 + 0.2 / 3

export const firstMessage = {
  name: 'first',
  async run(runner) {
    const columns = {
      time: { title: 'ms', digits: 0, ratio: true },
      trips: { title: 'round trips', digits: 1 },
    }
    const table = new Table({
      id: 'first',
      title: `from new to the first echoed message: round trip ${roundTrip} ms, TCP handshake included`,
      columns,
      against: 'ws',
    })
    for (const { row, library } of contenders) if (library === 'everwire') table.goal(row, 'time', equal)
    const once = async (pair) => {
      const time = await pair.firstMessage(roundTrip / 2)
      return { time, trips: time / roundTrip }
    }
    // The first time each client's code is not yet compiled.
    const use = { contenders, role: 'echo', options: {}, prepare: once, table }
    await runner.withPairs(use, (ready, pairOf) =>
      runner.interleave(table, ready, (contender) => once(pairOf(contender))),
    )
    return [table]
  },
}
