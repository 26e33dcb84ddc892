// What a connection takes of a page's memory.
import { Table } from '../tables.mjs'
import { native, withPages } from './chromium.mjs'

const sockets = 20

export const browserHeap = {
  name: 'browser-heap',
  async run(runner) {
    const table = new Table({
      id: 'browser-heap',
      title: `in Chromium: heap of a connection, of ${sockets} more, each to an address of its own`,
      columns: { heap: { title: 'JS heap, bytes', digits: 0, ratio: true } },
      against: native,
    })
    const open = async (page) => {
      await page.open(sockets, { apart: true })
      await page.echo({ ms: 20 })
    }
    const addresses = 1 + sockets * (runner.rounds + 1)
    // Each round adds to those that are open: what closed ones leave behind is not measured.
    await withPages({ table, options: { addresses }, prepare: open }, (ready, pageOf) =>
      runner.interleave(table, ready, async (contender) => {
        const page = pageOf(contender)
        const before = await page.heap()
        await open(page)
        return { heap: ((await page.heap()) - before) / sockets }
      }),
    )
    return [table]
  },
}
