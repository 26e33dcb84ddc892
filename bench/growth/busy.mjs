// Busy sessions beside more and more idle ones: what a message costs the server, and what a session takes of its memory.
import { reason } from '../runner.mjs'
import { Table } from '../tables.mjs'
import { contenders, mostSessions } from './growers.mjs'

const busySessions = 100

export const busy = {
  name: 'growth-busy',
  async run(runner) {
    const levels = runner.amount([10, 100, 1_000, 5_000, 20_000], [10, 100, 500])
    const note = 'the most sessions: as many as the open files of one process allow'
    const cpu = table(
      'growth-cpu',
      `server CPU, µs/message, of ${busySessions} busy sessions beside idle ones`,
      note,
      levels,
      2,
    )
    const heap = table('growth-heap', 'server, JS heap and external, bytes for each session', note, levels, 0)
    const mostAt = (level, contender) =>
      level === levels.at(-1) ? { most: sessionsAt(level, contender) } : {}
    const prepare = async (pair) => {
      await pair.open(busySessions)
      await pair.warm(runner, { inFlight: 1 })
    }
    const use = { contenders, role: 'echo', options: { gc: true }, prepare, table: cpu }
    await runner.withPairs(use, async (ready, pairOf) => {
      const empty = new Map()
      await eachOf(cpu, ready, async (contender) => empty.set(contender, await memory(pairOf(contender))))
      let before = new Map(ready.map((contender) => [contender, 0]))
      for (const level of levels) {
        const idle = new Map(ready.map((contender) => [contender, sessionsAt(level, contender)]))
        await eachOf(cpu, ready, async (contender) => {
          const pair = pairOf(contender)
          await pair.open(idle.get(contender) - before.get(contender))
          const bytes = (await memory(pair)) - empty.get(contender)
          if (idle.get(contender) >= runner.amount(1_000, 100))
            heap.add(contender.row, {
              [keyOf(level)]: bytes / idle.get(contender),
              ...mostAt(level, contender),
            })
        })
        before = idle
        await runner.interleave(cpu, ready, async (contender) => {
          const load = { connections: busySessions, inFlight: 1, ms: runner.amount(500, 200), least: 500 }
          const { server } = await pairOf(contender).cost('echo', load)
          return { [keyOf(level)]: server, ...mostAt(level, contender) }
        })
      }
    })
    return [cpu, heap]
  },
}

function sessionsAt(level, contender) {
  return Math.min(level, mostSessions(contender))
}

function keyOf(level) {
  return `at${level}`
}

function table(id, title, note, levels, digits) {
  const columns = Object.fromEntries(
    levels.map((level) => [
      keyOf(level),
      { title: `${level.toLocaleString('en')} idle`, digits, ratio: true },
    ]),
  )
  return new Table({
    id,
    title,
    note,
    columns: { ...columns, most: { title: 'the most', digits: 0 } },
    against: 'ws',
  })
}

async function memory(pair) {
  const { heap, external } = await pair.server.call('memory')
  return heap + external
}

/** One after the other; what fails is a fault of that row. */
async function eachOf(faults, ready, work) {
  for (const contender of ready) {
    try {
      await work(contender)
    } catch (error) {
      faults.fault(contender.row, reason(error))
    }
  }
}
