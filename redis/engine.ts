/**
 * The engine on Redis. It remembers only what it must say again after a break: which topics are subscribed, and the place of each.
 * Everything else is in Redis, and every change there is one script.
 */
import { randomBytes } from 'node:crypto'
import { pieces } from '../cluster/base/durable.ts'
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
} from '../cluster/base/engine.ts'
import { each } from '../server/base/each.ts'
import { Connection, type ConnectionSettings, common, commonLife } from './connection.ts'
import { groupOf, Keys } from './keys.ts'
import type { Link } from './link.ts'
import { OccupancyKeys } from './occupancy.ts'
import { after, bytesOf, readPayload, strings } from './payload.ts'
import * as scripts from './scripts.ts'

/** How long the place of a topic lives after its last message, unless a node subscribes to it. */
const placeLife = 3_600_000

/** How often the keys that would expire while nothing happens are kept alive. */
const refreshEvery = placeLife / 4

/** The most claims in one command, which keeps Redis busy for about a millisecond. */
const claimsAtOnce = 500

/** The most commands that are on their way at a time. */
const commandsAtOnce = 100

/** How much of a history is read at a time: the most entries, and the bytes after which no more are added. */
const historyPiece = { entries: 256, bytes: 1_048_576 }

/** A topic that is subscribed. */
interface Subscription {
  /** The last entry that was told. */
  last: Place
  /** Entries that came while older ones are read; undefined: entries are told at once. */
  waiting: Entries[] | undefined
  /** How many reads of older entries are under way: a channel may move again during the first. */
  reading: number
}

