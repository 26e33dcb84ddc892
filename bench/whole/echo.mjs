// A server that echoes: what a message there and back costs both ends, and how long it takes.
import { Table } from '../tables.mjs'
import { bestPollers, contenders, costColumns, fallbacks, ws } from './nodes.mjs'

const connections = 10

const settings = [
  {
    size: 64,
    inFlight: 16,
    goals(table) {
      table.goal('everwire', 'server', 0.6)
      table.goal('everwire', 'together', 0.8)
      for (const row of fallbacks) table.goal(row, 'together', 0.6, { of: bestPollers })
    },
  },
  {
    size: 4096,
    inFlight: 16,
    goals(table) {
      table.goal('everwire', 'server', 0.75)
      table.goal('everwire', 'together', 0.9)
      table.goal('everwire, sse', 'together', 2, { of: 'everwire, stream' })
    },
  },
  {
    size: 64,
    inFlight: 1,
    goals(table) {
      table.goal('everwire', 'together', 1.1)
      table.goal('everwire', 'p50', 1.15)
      table.goal('everwire', 'p99', 1.2)
      for (const row of fallbacks) {
        table.goal(row, 'together', 0.7, { of: bestPollers })
        table.goal(row, 'p50', 0.8, { of: bestPollers })
      }
    },
  },
]

export const echo = {
  name: 'echo',
  async run(runner) {
    const columns = {
      ...costColumns('message'),
      p50: { title: 'p50, µs', digits: 0, ratio: true },
      p99: { title: 'p99, µs', digits: 0, ratio: true },
      perSecond: { title: 'messages/s', digits: 0 },
    }
    const tables = settings.map(({ size, inFlight, goals }) => {
      const title = `echo: ${size} bytes, ${inFlight} in flight on each of ${connections} connections`
      const table = new Table({ id: `echo-${size}-${inFlight}`, title, columns, against: ws })
      goals(table)
      return { table, size, inFlight }
    })
    const prepare = async (pair) => {
      await pair.open(connections)
      for (const { size, inFlight } of settings) await pair.warm(runner, { size, inFlight })
    }
    const use = { contenders, role: 'echo', options: {}, prepare, table: tables[0].table }
    await runner.withPairs(use, async (ready, pairOf) => {
      for (const { table, size, inFlight } of tables) {
        await runner.interleave(table, ready, (contender) =>
          pairOf(contender).cost('echo', { size, inFlight, ms: runner.amount(600, 200), least: 500 }),
        )
      }
    })
    return tables.map(({ table }) => table)
  },
}
