/** Sees from outside when a run never comes to its end: inside nobody could tell any more. */
import { Worker } from 'node:worker_threads'

/** So many seconds without another run are a hang, however busy the machine is. */
const patience = 60

const code = `
const { workerData: { memory, names, patience, seed } } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const at = new Int32Array(memory)
let last = -1
let still = 0
setInterval(() => {
  const beat = Atomics.load(at, 0)
  still = beat === last ? still + 1 : 0
  last = beat
  if (still < patience) return
  const again = 'npm run fuzz -- --seed ' + seed + ' --only ' + names[at[1]] + ' --run ' + at[2]
  writeSync(2, 'a run hangs: ' + again + '\\n')
  process.kill(process.pid, 'SIGKILL')
}, 1000)
`

export class Watchdog {
  readonly #at: Int32Array
  readonly #names: readonly string[]
  readonly #worker: Worker

  constructor(names: readonly string[], seed: number) {
    const memory = new SharedArrayBuffer(12)
    this.#at = new Int32Array(memory)
    this.#names = names
    this.#worker = new Worker(code, { eval: true, workerData: { memory, names, patience, seed } })
    this.#worker.unref()
  }

  /** This run is about to begin. */
  begin(kind: string, run: number): void {
    this.#at[1] = this.#names.indexOf(kind)
    this.#at[2] = run
    Atomics.add(this.#at, 0, 1)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}
