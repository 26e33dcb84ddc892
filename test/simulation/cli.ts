/** `npm run simulate -- --runs 1000000 --seed 7 [--from run] [--scenario name] [--trace]` */
import { parseArgs } from 'node:util'
import * as everwire from './everwire.ts'
import { simulate } from './run.ts'
import { type ScenarioName, scenarios } from './scenarios.ts'
import type { Counts } from './world.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    scenario: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})
const runs = Number(values.runs)
const seed = Number(values.seed)
const from = Number(values.from)
const scenario = values.scenario as ScenarioName | undefined
if (![runs, seed, from].every(Number.isSafeInteger) || (scenario && !(scenario in scenarios))) {
  console.error(
    `--runs, --seed and --from are whole numbers; --scenario is one of: ${Object.keys(scenarios).join(', ')}`,
  )
  process.exit(2)
}

const counts: Counts = new Map()
const start = performance.now()
let done = 0
for (let number = from; number < from + runs; number++) {
  const { failure, trace } = simulate(everwire, seed, number, counts, { scenario, trace: values.trace })
  if (trace) console.log(trace.join('\n'))
  done++
  if (failure === undefined) continue
  console.log(`run ${number} failed: ${failure}`)
  const only = scenario ? ` --scenario '${scenario}'` : ''
  console.log(`again: npm run simulate -- --seed ${seed} --from ${number} --runs 1${only} --trace`)
  process.exitCode = 1
  break
}
const seconds = (performance.now() - start) / 1000
for (const [name, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
  console.log(`${String(count).padStart(10)}  ${name}`)
}
console.log(
  `${done} runs in ${seconds.toFixed(1)} s: ${Math.round(done / seconds)} runs a second, seed ${seed}`,
)
