/**
 * The engine on Redis. It knows what is there to be said again after a break: which topics are subscribed, and how far each has
 * come. All else is in Redis, where every call is one script.
 */
import { randomBytes } from 'node:crypto'
import type {
  Batch,
  Claim,
  Engine,
  EngineListener,
  Entries,
  History,
  NodeRecord,
  Parcel,
  Place,
} from '../cluster/engine.ts'
import { groupOf, Keys } from './keys.ts'
import { Link, type LinkListener } from './link.ts'
import type { RedisClient, RedisSettings } from './options.ts'
import { after, readPayload } from './payload.ts'
import * as scripts from './scripts.ts'

/** Redis has sharded pub/sub from this version on. */
const leastVersion = 7

/** Values that nodes share live for so long after the last node: a week. */
const commonLife = 7 * 86_400_000

/** The place of a topic lives for so long after its last message, unless a node subscribes to it. */
const placeLife = 3_600_000

/** What would expire while nothing happens is kept alive so often. */
const refreshEvery = placeLife / 4

/** So many claims are in one command: Redis does nothing else meanwhile, for about a millisecond. */
const claimsAtOnce = 500

/** So many commands are on the way at a time, when there is much to do. */
const commandsAtOnce = 100

/** So much of a history is read at a time: entries, and bytes after which no more are added. */
const historyPiece = { entries: 256, bytes: 1_048_576 }

/** Pauses before attempts to connect again, in milliseconds. Each is shortened by up to a half, at random. */
const pauses = [100, 200, 400, 800, 1_000]

/** A topic that is subscribed. */
interface Subscription {
  /** The last entry that was told. */
  last: Place
  /** What came while older entries are read; undefined if it is told at once. */
  waiting: Entries[] | undefined
}

export interface RedisEngineOptions extends RedisSettings {
  /** How often to look whether Redis answers, in milliseconds. For tests. */
  readonly heartbeat?: number | undefined
}

export class RedisEngine implements Engine {
  readonly #settings: RedisEngineOptions
  readonly #keys: Keys
  /** How long the place of a topic lives. */
  readonly #placeLife: number
  #client: RedisClient | undefined
  #link: Link | undefined
  #listener: EngineListener | undefined
  /** Another number with each `open` and `close`. */
  #life = 0
  /** Why there is no link. */
  #why = new Error('The engine is not open')
  /** What says whether a server still has what it had, by its key. */
  readonly #born = new Map<string, string>()
  /** A server has lost what it had, and the listener does not know. */
  #isFresh = false
  #hasWarned = false
  readonly #topics = new Map<string, Subscription>()
  /** The topics by their channels. */
  readonly #byChannel = new Map<string, string>()
  /** The channels of this node's names. */
  readonly #own = new Set<string>()
  /** What is under way in each topic: one thing after the other. */
  readonly #queues = new Map<string, Promise<unknown>>()
  #refresh: NodeJS.Timeout | undefined
  #again: NodeJS.Timeout | undefined

  constructor(settings: RedisEngineOptions) {
    this.#settings = settings
    this.#keys = new Keys(settings.prefix)
    this.#placeLife = placeLife + settings.age
  }

