// How late a server's event loop is while messages keep it busy for half of the time.
import { Table } from '../tables.mjs'
import { contenders } from './growers.mjs'

const sessions = 100
const load = 0.5

export const delay = {
  name: 'growth-delay',
  async run(runner) {
    const table = new Table({
      id: 'growth-delay',
      title: `the server's event loop at ${load * 100} % load, by echoes of 64 bytes to ${sessions} sessions`,
      columns: {
        delay: { title: 'delay, p99, ms', digits: 2, ratio: true },
        load: { title: 'load reached', digits: 2 },
        perSecond: { title: 'messages/s', digits: 0 },
      },
      against: 'ws',
    })
    table.goal('everwire', 'delay', 1.2)
    const rates = new Map()
    const prepare = async (pair, contender) => {
      await pair.open(sessions)
      const { server } = await pair.warm(runner, { inFlight: 1 })
      let perSecond = (load * 1e6) / server
      // At a rate, fewer messages share a turn than at full speed: look for the one that keeps it busy for half of the time.
      for (let i = 0; i < 3; i++) {
        const seen = await pair.atRate({ perSecond, ms: runner.amount(500, 250) })
        perSecond *= Math.min(2, Math.max(0.5, load / seen.load))
      }
      rates.set(contender.row, perSecond)
    }
    await runner.withPairs({ contenders, role: 'echo', options: {}, prepare, table }, (ready, pairOf) =>
      runner.interleave(table, ready, (contender) =>
        pairOf(contender).atRate({ perSecond: rates.get(contender.row), ms: runner.amount(1_000, 400) }),
      ),
    )
    return [table]
  },
}
