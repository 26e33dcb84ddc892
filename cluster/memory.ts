/**
 * An engine in memory, for tests and the simulation: servers of one process share a store. Time is injected, and each
 * fault of a network happens on demand.
 */
import type {
  Batch,
  Change,
  Claim,
  Claimed,
  Engine,
  EngineListener,
  Entries,
  History,
  NodeRecord,
  Occupied,
  Parcel,
  Place,
  SessionRecord,
  Stored,
} from './base/engine.ts'

/** What the store needs of its surroundings, and what it keeps. */
export interface MemorySetting {
  /** The time in milliseconds. Default: the process's monotonic clock. */
  readonly now?: () => number
  /**
   * Runs something soon. The store moves calls, answers and deliveries by it; it may run them in any order. Default:
   * `queueMicrotask`.
   */
  readonly later?: (run: () => void) => void
  /** The most entries that a topic keeps. Default: 1,000. */
  readonly maxEntries?: number
  /** The most bytes of entries that a topic keeps. Default: 1 MiB. */
  readonly maxBytes?: number
}

interface Kept {
  readonly offset: number
  readonly data: Uint8Array
}

interface Topic {
  readonly epoch: string
  /** The offset of the last entry. */
  offset: number
  kept: Kept[]
  bytes: number
  /** The number of the last entry of each publisher. */
  readonly publishers: Map<string, number>
}

interface Deposit {
  readonly proof: string
  readonly record: SessionRecord
  readonly isTaken: boolean
}

interface Session {
  readonly owner: Claim | Parcel | 'ended'
  /** The number of the last claim. */
  readonly fence: number
  until: number
  /** The record of the session, who may take it over, and whether somebody has. */
  readonly stored?: Deposit
  /** The proof with which the session was handed over, once it is claimed. */
  readonly given?: string
  /** How often the store had changed hands when it was handed over. */
  readonly reign?: number
}

/** The store that several engines share. */
export class MemoryStore {
  readonly now: () => number
  readonly later: (run: () => void) => void
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #engines = new Set<MemoryEngine>()
  readonly #common = new Map<string, string>()
  readonly #nodes = new Map<string, { readonly record: NodeRecord; readonly until: number }>()
  readonly #sessions = new Map<string, Session>()
  readonly #topics = new Map<string, Topic>()
  /** The nodes that have subscribers, by topic. */
  readonly #occupied = new Map<string, Set<string>>()
  /** The data of a replica that lags behind. */
  #replica: { topics: [string, Topic][]; sessions: [string, Session][] } = { topics: [], sessions: [] }
  #isDown = false
  /** The highest number of a claim. */
  #fence = 0
  #epochs = 0
  /** How often everything was lost. */
  #losses = 0
  /** How often the store has changed hands. */
  #reign = 0

  constructor(setting: MemorySetting = {}) {
    const { now = () => performance.now(), later = queueMicrotask, maxEntries = 1_000 } = setting
    this.now = now
    this.later = later
    this.#maxEntries = maxEntries
    this.#maxBytes = setting.maxBytes ?? 1024 * 1024
  }

  /** Another engine on this store. */
  engine(): MemoryEngine {
    return new MemoryEngine(this)
  }

  get isDown(): boolean {
    return this.#isDown
  }

  get losses(): number {
    return this.#losses
  }

  // ---- faults ----

