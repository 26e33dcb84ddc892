/** What was published, and what each client must have had of it. */
import { Violation, type World } from '../world.ts'
import type { NodeEnd } from './node-end.ts'
import { type Topic, topics, type Visitor } from './side.ts'

interface Publication {
  readonly id: number
  readonly topic: Topic
  readonly node: NodeEnd
  readonly at: number
}

export class Ledger {
  readonly #world: World
  readonly #all: Publication[] = []
  /** The store has lost something: then nodes may have different orders. */
  isBroken = false

  constructor(world: World) {
    this.#world = world
  }

  publish(node: NodeEnd, topic: Topic): void {
    const id = this.#all.length
    this.#all.push({ id, topic, node, at: this.#world.now })
    const text = `#${topic}:${id}`
    this.#world.log(`${node.name}: publishes ${text}`)
    node.process.enter(() => {
      if (topic === '') node.realtime.broadcast(text)
      else node.realtime.publish(topic, text)
    })
  }

  /** The latest of each topic. */
  get latest(): Publication[] {
    return topics.flatMap((topic) => this.#all.filter((one) => one.topic === topic).slice(-1))
  }

  /** Once and in order, whatever happened. */
  judge(visitors: readonly Visitor[]): void {
    for (const visitor of visitors.filter(({ sides, isUnsettled }) => sides.length < 2 && !isUnsettled)) {
      const seen = new Set<number>()
      const last = new Map<string, number>()
      for (const { id, topic } of visitor.heard) {
        const publication = this.#all[id]
        if (publication?.topic !== topic) throw new Violation(`topics: ${id} was never published`)
        if (seen.has(id)) {
          if (this.#mayRepeat(visitor, publication)) continue
          throw new Violation(`topics: client ${visitor.seat} got ${id} twice`)
        }
        seen.add(id)
        const key = `${topic} ${publication.node.name}`
        if ((last.get(key) ?? -1) > id)
          throw new Violation(`topics: client ${visitor.seat} got ${id} after ${last.get(key)}`)
        last.set(key, id)
      }
    }
    if (!this.isBroken) for (const topic of topics) this.#sameOrder(visitors, topic)
  }

  /**
   * The store lost what it had: a publisher publishes again what was not confirmed. A session that moved meanwhile may have had it
   * at the server before.
   */
  #mayRepeat(visitor: Visitor, { topic, at }: Publication): boolean {
    const { gaps, side } = visitor
    return this.isBroken && !!side?.hasMoved && gaps.some((gap) => isOf(gap.topic, topic) && gap.at >= at)
  }

  #sameOrder(visitors: readonly Visitor[], topic: Topic): void {
    const orders = visitors.map(({ heard }) => heard.filter((one) => one.topic === topic).map(({ id }) => id))
    for (const [i, one] of orders.entries())
      for (const other of orders.slice(i + 1)) {
        const places = new Map(other.map((id, at) => [id, at]))
        let before = -1
        for (const id of one) {
          const at = places.get(id)
          if (at === undefined) continue
          if (at < before)
            throw new Violation(`topics: two clients have ${topic} in different orders at ${id}`)
          before = at
        }
      }
  }

  /** What a client lacks that it must have: nobody told it of a gap. */
  missing(visitor: Visitor): number[] {
    const { side } = visitor
    if (!side || visitor.sides.length > 1 || visitor.isUnsettled) return []
    // It was handed over, and no server goes on with it.
    if (side.isMoving && visitor.mayEnd) return []
    const heard = new Set(visitor.heard.map(({ id }) => id))
    return this.#all
      .filter(({ id, topic, node, at }) => {
        const since = side.topics.get(topic)
        if (since === undefined || at <= since || heard.has(id) || node.hasEnded) return false
        return !visitor.gaps.some((gap) => isOf(gap.topic, topic) && gap.at >= at)
      })
      .map(({ id }) => id)
  }
}

/** Whether a gap is of this topic, or of all. */
function isOf(gap: Topic, topic: Topic): boolean {
  return gap === topic || gap === ''
}
