/** This process as a member of a cluster: it says that it lives, knows the others, and finds out who answers for a session. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type {
  Cluster,
  ClusterCount,
  ClusterHost,
  ClusterMember,
  ClusterRosters,
  ClusterStats,
  Elsewhere,
  Latecomer,
  Passed,
  Route,
  SessionChange,
} from '../server/base/cluster.ts'
import type { Refusal } from '../server/base/handshake.ts'
import type { Claim, Engine, NodeRecord, Parcel, Place } from './engine.ts'
import { Everyone } from './everyone.ts'
import { Listener, type ListenOptions } from './listener.ts'
import { Occupancy } from './occupancy.ts'
import type { OutboxLimits } from './outbox.ts'
import { claimLife, Owners } from './owners.ts'
import { type Outcome, Passing } from './passing.ts'
import { Silence } from './silence.ts'
import { after, ClusterTopics, topicOf } from './topics.ts'

/** How this node takes part. */
export interface NodeSettings extends OutboxLimits {
  /** For so long the other nodes believe that a silent node lives, in milliseconds. */
  readonly lease: number
  readonly listen: ListenOptions
  /** The beginning of the name of this node. Default: the whole name is random. */
  readonly name?: string | undefined
  /** The address for the other nodes, if it is not the one on which this node listens. */
  readonly address?: string | undefined
  /** Whether to try again or to fail if the store cannot be reached at the start. */
  readonly atStart: 'wait' | 'fail'
  /**
   * The secret by which nodes prove that they belong to one cluster. Default: a random one, which they share through
   * the store.
   */
  readonly secret?: string | undefined
}

/** What nodes say to each other; another number in front of the dot is another language. */
const version = '1.0'

/** After the store has lost what it knew, the nodes have this many leases to say again who has what. */
const leasesToClaimAgain = 2
/** Between two tries of a node that cannot be reached, but is said to live. */
const pause = 100
/** What was published last may still reach the store in this time. */
const lastWords = 1_000
const shortestRetry = 100
const longestRetry = 1_000

const notReady: Refusal = {
  status: 503,
  reason: 'This server has not joined its cluster yet',
  headers: { 'Retry-After': '1' },
}
const leaving: Refusal = {
  status: 503,
  reason: 'This server is about to end',
  headers: { 'Retry-After': '1' },
}
const unsure: Refusal = {
  status: 503,
  reason: 'No server can say now who has this session',
  headers: { 'Retry-After': '1' },
}

