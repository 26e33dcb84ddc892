/** Chance, time and bookkeeping of one run. Nothing in a simulation has another source of either. */
import type * as everwire from './everwire.ts'

/** The code under test: shared/ as it is, or a copy with a planted bug. */
export type Everwire = typeof everwire

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
    for (let i = 0; i < 12; i++) this.#next()
  }

  #next(): number {
    const t = (this.#a + this.#b + this.#d++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    return t >>> 0
  }

  /** From `low` up to and with `high`. */
  between(low: number, high: number): number {
    return low + (this.#next() % (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.#next() < probability * 2 ** 32
  }

  pick<T>(list: readonly T[]): T {
    return list[this.#next() % list.length] as T
  }
}

interface Task {
  readonly time: number
  readonly order: number
  readonly run: () => void
}

/** How often each interesting thing happened, over all runs. */
export type Counts = Map<string, number>

/** What has something to do at the end of a turn. */
export interface Turn {
  dirty: boolean
  flush(): void
}

export class World {
  readonly everwire: Everwire
  readonly random: Random
  readonly counts: Counts
  /** One line per thing that happened, if somebody wants to read it. */
  readonly trace: string[] | undefined
  now = 1_000_000
  #heap: Task[] = []
  #order = 0
  #tasks = 0
  #turns: Turn[] = []

  constructor(everwire: Everwire, random: Random, counts: Counts, trace: string[] | undefined) {
    this.everwire = everwire
    this.random = random
    this.counts = counts
    this.trace = trace
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    this.trace?.push(`${this.now - 1_000_000} * ${name}`)
  }

  log(text: string): void {
    this.trace?.push(`${this.now - 1_000_000} ${text}`)
  }

  after(delay: number, run: () => void): void {
    const task = { time: this.now + delay, order: this.#order++, run }
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

  /** Calls `flush` when what is happening now is over. */
  atEndOfTurn(turn: Turn): void {
    if (turn.dirty) return
    turn.dirty = true
    this.#turns.push(turn)
  }

  /** Lets time pass until `done` says so or `limit` milliseconds are over. Returns whether `done` was. */
  run(limit: number, done?: () => boolean): boolean {
    const end = this.now + limit
    this.#endTurn()
    while (!done?.()) {
      const task = this.#heap[0]
      if (task === undefined || task.time > end) {
        this.now = end
        return false
      }
      this.#shift()
      if (++this.#tasks > 200_000) throw new Violation('a run that never ends')
      this.now = task.time
      task.run()
      this.#endTurn()
    }
    return true
  }

  #endTurn(): void {
    for (let i = 0; i < this.#turns.length; i++) {
      const turn = this.#turns[i] as Turn
      turn.dirty = false
      turn.flush()
      if (i > 10_000) throw new Violation('a turn that never ends')
    }
    this.#turns.length = 0
  }

  #shift(): void {
    const heap = this.#heap
    const last = heap.pop() as Task
    const size = heap.length
    if (size === 0) return
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
  }
}

function before(a: Task, b: Task): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}