export class RedisEngine implements Engine {
  readonly #settings: ConnectionSettings
  readonly #keys: Keys
  readonly #occupancy: OccupancyKeys
  /** How long the place of a topic lives. */
  readonly #placeLife: number
  readonly #connection: Connection
  #listener: EngineListener | undefined
  readonly #topics = new Map<string, Subscription>()
  /** The topics by their channels. */
  readonly #byChannel = new Map<string, string>()
  /** The channels of this node's names. */
  readonly #own = new Set<string>()
  /** What the node said of itself last. */
  #said: { readonly values: string[]; readonly lease: number } | undefined
  /** The last call of each topic: the calls of one topic run one after the other. */
  readonly #queues = new Map<string, Promise<unknown>>()
  #refresh: NodeJS.Timeout | undefined

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
    this.#keys = new Keys(settings.prefix)
    this.#occupancy = new OccupancyKeys(this.#keys)
    this.#placeLife = placeLife + settings.age
    this.#connection = new Connection(settings, (number) => this.#keys.born(number), {
      restore: (link) => this.#restore(link),
      message: (channel, message) => this.#message(channel, message),
      moved: (channel) => void this.#moved(channel),
      changed: (state, why) => this.#changed(state, why),
    })
  }

  async open(listener: EngineListener): Promise<void> {
    this.#end()
    this.#listener = listener
    this.#refresh = setInterval(() => {
      if (this.#connection.link) this.#keepAlive(this.#connection.link).catch(ignore)
    }, refreshEvery)
    this.#refresh.unref()
    await this.#connection.open()
  }

  async close(): Promise<void> {
    this.#end()
  }

  /** Ends everything at once, so that no call that is under way goes on. */
  #end(): void {
    clearInterval(this.#refresh)
    this.#connection.close()
    this.#listener = undefined
    this.#said = undefined
    this.#topics.clear()
    this.#byChannel.clear()
    this.#own.clear()
  }

  async common(name: string, proposal: string): Promise<string> {
    return common(this.#up(), this.#keys.common, name, proposal)
  }

  // ---- nodes ----

  async beat({ name, ...rest }: NodeRecord, lease: number): Promise<void> {
    const values = [name, JSON.stringify(rest), String(lease), String(commonLife)]
    this.#said = { values, lease }
    const link = this.#up()
    const channel = this.#keys.node(name)
    // Other nodes may send something to this node as soon as they see its record.
    if (!this.#own.has(channel)) {
      await link.subscribe([channel])
      this.#own.add(channel)
    }
    const isNew = await link.run(scripts.beat, [this.#keys.nodes, this.#keys.common], values)
    // The node has just begun, was silent for too long, or Redis was emptied.
    if (isNew === 1) await this.#makeSure(link)
  }

  /** Rejects if Redis has lost its data; the listener is told that, too. */
  async #makeSure(link: Link): Promise<void> {
    await this.#connection.keepMarks(link)
    if (this.#up() !== link) throw new Error('It has lost what it had')
  }

  async leave(node: string): Promise<void> {
    this.#said = undefined
    const link = this.#up()
    const channel = this.#keys.node(node)
    await link.run(scripts.leave, [this.#keys.nodes], [node])
    if (this.#own.delete(channel)) await link.unsubscribe(channel)
  }

  async node(name: string): Promise<NodeRecord | undefined> {
    const [record] = await this.#nodes([name])
    return record
  }

  nodes(): Promise<readonly NodeRecord[]> {
    return this.#nodes([])
  }

  async #nodes(names: string[]): Promise<NodeRecord[]> {
    const found = strings(await this.#up().run(scripts.nodes, [this.#keys.nodes], names))
    const records: NodeRecord[] = []
    for (let at = 0; at + 1 < found.length; at += 2) {
      const rest = JSON.parse(found[at + 1] as string) as Omit<NodeRecord, 'name'>
      records.push({ ...rest, name: found[at] as string })
    }
    return records
  }

  async tell(node: string, data: Uint8Array): Promise<void> {
    await this.#up().tell(this.#keys.node(node), bytesOf(data))
  }

  // ---- sessions ----

  async claim(
    session: string,
    node: string,
    life: number,
    proof: string,
    instead?: Claim,
    had?: number,
  ): Promise<Claimed> {
    const { node: from = '', fence: fromFence = '' } = instead ?? {}
    const values = [node, String(life), proof, from, String(fromFence), String(had ?? '')]
    const claimed = (await this.#up().run(
      scripts.claim,
      [this.#keys.owner(session)],
      values,
      true,
    )) as Buffer[]
    const [owner, fence, state, ...fields] = claimed
    if (owner === undefined) return 'ended'
    if (owner.length === 0) return 'stale'
    const claim = { node: String(owner), fence: Number(fence) }
    if (fields.length > 0) return { ...claim, record: recordOf(fields) }
    return state?.length ? { ...claim, state } : claim
  }

  async owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'> {
    const link = this.#up()
    const fields = await link.fields(this.#keys.owner(session), ['n', 'f', 'p', 'e'])
    const [node, fence, proof, ended] = fields
    if (ended !== null) return 'ended'
    if (proof !== null) return 'waiting'
    if (node !== null) return { node: String(node), fence: Number(fence) }
    // The answer 'nobody' ends the client's session, so it must not come from a Redis that was emptied.
    await this.#makeSure(link)
    return 'nobody'
  }

  async handOver(session: string, node: string, { proof, state }: Parcel, life: number): Promise<boolean> {
    const values = [node, String(life), proof, bytesOf(state)]
    return (await this.#up().run(scripts.handOver, [this.#keys.owner(session)], values)) === 1
  }

  async keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]> {
    const lost: string[] = []
    await this.#runForAll(scripts.keep, node, sessions, life, (group, places) => {
      for (const place of places) lost.push(group[Number(place) - 1] as string)
    })
    return lost
  }

  async renew(node: string, sessions: readonly string[], life: number): Promise<ReadonlyMap<string, number>> {
    const numbers = new Map<string, number>()
    await this.#runForAll(scripts.renew, node, sessions, life, (group, fences) => {
      for (const [at, fence] of strings(fences).entries())
        if (fence !== '') numbers.set(group[at] as string, Number(fence))
    })
    return numbers
  }

  /** Runs a script for the claims of these sessions, some at a time. */
  async #runForAll(
    which: scripts.Script,
    node: string,
    sessions: readonly string[],
    life: number,
    answered: (group: readonly string[], answer: unknown[]) => void,
  ): Promise<void> {
    await each(this.#groups(sessions), this.#up().isCluster ? commandsAtOnce : 1, async (group) => {
      const keys = group.map((session) => this.#keys.owner(session))
      answered(group, (await this.#up().run(which, keys, [node, String(life)])) as unknown[])
    })
  }

  /** Sessions whose claims one script may touch. */
  *#groups(sessions: readonly string[]): Iterable<readonly string[]> {
    const groups = new Map<number, string[]>()
    const isCluster = this.#up().isCluster
    for (const session of sessions) {
      const which = isCluster ? groupOf(session) : 0
      const group = groups.get(which)
      if (group) group.push(session)
      else groups.set(which, [session])
    }
    for (const group of groups.values())
      for (let at = 0; at < group.length; at += claimsAtOnce) yield group.slice(at, at + claimsAtOnce)
  }

  async store(node: string, changes: readonly Change[], life: number): Promise<readonly Stored[]> {
    const results = new Map<Change, Stored>()
    const link = this.#up()
    const some = pieces(changes, link.isCluster ? ({ session }) => groupOf(session) : () => 0)
    await Promise.all(
      some.map(async (piece) => {
        const keys = piece.map(({ session }) => this.#keys.owner(session))
        const values = [node, String(life), ...valuesOf(piece)]
        const done = (await link.run(scripts.store, keys, values)) as number[]
        for (const [at, change] of piece.entries())
          results.set(change, done[at] === 1 ? 'stored' : done[at] === 0 ? 'lost' : 'unknown')
      }),
    )
    return changes.map((change) => results.get(change) as Stored)
  }

  async release(session: string, node: string, ended: number): Promise<void> {
    await this.#up().run(scripts.release, [this.#keys.owner(session)], [node, String(ended)])
  }

  // ---- topics ----

  async publish(topic: string, { publisher, seq, entries }: Batch): Promise<void> {
    if (entries.length === 0) return
    const { meta, log, senders, channel } = this.#keys.topic(topic)
    const { messages, age } = this.#settings
    await this.#inOrder(topic, (link) =>
      link.run(
        scripts.publish,
        [meta, log, senders, channel],
        [...this.#proposal(), String(messages), String(age), publisher, String(seq), ...entries.map(bytesOf)],
      ),
    )
  }

  async subscribe(topic: string): Promise<Place> {
    const link = this.#up()
    const { channel } = this.#keys.topic(topic)
    const subscription: Subscription = { last: { epoch: '', offset: 0 }, waiting: [], reading: 1 }
    this.#topics.set(topic, subscription)
    this.#byChannel.set(channel, topic)
    try {
      const [last] = await Promise.all([
        this.#inOrder(topic, (link) => this.#last(link, topic, subscription.last)),
        link.subscribe([channel]),
      ])
      subscription.last = last
      // Entries that were published after `last`, before Redis confirmed the subscription.
      const missed = await this.history(topic, last)
      // Later, so that the caller knows the place before the first entries.
      setImmediate(() => this.#tellWaiting(topic, subscription, missed))
      return last
    } catch (error) {
      if (this.#topics.get(topic) === subscription) await this.unsubscribe(topic).catch(ignore)
      throw error
    }
  }

  async unsubscribe(topic: string): Promise<void> {
    const { channel } = this.#keys.topic(topic)
    this.#topics.delete(topic)
    this.#byChannel.delete(channel)
    // A link that is lost has no subscriptions.
    await this.#connection.link?.unsubscribe(channel)
  }

  async history(topic: string, place: Place): Promise<History> {
    const { meta, log } = this.#keys.topic(topic)
    let isGap = false
    let from: Place | undefined
    let last = place
    const all: Uint8Array[] = []
    for (;;) {
      const values = [...this.#proposal(), last.epoch, String(last.offset)]
      const { entries, bytes } = historyPiece
      const answer = (await this.#up().run(
        scripts.history,
        [meta, log],
        [...values, String(entries), String(bytes)],
        true,
      )) as Buffer[]
      const [epoch, end, first, ...piece] = answer
      const start = { epoch: String(epoch), offset: Number(first) }
      if (from === undefined || start.epoch !== last.epoch || start.offset !== last.offset + 1) {
        // The entries between are gone, or those that were read before belong to another epoch.
        isGap ||= start.epoch !== last.epoch || start.offset !== last.offset + 1
        from = start
        all.length = 0
      }
      all.push(...piece)
      last = { epoch: start.epoch, offset: start.offset + piece.length - 1 }
      if (piece.length === 0 || last.offset >= Number(end)) return { from, entries: all, isGap }
    }
  }

  async occupy(topic: string, node: string): Promise<Occupied> {
    return this.#occupancy.occupy(this.#up(), topic, node)
  }

  async vacate(topic: string, node: string): Promise<Occupied> {
    return this.#occupancy.vacate(this.#up(), topic, node)
  }

  async vacateAll(node: string): Promise<readonly string[]> {
    return this.#occupancy.vacateAll(this.#up(), node)
  }

  async occupants(): Promise<readonly string[]> {
    return this.#occupancy.occupants(this.#up())
  }

  /** The epoch that begins if the topic has none, and how long the place of a topic lives. */
  #proposal(): [epoch: string, life: string] {
    return [randomBytes(9).toString('base64url'), String(this.#placeLife)]
  }

  async #last(link: Link, topic: string, known: Place): Promise<Place> {
    const { meta, log } = this.#keys.topic(topic)
    const values = [...this.#proposal(), known.epoch, String(known.offset)]
    const [epoch, offset] = strings(await link.run(scripts.last, [meta, log], values))
    return { epoch: epoch as string, offset: Number(offset) }
  }

  /**
   * Runs the calls of one topic one after the other. Redis keeps the order of one connection, but a script that it does not know yet
   * is sent twice, and so is a command for a slot that has moved.
   */
  #inOrder<Result>(topic: string, run: (link: Link) => Promise<Result>): Promise<Result> {
    const before = this.#queues.get(topic)
    const mine = before ? before.then(() => run(this.#up())) : Promise.resolve(run(this.#up()))
    const settled = mine.catch(ignore).then(() => {
      if (this.#queues.get(topic) === settled) this.#queues.delete(topic)
    })
    this.#queues.set(topic, settled)
    return mine
  }

  // ---- what comes from Redis ----

  #message(channel: string, message: Buffer): void {
    if (this.#own.has(channel)) {
      this.#listener?.told(message)
      return
    }
    const topic = this.#byChannel.get(channel)
    const subscription = topic === undefined ? undefined : this.#topics.get(topic)
    const entries = subscription && readPayload(message)
    if (topic === undefined || !subscription || !entries) return
    if (subscription.waiting) subscription.waiting.push(entries)
    else this.#tell(topic, subscription, entries)
  }

  /** Tells those of the entries that are new. */
  #tell(topic: string, subscription: Subscription, entries: Entries): void {
    const news = after(entries, subscription.last)
    if (news.entries.length === 0) return
    const { epoch, offset } = news.from
    subscription.last = { epoch, offset: offset + news.entries.length - 1 }
    this.#listener?.published(topic, news)
  }

  /** Tells the entries that were read, and then those that came meanwhile. */
  #tellWaiting(topic: string, subscription: Subscription, missed: Entries): void {
    subscription.reading--
    if (this.#topics.get(topic) !== subscription) return
    this.#tell(topic, subscription, missed)
    // Another read is under way: it may bring entries from before those that wait.
    if (subscription.reading > 0) return
    const waiting = subscription.waiting ?? []
    subscription.waiting = undefined
    for (const entries of waiting) this.#tell(topic, subscription, entries)
  }

  /** A channel has moved to another node of the Redis Cluster. */
  async #moved(channel: string): Promise<void> {
    const { link } = this.#connection
    const topic = this.#byChannel.get(channel)
    const subscription = topic === undefined ? undefined : this.#topics.get(topic)
    if (subscription) {
      subscription.waiting ??= []
      subscription.reading++
    }
    try {
      if (subscription || this.#own.has(channel)) await link?.subscribe([channel])
      if (topic === undefined || !subscription) return
      this.#tellWaiting(topic, subscription, await this.history(topic, subscription.last))
    } catch (error) {
      if (subscription) subscription.reading--
      // Another link subscribes to everything again.
      if (link) this.#connection.fail(link, error as Error)
    }
  }

  // ---- the connection ----

  #up(): Link {
    return this.#connection.up()
  }

  /** Subscribes a new link to all channels. With very many topics that takes longer than a lease. */
  async #restore(link: Link): Promise<() => void> {
    const over = this.#liveMeanwhile(link)
    try {
      return await this.#subscribeAgain(link)
    } finally {
      over()
    }
  }

  /** Says that the node lives, until the result is called: else others would take it for dead. */
  #liveMeanwhile(link: Link): () => void {
    const say = (): void => {
      const { values } = this.#said ?? {}
      if (values) link.run(scripts.beat, [this.#keys.nodes, this.#keys.common], values).catch(ignore)
    }
    say()
    const timer = setInterval(say, (this.#said?.lease ?? refreshEvery) / 3)
    return () => clearInterval(timer)
  }

  async #subscribeAgain(link: Link): Promise<() => void> {
    const channels = [...this.#own, ...this.#byChannel.keys()]
    await link.subscribe(channels)
    // If Redis has forgotten offsets, this begins a new epoch: no offset is given out twice in one. The node reads the missed entries.
    await this.#places(link, (subscription, last) => {
      subscription.last = last
    })
    // Ends the subscriptions that were given up meanwhile.
    return () => {
      for (const channel of channels)
        if (!this.#own.has(channel) && !this.#byChannel.has(channel)) link.unsubscribe(channel).catch(ignore)
    }
  }

  #changed(state: 'up' | 'down' | 'fresh', why?: Error): void {
    // The node reads the history when it is told that the connection is up again, so no entries need to wait here.
    if (state === 'down')
      for (const subscription of this.#topics.values())
        if (subscription.last.epoch) subscription.waiting = undefined
    this.#listener?.connection(state, why)
  }

  /** Keeps alive what would expire while nothing happens: the places of topics that are subscribed, and the marks. */
  async #keepAlive(link: Link): Promise<void> {
    await this.#places(link)
    await this.#connection.keepMarks(link)
  }

  async #places(link: Link, use?: (subscription: Subscription, last: Place) => void): Promise<void> {
    await each(this.#topics, commandsAtOnce, async ([topic, subscription]) => {
      const last = await this.#last(link, topic, subscription.last)
      use?.(subscription, last)
    })
  }
}

function ignore(): void {}

/** The changes as arguments of the script `store`. */
function valuesOf(changes: readonly Change[]): (string | Buffer)[] {
  const values: (string | Buffer)[] = []
  const parts: Buffer[] = []
  for (const { fence, whole = '', drop, set } of changes) {
    values.push(String(fence), whole, String(drop.length), String(set.size))
    for (const field of drop) values.push(`:${field}`)
    for (const [field, value] of set) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : bytesOf(value)
      parts.push(bytes)
      values.push(`:${field}`, String(bytes.length))
    }
  }
  values.push(Buffer.concat(parts))
  return values
}

function recordOf(fields: readonly Buffer[]): SessionRecord {
  const record = new Map<string, Uint8Array>()
  for (let at = 0; at + 1 < fields.length; at += 2) record.set(String(fields[at]), fields[at + 1] as Buffer)
  return record
}
