/** `npm run simulate -- --runs 1000000 --seed 7 [--cluster] [--minutes 20] [--workers 4] [--from run] [--scenario name] [--trace]` */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { loadCluster } from './cluster/load.ts'
import { simulateCluster } from './cluster/run.ts'
import { scenarios as clusterScenarios } from './cluster/scenarios.ts'
import { inTask, load } from './load.ts'
import { type Outcome, simulate, type Wish } from './run.ts'
import { type ScenarioName, scenarios } from './scenarios.ts'
import type { Counts } from './world.ts'

/** So many runs of one process follow each other without a look at the others. */
const batch = 500
/** A process that has met so many broken promises has seen enough. */
const mostFailures = 20

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    /** It ends after so long, if not before. */
    minutes: { type: 'string', default: 'Infinity' },
    workers: { type: 'string', default: String(availableParallelism()) },
    scenario: { type: 'string' },
    trace: { type: 'boolean', default: false },
    /** Servers of a cluster and their clients, in the place of one server and one client. */
    cluster: { type: 'boolean', default: false },
    /** Of a process that another one has started: it begins so many runs later, and leaves out those of the others. */
    worker: { type: 'string' },
  },
})
const runs = Number(values.runs)
const seed = Number(values.seed)
const from = Number(values.from)
const end = performance.now() + Number(values.minutes) * 60_000
const workers = values.trace ? 1 : Math.max(1, Math.min(Number(values.workers), Math.ceil(runs / batch)))
const { scenario } = values
const known: object = values.cluster ? clusterScenarios : scenarios
if (
  ![runs, seed, from, workers].every(Number.isSafeInteger) ||
  Number.isNaN(end) ||
  (scenario && !(scenario in known))
) {
  console.error(
    `--runs, --seed, --from and --workers are whole numbers, --minutes is a number; --scenario is one of: ${Object.keys(known).join(', ')}`,
  )
  process.exit(2)
}

/** What a process has done. */
interface Report {
  readonly done: number
  readonly counts: [string, number][]
  readonly cpu: number
  readonly failures: { readonly number: number; readonly why: string }[]
}

type Simulate = (number: number, counts: Counts, wish: Wish) => Outcome

async function family(): Promise<Simulate> {
  if (values.cluster) {
    const clustered = await loadCluster()
    return (...run) => simulateCluster(clustered, seed, ...run)
  }
  const everwire = await load()
  return (...run) => simulate(everwire, seed, ...run)
}

/** The share of one of so many processes. */
async function work(index: number, of: number): Promise<Report> {
  const play = await family()
  const counts: Counts = new Map()
  let done = 0
  const failures: Report['failures'] = []
  for (let first = from + index * batch; first < from + runs; first += of * batch) {
    if (performance.now() > end) break
    await inTask(() => {
      for (let number = first; number < Math.min(first + batch, from + runs); number++) {
        if (failures.length >= mostFailures) break
        const { failure: why, trace } = play(number, counts, {
          scenario: scenario as ScenarioName | undefined,
          trace: values.trace,
        })
        if (trace) console.log(trace.join('\n'))
        done++
        if (why !== undefined) failures.push({ number, why })
      }
    })
  }
  const { user, system } = process.cpuUsage()
  return { done, counts: [...counts], cpu: (user + system) / 1e6, failures }
}

/** The same in a process of its own. */
function delegate(index: number): Promise<Report> {
  return new Promise((resolve, reject) => {
    const child = fork(process.argv[1] as string, [...process.argv.slice(2), `--worker=${index}`], {
      // A young generation of many runs, which fits into the processor's cache: nearly nothing of it is alive when it is full.
      execArgv: ['--max-semi-space-size=16', '--min-semi-space-size=16'],
    })
    child.once('message', (report) => resolve(report as Report))
    // After all that it has said, which the end of its process may overtake.
    child.once('disconnect', () => reject(new Error(`worker ${index} has ended without a report`)))
  })
}

if (values.worker !== undefined) {
  const report = await work(Number(values.worker), workers)
  process.send?.(report, () => process.connected && process.disconnect())
} else {
  const start = performance.now()
  const reports = values.trace
    ? [await work(0, 1)]
    : await Promise.all(Array.from({ length: workers }, (_, i) => delegate(i)))
  tell(reports, (performance.now() - start) / 1000)
}

function tell(reports: readonly Report[], seconds: number): void {
  const sums: Counts = new Map()
  for (const { counts } of reports)
    for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count)
  for (const [name, count] of [...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${String(count).padStart(10)}  ${name}`)
  const failures = reports.flatMap((report) => report.failures)
  for (const { number, why } of failures) {
    console.log(`run ${number} failed: ${why}`)
    const cluster = values.cluster ? ' --cluster' : ''
    const only = scenario ? ` --scenario '${scenario}'` : ''
    console.log(
      `again: npm run simulate --${cluster} --seed ${seed} --from ${number} --runs 1${only} --trace`,
    )
    process.exitCode = 1
  }
  const done = reports.reduce((sum, report) => sum + report.done, 0)
  const cpu = reports.reduce((sum, report) => sum + report.cpu, 0)
  console.log(
    `${failures.length > 0 ? `${failures.length} failed` : 'lost 0, doubled 0'}: ${done} runs in ${seconds.toFixed(1)} s on ${reports.length} processes: ${Math.round(done / seconds)} runs a second, ${Math.round(done / cpu)} in each of CPU, seed ${seed}`,
  )
}
