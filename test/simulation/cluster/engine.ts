/** A node's way to the store: what it asks may be late, and what it hears waits while its process stands still. */
import type {
  Batch,
  Change,
  Claim,
  Claimed,
  Engine,
  EngineListener,
  NodeRecord,
  Occupied,
  Parcel,
  Place,
  Stored,
} from '../../../cluster/base/engine.ts'
import type { MemoryEngine } from '../../../cluster/memory.ts'
import type { World } from '../world.ts'
import type { Process } from './process.ts'

/** What the rest of the run learns from it. */
export interface EngineWatcher {
  /** The store knows from now on that the node listens to this topic. */
  listens(topic: string): void
  /** … and from now on no longer. */
  listensNoMore(topic: string): void
}

/** In one direction everything stays in its order. */
class Way {
  readonly #world: World
  #last = 0
  #late = 0

  constructor(world: World) {
    this.#world = world
  }

  send(delay: number, run: () => void): void {
    const world = this.#world
    this.#last = Math.max(this.#last, world.now + delay)
    if (this.#last === world.now && this.#late === 0) {
      run()
      return
    }
    this.#late++
    world.after(this.#last - world.now, () => {
      this.#late--
      run()
    })
  }
}

export class NodeEngine implements Engine {
  readonly memory: MemoryEngine
  readonly #process: Process
  readonly #watcher: EngineWatcher
  /** Commands are under way for so much longer, in ms, … */
  slowness = 0
  /** … and their answers. */
  answerSlowness = 0
  /** The node has the secret of the store as it is now: it has asked since the store lost everything. */
  isAgreed = false
  readonly #up: Way
  readonly #down: Way

  constructor(process: Process, memory: MemoryEngine, watcher: EngineWatcher) {
    this.#process = process
    this.memory = memory
    this.#watcher = watcher
    this.#up = new Way(process.world)
    this.#down = new Way(process.world)
  }

  /** Asks the store. `about`: what is counted of the answer. */
  #ask<T>(command: () => Promise<T>, about?: (answer: T) => string): Promise<T> {
    const process = this.#process
    const { world } = process
    return new Promise((resolve, reject) => {
      const hear = (run: () => void): void => this.#down.send(this.answerSlowness, () => process.enter(run))
      this.#up.send(this.slowness, () => {
        command().then(
          (answer) =>
            hear(() => {
              if (about) world.count(about(answer))
              resolve(answer)
            }),
          (error) =>
            hear(() => {
              world.count('engine: a command failed')
              reject(error)
            }),
        )
      })
    })
  }

  open(listener: EngineListener): Promise<void> {
    const process = this.#process
    return this.#ask(() =>
      this.memory.open({
        published: (topic, entries) => process.enter(() => listener.published(topic, entries)),
        told: (data) => process.enter(() => listener.told(data)),
        connection: (state, why) =>
          process.enter(() => {
            process.world.count(`engine: ${state}`)
            if (state === 'fresh') this.isAgreed = false
            listener.connection(state, why)
          }),
      }),
    )
  }

  close(): Promise<void> {
    return this.#ask(() => this.memory.close())
  }

  async common(name: string, proposal: string): Promise<string> {
    const common = await this.#ask(() => this.memory.common(name, proposal))
    this.isAgreed = true
    return common
  }

  beat(node: NodeRecord, lease: number): Promise<void> {
    return this.#ask(() => this.memory.beat(node, lease))
  }

  leave(node: string): Promise<void> {
    return this.#ask(() => this.memory.leave(node))
  }

  node(name: string): Promise<NodeRecord | undefined> {
    return this.#ask(
      () => this.memory.node(name),
      (node) => (node ? 'node: lives' : 'node: is dead'),
    )
  }

  nodes(): Promise<readonly NodeRecord[]> {
    return this.#ask(() => this.memory.nodes())
  }

  tell(node: string, data: Uint8Array): Promise<void> {
    return this.#ask(() => this.memory.tell(node, data))
  }

  claim(
    session: string,
    node: string,
    life: number,
    proof: string,
    instead?: Claim,
    had?: number,
  ): Promise<Claimed> {
    return this.#ask(
      () => this.memory.claim(session, node, life, proof, instead, had),
      (claim) => {
        if (typeof claim === 'string') return `claim: ${claim}`
        if (claim.node !== node) return 'claim: another was first'
        if (claim.state) return 'claim: handed over'
        return instead ? 'claim: took over from the dead' : 'claim: mine'
      },
    )
  }

  owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'> {
    return this.#ask(
      () => this.memory.owner(session),
      (owner) => (typeof owner === 'string' ? `owner: ${owner}` : 'owner: a node'),
    )
  }

  handOver(session: string, node: string, parcel: Parcel, life: number): Promise<boolean> {
    return this.#ask(
      () => this.memory.handOver(session, node, parcel, life),
      (handed) => (handed ? 'handed over: waits' : 'handed over: it was not its own'),
    )
  }

  keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]> {
    return this.#ask(
      () => this.memory.keep(node, sessions, life),
      (lost) => (lost.length > 0 ? 'keep: lost some' : 'keep: has all'),
    )
  }

  renew(node: string, sessions: readonly string[], life: number): Promise<ReadonlyMap<string, number>> {
    return this.#ask(
      () => this.memory.renew(node, sessions, life),
      (numbers) => (numbers.size < sessions.length ? 'renew: lost some' : 'renew: has all'),
    )
  }

  store(node: string, changes: readonly Change[], life: number): Promise<readonly Stored[]> {
    return this.#ask(() => this.memory.store(node, changes, life))
  }

  occupy(topic: string, node: string): Promise<Occupied> {
    return this.#ask(() => this.memory.occupy(topic, node))
  }

  vacate(topic: string, node: string): Promise<Occupied> {
    return this.#ask(() => this.memory.vacate(topic, node))
  }

  vacateAll(node: string): Promise<readonly string[]> {
    return this.#ask(() => this.memory.vacateAll(node))
  }

  occupants(): Promise<readonly string[]> {
    return this.#ask(() => this.memory.occupants())
  }

  release(session: string, node: string, ended: number): Promise<void> {
    return this.#ask(() => this.memory.release(session, node, ended))
  }

  publish(topic: string, batch: Batch): Promise<void> {
    return this.#ask(() => this.memory.publish(topic, batch))
  }

  async subscribe(topic: string): Promise<Place> {
    const place = await this.#ask(() => this.memory.subscribe(topic))
    this.#watcher.listens(topic)
    return place
  }

  unsubscribe(topic: string): Promise<void> {
    this.#watcher.listensNoMore(topic)
    return this.#ask(() => this.memory.unsubscribe(topic))
  }

  history(topic: string, after: Place): ReturnType<Engine['history']> {
    return this.#ask(
      () => this.memory.history(topic, after),
      ({ isGap }) => (isGap ? 'history: a gap' : 'history: read'),
    )
  }
}
