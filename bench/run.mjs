// `npm run bench`. Options: --quick, --rounds <number>, --only <scenario>,<scenario> (or a group: node, browser, growth, alone, cluster), --save
// (keep the raw numbers also of a run with --quick or --only), --json (for machines, on standard output), --profile <folder> (CPU profiles
// of the processes), --report (only write the reports, from the newest raw numbers). What was lost, wrong or too many bytes makes it fail;
// a goal that is missed is printed and no more.
import { parseArgs } from 'node:util'
import { alone } from './alone/index.mjs'
import { browserEcho } from './browser/echo.mjs'
import { browserHeap } from './browser/heap.mjs'
import { browserIdle } from './browser/idle.mjs'
import { size } from './browser/size.mjs'
import { passed } from './cluster/passed.mjs'
import { busy } from './growth/busy.mjs'
import { delay } from './growth/delay.mjs'
import { topics } from './growth/topics.mjs'
import { machine, printMachine } from './machine.mjs'
import { writeReports } from './reports/index.mjs'
import { saveResults } from './results.mjs'
import { Runner } from './runner.mjs'
import { printTable, verdicts } from './tables.mjs'
import { broadcast } from './whole/broadcast.mjs'
import { connect } from './whole/connect.mjs'
import { echo } from './whole/echo.mjs'
import { firstMessage } from './whole/first-message.mjs'
import { idle } from './whole/idle.mjs'
import { secure } from './whole/secure.mjs'

const groups = {
  node: [echo, broadcast, connect, idle, firstMessage, secure],
  browser: [browserEcho, browserIdle, browserHeap, size],
  growth: [busy, topics, delay],
  alone,
  cluster: [passed],
}
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    save: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    profile: { type: 'string' },
    report: { type: 'boolean', default: false },
  },
})
if (options.report) writeReports()
else await measure(choose(options.only))

function choose(only) {
  const all = Object.entries(groups).flatMap(([group, scenarios]) =>
    scenarios.map((scenario) => ({ group, ...scenario })),
  )
  if (only === undefined) return all
  const names = only.split(',')
  const unknown = names.filter((name) => !all.some((each) => each.name === name || each.group === name))
  if (unknown.length > 0)
    throw new Error(
      `--only takes ${Object.keys(groups).join(', ')}, ${all.map(({ name }) => name).join(', ')}`,
    )
  return all.filter(({ name, group }) => names.includes(name) || names.includes(group))
}

async function measure(scenarios) {
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 5))
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds takes a number, 1 or more')
  const runner = new Runner({ quick: options.quick, rounds, profile: options.profile })
  const found = {
    date: new Date().toISOString(),
    machine: machine(),
    rounds,
    quick: options.quick,
    tables: [],
  }
  const say = options.json ? () => {} : (...text) => console.log(...text)
  if (!options.json) printMachine(found.machine)
  for (const scenario of scenarios) {
    const from = performance.now()
    process.stderr.write(`measuring ${scenario.name}\n`)
    try {
      for (const { raw } of await scenario.run(runner)) {
        found.tables.push({ scenario: scenario.name, ...raw })
        if (!options.json) printTable(raw)
        if (hasFailed(raw)) process.exitCode = 1
      }
    } catch (error) {
      // The others can still be measured.
      process.exitCode = 1
      console.error(error)
    }
    say(`  ${scenario.name}: ${((performance.now() - from) / 1000).toFixed(0)} s`)
  }
  if (options.json) console.log(JSON.stringify(found, null, 2))
  if (options.save || !(options.only || options.quick)) say(`\nraw numbers: ${saveResults(found)}`)
}

/** A machine has slow minutes; what was lost, or counted in bytes, is no matter of time. */
function hasFailed(table) {
  return (
    table.rows.some(({ faults }) => faults.length > 0) ||
    verdicts(table).some(({ exact, met }) => exact && !met)
  )
}
