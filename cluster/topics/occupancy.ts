/**
 * Which topics have subscribers anywhere. If the application of a node wants to know, the node says in the store which topics have
 * subscribers on it. The store tells the node whether the topic has got its first node by that, or has lost its last one: so one node
 * emits the event. If the connection breaks, a node does not know whether the store has what it said: the event may then come twice.
 */
import type { Engine } from '../base/engine.ts'
import type { After, Trying } from '../base/retries.ts'
import { Retries } from '../base/retries.ts'

export interface OccupancyHost {
  readonly engine: Pick<Engine, 'occupy' | 'vacate' | 'vacateAll' | 'occupants' | 'nodes'>
  /** The name of this node. */
  readonly name: string
  readonly after: After
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number
  /** The topics that have subscribers here now, in the words of the engine. */
  topics(): Iterable<string>
  tell(topic: string, state: 'occupied' | 'vacated'): void
}

interface Line extends Trying {
  readonly topic: string
  /** Whether this node has subscribers. */
  isWanted: boolean
  /** Whether the store has this node's name under the topic; undefined: it is not known. */
  isKnown: boolean | undefined
  /** The topic was said to be occupied: if it is said again, there is no event. */
  isSaid: boolean
  isBusy: boolean
}

/** The most topics that are said at a time. */
const atOnce = 100

export class Occupancy {
  readonly #host: OccupancyHost
  readonly #retries: Retries
  readonly #lines = new Map<string, Line>()
  readonly #queue = new Set<Line>()
  #busy = 0
  #isWatched = false
  #isUp = false
  /** The other nodes that lived at the last look. */
  #alive = new Set<string>()
  #sweeping: Promise<void> | undefined

  constructor(host: OccupancyHost) {
    this.#host = host
    this.#retries = new Retries(host.after, host.random)
  }

  /** The application begins or stops to listen. For topics that have subscribers at the beginning there is no event. */
  watch(isWatched: boolean): void {
    if (this.#isWatched === isWatched) return
    this.#isWatched = isWatched
    for (const topic of this.#host.topics()) this.#set(topic, isWatched, true)
    if (isWatched) this.#sweep()
  }

  /** The topic has its first subscriber here, or has lost its last one. */
  changed(topic: string, isUsed: boolean): void {
    if (this.#isWatched) this.#set(topic, isUsed, false)
  }

  connection(isUp: boolean): void {
    this.#isUp = isUp
    if (!isUp) return
    this.#retries.now()
    for (const line of this.#lines.values()) this.#look(line)
  }

  /**
   * The store may have forgotten what this node said. `isFresh`: the store has lost its data, so no node was told. Otherwise other
   * nodes may have taken this one for dead, and may have been told that its topics are vacated.
   */
  sayAgain(isFresh: boolean): void {
    for (const line of this.#lines.values()) {
      if (!line.isWanted) continue
      line.isKnown = false
      line.isSaid &&= isFresh
      this.#look(line)
    }
  }

  /** These other nodes live. */
  seen(names: Iterable<string>): void {
    const before = this.#alive
    this.#alive = new Set(names)
    if (!this.#isWatched) return
    for (const name of before) if (!this.#alive.has(name)) this.#vacateAll(name).catch(ignore)
  }

  /** Looks for dead nodes whose end no node has noticed. */
  keep(): void {
    if (this.#isWatched) this.#sweep()
  }

  /** This node ends: it has no topics any more. */
  async close(): Promise<void> {
    const wasWatched = this.#isWatched
    this.#isWatched = false
    this.#retries.close()
    this.#queue.clear()
    this.#lines.clear()
    if (wasWatched && this.#isUp) await this.#vacateAll(this.#host.name).catch(ignore)
    this.#isUp = false
  }

  #set(topic: string, isWanted: boolean, isSaid: boolean): void {
    let line = this.#lines.get(topic)
    if (!line) {
      const made: Line = {
        topic,
        isWanted,
        isKnown: false,
        isSaid,
        isBusy: false,
        tryAgain: () => this.#look(made),
      }
      line = made
      this.#lines.set(topic, line)
    }
    line.isWanted = isWanted
    this.#look(line)
  }

  #look(line: Line): void {
    if (line.isBusy) return
    if (line.isWanted === line.isKnown) {
      if (!line.isWanted) this.#lines.delete(line.topic)
      return
    }
    this.#queue.add(line)
    this.#next()
  }

  #next(): void {
    for (const line of this.#queue) {
      if (!this.#isUp || this.#busy >= atOnce) return
      this.#queue.delete(line)
      this.#busy++
      line.isBusy = true
      this.#say(line).then(
        () => this.#over(line, true),
        () => this.#over(line, false),
      )
    }
  }

  async #say(line: Line): Promise<void> {
    const { engine, name } = this.#host
    const { topic, isWanted, isKnown } = line
    const { nodes, isNew } = await (isWanted ? engine.occupy(topic, name) : engine.vacate(topic, name))
    const wasUnsure = isKnown === undefined
    line.isKnown = isWanted
    if (isWanted) {
      // If the store has this node already, an earlier answer was lost.
      const isFirst = isNew ? nodes === 1 : wasUnsure
      if (isFirst && !line.isSaid) this.#host.tell(topic, 'occupied')
      line.isSaid = true
    } else {
      line.isSaid = false
      if (nodes === 0 && (isNew || wasUnsure)) this.#host.tell(topic, 'vacated')
    }
  }

  #over(line: Line, isDone: boolean): void {
    this.#busy--
    line.isBusy = false
    if (isDone) {
      this.#retries.worked()
      this.#look(line)
    } else {
      line.isKnown = undefined
      if (this.#isUp) this.#retries.later(line)
    }
    this.#next()
  }

  #sweep(): void {
    this.#sweeping ??= this.#sweepAll()
      .catch(ignore)
      .finally(() => {
        this.#sweeping = undefined
      })
  }

  async #sweepAll(): Promise<void> {
    const { engine } = this.#host
    if (!this.#isUp) return
    // In this order: a node says that it lives before it says which topics it has.
    const occupants = await engine.occupants()
    const alive = new Set((await engine.nodes()).map(({ name }) => name))
    for (const name of occupants) if (!alive.has(name)) await this.#vacateAll(name)
  }

  async #vacateAll(name: string): Promise<void> {
    for (const topic of await this.#host.engine.vacateAll(name)) this.#host.tell(topic, 'vacated')
  }
}

function ignore(): void {}
