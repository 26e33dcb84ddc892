// What it costs until a client is connected, 32 at a time, once server and client have connected often enough for V8 to have compiled
// what is needed: as after a deploy, when thousands come back.
import { Table } from '../tables.mjs'
import { contenders, costColumns, fallbacks, ws } from './nodes.mjs'

export const connect = {
  name: 'connect',
  async run(runner) {
    const count = runner.amount(300, 100)
    const table = new Table({
      id: 'connect',
      title: `connect: ${count} clients, 32 at a time`,
      columns: costColumns('client'),
      against: ws,
    })
    table.goal('everwire', 'server', 1.2)
    for (const row of fallbacks) table.goal(row, 'server', 0.9, { of: 'engine.io, polling' })
    const once = async (pair) => {
      const cost = await pair.connect(count)
      await pair.close()
      return cost
    }
    const prepare = async (pair) => {
      for (let round = 0; round < runner.amount(8, 1); round++) await once(pair)
    }
    const use = { contenders, role: 'echo', options: {}, prepare, table }
    await runner.withPairs(use, (ready, pairOf) =>
      runner.interleave(table, ready, (contender) => once(pairOf(contender))),
    )
    return [table]
  },
}
