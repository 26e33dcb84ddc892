/** What a node learns from all nodes together: how many clients there are, who they are, and how many were closed. */
import type { ClusterCount, ClusterHost, ClusterRosters } from '../../server/base/cluster.ts'
import type { Engine } from '../base/engine.ts'
import type { After } from '../base/retries.ts'
import { Closings } from './closings.ts'
import { patience, type Question, Questions } from './questions.ts'

export interface EveryoneHost {
  readonly engine: Pick<Engine, 'nodes' | 'tell'>
  /** The name of this node. */
  readonly name: string
  readonly after: After
  readonly host: Pick<ClusterHost, 'count' | 'roster'>
  /** Whether this node gets what is published to the topic. */
  hears(topic: string): boolean
  /** Whether this node has the session. */
  has(session: string): boolean
}

export class Everyone {
  /** How many clients this node has closed for each `disconnect`. */
  readonly closings: Closings
  readonly #host: EveryoneHost
  readonly #questions: Questions
  /** The counts under way, by topic: whoever asks meanwhile gets the same answer. */
  readonly #counting = new Map<string | undefined, Promise<ClusterCount>>()
  /** The searches under way, by session. */
  readonly #seeking = new Map<string, Promise<string | undefined>>()

  constructor(host: EveryoneHost) {
    const { engine, name, after } = host
    this.#host = host
    this.closings = new Closings(after, patience)
    this.#questions = new Questions({ engine, name, after, answer: (question) => this.#answer(question) })
  }

  /** Another node has asked or answered something. */
  told(data: Uint8Array): void {
    this.#questions.told(data)
  }

  /** How many subscribers the topic has; without a topic, how many clients there are. */
  count(topic: string | undefined): Promise<ClusterCount> {
    const already = this.#counting.get(topic)
    if (already) return already
    const counting = this.#sum({ ask: 'count', topic }).finally(() => this.#counting.delete(topic))
    this.#counting.set(topic, counting)
    return counting
  }

  /** How many clients all nodes have closed because of the `disconnect` that this node published under this number. */
  closed(topic: string, seq: number): Promise<ClusterCount> {
    return this.#sum({ ask: 'closed', topic, publisher: this.#host.name, seq })
  }

  async #sum(question: Question): Promise<ClusterCount> {
    const { answers, missing } = await this.#questions.ask(question)
    const counts = answers.map(({ answer }) => answer).filter((one) => typeof one === 'number')
    return {
      count: counts.reduce((sum, one) => sum + one, 0),
      nodes: counts.length,
      missing: missing.length + answers.length - counts.length,
    }
  }

  /** The name of the node that has the session. */
  whoHas(session: string): Promise<string | undefined> {
    const already = this.#seeking.get(session)
    if (already) return already
    const seeking = this.#whoHas(session).finally(() => this.#seeking.delete(session))
    this.#seeking.set(session, seeking)
    return seeking
  }

  async #whoHas(session: string): Promise<string | undefined> {
    const isThere = (answer: unknown): boolean => answer === true
    const { answers } = await this.#questions.ask({ ask: 'has', session }, isThere)
    return answers.find(({ answer }) => isThere(answer))?.node
  }

  /** The clients of all nodes, as each has written them down. */
  async rosters(topic: string | undefined, limit: number): Promise<ClusterRosters> {
    const { answers, missing } = await this.#questions.ask({ ask: 'clients', topic, limit })
    const rosters = answers.map(({ node, answer }) => ({
      node,
      written: Buffer.from(String(answer), 'base64'),
    }))
    return { rosters, missing }
  }

  #answer(question: Question): unknown {
    const { host } = this.#host
    switch (question.ask) {
      case 'count':
        return host.count(question.topic)
      case 'clients':
        return Buffer.from(host.roster(question.topic, question.limit)).toString('base64')
      case 'has':
        return this.#host.has(question.session)
      case 'closed':
        return this.#host.hears(question.topic) ? this.closings.count(question) : 0
      default:
        return undefined
    }
  }
}
