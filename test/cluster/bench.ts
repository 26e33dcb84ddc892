/** Nodes on one store in memory, for one thing at a time: whatever travels arrives in order when `settle` is called. */
import type { Batch, Engine, Place } from '../../cluster/base/engine.ts'
import { type MemoryEngine, type MemorySetting, MemoryStore } from '../../cluster/memory.ts'
import type { OutboxLimits } from '../../cluster/topics/outbox.ts'
import { ClusterTopics } from '../../cluster/topics/topics.ts'
import { Topics } from '../../server/messages/topics.ts'
import type { Message } from '../../shared/message.ts'

/** A client that writes down what it gets. */
export class Reader {
  readyState = 1
  readonly got: (string | Buffer)[] = []

  close(code?: number, reason?: string | Buffer): void {
    this.readyState = 3
    this.got.push(`closed ${code} ${String(reason)}`)
  }

  deliver({ kind, data }: Message): void {
    this.got.push(kind === 'text' ? String(data) : (data as Buffer))
  }
}

/** What a node asked its engine for. */
export type Asked =
  | readonly ['publish', string, Batch]
  | readonly ['subscribe' | 'unsubscribe' | 'history', string]

export class BenchNode {
  readonly engine: MemoryEngine
  readonly topics = new Topics()
  readonly shared: ClusterTopics
  readonly asked: Asked[] = []
  readonly gaps: (string | undefined)[] = []
  readonly clients = new Set<Reader>()
  /** What answers about histories wait for. */
  gate: Promise<void> | undefined

  constructor(bench: Bench, name: string, limits: Partial<OutboxLimits>) {
    this.engine = bench.store.engine()
    this.shared = new ClusterTopics({
      engine: this.#watched(),
      name,
      maxWaiting: 100_000,
      maxWaitingEntries: 1_000,
      ...limits,
      host: {
        deliver: (topic, data, binary, except, sender) => {
          const to = topic === undefined ? this.clients : this.topics.of(topic)
          this.topics.deliver(topic, to, data, binary, except, sender)
        },
        disconnect: (topic, code, reason, sender) => this.topics.close(topic, code, reason, sender),
        gap: (topic) => void this.gaps.push(topic),
      },
      after: (ms, ring) => bench.after(ms, ring),
      random: () => 0.5,
    })
    this.topics.join(this.shared)
  }

  async open(): Promise<void> {
    await this.engine.open({
      published: (name, entries) => this.shared.arrived(name, entries),
      told: () => {},
      connection: (state) => this.shared.connection(state),
    })
    this.shared.connection('up')
  }

  /** A new client that is subscribed to these topics. */
  reader(...topics: string[]): Reader {
    const reader = new Reader()
    if (this.clients.size === 0) this.topics.hasClients(true)
    this.topics.addClient(reader)
    this.clients.add(reader)
    for (const topic of topics) this.topics.add(topic, reader)
    return reader
  }

  /** As `broadcast` of a server. */
  broadcast(data: string): number {
    return this.topics.sendTo(undefined, this.clients, data)
  }

  /** The names of what was asked for, without what clients as such need. */
  get questions(): string[] {
    return this.asked.filter(([, topic]) => topic !== 'everyone').map(([what, topic]) => `${what} ${topic}`)
  }

  get batches(): Batch[] {
    return this.asked.flatMap((one) => (one[0] === 'publish' ? [one[2]] : []))
  }

  #watched(): Pick<Engine, 'publish' | 'subscribe' | 'unsubscribe' | 'history'> {
    const { engine, asked } = this
    return {
      publish: (topic, batch) => {
        asked.push(['publish', topic, batch])
        return engine.publish(topic, batch)
      },
      subscribe: (topic) => {
        asked.push(['subscribe', topic])
        return engine.subscribe(topic)
      },
      unsubscribe: (topic) => {
        asked.push(['unsubscribe', topic])
        return engine.unsubscribe(topic)
      },
      history: async (topic: string, after: Place) => {
        asked.push(['history', topic])
        const history = await engine.history(topic, after)
        await this.gate
        return history
      },
    }
  }
}

export class Bench {
  readonly store: MemoryStore
  readonly #tasks: (() => void)[] = []
  #timers: { readonly at: number; readonly ring: () => void }[] = []
  #now = 0

  constructor(setting: MemorySetting = {}) {
    this.store = new MemoryStore({
      now: () => this.#now,
      later: (run) => void this.#tasks.push(run),
      ...setting,
    })
  }

  async node(name: string, limits: Partial<OutboxLimits> = {}): Promise<BenchNode> {
    const node = new BenchNode(this, name, limits)
    await node.open()
    return node
  }

  after(ms: number, ring: () => void): () => void {
    const timer = { at: this.#now + ms, ring }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Whatever travels arrives. No time passes. */
  async settle(): Promise<void> {
    do {
      this.#tasks.shift()?.()
      for (let i = 0; i < 8; i++) await undefined
    } while (this.#tasks.length > 0)
  }

  /** Time passes, and timers ring when they are due. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await this.settle()
      const next = this.#timers.sort((a, b) => a.at - b.at)[0]
      if (!next || next.at > until) break
      this.#now = next.at
      this.#timers.shift()
      next.ring()
    }
    this.#now = until
  }

  get timers(): number {
    return this.#timers.length
  }
}
