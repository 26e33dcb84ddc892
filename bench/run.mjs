// `npm run bench`: everwire beside its peers, in one run. Options: --quick, --only <scenario>,<scenario>, --json (for
// machines, on standard output), --profile <folder> (CPU profiles of the servers). Bars of time and memory are printed and
// no more; what was lost, wrong or too many bytes makes it fail.
import { parseArgs } from 'node:util'
import { Measure } from './measure.mjs'
import { machine, printMachine, printTable } from './report.mjs'
import { armour } from './scenarios/armour.mjs'
import { echo } from './scenarios/echo.mjs'
import { firstMessage } from './scenarios/first-message.mjs'
import { idle } from './scenarios/idle.mjs'
import { polling } from './scenarios/polling.mjs'
import { publish } from './scenarios/publish.mjs'
import { size } from './scenarios/size.mjs'

const scenarios = [armour, echo, firstMessage, idle, polling, publish, size]
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'string' },
  },
})
const chosen = scenarios.filter(({ name }) => !options.only || options.only.split(',').includes(name))
if (chosen.length === 0) throw new Error(`--only takes ${scenarios.map(({ name }) => name).join(', ')}`)

const measure = new Measure(options)
const found = { machine: machine(), quick: options.quick, tables: [] }
if (!options.json) printMachine(found.machine)
try {
  for (const scenario of chosen) {
    for (const table of await scenario.run(measure)) {
      const { results } = table
      found.tables.push({ scenario: scenario.name, ...results })
      if (!options.json) printTable(results)
      // A machine has slow minutes; what was lost, or counted in bytes, is no matter of time.
      const failed =
        results.rows.some(({ faults }) => faults.length > 0) ||
        results.bars.some(({ exact, pass }) => exact && !pass)
      if (failed) process.exitCode = 1
    }
  }
} finally {
  await measure.stop()
}
if (options.json) console.log(JSON.stringify(found, null, 2))
