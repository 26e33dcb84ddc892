/**
 * Several servers' topics on one store, under a schedule that a seed decides: what travels arrives in any order, connections and
 * the store fail. A model knows who must get what; `simulate` throws what went wrong.
 */
import type { Engine } from '../../cluster/base/engine.ts'
import { type MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { ClusterTopics } from '../../cluster/topics/topics.ts'
import { Topics } from '../../server/messages/topics.ts'
import type { Message } from '../../shared/message.ts'
import { Random } from '../support/random.ts'

/** All clients have the topic undefined. */
type Topic = string | undefined
const names: readonly Topic[] = ['news', 'sport', undefined]

interface Publication {
  readonly id: number
  readonly node: Node
  readonly topic: Topic
  readonly at: number
  readonly publisher: Client | undefined
  readonly except: Client | string | undefined
  /** Who was subscribed to the topic `except` on the publishing node. */
  readonly left: ReadonlySet<Client>
}

interface Received {
  readonly publication: Publication
  readonly at: number
}

/** What may go wrong in a schedule, and how often in a hundred steps. */
export interface Weather {
  readonly name: string
  readonly faults: Partial<Record<Fault, number>>
  readonly maxEntries?: number
  readonly maxWaiting?: number
  readonly maxWaitingEntries?: number
  /** No message is lost, so no gap is told. */
  readonly isCalm?: boolean
  /** A gap may be told after the messages that follow it: one is told for all topics. */
  readonly isLate?: boolean
}

type Fault =
  | 'cut'
  | 'mend'
  | 'down'
  | 'up'
  | 'lose'
  | 'trim'
  | 'lose answer'
  | 'lose call'
  | 'repeat'
  | 'drop'
  | 'delay'
  | 'lag'
  | 'fail over'

export const weathers: readonly Weather[] = [
  { name: 'calm', faults: {}, isCalm: true },
  { name: 'answers', faults: { 'lose answer': 6, 'lose call': 6 } },
  { name: 'cuts', faults: { cut: 4, mend: 8 } },
  { name: 'deliveries', faults: { repeat: 6, drop: 6, delay: 6 }, isCalm: true },
  { name: 'late deliveries', faults: { repeat: 6, delay: 12 }, isCalm: true },
  { name: 'outages', faults: { down: 2, up: 4, cut: 2, mend: 4 } },
  { name: 'overflow', faults: { down: 2, up: 2 }, maxWaitingEntries: 5 },
  { name: 'hardly any room', faults: { down: 4, up: 3 }, maxWaitingEntries: 2, isLate: true },
  { name: 'small buffers', faults: { down: 2, up: 2, 'lose answer': 4 }, maxWaiting: 250 },
  { name: 'short history', faults: { cut: 4, mend: 6, trim: 5, drop: 4 }, maxEntries: 3 },
  { name: 'losses', faults: { lose: 2, 'lose answer': 6, repeat: 3, delay: 3, drop: 3 } },
  { name: 'failing over', faults: { lag: 4, 'fail over': 2, 'lose answer': 3, cut: 2, mend: 4 } },
  {
    name: 'everything',
    faults: {
      cut: 2,
      mend: 5,
      down: 1,
      up: 4,
      lose: 1,
      trim: 2,
      'lose answer': 3,
      'lose call': 3,
      repeat: 3,
      drop: 3,
      delay: 3,
      lag: 2,
      'fail over': 1,
    },
    maxEntries: 10,
    maxWaitingEntries: 8,
  },
]

class Client {
  readyState = 1
  readonly node: Node
  readonly received: Received[] = []
  /** Since when it is subscribed to what. */
  readonly since = new Map<Topic, number>()
  /** When a subscription ended or began last. */
  readonly changed = new Map<Topic, number>()

  constructor(node: Node) {
    this.node = node
  }

  close(): void {
    this.readyState = 3
  }

  deliver(message: Message): void {
    const publication = this.node.world.publications[Number(String(message.data))] as Publication
    this.node.world.note(() => this.node.world.check(this, publication))
    this.received.push({ publication, at: this.node.world.step })
  }
}

class Node {
  readonly world: World
  readonly name: string
  readonly engine: MemoryEngine
  readonly topics = new Topics()
  readonly shared: ClusterTopics
  clients: Client[] = []
  /** Since when the store knows that this node listens to a topic. */
  readonly listensSince = new Map<string, number>()
  readonly gaps = new Map<Topic, number[]>()

  constructor(world: World, name: string, weather: Weather) {
    this.world = world
    this.name = name
    this.engine = world.store.engine()
    this.shared = new ClusterTopics({
      engine: this.#watched(),
      name,
      maxWaiting: weather.maxWaiting ?? 1_000_000,
      maxWaitingEntries: weather.maxWaitingEntries ?? 10_000,
      host: {
        deliver: (topic, data, binary, except, sender) =>
          this.topics.deliver(topic, this.audience(topic), data, binary, except, sender),
        disconnect: (topic, code, reason, sender) => this.topics.close(topic, code, reason, sender),
        gap: (topic) => this.gaps.set(topic, [...(this.gaps.get(topic) ?? []), world.step]),
      },
      after: (ms, ring) => world.after(ms, ring),
      random: () => world.random.below(1_000) / 1_000,
    })
    this.topics.join(this.shared)
  }

  audience(topic: Topic): Iterable<Client> {
    return topic === undefined ? this.clients : (this.topics.of(topic) as ReadonlySet<Client>)
  }

  #watched(): Pick<Engine, 'publish' | 'subscribe' | 'unsubscribe' | 'history'> {
    const { engine, listensSince, world } = this
    return {
      publish: (topic, batch) => engine.publish(topic, batch),
      history: (topic, after) => engine.history(topic, after),
      subscribe: async (topic) => {
        const place = await engine.subscribe(topic)
        listensSince.set(topic, world.step)
        return place
      },
      unsubscribe: (topic) => {
        listensSince.delete(topic)
        return engine.unsubscribe(topic)
      },
    }
  }

  open(): Promise<void> {
    return this.engine
      .open({
        published: (name, entries) => this.shared.arrived(name, entries),
        told: () => {},
        connection: (state) => this.shared.connection(state),
      })
      .then(() => this.shared.connection('up'))
  }

  connect(): void {
    const client = new Client(this)
    if (this.clients.length === 0) this.topics.hasClients(true)
    this.topics.addClient(client)
    this.clients.push(client)
    client.since.set(undefined, this.world.step)
  }

  subscribe(client: Client, topic: string): void {
    if (client.since.has(topic)) return
    client.since.set(topic, this.world.step)
    client.changed.set(topic, this.world.step)
    this.topics.add(topic, client)
  }

  unsubscribe(client: Client, topic: string): void {
    client.since.delete(topic)
    client.changed.set(topic, this.world.step)
    this.topics.delete(topic, client)
  }

  disconnect(client: Client): void {
    client.close()
    for (const topic of client.since.keys()) if (topic !== undefined) this.topics.delete(topic, client)
    client.since.clear()
    this.clients = this.clients.filter((one) => one !== client)
    this.topics.deleteClient(client)
    if (this.clients.length === 0) this.topics.hasClients(false)
  }
}

