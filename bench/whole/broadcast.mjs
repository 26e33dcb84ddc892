// The same to all: what a delivery costs, of one message in a turn of the event loop and of eight.
import { Table } from '../tables.mjs'
import { contenders, costColumns, ws } from './nodes.mjs'

export const broadcast = {
  name: 'broadcast',
  async run(runner) {
    const clients = runner.amount(1_000, 100)
    const columns = { ...costColumns('delivery'), perSecond: { title: 'deliveries/s', digits: 0 } }
    const tables = [1, 8].map((burst) => {
      const turn = burst === 1 ? 'one message' : `${burst} messages`
      const title = `broadcast: ${turn} of 256 bytes in a turn to ${clients.toLocaleString('en')} clients`
      const table = new Table({ id: `broadcast-${burst}`, title, columns, against: ws })
      return { table, burst }
    })
    const [{ table: one }, { table: eight }] = tables
    one.goal('everwire', 'server', 0.8)
    eight.goal('everwire', 'server', 0.15)
    one.goal('everwire, polling', 'server', 0.6, { of: 'engine.io, polling' })
    for (const row of ['everwire, stream', 'everwire, sse'])
      one.goal(row, 'server', 0.6, { of: 'sockjs, xhr-streaming' })

    const prepare = async (pair) => {
      await pair.open(clients)
      for (const { burst } of tables)
        await pair.cost('broadcast', {
          burst,
          ms: runner.amount(300, 100),
          least: runner.amount(20_000, 1_000),
        })
    }
    const use = { contenders, role: 'broadcast', options: {}, prepare, table: one }
    await runner.withPairs(use, async (ready, pairOf) => {
      for (const { table, burst } of tables) {
        await runner.interleave(table, ready, (contender) =>
          pairOf(contender).cost('broadcast', { burst, ms: runner.amount(500, 150) }),
        )
      }
    })
    return tables.map(({ table }) => table)
  },
}