export class ClusterNode implements ClusterMember {
  readonly name: string
  readonly #engine: Engine
  readonly #settings: NodeSettings
  readonly #host: ClusterHost
  readonly #owners: Owners
  /** What is known of other nodes, until one proves unreachable. */
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #silence = new Silence({
    look: async (name) => (await this.#look(name))?.address,
  })
  readonly #topics: ClusterTopics
  readonly #everyone: Everyone
  readonly #occupancy: Occupancy
  #state: 'joining' | 'joined' | 'left' = 'joining'
  #passing: Passing | undefined
  /** What proves to other nodes that this one belongs to them. */
  #secret = ''
  #listener: Listener | undefined
  #own: NodeRecord | undefined
  #timer: NodeJS.Timeout | undefined
  #leaseUntil = 0
  /** Before this time a claim that the store does not know may still be there. */
  #unsureUntil = 0
  #keepAt = 0
  /** When to look for nodes that have died while nobody looked. */
  #sweepAt = 0
  /** The store has lost the claims of this node. */
  #mustClaim = false
  /** What became of its claims is not known. */
  #mustSecure = false
  #beating: Promise<void> | undefined
  #doubting: Promise<void> | undefined
  #isLeaving = false
  #isUp = false
  readonly #totals = { passed: 0, handedOver: 0, received: 0 }
  /** What this node hands over, until another one can have it. */
  readonly #parked = new Map<string, Parcel & { readonly handed: Promise<boolean> }>()

  constructor(engine: Engine, settings: NodeSettings, host: ClusterHost) {
    this.#engine = engine
    this.#settings = settings
    this.#host = host
    const random = randomBytes(9).toString('base64url')
    this.name = settings.name === undefined ? random : `${settings.name}-${random}`
    this.#owners = new Owners(
      { engine, name: this.name, lost: (session) => host.lost(session) },
      host.patience,
    )
    const { maxWaiting, maxWaitingEntries } = settings
    this.#topics = new ClusterTopics({
      engine,
      name: this.name,
      host,
      patience: host.patience,
      after,
      random: Math.random,
      changed: (name, isUsed) => this.#occupancy.changed(name, isUsed),
      closed: (closing, count) => this.#everyone.closings.note(closing, count),
      maxWaiting,
      maxWaitingEntries,
    })
    this.#everyone = new Everyone({
      engine,
      name: this.name,
      after,
      host,
      hears: (topic) => this.#topics.hears(topic),
    })
    this.#occupancy = new Occupancy({
      engine,
      name: this.name,
      after,
      random: Math.random,
      topics: () => this.#topics.names(),
      tell: (name, state) => host.topicChanged({ topic: topicOf(name), state }),
    })
    void this.#join(shortestRetry)
  }

  get ready(): boolean {
    return this.#state === 'joined'
  }

  /** Where other nodes reach this one; empty before it has joined. */
  get address(): string {
    return this.#own?.address ?? ''
  }

  // ---- sessions ----

  async settled(session: string): Promise<void> {
    await this.#owners.settled(session)
    await this.#parked.get(session)?.handed
  }

  async route(session: string, proof: string, opens: boolean): Promise<Route> {
    if (!this.ready) return notReady
    try {
      const parked = this.#parked.get(session)
      if (parked) {
        await parked.handed
        if (parked.proof === proof && this.#parked.delete(session)) return parked
      }
      return await this.#route(session, proof, opens)
    } catch {
      // The store cannot be asked: one of the others may have the session.
      return this.#anybody(session)
    }
  }

  async #route(session: string, proof: string, opens: boolean): Promise<Route> {
    const found =
      opens && !this.#isLeaving ? await this.#owners.claim(session, proof) : await this.#owners.find(session)
    if (found === 'ended') return 'nobody'
    if (found === 'nobody') {
      if (opens) return leaving
      return performance.now() < this.#unsureUntil ? this.#anybody(session) : 'nobody'
    }
    if (found === 'waiting') {
      // An event stream has no proof: its client asks for another ticket.
      if (proof === '') return 'nobody'
      if (this.#isLeaving || !this.#host.recovers) return this.#adopter(session)
      return this.#mine(session, proof, await this.#owners.claim(session, proof), opens)
    }
    if (found.node === this.name) return this.#mine(session, proof, found, opens)
    const node = await this.#node(found.node)
    // It may not have said yet that it lives.
    if (!node && performance.now() < this.#unsureUntil) return this.#anybody(session)
    if (node) return isReachable(node) ? this.#elsewhere(session, node) : unsure
    this.#owners.forget(session)
    // That node is gone, but may have handed the session over before: also since the store was asked.
    const still = await this.#owners.find(session)
    if (typeof still !== 'object' || still.fence !== found.fence) return this.#route(session, proof, opens)
    this.#owners.forget(session)
    if (this.#host.durable) return this.#revive(session, proof, found, opens)
    if (!opens || this.#isLeaving) return 'nobody'
    return this.#mine(session, proof, await this.#owners.claim(session, proof, found), opens)
  }

  /** The node that has the session is dead. What it has stored goes on here, or elsewhere if this node is about to end. */
  async #revive(session: string, proof: string, dead: Claim, opens: boolean): Promise<Route> {
    // An event stream has no proof: its client asks for another ticket.
    if (proof === '') return 'nobody'
    if (this.#isLeaving) return this.#adopter(session)
    const claim = await this.#owners.claim(session, proof, dead)
    const isEmpty = claim !== 'ended' && claim.node === this.name && !claim.state
    if (!isEmpty || opens || this.#owners.arriving(session)) return this.#mine(session, proof, claim, opens)
    this.#owners.release(session, false)
    return 'nobody'
  }

  /** This node asked for the session. */
  async #mine(session: string, proof: string, claim: Claim | 'ended', opens: boolean): Promise<Route> {
    if (claim === 'ended') return 'nobody'
    if (claim.node !== this.name) {
      // Another node was first.
      const node = await this.#node(claim.node)
      return node && isReachable(node) ? this.#elsewhere(session, node) : unsure
    }
    // Another request of the same client may have brought it meanwhile.
    const state = claim.state ?? this.#owners.arriving(session)
    if (state) return this.#arrived(session, proof, state)
    // It arrived when this node was about to end already, and goes on to the next one.
    const parked = this.#parked.get(session)
    if (parked) return parked.proof === proof ? this.route(session, proof, opens) : 'nobody'
    if (opens) return 'here'
    if (this.#owners.has(session)) return 'nobody'
    // It was handed over since the store was asked, or the answer that brought what was handed over was lost.
    if (this.#isLeaving)
      return (await this.#owners.find(session)) === 'waiting' ? this.#adopter(session) : 'nobody'
    const again = await this.#owners.claim(session, proof)
    if (typeof again === 'object' && (again.state || again.node !== this.name))
      return this.#mine(session, proof, again, opens)
    this.#owners.release(session, false)
    return 'nobody'
  }

  /** Another node has handed the session over. If this one is about to end by now, the next one gets it. */
  async #arrived(session: string, proof: string, state: Uint8Array): Promise<Route> {
    if (!this.#isLeaving) return { state }
    await this.handOver(session, proof, state)
    return this.#adopter(session)
  }

  /** Another node, which takes over what waits: this one is about to end, or its application cannot. */
  async #adopter(session: string): Promise<Route> {
    const { path } = this.#host
    const nodes = (await this.#engine.nodes()).filter(
      (node) => node.name !== this.name && isReachable(node) && node.recovers === path,
    )
    const node = nodes[Math.floor(Math.random() * nodes.length)]
    return node ? this.#elsewhere(session, node, true) : unsure
  }

  /** Asks all other nodes, one after the other. */
  #anybody(session: string): Route {
    const nodes = [...this.#nodes.values()].filter(isReachable)
    if (nodes.length === 0) return unsure
    const ask = async (pass: (to: Elsewhere) => Promise<boolean>): Promise<boolean> => {
      for (const node of nodes) if (await pass(this.#elsewhere(session, node))) return true
      await wait(pause)
      return false
    }
    return {
      request: (...args) => ask((to) => to.request(...args)),
      upgrade: (...args) => ask((to) => to.upgrade(...args)),
    }
  }

  #elsewhere(session: string, node: NodeRecord, adopt = false): Elsewhere {
    const passing = this.#passing as Passing
    const passed = async (outcome: Outcome): Promise<boolean> => {
      if (outcome === 'answered') {
        this.#totals.passed++
        return true
      }
      this.#owners.forget(session)
      if (outcome === 'unreachable') await this.#silence.over(node.name)
      return false
    }
    const origin = (request: IncomingMessage): Passed => ({ ...this.#host.origin(request), adopt })
    const isSilent = () => this.#silence.has(node.name)
    return {
      request: async (request, response, body) =>
        passed(
          isSilent() ? 'unreachable' : await passing.request(node, request, response, body, origin(request)),
        ),
      upgrade: async (request, socket, head, protocols) =>
        passed(
          isSilent()
            ? 'unreachable'
            : await passing.upgrade(node, request, socket, head, protocols, origin(request)),
        ),
    }
  }

  doubt(): Promise<void> | undefined {
    if (this.#state !== 'joined' || performance.now() <= this.#leaseUntil) return this.#doubting
    this.#doubting ??= this.#beat()
      // While the store is away, nobody else can claim a session either.
      .catch(ignore)
      .finally(() => {
        this.#doubting = undefined
      })
    return this.#doubting
  }

  received(session: string): void {
    this.#totals.received++
    // What is stored first takes its place.
    if (!this.#host.durable) this.#owners.received(session)
  }

  store(changes: readonly SessionChange[]): ReturnType<ClusterMember['store']> {
    return this.#owners.store(changes)
  }

  async handOver(session: string, proof: string, state: Uint8Array): Promise<void> {
    const handed = this.#handOver(session, proof, state)
    this.#parked.set(session, { proof, state, handed })
    if (!(await handed)) return
    this.#parked.delete(session)
    this.#totals.handedOver++
  }

  async #handOver(session: string, proof: string, state: Uint8Array): Promise<boolean> {
    try {
      await this.#owners.handOver(session, { proof, state }, this.#host.patience)
      return true
    } catch {
      // The store cannot be reached: its client finds it here.
      return false
    }
  }

  async leave(within: number): Promise<void> {
    if (this.#isLeaving) return
    this.#isLeaving = true
    if (this.#own) this.#own = recordOf(this.#own)
    if (this.#state === 'joined') this.#beat().catch(ignore)
    await this.#passing?.leave(within)
    // What was on its way here goes on to the next one.
    await this.#owners.claimed()
    await Promise.all([...this.#parked.values()].map(({ handed }) => handed))
  }

  stopPassing(): void {
    this.#passing?.stop()
  }

  async #node(name: string): Promise<NodeRecord | undefined> {
    return this.#nodes.get(name) ?? this.#look(name)
  }

  /** Asks the store for a node. */
  async #look(name: string): Promise<NodeRecord | undefined> {
    const node = await this.#engine.node(name)
    if (node) this.#nodes.set(name, node)
    else {
      this.#nodes.delete(name)
      this.#passing?.cut(name)
    }
    return node
  }

  release(session: string, ended: boolean): void {
    this.#owners.release(session, ended)
  }

  // ---- topics ----

  publish(...publication: Parameters<ClusterTopics['publish']>): void {
    this.#topics.publish(...publication)
  }

  disconnect(...publication: Parameters<ClusterTopics['disconnect']>): number {
    return this.#topics.disconnect(...publication)
  }

  isPending(topic: string | undefined): boolean {
    return this.#topics.isPending(topic)
  }

  placeOf(topic: string): Place | undefined {
    return this.#topics.placeOf(topic)
  }

  catchUp(topic: string, from: Place, latecomer: Latecomer): Promise<void> {
    return this.#topics.catchUp(topic, from, latecomer)
  }

  subscribed(topic: string | undefined): void {
    this.#topics.subscribed(topic)
  }

  unsubscribed(topic: string | undefined): void {
    this.#topics.unsubscribed(topic)
  }

  // ---- all nodes ----

  count(topic: string | undefined): Promise<ClusterCount> {
    return this.#everyone.count(topic)
  }

  rosters(topic: string | undefined, limit: number): Promise<ClusterRosters> {
    return this.#everyone.rosters(topic, limit)
  }

  closed(topic: string, disconnect: number): Promise<ClusterCount> {
    return this.#everyone.closed(topic, disconnect)
  }

  watchTopics(isWatched: boolean): void {
    this.#occupancy.watch(isWatched)
  }

  stats(): ClusterStats {
    const { entries, bytes } = this.#topics.waiting
    return {
      node: this.name,
      state: this.#state === 'joining' ? 'joining' : this.#isUp ? 'up' : 'down',
      nodes: this.#nodes.size + 1,
      sessions: this.#owners.size,
      passing: this.#passing?.size ?? 0,
      waiting: { messages: entries, bytes },
      ...this.#totals,
    }
  }

  // ---- life ----

  async #join(retry: number): Promise<void> {
    try {
      await this.#engine.open({
        published: (topic, entries) => this.#topics.arrived(topic, entries),
        told: (data) => this.#everyone.told(data),
        connection: (state, why) => this.#connection(state, why),
      })
      await this.#agree()
      if (!this.#listener) {
        const listener = new Listener({
          name: this.name,
          secret: () => this.#secret,
          request: (request, response, passed) => this.#host.request(request, response, passed),
          upgrade: (request, socket, head, passed) => this.#host.upgrade(request, socket, head, passed),
        })
        const listens = await listener.listen(this.#settings.listen)
        this.#listener = listener
        const own = { name: this.name, address: this.#settings.address ?? listens, version }
        const { recovers, path } = this.#host
        this.#own = recovers && !this.#isLeaving ? { ...own, recovers: path } : own
      }
      await this.#beat()
      if (this.#state === 'left') return
      this.#state = 'joined'
      this.#topics.connection('up')
      this.#occupancy.connection(true)
      this.#sweepAt = performance.now() + this.#settings.lease
      this.#isUp = true
      this.#keepAt = performance.now() + claimLife / 4
      this.#host.changed({ state: 'up' })
      this.#beatLater()
    } catch (error) {
      if (this.#state === 'left') return
      this.#host.failed(error as Error, this.#settings.atStart === 'fail')
      if (this.#settings.atStart === 'fail') return
      await new Promise((resolve) => {
        this.#timer = setTimeout(resolve, retry * (0.5 + Math.random() / 2))
      })
      if (this.#state === 'joining') await this.#join(Math.min(longestRetry, retry * 2))
    }
  }

  /** All nodes have the secret that the store has. One that has lost it gets this node's, or has another one's already. */
  async #agree(): Promise<void> {
    this.#secret ||= this.#settings.secret ?? randomBytes(32).toString('base64url')
    if (this.#settings.secret === undefined) this.#secret = await this.#engine.common('secret', this.#secret)
    this.#passing ??= new Passing(() => this.#secret)
  }

  #connection(state: 'up' | 'down' | 'fresh', why: Error | undefined): void {
    if (this.#state !== 'joined') return
    this.#topics.connection(state)
    if (state === 'down') this.#occupancy.connection(false)
    this.#isUp = state !== 'down'
    if (state === 'down') this.#host.changed({ state, reason: why })
    else this.#up(state === 'fresh').catch(ignore)
  }

  async #up(isFresh: boolean): Promise<void> {
    const { lease } = this.#settings
    this.#unsureUntil = performance.now() + lease * (isFresh ? leasesToClaimAgain : 1)
    this.#mustClaim ||= isFresh
    this.#mustSecure = true
    await this.#beat()
    this.#host.changed({ state: 'up' })
  }

  /** Makes sure of the claims of this node, or learns that it has lost them. */
  async #secure(): Promise<void> {
    this.#mustSecure = true
    if (this.#mustClaim) {
      await this.#agree()
      await this.#owners.claimAgain()
      this.#host.storeAnew()
      this.#occupancy.sayAgain(true)
    }
    this.#mustClaim = false
    this.#occupancy.connection(true)
    await this.#owners.keep()
    this.#mustSecure = false
    this.#keepAt = performance.now() + claimLife / 4
  }

  async #beat(): Promise<void> {
    const asked = performance.now()
    await this.#engine.beat(this.#own as NodeRecord, this.#settings.lease)
    const wasOver = this.#state === 'joined' && this.#leaseUntil < asked
    this.#leaseUntil = asked + this.#settings.lease
    // While nothing was said, others may have taken sessions over.
    if (wasOver && !this.#mustClaim) this.#occupancy.sayAgain(false)
    if (this.#state === 'joined' && (wasOver || this.#mustSecure || asked >= this.#keepAt))
      await this.#secure()
  }

  #beatLater(): void {
    this.#timer = setTimeout(() => {
      this.#beating = Promise.all([this.#beat(), this.#watch()])
        .catch(ignore)
        .then(() => {
          if (this.#state === 'joined') this.#beatLater()
        })
    }, this.#settings.lease / 3).unref()
  }

  /** Requests wait for nodes that have died without a word only until their lease is over. */
  async #watch(): Promise<void> {
    if (performance.now() < this.#unsureUntil) return
    const nodes = await this.#engine.nodes()
    // While the store is away, whoever is known can still be asked.
    this.#nodes.clear()
    for (const node of nodes) if (node.name !== this.name) this.#nodes.set(node.name, node)
    this.#occupancy.seen(this.#nodes.keys())
    if (performance.now() >= this.#sweepAt) {
      this.#occupancy.keep()
      this.#sweepAt = performance.now() + claimLife / 4
    }
    for (const name of [...(this.#passing?.nodes ?? [])]) if (!this.#nodes.has(name)) this.#passing?.cut(name)
  }

  async close(): Promise<void> {
    if (this.#state === 'left') return
    this.#state = 'left'
    clearTimeout(this.#timer)
    await Promise.race([this.#topics.published(), wait(lastWords)])
    this.#topics.close()
    this.#passing?.close()
    await this.#listener?.close()
    await this.#beating
    await this.#occupancy.close()
    await this.#engine.leave(this.name).catch(ignore)
    await this.#engine.close().catch(ignore)
  }
}

/** Whether requests can be passed on to this node: it has an address, and understands them. */
function isReachable({ address, version: theirs }: NodeRecord): boolean {
  return address !== '' && majorOf(theirs) === majorOf(version)
}

function majorOf(version: string): string {
  return version.slice(0, version.indexOf('.'))
}

/** A node that takes over nothing. */
function recordOf({ name, address, version }: NodeRecord): NodeRecord {
  return { name, address, version }
}

/** Makes the value of the option `cluster` of an engine. */
export function clusterOf(engine: () => Engine, settings: NodeSettings): Cluster {
  let isJoined = false
  return {
    join: (host) => {
      if (isJoined) throw new Error('The option "cluster" must be made anew for each server')
      isJoined = true
      return new ClusterNode(engine(), settings, host)
    },
  }
}

/** Does not keep the process. */
function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref())
}

function ignore(): void {}