interface Timer {
  readonly at: number
  readonly ring: () => void
}

class World {
  readonly random: Random
  readonly store: MemoryStore
  readonly nodes: Node[] = []
  readonly publications: Publication[] = []
  readonly counts: Map<string, number>
  step = 0
  #now = 0
  #tasks: (() => void)[] = []
  #timers: Timer[] = []
  #wrong: Error | undefined
  readonly #weather: Weather

  constructor(seed: number, weather: Weather, counts: Map<string, number>) {
    this.random = new Random(seed)
    this.counts = counts
    this.#weather = weather
    this.store = new MemoryStore({
      now: () => this.#now,
      later: (run) => this.#tasks.push(run),
      maxEntries: weather.maxEntries ?? 1_000,
    })
    const count = 2 + this.random.below(2)
    for (let i = 0; i < count; i++) this.nodes.push(new Node(this, `node ${i}`, weather))
  }

  after(ms: number, ring: () => void): () => void {
    const timer = { at: this.#now + ms, ring }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  async run(steps: number): Promise<void> {
    for (const node of this.nodes) await node.open()
    const faults = Object.entries(this.#weather.faults) as [Fault, number][]
    while (this.step < steps) {
      this.step++
      for (const [fault, percent] of faults) if (this.random.chance(percent)) this.#fault(fault)
      if (this.random.chance(35)) this.#act()
      else if (this.random.chance(8)) this.#pass()
      else await this.#travel()
    }
    await this.#settle()
    if (this.#wrong) throw this.#wrong
    this.#judge()
  }

  #fault(fault: Fault): void {
    this.#count(fault)
    const { engine } = this.random.one(this.nodes)
    if (fault === 'cut') engine.cut()
    else if (fault === 'mend') engine.mend()
    else if (fault === 'down') this.store.down()
    else if (fault === 'up') this.store.up()
    else if (fault === 'lose') this.store.lose()
    else if (fault === 'trim') this.store.trim('topic:news', this.random.below(3))
    else if (fault === 'lose answer') engine.loseAnswer()
    else if (fault === 'lose call') engine.loseCall()
    else if (fault === 'repeat') engine.repeat()
    else if (fault === 'drop') engine.drop()
    else if (fault === 'delay') engine.delay()
    else if (fault === 'lag') this.store.lag()
    else this.store.failOver(true)
  }

  #act(): void {
    const node = this.random.one(this.nodes)
    const what = this.random.below(20)
    if (what < 2 && node.clients.length < 4) node.connect()
    const client = node.clients.length > 0 ? this.random.one(node.clients) : undefined
    const topic = this.random.one(names)
    if (what < 10) this.publish(node, topic, client)
    else if (!client) node.connect()
    else if (what < 11) node.disconnect(client)
    else if (topic === undefined) this.publish(node, topic, undefined)
    else if (what < 16 || !client.since.has(topic)) node.subscribe(client, topic)
    else node.unsubscribe(client, topic)
  }

  publish(node: Node, topic: Topic, client: Client | undefined): void {
    const kind = this.random.below(6)
    const publisher = kind === 0 && topic !== undefined ? client : undefined
    const except = kind === 1 ? client : kind === 2 ? 'sport' : undefined
    const left = new Set<Client>(except === 'sport' ? (node.audience('sport') as Iterable<Client>) : [])
    const id = this.publications.length
    this.publications.push({ id, node, topic, at: this.step, publisher, except, left })
    this.#count('publish')
    const options = except === undefined ? undefined : { except }
    const { topics } = node
    if (topic === undefined) topics.sendTo(undefined, node.clients, `${id}`, options)
    else topics.publish(topic, `${id}`, options, publisher)
  }

  /** Time passes: a little, or until the next timer. */
  #pass(): void {
    const due = [...this.#timers].sort((a, b) => a.at - b.at)[0]
    if (this.random.chance(50)) this.#now += this.random.below(200)
    else if (due) this.#now = Math.max(this.#now, due.at)
    for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
      // One of them may have cancelled another.
      if (!this.#timers.includes(timer)) continue
      this.#timers = this.#timers.filter((one) => one !== timer)
      timer.ring()
    }
  }

  async #travel(): Promise<void> {
    const at = this.random.below(this.#tasks.length || 1)
    this.#tasks.splice(at, 1)[0]?.()
    // What waits for promises goes on.
    for (let i = 0; i < 4; i++) await undefined
  }

  /** All is well again, and what is on its way arrives. */
  async #settle(): Promise<void> {
    this.step++
    this.store.up()
    for (const { engine } of this.nodes) engine.mend()
    for (const { engine } of this.nodes) engine.heal()
    await this.#arrive()
    if (this.#weather.faults.drop === undefined)
      for (const node of this.nodes) for (const client of node.clients) this.#judgeClient(client)
    // What was dropped last is noticed with the next.
    for (const topic of names) this.publish(this.nodes[0] as Node, topic, undefined)
    await this.#arrive()
  }

  async #arrive(): Promise<void> {
    for (const { engine } of this.nodes) engine.catchUp()
    for (let i = 0; this.#tasks.length > 0 || this.#timers.length > 0; i++) {
      if (i > 20_000) throw new Error('it does not come to rest')
      this.step++
      if (this.#tasks.length > 0) await this.#travel()
      else this.#pass()
    }
  }

  // ---- the model ----

  /** What is thrown while something is delivered would be the application's own mistake: it is kept for the end. */
  note(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#wrong ??= error as Error
    }
  }

