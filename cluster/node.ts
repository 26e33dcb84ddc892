/** This process as a member of a cluster: it says that it lives, knows the others, and finds out who answers for a session. */
import { randomBytes } from 'node:crypto'
import type {
  Cluster,
  ClusterCount,
  ClusterHost,
  ClusterMember,
  ClusterRosters,
  ClusterStats,
  ClusterView,
  Latecomer,
  NodeLoad,
  NodeView,
  Route,
  SessionChange,
} from '../server/base/cluster.ts'
import type { Refusal } from '../server/base/handshake.ts'
import type { Engine, NodeRecord, Place } from './base/engine.ts'
import { claimLife, Owners } from './owners/owners.ts'
import { Routes } from './owners/routes.ts'
import { isFrame } from './passing/frames.ts'
import { Listener, type ListenOptions } from './passing/listener.ts'
import { Passing } from './passing/passing.ts'
import { Relay } from './passing/relay.ts'
import { Everyone } from './topics/everyone.ts'
import { Occupancy } from './topics/occupancy.ts'
import type { OutboxLimits } from './topics/outbox.ts'
import { after, ClusterTopics, topicOf } from './topics/topics.ts'

/** How this node takes part. */
export interface NodeSettings extends OutboxLimits {
  /** How long the other nodes believe that a silent node lives, in milliseconds. */
  readonly lease: number
  /** False: nowhere, so that other nodes reach it only through the store. */
  readonly listen: ListenOptions | false
  /** Whether nodes that cannot be connected to are reached through the store. */
  readonly relay: boolean
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

/** The version of what nodes say to each other. Nodes with another number before the dot do not understand each other. */
const version = '1.0'

/** After the store has lost data, the nodes have this many leases to claim their sessions again. */
const leasesToClaimAgain = 2
/** When the node ends, its last publications have this time to reach the store. */
const lastWords = 1_000
const shortestRetry = 100
const longestRetry = 1_000

const notReady: Refusal = {
  status: 503,
  reason: 'This server has not joined its cluster yet',
  headers: { 'Retry-After': '1' },
}

export class ClusterNode implements ClusterMember {
  readonly name: string
  readonly #engine: Engine
  readonly #settings: NodeSettings
  readonly #host: ClusterHost
  readonly #owners: Owners
  readonly #topics: ClusterTopics
  readonly #everyone: Everyone
  readonly #occupancy: Occupancy
  #state: 'joining' | 'joined' | 'left' = 'joining'
  readonly #relay: Relay | undefined
  readonly #passing: Passing
  readonly #routes: Routes
  /** The secret of the cluster, by which nodes prove that they belong to it. */
  #secret = ''
  #listener: Listener | undefined
  #own: NodeRecord | undefined
  #timer: NodeJS.Timeout | undefined
  #leaseUntil = 0
  /** Before this time a claim that the store does not know may still be there. */
  #unsureUntil = 0
  /** Before this time the store may have lost claims before this node joined. */
  #newUntil = 0
  #keepAt = 0
  /** When to look for dead nodes whose end no node has noticed. */
  #sweepAt = 0
  /** The store has lost data of this node. */
  #mustTell = false
  /** The server has been told to store its sessions anew. */
  #isStoredAnew = false
  /** It is not known whether the store still has the claims of this node. */
  #mustSecure = false
  /** The lease was over, so another node may be about to take sessions of this node. */
  #mustRenew = false
  #beating: Promise<void> | undefined
  #securing: Promise<void> | undefined
  #renewing: Promise<void> | undefined
  #isLeaving = false
  #isUp = false
  /** How often it was lost or found again. */
  #changes = 0
  /** Why the store cannot be reached. */
  #why = ''
  #received = 0

