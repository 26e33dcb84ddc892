// What a session that only stays costs both ends in memory.

import { openFiles } from '../machine.mjs'
import { reason } from '../runner.mjs'
import { Table } from '../tables.mjs'
import { contenders, fallbacks, ws } from './nodes.mjs'
import { Pair } from './pair.mjs'

const wanted = 50_000
/** What a process opens for itself. */
const reserve = 500
/** Sessions that are opened before anything is measured. */
const warm = 20

/** Files that each session takes: over HTTP a second connection may be open beside the held one. */
const filesOf = ({ transport }) => (transport === 'websocket' ? 1 : 2)

export const idle = {
  name: 'idle',
  async run(runner) {
    const few = runner.amount(1_000, 200)
    const many = runner.amount(wanted, 500)
    const limit = openFiles() - reserve
    const note = `${many.toLocaleString('en')}, or as many as ${openFiles().toLocaleString('en')} open files allow`
    const tables = [
      table('idle-few', `an idle session, of ${few.toLocaleString('en')}`),
      table('idle-many', 'an idle session, of many', note),
    ]
    const counts = [() => few, (contender) => Math.min(many, Math.floor(limit / filesOf(contender)))]
    const everybody = [contenders, contenders.filter(takesPartInMany)]
    const rounds = [runner.rounds, 1]
    for (const [i, each] of tables.entries())
      for (let round = 0; round < rounds[i]; round++) await measureAll(each, everybody[i], counts[i])
    return tables
  },
}

/** The others would add minutes and say the same. */
function takesPartInMany({ row }) {
  return ['ws', 'engine.io', 'everwire', 'engine.io, polling', 'everwire, polling'].includes(row)
}

function table(id, title, note) {
  const columns = {
    heap: { title: 'server, JS heap, bytes', digits: 0, ratio: true },
    external: { title: 'server, external, bytes', digits: 0 },
    client: { title: 'client, JS heap, bytes', digits: 0, ratio: true },
    sessions: { title: 'sessions', digits: 0 },
  }
  const made = new Table({ id, title, note, columns, against: ws })
  made.goal('everwire', 'heap', 1.35)
  for (const row of fallbacks) made.goal(row, 'heap', 0.6, { of: 'engine.io, polling' })
  return made
}

/** All are opened first: then they become idle at the same time. */
async function measureAll(into, contenders, countOf) {
  const opened = []
  const attempt = async ({ row }, pair, work) => {
    try {
      await work()
    } catch (error) {
      into.fault(row, reason(error))
      await pair.stop()
    }
  }
  for (const contender of contenders) {
    const pair = await Pair.start(contender, 'echo', { gc: true, held: true })
    const sessions = countOf(contender)
    await attempt(contender, pair, async () => {
      // What the first sessions bring with them stays.
      await pair.open(warm)
      await pair.cost('echo', { ms: 50 })
      const before = await memory(pair)
      await pair.open(sessions)
      opened.push({ contender, pair, sessions, before })
    })
  }
  for (const { contender, pair, sessions, before } of opened) {
    await attempt(contender, pair, async () => {
      // Over HTTP a session is idle once the server holds one answer for it, on the only connection that is left.
      if (contender.transport !== 'websocket') await pair.server.call('idle', warm + sessions)
      const after = await memory(pair)
      into.add(contender.row, {
        heap: (after.server.heap - before.server.heap) / sessions,
        external: (after.server.external - before.server.external) / sessions,
        client: (after.client.heap - before.client.heap) / sessions,
        sessions,
      })
      await pair.stop()
    })
  }
}

async function memory(pair) {
  const [server, client] = await Promise.all([pair.server.call('memory'), pair.client.call('memory')])
  return { server, client }
}