  /** A client is about to get a publication. */
  check(client: Client, publication: Publication): void {
    const { topic, node, id } = publication
    const since = client.since.get(topic)
    const say = (what: string): Error => new Error(`${what}: ${id} of ${node.name}, ${topic}`)
    if (since === undefined) throw say('got what it is not subscribed to')
    if (node === client.node) {
      if (publication.at < since) throw say('got what was published before it subscribed')
      if (publication.left.has(client)) throw say('got what it was left out of with its topic')
    } else if (publication.except === 'sport' && client.since.has('sport'))
      throw say('got what it was left out of with its topic, elsewhere')
    if (publication.publisher === client || publication.except === client)
      throw say('got what it was left out of')
    const last = client.received.findLast((one) => isSameLine(one.publication, publication))
    // A publisher without an answer publishes again what the store has lost. For who has subscribed again since, it is new.
    const isAnew = last && last.at < since && client.node.gaps.get(topic)?.some((at) => at >= last.at)
    if (last && !isAnew) {
      if (last.publication.id === id) throw say('got twice')
      if (last.publication.id > id) throw say('got in the wrong order')
    }
    const from = last && last.at >= since ? last : { publication: { id: -1 }, at: since }
    const between = this.publications
      .slice(from.publication.id + 1, id)
      .filter((one) => isSameLine(one, publication))
    const isTold = client.node.gaps.get(topic)?.some((at) => at >= from.at)
    if (!isTold && !this.#weather.isLate && between.some((one) => mustGet(client, one, since)))
      throw say('something before it is missing, and nothing told so')
    this.#count('received')
  }

  #judge(): void {
    for (const node of this.nodes) {
      if (node.shared.waiting.entries !== 0 || node.shared.waiting.bytes !== 0)
        throw new Error(`${JSON.stringify(node.shared.waiting)} still wait`)
      if (names.some((topic) => node.shared.isPending(topic) && node.listensSince.has(nameOf(topic))))
        throw new Error('something that was published is still expected back')
      const gaps = [...node.gaps.values()].flat().length
      if (gaps > 0 && this.#weather.isCalm) throw new Error('a gap without a reason')
      if (gaps > 0) this.#count('told a gap', gaps)
      for (const client of node.clients) this.#judgeClient(client)
    }
    this.#judgeOrder()
  }

  /** What is missing was told to be missing. */
  #judgeClient(client: Client): void {
    const { received, since, node } = client
    const got = new Set(received.map(({ publication }) => publication.id))
    for (const publication of this.publications) {
      const { id, topic, at } = publication
      const began = since.get(topic)
      if (began === undefined || got.has(id) || !mustGet(client, publication, began)) continue
      this.#count('missing')
      if (!node.gaps.get(topic)?.some((told) => told >= at))
        throw new Error(
          `nothing tells that ${id} of ${publication.node.name} is missing: ${node.name}, ${topic}`,
        )
    }
  }