  constructor(engine: Engine, settings: NodeSettings, host: ClusterHost) {
    this.#engine = engine
    this.#settings = settings
    this.#host = host
    const random = randomBytes(9).toString('base64url')
    this.name = settings.name === undefined ? random : `${settings.name}-${random}`
    this.#owners = new Owners(
      {
        engine,
        name: this.name,
        lost: (session) => host.lost(session),
        proofOf: (session) => this.#routes.proofOf(session) ?? host.proofOf(session),
        forgotten: () => this.#forgotten(),
        isOverdue: () => this.#isOverdue,
        renew: () => this.#renew(),
      },
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
      has: (session) => this.#owners.has(session),
    })
    this.#occupancy = new Occupancy({
      engine,
      name: this.name,
      after,
      random: Math.random,
      topics: () => this.#topics.names(),
      tell: (name, state) => host.topicChanged({ topic: topicOf(name), state }),
    })
    const secret = () => this.#secret
    if (settings.relay)
      this.#relay = new Relay({
        engine,
        name: this.name,
        secret,
        connected: (tunnel) => this.#listener?.take(tunnel),
      })
    this.#passing = new Passing(secret, this.#relay)
    this.#routes = new Routes({
      engine,
      name: this.name,
      owners: this.#owners,
      server: host,
      passing: this.#passing,
      isUp: () => this.#isUp,
      isLeaving: () => this.#isLeaving,
      isUnsure: () => performance.now() < this.#unsureUntil,
      isNew: () => performance.now() < this.#newUntil,
      whoHas: (session) => this.#everyone.whoHas(session),
      kept: () => {
        this.#mustSecure = true
      },
      isReachable: (node) => this.#isReachable(node),
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

  seek(session: string): (isHere: boolean) => void {
    const over = this.#owners.seek(session)
    return (isHere) => over(isHere || this.#routes.isParked(session))
  }

  has(session: string): boolean {
    return this.#owners.has(session)
  }

  settled(session: string): Promise<void> {
    return this.#routes.settled(session)
  }

  async route(session: string, proof: string, opens: boolean): Promise<Route> {
    return this.ready ? this.#routes.route(session, proof, opens) : notReady
  }

  doubt(): Promise<void> | undefined {
    if (this.#state !== 'joined' || !this.#isOverdue) return this.#renewing?.catch(ignore)
    // While the store is away, nobody else can claim a session either.
    return this.#renew().catch(ignore)
  }

  /** Whether others may take this node for dead. */
  get #isOverdue(): boolean {
    return performance.now() > this.#leaseUntil
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#beat().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  received(session: string): void {
    this.#received++
    this.#owners.received(session, this.#host.durable)
  }

  store(changes: readonly SessionChange[]): ReturnType<ClusterMember['store']> {
    return this.#owners.store(changes)
  }

  handOver(session: string, proof: string, state: Uint8Array): Promise<boolean> {
    return this.#routes.handOver(session, proof, state)
  }

  get isHandingOver(): boolean {
    return this.#routes.isHandingOver
  }

  async leave(within: number): Promise<void> {
    if (this.#isLeaving) return
    this.#isLeaving = true
    if (this.#own) this.#own = recordOf(this.#own)
    if (this.#state === 'joined') this.#beat().catch(ignore)
    await this.#passing.leave(within)
    // Sessions that were on their way to this node are handed on to the next one.
    await this.#owners.claimed()
    await this.#routes.handed()
  }

  stopPassing(): void {
    this.#passing.stop()
  }

  ended(session: string): void {
    this.#owners.release(session, true)
  }

  /** Whether requests can be passed on to this node: there is a way to it, and it understands them. */
  #isReachable({ address, version: theirs }: NodeRecord): boolean {
    return (address !== '' || this.#relay !== undefined) && majorOf(theirs) === majorOf(version)
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
      nodes: this.#routes.nodes.length + 1,
      sessions: this.#owners.size,
      passing: this.#passing.size,
      passed: this.#routes.totals.passed,
      relayed: this.#passing.relayed,
      handedOver: this.#routes.totals.handedOver,
      received: this.#received,
      waiting: { messages: entries, bytes },
    }
  }

  view(): ClusterView {
    const own = this.#own
    const others = this.#routes.nodes.map((node) => this.#viewOf(node))
    return {
      stats: this.stats(),
      reason: this.#isUp ? '' : this.#why,
      topics: this.#topics.heard,
      nodes: own ? [this.#viewOf({ ...own, load: this.#load }), ...others] : others,
    }
  }

  #viewOf(node: NodeRecord): NodeView {
    const { name, address, version: theirs, load } = node
    const isHere = name === this.name
    return {
      name,
      address,
      version: theirs,
      isHere,
      isForeign: majorOf(theirs) !== majorOf(version),
      isDraining: load?.isDraining ?? false,
      isRelayed: !isHere && this.#passing.isRelayed(node),
      sessions: load?.sessions,
      fromHere: this.#passing.sizes[name] ?? 0,
      toHere: load?.passing[this.name] ?? 0,
    }
  }

  get #load(): NodeLoad {
    return { sessions: this.#owners.size, isDraining: this.#isLeaving, passing: this.#passing.sizes }
  }

  // ---- life ----

  async #join(retry: number): Promise<void> {
    try {
      await this.#engine.open({
        published: (topic, entries) => this.#topics.arrived(topic, entries),
        told: (data) => (isFrame(data) ? this.#relay?.told(data) : this.#everyone.told(data)),
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
        const { listen } = this.#settings
        const listens = listen === false ? '' : await listener.listen(listen)
        if (this.#state === 'left') {
          await listener.close()
          return
        }
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
      this.#newUntil = performance.now() + leasesToClaimAgain * this.#settings.lease
      this.#host.changed({ state: 'up' })
      this.#beatLater()
    } catch (error) {
      if (this.#state === 'left') return
      this.#why = (error as Error).message
      this.#host.failed(error as Error, this.#settings.atStart === 'fail')
      if (this.#settings.atStart === 'fail') return
      await new Promise((resolve) => {
        this.#timer = setTimeout(resolve, retry * (0.5 + Math.random() / 2))
      })
      if (this.#state === 'joining') await this.#join(Math.min(longestRetry, retry * 2))
    }
  }

  /** Takes the secret that the store has. A store that has lost it gets that of the first node that calls this. */
  async #agree(): Promise<void> {
    this.#secret ||= this.#settings.secret ?? randomBytes(32).toString('base64url')
    if (this.#settings.secret === undefined) this.#secret = await this.#engine.common('secret', this.#secret)
  }

  #connection(state: 'up' | 'down' | 'fresh', why: Error | undefined): void {
    if (this.#state === 'joining' && state === 'fresh') {
      // The secret may be that of the store before: the first beat after the node has joined asks again.
      this.#mustTell = this.#mustSecure = true
    }
    if (this.#state !== 'joined') return
    this.#changes++
    this.#topics.connection(state)
    if (state === 'down') this.#occupancy.connection(false)
    this.#relay?.connection(state !== 'down')
    this.#isUp = state !== 'down'
    this.#why = why?.message ?? ''
    if (state === 'down') this.#host.changed({ state, reason: why })
    else void this.#up(state === 'fresh')
  }

  async #up(isFresh: boolean): Promise<void> {
    const { lease } = this.#settings
    this.#unsureUntil = performance.now() + lease * (isFresh ? leasesToClaimAgain : 1)
    if (isFresh) {
      this.#mustTell = true
      // Sessions that were stored anew before are lost, too.
      this.#isStoredAnew = false
    }
    this.#mustSecure = true
    const changes = this.#changes
    // What the store does not take now, it is asked again with each beat.
    await this.#beat().catch(ignore)
    if (changes === this.#changes) this.#host.changed({ state: 'up' })
  }

  /** Makes sure that the store has the claims of this node, or learns which it has lost. A call meanwhile runs afterwards. */
  async #secure(): Promise<void> {
    this.#mustSecure = true
    const before = this.#securing
    const securing = Promise.resolve(before?.catch(ignore)).then(() => this.#secureOnce())
    this.#securing = securing
    try {
      await securing
    } finally {
      if (this.#securing === securing) this.#securing = undefined
    }
  }

  async #secureOnce(): Promise<void> {
    if (!this.#mustSecure) return
    this.#mustSecure = false
    this.#keepAt = performance.now() + claimLife / 4
    const mustTell = this.#mustTell
    const mustRenew = this.#mustRenew
    this.#mustTell = this.#mustRenew = false
    try {
      if (mustTell) await this.#agree()
      const isAllHanded = await this.#routes.handOverAgain()
      await this.#owners.keep(mustRenew)
      if (!isAllHanded) this.#mustSecure = true
    } catch (error) {
      this.#mustSecure = true
      this.#mustTell ||= mustTell
      this.#mustRenew ||= mustRenew
      throw error
    }
    if (mustTell) {
      if (!this.#isStoredAnew) this.#host.storeAnew()
      this.#occupancy.sayAgain(true)
    }
    // If the store has lost something meanwhile, the next beat does all of this once more.
    if (!this.#mustTell) this.#isStoredAnew = false
    this.#occupancy.connection(true)
    this.#keepAt = performance.now() + claimLife / 4
  }

  /** The store has lost a claim of this node, so it may have lost anything else, of this node and of others. */
  #forgotten(): void {
    if (this.#isStoredAnew) return
    this.#isStoredAnew = true
    this.#mustTell = true
    this.#mustSecure = true
    this.#unsureUntil = performance.now() + leasesToClaimAgain * this.#settings.lease
    // The store has nothing under the new claim: a change alone would be the whole record.
    this.#host.storeAnew()
  }

  /** Says that this node lives, and makes sure of its claims if that is due. */
  async #beat(): Promise<void> {
    if (await this.#say()) await this.#secure()
  }

  /** Says that this node lives. Resolves with whether it is to make sure of its claims. */
  async #say(): Promise<boolean> {
    const asked = performance.now()
    await this.#engine.beat({ ...(this.#own as NodeRecord), load: this.#load }, this.#settings.lease)
    const wasOver = this.#state === 'joined' && this.#leaseUntil < asked
    this.#leaseUntil = asked + this.#settings.lease
    // While the lease was over, other nodes may have taken this one out of the topics.
    if (wasOver && !this.#mustTell) this.#occupancy.sayAgain(false)
    const isDue = this.#state === 'joined' && (wasOver || this.#mustSecure || asked >= this.#keepAt)
    this.#mustSecure ||= isDue
    this.#mustRenew ||= wasOver
    return isDue
  }

  /** With very many claims that takes longer than a lease: meanwhile the node goes on to say that it lives. */
  async #sayAndSecure(): Promise<void> {
    if ((await this.#say()) && !this.#securing) this.#secure().catch(ignore)
  }

  #beatLater(): void {
    this.#timer = setTimeout(() => {
      this.#beating = Promise.all([this.#sayAndSecure(), this.#watch()])
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
    this.#routes.lives(nodes)
    this.#occupancy.seen(nodes.map(({ name }) => name).filter((name) => name !== this.name))
    if (performance.now() >= this.#sweepAt) {
      this.#occupancy.keep()
      this.#sweepAt = performance.now() + claimLife / 4
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'left') return
    this.#state = 'left'
    clearTimeout(this.#timer)
    // This timer keeps the process until the last publications have left: perhaps nothing else does.
    let late: NodeJS.Timeout | undefined
    const isLate = new Promise<void>((resolve) => {
      late = setTimeout(resolve, lastWords)
    })
    await Promise.race([this.#topics.published(), isLate])
    clearTimeout(late)
    this.#topics.close()
    this.#passing.close()
    this.#relay?.close()
    await this.#listener?.close()
    await this.#beating
    await this.#securing?.catch(ignore)
    await this.#occupancy.close()
    await this.#engine.leave(this.name).catch(ignore)
    await this.#engine.close().catch(ignore)
  }
}

function majorOf(version: string): string {
  return version.slice(0, version.indexOf('.'))
}

/** The record of a node that takes no sessions over. */
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

function ignore(): void {}