  async open(listener: EngineListener): Promise<void> {
    await this.close()
    this.#listener = listener
    try {
      this.#client ??= this.#settings.client ?? (await clientOf(this.#settings.url ?? ''))
      await this.#connect(true)
    } catch (error) {
      await this.close()
      throw error
    }
    this.#refresh = setInterval(() => {
      if (this.#link) this.#keepAlive(this.#link).catch(ignore)
    }, refreshEvery)
    this.#refresh.unref()
  }

  async close(): Promise<void> {
    this.#life++
    clearTimeout(this.#again)
    clearInterval(this.#refresh)
    this.#link?.close()
    this.#link = undefined
    this.#listener = undefined
    this.#why = new Error('The engine is not open')
    this.#born.clear()
    this.#isFresh = false
    this.#topics.clear()
    this.#byChannel.clear()
    this.#own.clear()
  }

  async common(name: string, proposal: string): Promise<string> {
    return common(this.#up(), this.#keys.common, name, proposal)
  }

  // ---- nodes ----

  async beat({ name, ...rest }: NodeRecord, lease: number): Promise<void> {
    const link = this.#up()
    const channel = this.#keys.node(name)
    // Others may speak to a node as soon as they see it.
    if (!this.#own.has(channel)) {
      await link.subscribe([channel])
      this.#own.add(channel)
    }
    const record = JSON.stringify(rest)
    const values = [name, record, String(lease), String(commonLife)]
    await link.run(scripts.beat, [this.#keys.nodes, this.#keys.common], values)
  }

  async leave(node: string): Promise<void> {
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
  ): Promise<Claim | 'ended'> {
    const values = [node, String(life), proof, instead?.node ?? '', String(instead?.fence ?? '')]
    const claimed = (await this.#up().run(
      scripts.claim,
      [this.#keys.owner(session)],
      values,
      true,
    )) as Buffer[]
    const [owner, fence, state] = claimed
    if (owner === undefined) return 'ended'
    const claim = { node: String(owner), fence: Number(fence) }
    return state ? { ...claim, state } : claim
  }

  async owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'> {
    const fields = await this.#up().fields(this.#keys.owner(session), ['n', 'f', 'p', 'e'])
    const [node, fence, proof, ended] = fields
    if (ended !== null) return 'ended'
    if (proof !== null) return 'waiting'
    return node === null ? 'nobody' : { node: String(node), fence: Number(fence) }
  }

  async handOver(session: string, node: string, { proof, state }: Parcel, life: number): Promise<boolean> {
    const values = [node, String(life), proof, bytesOf(state)]
    return (await this.#up().run(scripts.handOver, [this.#keys.owner(session)], values)) === 1
  }

  async keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]> {
    const lost: string[] = []
    await each(this.#groups(sessions), this.#up().isCluster ? commandsAtOnce : 1, async (group) => {
      const keys = group.map((session) => this.#keys.owner(session))
      const places = (await this.#up().run(scripts.keep, keys, [node, String(life)])) as unknown[]
      for (const place of places) lost.push(group[Number(place) - 1] as string)
    })
    return lost
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
    const subscription: Subscription = { last: { epoch: '', offset: 0 }, waiting: [] }
    this.#topics.set(topic, subscription)
    this.#byChannel.set(channel, topic)
    try {
      const [last] = await Promise.all([
        this.#inOrder(topic, (link) => this.#last(link, topic, subscription.last)),
        link.subscribe([channel]),
      ])
      subscription.last = last
      // What was published since, before Redis had confirmed.
      const missed = await this.history(topic, last)
      // The caller knows the place first.
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
    await this.#link?.unsubscribe(channel)
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
        // What lies between is gone, or what was read before belongs to another epoch.
        isGap ||= start.epoch !== last.epoch || start.offset !== last.offset + 1
        from = start
        all.length = 0
      }
      all.push(...piece)
      last = { epoch: start.epoch, offset: start.offset + piece.length - 1 }
      if (piece.length === 0 || last.offset >= Number(end)) return { from, entries: all, isGap }
    }
  }

  /** The epoch to begin if there is none, and how long a place lives. */
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
   * One thing after the other within a topic. Redis keeps the order of one connection, but a script that it does not know yet is
   * sent twice, and so is a command for a slot that has moved.
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

  /** Tells what is new of it. */
  #tell(topic: string, subscription: Subscription, entries: Entries): void {
    const news = after(entries, subscription.last)
    if (news.entries.length === 0) return
    const { epoch, offset } = news.from
    subscription.last = { epoch, offset: offset + news.entries.length - 1 }
    this.#listener?.published(topic, news)
  }

  /** Tells what was read, and then what came meanwhile. */
  #tellWaiting(topic: string, subscription: Subscription, missed: Entries): void {
    if (this.#topics.get(topic) !== subscription) return
    const waiting = subscription.waiting ?? []
    subscription.waiting = undefined
    for (const entries of [missed, ...waiting]) this.#tell(topic, subscription, entries)
  }

  /** A node of the cluster gave a channel away. */
  async #moved(channel: string): Promise<void> {
    const link = this.#link
    try {
      const topic = this.#byChannel.get(channel)
      const subscription = topic === undefined ? undefined : this.#topics.get(topic)
      if (subscription) subscription.waiting ??= []
      if (subscription || this.#own.has(channel)) await link?.subscribe([channel])
      if (topic === undefined || !subscription) return
      this.#tellWaiting(topic, subscription, await this.history(topic, subscription.last))
    } catch (error) {
      // All begins anew with another link.
      if (link && link === this.#link) this.#down(link, error as Error)
    }
  }

  // ---- the connection ----

  #up(): Link {
    if (this.#link) return this.#link
    throw this.#why
  }

  async #connect(isFirst: boolean): Promise<void> {
    const { heartbeat } = this.#settings
    const life = this.#life
    const client = this.#client as RedisClient
    const listener: LinkListener = {
      // What comes before all is subscribed again is in the history.
      message: (channel, message) => {
        if (link === this.#link) this.#message(channel, message)
      },
      moved: (channel) => void this.#moved(channel),
      lost: (why) => this.#down(link as Link, why),
    }
    let link: Link | undefined
    try {
      link = await Link.open({ client, heartbeat }, listener)
    } catch (error) {
      throw new Error(`Redis at ${this.#address()} cannot be reached: ${(error as Error).message}`, {
        cause: error,
      })
    }
    try {
      await this.#begin(link, life, isFirst)
    } catch (error) {
      link.close()
      throw error
    }
  }

  /** Checks the server, and subscribes to all again. */
  async #begin(link: Link, life: number, isFirst: boolean): Promise<void> {
    if (isFirst) await this.#check(link)
    await this.#mark(link)
    const channels = [...this.#own, ...this.#byChannel.keys()]
    await link.subscribe(channels)
    // Offsets that Redis has forgotten must not be given out again. What it has since the last one is read by the caller.
    await this.#places(link, (subscription, last) => {
      subscription.last = last
    })
    if (this.#life !== life) throw new Error('The engine was closed')
    this.#link = link
    // What was given up meanwhile.
    for (const channel of channels)
      if (!this.#own.has(channel) && !this.#byChannel.has(channel)) link.unsubscribe(channel).catch(ignore)
    const state = this.#isFresh ? 'fresh' : 'up'
    this.#isFresh = false
    if (!isFirst) this.#listener?.connection(state)
  }

  /** Leaves a mark on each server, or finds the one that is there. */
  async #mark(link: Link): Promise<void> {
    const keys = new Set([...this.#born.keys(), ...link.oneOfEach((number) => this.#keys.born(number))])
    for (const key of keys) {
      const mark = await common(link, key, 'mark', randomBytes(9).toString('base64url'))
      if (this.#born.has(key) && this.#born.get(key) !== mark) this.#isFresh = true
      this.#born.set(key, mark)
    }
  }

  async #check(link: Link): Promise<void> {
    const { version, policy } = await link.server()
    if (version && Number.parseInt(version, 10) < leastVersion)
      throw new Error(
        `Redis at ${this.#address()} has version ${version}: everwire needs ${leastVersion}.0 or later`,
      )
    if (policy && policy !== 'noeviction' && !this.#hasWarned) {
      this.#hasWarned = true
      process.emitWarning(
        `Redis has maxmemory-policy ${policy}, so it may drop sessions' owners and messages when its memory is full. Set maxmemory-policy noeviction`,
        { code: 'EVERWIRE_REDIS_EVICTS' },
      )
    }
  }

  /** The link is lost. */
  #down(link: Link, error: Error): void {
    link.close()
    if (this.#link !== link) return
    this.#link = undefined
    this.#lost(error)
    this.#reconnect(0)
  }

  #lost(error: Error): void {
    this.#why = new Error(`Redis at ${this.#address()} cannot be reached: ${error.message}`, { cause: error })
    // What is read now is read by whoever is told that the connection is up again.
    for (const subscription of this.#topics.values())
      if (subscription.last.epoch) subscription.waiting = undefined
    this.#listener?.connection('down', this.#why)
  }

  #reconnect(attempt: number): void {
    const life = this.#life
    const pause = pauses[Math.min(attempt, pauses.length - 1)] as number
    this.#again = setTimeout(
      async () => {
        try {
          await this.#connect(false)
        } catch (error) {
          if (this.#life !== life) return
          this.#why = error as Error
          this.#reconnect(attempt + 1)
        }
      },
      pause * (0.5 + Math.random() / 2),
    )
  }

  /** Keeps alive what would expire while nothing happens: the places of topics that are subscribed, and the marks. */
  async #keepAlive(link: Link): Promise<void> {
    await this.#places(link)
    for (const [key, mark] of this.#born) await common(link, key, 'mark', mark)
  }

  async #places(link: Link, use?: (subscription: Subscription, last: Place) => void): Promise<void> {
    await each(this.#topics, commandsAtOnce, async ([topic, subscription]) => {
      const last = await this.#last(link, topic, subscription.last)
      use?.(subscription, last)
    })
  }

  /** Without what is secret in it. */
  #address(): string {
    const { url, client } = this.#settings
    const options = (client as { options?: { socket?: { host?: string; port?: number; path?: string } } })
      ?.options
    const { host = 'localhost', port = 6379, path } = options?.socket ?? {}
    if (!url) return options ? (path ?? `${host}:${port}`) : 'the addresses of the given client'
    const { protocol, host: named, pathname } = new URL(url)
    return protocol === 'unix:' ? pathname : named
  }
}

async function clientOf(url: string): Promise<RedisClient> {
  const { createClient } = await import('redis').catch((error: unknown) => {
    throw new Error('The package "redis" is not installed: npm install redis', { cause: error })
  })
  return createClient({ url })
}

async function common(link: Link, key: string, name: string, proposal: string): Promise<string> {
  return String(await link.run(scripts.common, [key], [name, proposal, String(commonLife)]))
}

function strings(values: unknown): string[] {
  return (values as unknown[]).map(String)
}

function bytesOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

/** Runs `run` for each, with so many at a time. Ends with the first that fails. */
async function each<Value>(
  values: Iterable<Value>,
  atOnce: number,
  run: (value: Value) => Promise<void>,
): Promise<void> {
  const iterator = values[Symbol.iterator]()
  const one = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await run(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

function ignore(): void {}
