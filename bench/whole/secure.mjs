// The same echoes through TLS, and compressed.
import { Table } from '../tables.mjs'
import { contestant } from './contestants/index.mjs'
import { costColumns, ws } from './nodes.mjs'

const connections = 10

const settings = [
  {
    id: 'tls-64-16',
    title: 'through TLS: echo of 64 bytes, 16 in flight',
    load: { size: 64, inFlight: 16 },
    options: { secure: true },
    contenders: [
      contestant('ws'),
      contestant('engine.io'),
      contestant('socket.io'),
      contestant('everwire'),
      contestant('engine.io', 'polling'),
      contestant('everwire', 'stream'),
      contestant('everwire', 'sse'),
      contestant('everwire', 'polling'),
    ],
    goals: { server: 0.6, together: 0.8 },
  },
  {
    id: 'tls-64-1',
    title: 'through TLS: echo of 64 bytes, one in flight',
    load: { size: 64, inFlight: 1 },
    options: { secure: true },
    contenders: [contestant('ws'), contestant('socket.io'), contestant('everwire')],
    goals: { together: 1.1 },
  },
  {
    id: 'deflate-2048-16',
    title: 'permessage-deflate: echo of 2 KiB of JSON, 16 in flight',
    load: { size: 2048, json: true, inFlight: 16 },
    options: { deflate: true },
    contenders: [contestant('ws'), contestant('engine.io'), contestant('socket.io'), contestant('everwire')],
    goals: { together: 1 },
  },
]

export const secure = {
  name: 'secure',
  async run(runner) {
    const tables = []
    for (const { id, title, load, options, contenders, goals } of settings) {
      const columns = {
        ...costColumns('message'),
        p50: { title: 'p50, µs', digits: 0, ratio: true },
        perSecond: { title: 'messages/s', digits: 0 },
      }
      const table = new Table({ id, title, columns, against: ws })
      for (const column in goals) table.goal('everwire', column, goals[column])
      const prepare = async (pair) => {
        await pair.open(connections)
        await pair.warm(runner, load)
      }
      await runner.withPairs({ contenders, role: 'echo', options, prepare, table }, (ready, pairOf) =>
        runner.interleave(table, ready, (contender) =>
          pairOf(contender).cost('echo', { ...load, ms: runner.amount(500, 150), least: 500 }),
        ),
      )
      tables.push(table)
    }
    return tables
  },
}