  /** No engine reaches the store any more. */
  down(): void {
    this.#isDown = true
    for (const engine of this.#engines) engine.cut()
  }

  /** All engines reach the store again. */
  up(): void {
    this.#isDown = false
    for (const engine of this.#engines) engine.mend()
  }

  /** The store ends and loses everything. If it was up, it is up again at once. */
  lose(): void {
    const wasDown = this.#isDown
    this.down()
    this.#losses++
    this.#common.clear()
    this.#nodes.clear()
    this.#sessions.clear()
    this.#topics.clear()
    this.#occupied.clear()
    if (!wasDown) this.up()
  }

  /** From now on a replica of the store lags behind: it learns nothing more. */
  lag(): void {
    this.#replica = {
      topics: [...this.#topics].map(([name, topic]) => [name, copyOf(topic)]),
      sessions: [...this.#sessions].map(([id, session]) => [id, { ...session }]),
    }
  }

  /** The replica takes over. `isTold`: engines know that it may lack something. */
  failOver(isTold: boolean): void {
    const wasDown = this.#isDown
    this.down()
    if (isTold) this.#losses++
    this.#reign++
    this.#topics.clear()
    for (const [name, topic] of this.#replica.topics) this.#topics.set(name, copyOf(topic))
    this.#sessions.clear()
    for (const [id, session] of this.#replica.sessions) this.#sessions.set(id, { ...session })
    if (!wasDown) this.up()
  }

  /** Shortens a topic's history to its last entries. */
  trim(name: string, entries: number): void {
    const topic = this.#topics.get(name)
    if (topic) this.#shorten(topic, entries)
  }

  // ---- what engines ask ----

  add(engine: MemoryEngine): void {
    this.#engines.add(engine)
  }

  forget(engine: MemoryEngine): void {
    this.#engines.delete(engine)
  }

  common(name: string, proposal: string): string {
    const value = this.#common.get(name) ?? proposal
    this.#common.set(name, value)
    return value
  }

  beat(record: NodeRecord, lease: number): void {
    this.#nodes.set(record.name, { record, until: this.now() + lease })
  }

  leave(node: string): void {
    this.#nodes.delete(node)
  }

  nodes(): NodeRecord[] {
    const now = this.now()
    return [...this.#nodes.values()].filter(({ until }) => until > now).map(({ record }) => record)
  }

  tell(node: string, data: Uint8Array): void {
    for (const engine of this.#engines) if (engine.serves(node)) engine.bring('told', (to) => to.told(data))
  }

  claim(
    id: string,
    node: string,
    life: number,
    proof: string,
    instead: Claim | undefined,
    had?: number,
  ): Claimed {
    const session = this.#session(id)
    const owner = session?.owner
    if (owner === 'ended') return owner
    if (owner && 'proof' in owner && owner.proof !== proof) return 'ended'
    const isInstead =
      owner && 'node' in owner && owner.node === instead?.node && owner.fence === instead.fence
    const isOwn = !isInstead && owner && 'node' in owner
    if (isOwn && owner.node !== node) return { node: owner.node, fence: owner.fence }
    if (session?.given !== undefined && session.given !== proof) return 'ended'
    const stored = session?.stored
    if (stored && (stored.isTaken || !isOwn) && stored.proof !== proof) return 'ended'
    if (session && isStale(session, this.#reign)) {
      const isIts = isOf(session, node) && had === session.fence
      if (!isIts && (had ?? 0) <= session.fence) return 'stale'
    }
    if (isOwn) return this.#own(id, owner, life)
    if (stored) this.#sessions.set(id, { ...session, stored: { ...stored, isTaken: true } })
    else if (session && owner && 'proof' in owner) this.#sessions.set(id, { ...session, given: owner.proof })
    return this.#own(id, { node, fence: ++this.#fence, state: owner?.state }, life)
  }

  owner(id: string): Claim | 'ended' | 'nobody' | 'waiting' {
    const owner = this.#session(id)?.owner ?? 'nobody'
    if (typeof owner === 'string') return owner
    return 'proof' in owner ? 'waiting' : { node: owner.node, fence: owner.fence }
  }

  handOver(id: string, node: string, parcel: Parcel, life: number): boolean {
    const session = this.#session(id)
    if (!session) return false
    const { owner } = session
    // The parcel that waits already is this one, or one that the next node has made of the session.
    const isWaiting = typeof owner === 'object' && 'proof' in owner && owner.proof === parcel.proof
    if (isWaiting && !isStale(session, this.#reign)) return true
    if (!isOf(session, node)) return false
    const { fence } = session
    this.#sessions.set(id, { owner: parcel, fence, until: this.now() + life, reign: this.#reign })
    return true
  }

  keep(node: string, ids: readonly string[], life: number): string[] {
    return ids.filter((id) => {
      const session = this.#session(id)
      if (!session || !isOf(session, node)) return true
      const { given: _, reign: __, ...kept } = session
      this.#sessions.set(id, kept)
      this.#own(id, { node, fence: session.fence }, life)
      return false
    })
  }

  renew(node: string, ids: readonly string[], life: number): Map<string, number> {
    const lost = new Set(this.keep(node, ids, life))
    const kept = ids.filter((id) => !lost.has(id))
    return new Map(kept.map((id) => [id, this.#own(id, { node, fence: ++this.#fence }, life).fence]))
  }

  store(node: string, changes: readonly Change[], life: number): Stored[] {
    return changes.map(({ session: id, fence, whole, drop, set }) => {
      const session = this.#session(id)
      if (session && !isOf(session, node)) return 'lost'
      if (session?.fence !== fence) return 'unknown'
      const { proof = '', record = new Map() } =
        whole === undefined ? (session.stored ?? {}) : { proof: whole }
      const kept = new Map<string, Uint8Array>(record)
      for (const field of drop) kept.delete(field)
      for (const [field, value] of set) kept.set(field, Buffer.from(value))
      const isTaken = whole === undefined && session.stored?.isTaken === true
      const stored = { proof, record: kept, isTaken }
      if (whole === undefined) this.#sessions.set(id, { ...session, stored })
      else this.#sessions.set(id, { owner: { node, fence }, fence, until: this.now() + life, stored })
      return 'stored'
    })
  }

  release(id: string, node: string, ended: number): void {
    const session = this.#session(id)
    if (!session || !isOf(session, node)) return
    const { fence } = session
    if (ended > 0) this.#sessions.set(id, { owner: 'ended', fence, until: this.now() + ended })
    else this.#sessions.delete(id)
  }

  #own(id: string, owner: Claim, life: number): Claim {
    const { stored, given, reign } = this.#session(id) ?? {}
    const rest = {
      ...(stored && { stored }),
      ...(given !== undefined && { given }),
      ...(reign !== undefined && { reign }),
    }
    this.#sessions.set(id, { owner, fence: owner.fence, until: this.now() + life, ...rest })
    return stored?.isTaken ? { ...owner, record: stored.record } : owner
  }

  #session(id: string): Session | undefined {
    const session = this.#sessions.get(id)
    if (session && session.until <= this.now()) this.#sessions.delete(id)
    return this.#sessions.get(id)
  }

  publish(name: string, { publisher, seq, entries }: Batch): void {
    const topic = this.#topic(name)
    const last = topic.publishers.get(publisher) ?? Number.NEGATIVE_INFINITY
    const added = entries.slice(Math.max(0, Math.min(entries.length, last + 1 - seq)))
    if (added.length === 0) return
    topic.publishers.set(publisher, seq + entries.length - 1)
    const from = { epoch: topic.epoch, offset: topic.offset + 1 }
    for (const data of added) {
      topic.kept.push({ offset: ++topic.offset, data })
      topic.bytes += data.length
    }
    this.#shorten(topic, this.#maxEntries)
    for (const engine of this.#engines) engine.published(name, { from, entries: added })
  }

  place(name: string): Place {
    const { epoch, offset } = this.#topic(name)
    return { epoch, offset }
  }

  history(name: string, after: Place): History {
    const { epoch, offset, kept } = this.#topic(name)
    const isSame = after.epoch === epoch
    const left = isSame ? kept.filter((entry) => entry.offset > after.offset) : kept
    const from = { epoch, offset: left[0]?.offset ?? offset + 1 }
    const isGap = !isSame || from.offset > after.offset + 1
    return { from, entries: left.map(({ data }) => data), isGap }
  }

  occupy(topic: string, node: string): Occupied {
    const nodes = this.#occupied.get(topic) ?? new Set()
    const isNew = !nodes.has(node)
    this.#occupied.set(topic, nodes.add(node))
    return { nodes: nodes.size, isNew }
  }

  vacate(topic: string, node: string): Occupied {
    const nodes = this.#occupied.get(topic)
    const isNew = nodes?.delete(node) ?? false
    if (nodes?.size === 0) this.#occupied.delete(topic)
    return { nodes: nodes?.size ?? 0, isNew }
  }

  vacateAll(node: string): string[] {
    return [...this.#occupied.keys()].filter((topic) => {
      const { nodes, isNew } = this.vacate(topic, node)
      return isNew && nodes === 0
    })
  }

  occupants(): string[] {
    return [...new Set([...this.#occupied.values()].flatMap((nodes) => [...nodes]))]
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name)
    if (!topic) {
      topic = { epoch: `${++this.#epochs}`, offset: 0, kept: [], bytes: 0, publishers: new Map() }
      this.#topics.set(name, topic)
    }
    return topic
  }

  #shorten(topic: Topic, entries: number): void {
    while (topic.kept.length > entries || topic.bytes > this.#maxBytes)
      topic.bytes -= (topic.kept.shift() as Kept).data.length
  }
}

function copyOf(topic: Topic): Topic {
  return { ...topic, kept: [...topic.kept], publishers: new Map(topic.publishers) }
}

/** Whether the session was handed over before the store changed hands. */
function isStale({ owner, reign }: Session, now: number): boolean {
  return typeof owner === 'object' && owner.state !== undefined && reign !== undefined && reign !== now
}

function isOf({ owner }: Session, node: string): boolean {
  return typeof owner === 'object' && 'node' in owner && owner.node === node
}

interface Call {
  run(): void
  answer(): void
  fail(error: Error): void
}

type Delivery = (listener: EngineListener) => void

/** A node's way to the store. Its connection can fail while others' stand. */
export class MemoryEngine implements Engine {
  readonly #store: MemoryStore
  /** The topics that the node has subscribed to; `#subscriptions`: those of them that the store knows. */
  readonly #wanted = new Set<string>()
  readonly #subscriptions = new Set<string>()
  readonly #names = new Set<string>()
  #listener: EngineListener | undefined
  #connected = false
  /** Rises when a connection ends: what is still under way on an older connection does not arrive. */
  #connection = 0
  #losses = 0
  /** Calls that the store has not seen yet, and answers that the node has not seen yet. Both keep their order. */
  #calls: Call[] = []
  #answers: Call[] = []
  /** Deliveries that have not arrived yet, by their key. Those with the same key keep their order. */
  readonly #deliveries = new Map<string, Delivery[]>()
  readonly #states: Delivery[] = []
  #lostAnswers = 0
  #lostCalls = 0
  #repeats = 0
  #drops = 0
  #delays = 0
  readonly #delayed: (() => void)[] = []

  constructor(store: MemoryStore) {
    this.#store = store
  }

  // ---- faults ----

  /** The next call is executed, and its answer does not arrive. */
  loseAnswer(): void {
    this.#lostAnswers++
  }

  /** The next call does not reach the store. */
  loseCall(): void {
    this.#lostCalls++
  }

  /** The next publication to this node arrives twice. */
  repeat(): void {
    this.#repeats++
  }

  /** The next publication to this node does not arrive. */
  drop(): void {
    this.#drops++
  }

  /** The next publication to this node arrives after the one that follows it, or when `catchUp` is called. */
  delay(): void {
    this.#delays++
  }

  /** Brings the delayed publications. */
  catchUp(): void {
    for (const bring of this.#delayed.splice(0)) bring()
  }

  /** No more faults. */
  heal(): void {
    this.#lostAnswers = 0
    this.#lostCalls = 0
    this.#repeats = 0
    this.#drops = 0
    this.#delays = 0
    this.catchUp()
  }

  /**
   * The connection of this node ends: calls and answers that are under way are lost, and the node does not get what
   * is published until there is another connection.
   */
  cut(why: Error = new Error('The store cannot be reached')): void {
    if (!this.#connected) return
    this.#connected = false
    this.#connection++
    this.#deliveries.clear()
    this.#delayed.length = 0
    const lost = [...this.#answers.splice(0), ...this.#calls.splice(0)]
    this.#store.later(() => {
      for (const call of lost) call.fail(why)
    })
    this.#bringState((listener) => listener.connection('down', why))
  }

  /** The connection of this node stands again, unless the store is down. */
  mend(): void {
    if (this.#connected || !this.#listener || this.#store.isDown) return
    this.#connected = true
    const { losses } = this.#store
    const state = losses === this.#losses ? 'up' : 'fresh'
    this.#losses = losses
    this.#bringState((listener) => listener.connection(state))
  }

  // ---- for the store ----

  serves(node: string): boolean {
    return this.#names.has(node)
  }

  published(topic: string, entries: Entries): void {
    if (!this.#connected || !this.#subscriptions.has(topic)) return
    if (this.#drops > 0) {
      this.#drops--
      return
    }
    const bring = (): void =>
      this.bring(`published ${topic}`, (listener) => {
        // The node is told of a new connection before it gets anything over that connection.
        if (this.#subscriptions.has(topic) && this.#states.length === 0) listener.published(topic, entries)
      })
    if (this.#delays > 0) {
      this.#delays--
      this.#delayed.push(bring)
      return
    }
    bring()
    if (this.#repeats > 0) {
      this.#repeats--
      bring()
    }
    this.catchUp()
  }

  /** Delivers something on this connection, after what was to be delivered under the same key before. */
  bring(key: string, delivery: Delivery): void {
    if (!this.#connected) return
    const waiting = this.#deliveries.get(key)
    if (waiting) waiting.push(delivery)
    else this.#deliveries.set(key, [delivery])
    const connection = this.#connection
    this.#store.later(() => {
      if (connection !== this.#connection) return
      const next = this.#deliveries.get(key)
      const first = next?.shift()
      if (next?.length === 0) this.#deliveries.delete(key)
      if (this.#listener) first?.(this.#listener)
    })
  }

  /** States of the connection arrive in order, whatever happens to it meanwhile. */
  #bringState(delivery: Delivery): void {
    this.#states.push(delivery)
    this.#store.later(() => {
      const first = this.#states.shift()
      if (this.#listener) first?.(this.#listener)
    })
  }

  // ---- the engine ----

  async open(listener: EngineListener): Promise<void> {
    if (this.#store.isDown) throw new Error('The store cannot be reached')
    this.#store.add(this)
    this.#listener = listener
    this.#connected = true
    this.#losses = this.#store.losses
  }

  async close(): Promise<void> {
    this.#listener = undefined
    this.cut(new Error('The engine is closed'))
    this.#store.forget(this)
    for (const known of [this.#wanted, this.#subscriptions, this.#names]) known.clear()
  }

  common(name: string, proposal: string): Promise<string> {
    return this.#call(() => this.#store.common(name, proposal))
  }

  beat(node: NodeRecord, lease: number): Promise<void> {
    return this.#call(() => {
      this.#names.add(node.name)
      this.#store.beat(node, lease)
    })
  }

  leave(node: string): Promise<void> {
    return this.#call(() => this.#store.leave(node))
  }

  node(name: string): Promise<NodeRecord | undefined> {
    return this.#call(() => this.#store.nodes().find((node) => node.name === name))
  }

  nodes(): Promise<readonly NodeRecord[]> {
    return this.#call(() => this.#store.nodes())
  }

  tell(node: string, data: Uint8Array): Promise<void> {
    return this.#call(() => this.#store.tell(node, data))
  }

  claim(
    session: string,
    node: string,
    life: number,
    proof: string,
    instead?: Claim,
    had?: number,
  ): Promise<Claimed> {
    return this.#call(() => this.#store.claim(session, node, life, proof, instead, had))
  }

  owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'> {
    return this.#call(() => this.#store.owner(session))
  }

  handOver(session: string, node: string, parcel: Parcel, life: number): Promise<boolean> {
    return this.#call(() => this.#store.handOver(session, node, parcel, life))
  }

  keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]> {
    return this.#call(() => this.#store.keep(node, sessions, life))
  }

  renew(node: string, sessions: readonly string[], life: number): Promise<ReadonlyMap<string, number>> {
    return this.#call(() => this.#store.renew(node, sessions, life))
  }

  store(node: string, changes: readonly Change[], life: number): Promise<readonly Stored[]> {
    return this.#call(() => this.#store.store(node, changes, life))
  }

  release(session: string, node: string, ended: number): Promise<void> {
    return this.#call(() => this.#store.release(session, node, ended))
  }

  publish(topic: string, batch: Batch): Promise<void> {
    return this.#call(() => this.#store.publish(topic, batch))
  }

  subscribe(topic: string): Promise<Place> {
    this.#wanted.add(topic)
    return this.#call(() => {
      if (this.#wanted.has(topic)) this.#subscriptions.add(topic)
      return this.#store.place(topic)
    })
  }

  unsubscribe(topic: string): Promise<void> {
    this.#wanted.delete(topic)
    this.#subscriptions.delete(topic)
    return this.#call(() => {})
  }

  history(topic: string, after: Place): Promise<History> {
    return this.#call(() => this.#store.history(topic, after))
  }

  occupy(topic: string, node: string): Promise<Occupied> {
    return this.#call(() => this.#store.occupy(topic, node))
  }

  vacate(topic: string, node: string): Promise<Occupied> {
    return this.#call(() => this.#store.vacate(topic, node))
  }

  vacateAll(node: string): Promise<readonly string[]> {
    return this.#call(() => this.#store.vacateAll(node))
  }

  occupants(): Promise<readonly string[]> {
    return this.#call(() => this.#store.occupants())
  }

  /** Calls reach the store in their order, and answers come in theirs. */
  #call<T>(execute: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const { later } = this.#store
      if (!this.#connected) {
        later(() => reject(new Error('The store cannot be reached')))
        return
      }
      let done = (): void => {}
      const call: Call = {
        run: () => {
          const answer = execute()
          done = () => resolve(answer)
        },
        answer: () => done(),
        fail: reject,
      }
      this.#calls.push(call)
      later(() => this.#execute())
    })
  }

  #execute(): void {
    const call = this.#calls.shift()
    if (!call) return
    const lost = new Error('The connection to the store was lost')
    if (this.#lostCalls > 0) {
      this.#lostCalls--
      call.fail(lost)
      return
    }
    call.run()
    if (this.#lostAnswers > 0) {
      this.#lostAnswers--
      call.fail(lost)
      return
    }
    this.#answers.push(call)
    this.#store.later(() => this.#answers.shift()?.answer())
  }
}
