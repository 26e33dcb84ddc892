// A message to one of more and more rooms, each of one client.
import { Table } from '../tables.mjs'
import { contestant } from '../whole/contestants/index.mjs'

const contenders = [contestant('everwire'), contestant('socket.io')]

export const topics = {
  name: 'growth-topics',
  async run(runner) {
    const sessions = runner.amount(1_000, 100)
    const each = [1, 10, 100]
    const columns = Object.fromEntries(
      each.map((rooms) => [
        `of${rooms * sessions}`,
        { title: `of ${(rooms * sessions).toLocaleString('en')}`, digits: 2, ratio: true },
      ]),
    )
    const table = new Table({
      id: 'growth-topics',
      title: `publish to one of so many topics, of ${sessions.toLocaleString('en')} sessions: server CPU, µs/message`,
      note: 'a hundred publications in a turn, each to another topic with one subscriber; Socket.IO calls topics rooms',
      columns,
      against: 'socket.io',
    })
    table.goal('everwire', Object.keys(columns).at(-1), 1)
    for (const rooms of each) {
      const prepare = async (pair) => {
        await pair.open(sessions)
        await pair.cost('rooms', {
          burst: 100,
          ms: runner.amount(400, 150),
          least: runner.amount(20_000, 5_000),
        })
      }
      await runner.withPairs(
        { contenders, role: 'rooms', options: { rooms }, prepare, table },
        (ready, pairOf) =>
          runner.interleave(table, ready, async (contender) => {
            const { server } = await pairOf(contender).cost('rooms', {
              burst: 100,
              ms: runner.amount(500, 200),
              least: 2_000,
            })
            return { [`of${rooms * sessions}`]: server }
          }),
      )
    }
    return [table]
  },
}
