// How long it takes to the first echoed message where a round trip takes 50 ms.
import { Table } from '../report.mjs'

const contenders = [
  { row: 'ws', library: 'ws' },
  { row: 'everwire', library: 'everwire' },
  ...['websocket', 'stream', 'sse', 'polling'].map((transport) => ({
    row: `everwire, ${transport}`,
    library: 'everwire',
    transport,
  })),
  { row: 'engine.io, polling', library: 'engine.io' },
  { row: 'socket.io', library: 'socket.io' },
  { row: 'socket.io, websocket', library: 'socket.io', transport: 'websocket' },
  { row: 'sockjs', library: 'sockjs' },
]

const roundTrip = 50
/** A fifth of a round trip: timers are no better. */
const equal = 1 + 0.2 / 3

export const firstMessage = {
  name: 'first',
  async run(measure) {
    const servers = measure.servers()
    const columns = {
      time: { title: 'ms', digits: 0 },
      trips: { title: 'round trips', digits: 1 },
    }
    const table = new Table(
      `from new to the first echoed message: round trip ${roundTrip} ms, TCP handshake included`,
      columns,
      'ws',
    )
    const once = async ({ library, transport }) => {
      const { port } = await servers.get(library)
      const time = await measure.load('firstMessage', { library, transport, port, delay: roundTrip / 2 })
      return { time, trips: time / roundTrip }
    }
    // The first time each client's code is not yet compiled.
    await measure.rounds(new Table('', {}), contenders, 1, once)
    await measure.rounds(table, contenders, measure.amount(9, 3), once)
    for (const { row, library } of contenders) if (library === 'everwire') table.bar(row, 'time', equal)
    await servers.stop()
    return [table]
  },
}
