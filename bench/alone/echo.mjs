// What a server spends on echoing a message over WebSocket.
import { Table } from '../tables.mjs'

const contenders = [
  { row: 'ws', server: 'ws', library: 'ws' },
  { row: 'everwire, session', server: 'everwire', library: 'everwire' },
  { row: 'everwire, plain client', server: 'everwire', library: 'ws' },
  { row: 'socket.io', server: 'socket.io', library: 'socket.io' },
  { row: 'sockjs', server: 'sockjs', library: 'sockjs' },
]

const settings = [
  { size: 64, inFlight: 16, cpuBar: 0.5 },
  { size: 64, inFlight: 1, cpuBar: 1.1 },
  { size: 4096, inFlight: 16, cpuBar: 1 },
]

/** Later than this share is later; less is noise. */
const noWorse = 1.05

export const echo = {
  name: 'alone-echo',
  async run(runner, measure) {
    const servers = measure.servers()
    const tables = []
    for (const { size, inFlight, cpuBar } of settings) {
      const columns = {
        cpu: { title: 'server CPU, µs/message', digits: 2, ratio: true },
        p50: { title: 'p50, µs', digits: 0 },
        p99: { title: 'p99, µs', digits: 0 },
        perSecond: { title: 'messages/s', digits: 0 },
      }
      const table = new Table({
        id: `alone-echo-${size}-${inFlight}`,
        title: `load client, echo over WebSocket: ${size} bytes, ${inFlight} in flight on each of 10 connections`,
        columns,
        against: 'ws',
      })
      await runner.interleave(table, contenders, async ({ server, library }) =>
        measure.cpuPerMessage(await servers.get(server), {
          kind: 'echo',
          library,
          connections: 10,
          inFlight,
          size,
        }),
      )
      for (const row of ['everwire, session', 'everwire, plain client']) {
        table.goal(row, 'cpu', cpuBar)
        table.goal(row, 'p99', noWorse)
      }
      tables.push(table)
    }
    await servers.stop()
    return tables
  },
}
