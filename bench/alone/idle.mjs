// What a session that only stays costs a server in memory.
import { setTimeout as wait } from 'node:timers/promises'
import { Table } from '../tables.mjs'

const groups = [
  {
    title: 'WebSocket',
    against: 'ws',
    bars: { 'everwire, session': 1.6, 'everwire, session, mounted': 1.6 },
    contenders: [
      { row: 'ws', server: 'ws', library: 'ws', transport: 'websocket' },
      { row: 'everwire, session', server: 'everwire', library: 'everwire', transport: 'websocket' },
      {
        row: 'everwire, session, mounted',
        server: 'everwire, mounted',
        library: 'everwire',
        transport: 'websocket',
      },
      { row: 'everwire, plain client', server: 'everwire', library: 'ws', transport: 'websocket' },
      { row: 'socket.io', server: 'socket.io', library: 'socket.io', transport: 'websocket' },
      { row: 'sockjs', server: 'sockjs', library: 'sockjs', transport: 'websocket' },
    ],
  },
  {
    title: 'a held long-poll',
    against: 'engine.io',
    bars: { everwire: 0.7 },
    contenders: [
      { row: 'engine.io', server: 'engine.io', library: 'engine.io', transport: 'polling' },
      { row: 'everwire', server: 'everwire', library: 'everwire', transport: 'polling' },
    ],
  },
]

export const idle = {
  name: 'alone-idle',
  async run(runner, measure) {
    const connections = runner.amount(1_000, 200)
    const tables = []
    for (const { title, against, bars, contenders } of groups) {
      const columns = {
        heap: { title: 'JS heap, bytes', digits: 0, ratio: true },
        external: { title: 'external, bytes', digits: 0 },
      }
      const table = new Table({
        id: `alone-idle-${against}`,
        title: `load client, an idle session: ${title}, of ${connections}`,
        columns,
        against,
      })
      await runner.interleave(
        table,
        contenders,
        (contender) => memoryPerSession(measure, contender, connections),
        runner.amount(3, 1),
      )
      for (const row in bars) table.goal(row, 'heap', bars[row])
      tables.push(table)
    }
    return tables
  },
}

async function memoryPerSession(measure, { server: name, library, transport }, connections) {
  const server = await measure.startServer(name, 'echo', ['--expose-gc'])
  try {
    const options = { kind: 'idle', library, transport, port: server.port }
    // What the first sessions bring with them stays.
    await measure.load('start', { ...options, connections: 20 })
    await measure.load('stop')
    await wait(200)
    const before = await server.call('memory')
    await measure.load('start', { ...options, connections })
    await wait(200)
    const after = await server.call('memory')
    await measure.load('stop')
    return {
      heap: (after.heapUsed - before.heapUsed) / connections,
      external: (after.external - before.external) / connections,
    }
  } finally {
    await server.stop()
  }
}
