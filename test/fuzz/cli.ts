/** `npm run fuzz -- --runs 10000000 --seed 7 [--only kind [--run number]]` */
import { parseArgs } from 'node:util'
import * as everwire from './everwire.ts'
import { again, describe, fuzz, type KindName, kinds, type Report } from './run.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    run: { type: 'string' },
  },
})
const runs = Number(values.runs)
const seed = Number(values.seed)
const run = values.run === undefined ? undefined : Number(values.run)
const only = values.only as KindName | undefined
if (
  ![runs, seed, run ?? 0].every(Number.isSafeInteger) ||
  (only && !(only in kinds)) ||
  (run !== undefined && !only)
) {
  console.error(
    `--runs, --seed and --run are whole numbers; --only is one of: ${Object.keys(kinds).join(', ')}; --run needs it`,
  )
  process.exit(2)
}

const machineNow = performance.now.bind(performance)
const begin = machineNow()
const tellAfter = 10_000
let told = begin

function sumOf({ done }: Report): number {
  return [...done.values()].reduce((sum, { runs }) => sum + runs, 0)
}

function progress(report: Report): void {
  const now = machineNow()
  if (now - told < tellAfter) return
  told = now
  const sum = sumOf(report)
  const megabytes = Math.round(process.memoryUsage().heapUsed / 2 ** 20)
  console.log(`${sum} runs, ${Math.round((sum / (now - begin)) * 1000)} a second, ${megabytes} MB`)
}

const report = await fuzz(everwire, { seed, runs, only, run, progress })
const seconds = (machineNow() - begin) / 1000
for (const [name, count] of [...report.counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`${String(count).padStart(10)}  ${name}`)
for (const one of report.slow) console.log(`slow: ${one.ms} ms of CPU: ${again(seed, one)}`)
for (const [kind, { runs, seconds }] of report.done)
  console.log(`${kind}: ${runs} runs, ${Math.round(runs / seconds)} a second`)
const sum = sumOf(report)
const { user, system } = process.cpuUsage()
const cpu = (user + system) / 1e6
console.log(
  `${sum} runs in ${seconds.toFixed(1)} s: ${Math.round(sum / seconds)} a second; ${Math.round(
    sum / cpu,
  )} a second of CPU; seed ${seed}`,
)
if (report.failure) {
  console.log(describe(seed, report.failure))
  process.exitCode = 1
}
