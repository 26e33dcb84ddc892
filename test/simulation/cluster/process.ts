/**
 * A process on a machine of the simulation: the code of a server, evaluated for itself, with timers that stand still when the
 * process does, and that never ring again when it is dead.
 */
import * as diagnostics from 'node:diagnostics_channel'
import type * as nodeSide from '../everwire-node.ts'
import { type Globals, type Host, serverGlobals } from '../machine.ts'
import type { Home } from '../path.ts'
import type { Random, World } from '../world.ts'
import { innerHttp } from './inner-http.ts'
import { innerNet } from './inner-net.ts'
import type { Grid } from './wire.ts'

/** What `setTimeout` gives: called off by taking `run` away. */
class Timer {
  run: (() => void) | undefined

  constructor(run: () => void) {
    this.run = run
  }

  unref(): this {
    return this
  }
}

export class Process implements Host, Home {
  readonly world: World
  readonly code: typeof nodeSide
  /** The network between the servers. */
  grid!: Grid
  /** Its clock is ahead of the world's by so much. */
  offset = 0
  /** Nothing of it remains if not. */
  isAlive = true
  #isPaused = false
  /** What came while it stood still. */
  readonly #waiting: (() => void)[] = []

  constructor(world: World, evaluate: (globals: Globals) => typeof nodeSide) {
    this.world = world
    this.code = evaluate(
      serverGlobals(this, () => world.now + this.offset, {
        http: innerHttp(this),
        net: innerNet(this),
        // Each evaluation would be told of every connection of the real process.
        diagnostics_channel: { ...diagnostics, subscribe: () => {} },
      }),
    )
  }

  get now(): number {
    return this.world.now
  }

  get random(): Random {
    return this.world.random
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  after(delay: number, run: () => void): Timer {
    const timer = new Timer(run)
    const ring = (): void => {
      const { run } = timer
      timer.run = undefined
      run?.()
    }
    this.world.after(delay, () => {
      if (timer.run) this.enter(ring)
    })
    return timer
  }

  nextTick(run: () => void): void {
    if (this.isAlive) this.world.nextTick(run)
  }

  /** Something happens to it: at once, when it goes on, or never. */
  enter(run: () => void): void {
    if (!this.isAlive) return
    if (this.#isPaused || this.#waiting.length > 0) this.#waiting.push(run)
    else run()
  }

  /** It stands still, as in a long collection of garbage. Its connections stay. */
  pause(): void {
    this.#isPaused = true
  }

  /** It goes on, with what came meanwhile. */
  wake(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#goOn()
  }

  #goOn(): void {
    this.world.after(0, () => {
      if (this.#isPaused || !this.isAlive) return
      const next = this.#waiting[0]
      if (!next) return
      // It stays in the list, so that what comes of it now stands behind those that wait.
      next()
      this.#waiting.shift()
      if (this.#waiting.length > 0) this.#goOn()
    })
  }

  /** It ends in the middle of everything. */
  kill(): void {
    this.isAlive = false
    this.#waiting.length = 0
  }
}

/** Processes that were used and have come to their end are used again: to evaluate one takes as long as a short run. */
export class Pool {
  readonly #world: World
  readonly #evaluate: (globals: Globals) => typeof nodeSide
  #idle: Process[] = []
  #used: Process[] = []

  constructor(world: World, evaluate: (globals: Globals) => typeof nodeSide) {
    this.#world = world
    this.#evaluate = evaluate
  }

  take(grid: Grid, offset: number): Process {
    const process = this.#idle.pop() ?? new Process(this.#world, this.#evaluate)
    process.grid = grid
    process.offset = offset
    this.#used.push(process)
    return process
  }

  /** The run is over, and whoever lives has nothing left to do. */
  giveBack(): void {
    this.#idle.push(...this.#used.filter(({ isAlive }) => isAlive))
    this.#used = []
  }

  /** The run was broken off. */
  discard(): void {
    this.#used = []
  }
}
