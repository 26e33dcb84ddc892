/** Chance, time and bookkeeping of the runs. Nothing in a simulation has another source of either. */
import { setFlagsFromString } from 'node:v8'

// V8 would move objects of some places in the code at once to where only a full collection frees them. With them it moves what
// they refer to: one run after the other.
setFlagsFromString('--no-allocation-site-pretenuring')
// Code that has not run for a while is wanted again.
setFlagsFromString('--no-flush-bytecode')

/** A promise was broken. */
export class Violation extends Error {}

/** Seeded chance: sfc32. */
export class Random {
  #a = 0
  #b = 0
  #c = 0
  #d = 1

  constructor(seed: number, run: number) {
    this.#a = seed | 0
    this.#b = Math.floor(seed / 2 ** 32) | 0
    this.#c = run | 0
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 32 bits. */
  next(): number {
    const t = (this.#a + this.#b + this.#d++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    return t >>> 0
  }

  /** From `low` up to and with `high`. */
  between(low: number, high: number): number {
    return low + (this.next() % (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32
  }

  pick<T>(list: readonly T[]): T {
    return list[this.next() % list.length] as T
  }
}

/** How often each interesting thing happened, over all runs. */
export type Counts = Map<string, number>

/** Something to do at a time; also what `setTimeout` gives in Node, as far as that is used. */
export class Task {
  time: number
  readonly order: number
  /** Absent once it was called off. */
  run: (() => void) | undefined
  /** A timer of the client: it may be late. */
  readonly isOfClient: boolean

  constructor(time: number, order: number, run: () => void, isOfClient: boolean) {
    this.time = time
    this.order = order
    this.run = run
    this.isOfClient = isOfClient
  }

  unref(): this {
    return this
  }
}

/**
 * Runs the promises' jobs that wait, until none is left. V8 has such a function for its own tests; it does nothing while
 * such a job is running, so a simulation is begun from a task.
 */
const runMicrotasks: () => void = (() => {
  setFlagsFromString('--allow-natives-syntax')
  try {
    return new Function('%PerformMicrotaskCheckpoint()') as () => void
  } finally {
    setFlagsFromString('--no-allow-natives-syntax')
  }
})()

const begin = 1_000_000
/** The two ends share no clock: the server's is ahead. */
export const clockOffset = 500_000
/** More than that in one run never comes to an end. */
const mostTasks = 100_000

export class World {
  random: Random = new Random(0, 0)
  counts: Counts = new Map()
  /** One line per thing that happened, if somebody wants to read it. */
  trace: string[] | undefined
  now = begin
  /** The client's timers ring so late, as in a hidden page or on a machine that sleeps. */
  lateness = 0
  #lateUntil = -1
  /** What the client's browser says of the network. */
  offline = false
  /** The first promise that was broken where nobody could be told by an exception. */
  fault: string | undefined
  #heap: Task[] = []
  #order = 0
  #tasks = 0
  #ticks: (() => void)[] = []

  /** From the beginning, for a run that knows nothing of those before. */
  begin(random: Random, counts: Counts, trace: string[] | undefined): void {
    this.random = random
    this.counts = counts
    this.trace = trace
    this.now = begin
    this.lateness = 0
    this.#lateUntil = -1
    this.fault = undefined
    this.#heap = []
    this.#order = this.#tasks = 0
    this.#ticks = []
    let ran = false
    Promise.resolve().then(() => {
      ran = true
    })
    runMicrotasks()
    if (!ran) throw new Error('A run of the simulation must begin in a task, not in a job of a promise')
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    this.trace?.push(`${this.now - begin} * ${name}`)
  }

  log(text: string): void {
    this.trace?.push(`${this.now - begin} ${text}`)
  }

  fail(why: string): void {
    this.fault ??= why
  }

  after(delay: number, run: () => void, isOfClient = false): Task {
    const task = new Task(this.now + delay, this.#order++, run, isOfClient)
    this.#push(task)
    return task
  }

  nextTick(run: () => void): void {
    this.#ticks.push(run)
  }

  /** Lets time pass until `done` says so or `limit` milliseconds are over. Returns whether `done` was. */
  run(limit: number, done?: () => boolean): boolean {
    const end = this.now + limit
    this.turn()
    while (!done?.()) {
      const task = this.#heap[0]
      if (task === undefined || task.time > end) {
        this.now = end
        return false
      }
      this.#perform(this.#shift())
    }
    return true
  }

  /** Until no timer waits any more: whatever has ended leaves none. */
  runOut(): void {
    while (this.#heap.length > 0) this.#perform(this.#shift())
  }

  /** Whether a timer of the client that was due is still to come. */
  get isLate(): boolean {
    return this.now <= this.#lateUntil
  }

  /** How many tasks have run. */
  get tasks(): number {
    return this.#tasks
  }

  #perform(task: Task): void {
    const { run } = task
    if (!run) return
    if (++this.#tasks > mostTasks) throw new Violation('a run that never ends')
    this.now = Math.max(this.now, task.time)
    if (task.isOfClient && this.lateness > 0) {
      this.count('client: a timer was late')
      this.#lateUntil = Math.max(this.#lateUntil, this.now + this.lateness)
      this.after(this.lateness, () => task.run?.())
      return
    }
    // What has run is not to be called off any more.
    task.run = undefined
    run()
    this.turn()
  }

  /** What follows from what happened just now: Node's ticks, then the jobs of promises, until nothing is left. */
  turn(): void {
    runMicrotasks()
    for (let rounds = 0; this.#ticks.length > 0; rounds++) {
      const ticks = this.#ticks
      this.#ticks = []
      for (const tick of ticks) tick()
      runMicrotasks()
      if (rounds > 10_000) throw new Violation('a turn that never ends')
    }
    if (this.fault !== undefined) throw new Violation(this.fault)
  }

  #push(task: Task): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(task)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (before(heap[up] as Task, task)) break
      heap[at] = heap[up] as Task
      at = up
    }
    heap[at] = task
  }

  #shift(): Task {
    const heap = this.#heap
    const first = heap[0] as Task
    const last = heap.pop() as Task
    const size = heap.length
    if (size === 0) return first
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && before(heap[down + 1] as Task, heap[down] as Task)) down++
      if (before(last, heap[down] as Task)) break
      heap[at] = heap[down] as Task
      at = down
    }
    heap[at] = last
    return first
  }
}

function before(a: Task, b: Task): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}
