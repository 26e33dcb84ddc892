// What it costs to send the same to many.
import { Table } from '../tables.mjs'

const contenders = [
  { row: 'ws, a loop', server: 'ws', library: 'ws' },
  { row: 'everwire, sessions', server: 'everwire', library: 'everwire' },
  { row: 'everwire, plain clients', server: 'everwire', library: 'ws' },
  { row: 'socket.io, a room', server: 'socket.io', library: 'socket.io' },
]

const settings = [
  { burst: 1, bar: 1.1 },
  { burst: 8, bar: 0.3 },
]

export const publish = {
  name: 'alone-publish',
  async run(runner, measure) {
    const servers = measure.servers('publish')
    const tables = []
    for (const { burst, bar } of settings) {
      const columns = {
        cpu: { title: 'server CPU, µs/delivery', digits: 2, ratio: true },
        perSecond: { title: 'deliveries/s', digits: 0 },
      }
      const turn = burst === 1 ? 'one message' : `${burst} messages`
      const table = new Table({
        id: `alone-publish-${burst}`,
        title: `load client, publish ${turn} of 64 bytes a turn to 500 subscribers`,
        columns,
        against: 'ws, a loop',
      })
      await runner.interleave(table, contenders, async ({ server, library }) =>
        measure.cpuPerMessage(await servers.get(server), {
          kind: 'publish',
          library,
          connections: 500,
          burst,
        }),
      )
      table.goal('everwire, sessions', 'cpu', bar)
      table.goal('everwire, plain clients', 'cpu', bar)
      tables.push(table)
    }
    await servers.stop()
    return tables
  },
}