  /** Clients that were told no gap of a topic see it in one order. */
  #judgeOrder(): void {
    for (const topic of names) {
      const clients = this.nodes
        .filter(({ gaps }) => !gaps.has(topic))
        .flatMap((node) => node.clients)
        .map(({ received }) => received.filter(({ publication }) => publication.topic === topic))
        .map((received) => received.map(({ publication }) => publication.id))
      for (const one of clients)
        for (const other of clients) {
          const common = one.filter((id) => other.includes(id))
          const there = other.filter((id) => one.includes(id))
          if (common.join() !== there.join()) throw new Error(`${topic} has two orders: ${common}; ${there}`)
          if (common.length > 1) this.#count('common order')
        }
    }
  }

  #count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times)
  }
}

function mustGet(client: Client, publication: Publication, since: number): boolean {
  const { node, at, topic, publisher, except } = publication
  if (at <= since || publisher === client || except === client || publication.left.has(client)) return false
  if (node === client.node) return true
  // It may have been subscribed to that topic when the publication came.
  const changed = client.changed.get('sport') ?? Number.NEGATIVE_INFINITY
  if (except === 'sport' && (client.since.has('sport') || changed >= at)) return false
  // Another node's publication reaches a new subscriber from when the store knows of the subscription.
  return (client.node.listensSince.get(nameOf(topic)) ?? Number.POSITIVE_INFINITY) < at
}

function nameOf(topic: Topic): string {
  return topic === undefined ? 'everyone' : `topic:${topic}`
}

function isSameLine(one: Publication, other: Publication): boolean {
  return one.node === other.node && one.topic === other.topic
}

/** Runs a schedule. Throws what was wrong with it. */
export async function simulate(
  seed: number,
  weather: Weather,
  counts = new Map<string, number>(),
): Promise<void> {
  try {
    await new World(seed, weather, counts).run(150)
  } catch (error) {
    throw new Error(`${weather.name}, seed ${seed}: ${(error as Error).message}`, { cause: error })
  }
}
