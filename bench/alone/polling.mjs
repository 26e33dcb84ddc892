// What long-polling costs: CPU of the server, bytes on the wire, requests.
import { Table } from '../tables.mjs'

const contenders = [
  { row: 'engine.io', library: 'engine.io' },
  { row: 'everwire', library: 'everwire' },
]

const settings = [
  { inFlight: 16, headers: 'bare', cpuBar: 0.6 },
  { inFlight: 1, headers: 'bare' },
  { inFlight: 16, headers: 'browser' },
  { inFlight: 1, headers: 'browser' },
]

export const polling = {
  name: 'alone-polling',
  async run(runner, measure) {
    const servers = measure.servers()
    const tables = []
    for (const { inFlight, headers, cpuBar } of settings) {
      const columns = {
        cpu: { title: 'server CPU, µs/message', digits: 1, ratio: true },
        bytes: { title: 'bytes/message', digits: 0 },
        up: { title: 'up', digits: 0 },
        down: { title: 'down', digits: 0 },
        requests: { title: 'requests/message', digits: 2 },
        upEach: { title: 'up/request', digits: 0 },
        downEach: { title: 'down/request', digits: 0 },
        p99: { title: 'p99, µs', digits: 0 },
      }
      const table = new Table({
        id: `alone-polling-${headers}-${inFlight}`,
        title: `load client, echo over long-polling: 64 bytes, ${inFlight} in flight in each of 10 sessions, headers: ${headers}`,
        columns,
        against: 'engine.io',
      })
      await runner.interleave(table, contenders, async ({ library }) => {
        const options = {
          kind: 'echo',
          library,
          transport: 'polling',
          headers,
          connections: 10,
          inFlight,
          size: 64,
        }
        const { cpu, p99, messages, up, down, requests } = await measure.cpuPerMessage(
          await servers.get(library),
          options,
        )
        return {
          cpu,
          bytes: (up + down) / messages,
          up: up / messages,
          down: down / messages,
          requests: requests / messages,
          upEach: up / requests,
          downEach: down / requests,
          p99,
        }
      })
      if (cpuBar) table.goal('everwire', 'cpu', cpuBar)
      table.goal('everwire', 'up', 1, { exact: true })
      table.goal('everwire', 'down', 1, { exact: true })
      tables.push(table)
    }
    await servers.stop()
    return tables
  },
}
