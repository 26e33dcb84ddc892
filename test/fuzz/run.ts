/** Runs in batches: those of a batch share a server or a client, so that deep states are reached; each can be played again. */
import { Random } from '../support/random.ts'
import { Bodies } from './bodies.ts'
import { Clients } from './clients.ts'
import { Clock } from './clock.ts'
import { catchFaults, type Faults } from './faults.ts'
import { Frames } from './frames.ts'
import { Raw } from './raw.ts'
import { Watchdog } from './watchdog.ts'
import { type Batch, type Counts, type Everwire, World } from './world.ts'

const batchSize = 64

interface Kind {
  /** Of a hundred runs so many are of this kind. */
  readonly share: number
  make(world: World): Batch
}

export const kinds = {
  bodies: { share: 50, make: (world) => new Bodies(world) },
  frames: { share: 25, make: (world) => new Frames(world) },
  raw: { share: 5, make: (world) => new Raw(world) },
  answers: { share: 10, make: (world) => new Clients(world, 'answers') },
  controls: { share: 10, make: (world) => new Clients(world, 'controls') },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof kinds

const names = Object.keys(kinds) as KindName[]

export interface Failure {
  readonly kind: KindName
  readonly run: number
  readonly why: string
  /** What was said in this run, and to whom. */
  readonly said: World['said']
}

export interface Report {
  readonly counts: Counts
  /** How many runs of each kind, and the seconds they took. */
  readonly done: Map<KindName, { runs: number; seconds: number }>
  /** Runs that took long, in milliseconds of CPU. */
  readonly slow: { kind: KindName; run: number; ms: number }[]
  failure: Failure | undefined
}

export interface Wish {
  readonly seed: number
  readonly runs: number
  readonly only?: KindName | undefined
  /** Of that kind only what leads to this run. */
  readonly run?: number | undefined
  /** Called after each batch. */
  readonly progress?: ((report: Report) => void) | undefined
}

/** What costs more than that, in milliseconds, is told, and what costs more than this is a hang. */
const slowAfter = 50
const hangAfter = 2000
const mostSlow = 20

/** The time of the machine, whatever the clock of the runs says. */
const machineNow = performance.now.bind(performance)

export async function fuzz(everwire: Everwire, wish: Wish): Promise<Report> {
  const report: Report = { counts: new Map(), done: new Map(), slow: [], failure: undefined }
  const watchdog = new Watchdog(names, wish.seed)
  const faults = catchFaults()
  const clock = new Clock()
  const restore = clock.install()
  const { random: ownRandom } = Math
  try {
    for (const { kind, first, count } of batches(wish)) {
      const random = new Random(wish.seed, names.indexOf(kind), first / batchSize)
      Math.random = () => random.below(2 ** 31) / 2 ** 31
      const world = new World(everwire, random, clock, report.counts, kind)
      await new Player(kind, world, report, faults, watchdog).play(first, count)
      clock.reset()
      if (report.failure) break
      wish.progress?.(report)
    }
  } finally {
    Math.random = ownRandom
    restore()
    faults.stop()
    await watchdog.stop()
  }
  return report
}

/** The batches in their order: the kind that is behind its share comes next. */
function* batches({ runs, only, run }: Wish): Generator<{ kind: KindName; first: number; count: number }> {
  if (only && run !== undefined) {
    const first = run - (run % batchSize)
    yield { kind: only, first, count: run - first + 1 }
    return
  }
  const wanted = (only ? [only] : names).map((kind) => ({
    kind,
    runs: only ? runs : Math.ceil((runs * kinds[kind].share) / 100),
    done: 0,
  }))
  for (;;) {
    const [next] = wanted
      .filter((one) => one.done < one.runs)
      .sort((one, other) => one.done / one.runs - other.done / other.runs)
    if (!next) return
    const count = Math.min(batchSize, next.runs - next.done)
    yield { kind: next.kind, first: next.done, count }
    next.done += count
  }
}

/** Plays one batch, and sees what becomes of it. */
class Player {
  readonly #kind: KindName
  readonly #world: World
  readonly #report: Report
  readonly #faults: Faults
  readonly #watchdog: Watchdog
  /** What the process had used when it was looked at last. */
  #cpu = process.cpuUsage()
  #run = 0

  constructor(kind: KindName, world: World, report: Report, faults: Faults, watchdog: Watchdog) {
    this.#kind = kind
    this.#world = world
    this.#report = report
    this.#faults = faults
    this.#watchdog = watchdog
  }

  async play(first: number, count: number): Promise<void> {
    const kind = this.#kind
    const world = this.#world
    const begin = machineNow()
    this.#run = first
    try {
      const batch = kinds[kind].make(world)
      for (; ; this.#run++) {
        world.said = []
        await this.#timed(() => batch.run())
        if (this.#run === first + count - 1) break
      }
      await this.#timed(() => batch.finish())
    } catch (error) {
      const why = String((error as Error).stack ?? error)
      this.#report.failure = { kind, run: this.#run, why, said: world.said }
    }
    const { done } = this.#report
    const sum = done.get(kind) ?? { runs: 0, seconds: 0 }
    sum.runs += this.#run - first + 1
    sum.seconds += (machineNow() - begin) / 1000
    done.set(kind, sum)
  }

  async #timed(run: () => Promise<void>): Promise<void> {
    this.#watchdog.begin(this.#kind, this.#run)
    const begin = machineNow()
    await run()
    this.#faults.check()
    if (machineNow() - begin < slowAfter) return
    // It may have waited for others on this machine. What the runs before it cost counts for little.
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#cpu = process.cpuUsage()
    const ms = Math.round((user + system) / 1000)
    if (ms > hangAfter) throw new Error(`it took ${ms} ms of CPU`)
    if (ms > slowAfter && this.#report.slow.length < mostSlow)
      this.#report.slow.push({ kind: this.#kind, run: this.#run, ms })
  }
}

/** What to type to see a failure again. */
export function again(seed: number, { kind, run }: Pick<Failure, 'kind' | 'run'>): string {
  return `npm run fuzz -- --seed ${seed} --only ${kind} --run ${run}`
}

/** A failure as somebody reads it. */
export function describe(seed: number, failure: Failure): string {
  const { kind, run, why, said } = failure
  const lines = said.map(({ to, bytes }) => `  ${to}: ${Buffer.from(bytes).toString('hex')}`)
  return [
    `run ${run} of ${kind} failed: ${why}`,
    'what was said:',
    ...lines,
    `again: ${again(seed, failure)}`,
  ].join('\n')
}
