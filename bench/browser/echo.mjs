// A page that sends and gets its echoes: how many it manages, and what each takes of its main thread.
import { Table } from '../tables.mjs'
import { fallbacks, native, peers, withPages } from './chromium.mjs'

const settings = [16, 1]

export const browserEcho = {
  name: 'browser-echo',
  async run(runner) {
    const columns = {
      task: { title: 'task, µs/message', digits: 1, ratio: true },
      script: { title: 'script, µs/message', digits: 1 },
      p50: { title: 'p50, µs', digits: 0, ratio: true },
      perSecond: { title: 'messages/s', digits: 0 },
    }
    const tables = settings.map((inFlight) => {
      const title = `in Chromium: echo of 64 bytes, ${inFlight} in flight on one connection`
      const table = new Table({ id: `browser-echo-${inFlight}`, title, columns, against: native })
      table.goal('everwire, websocket', 'task', 1.3)
      for (const row of fallbacks) table.goal(row, 'task', 0.7, { of: peers })
      return { table, inFlight }
    })
    const least = (inFlight) => (inFlight > 1 ? runner.amount(5_000, 500) : runner.amount(1_000, 100))
    const prepare = async (page) => {
      await page.open(1)
      for (const { inFlight } of tables)
        await page.cost({ inFlight, ms: runner.amount(300, 100), least: least(inFlight) })
    }
    await withPages({ table: tables[0].table, prepare }, async (ready, pageOf) => {
      for (const { table, inFlight } of tables) {
        await runner.interleave(table, ready, (contender) =>
          pageOf(contender).cost({ inFlight, ms: runner.amount(600, 150), least: 100 }),
        )
      }
    })
    return tables.map(({ table }) => table)
  },
}
