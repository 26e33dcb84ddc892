/**
 * Where the requests of a session go: to the node that has the session, or may have it. This node asks the store; while the store
 * cannot be reached, or may have lost claims, it asks the other nodes.
 */
import type { IncomingMessage } from 'node:http'
import type { ClusterHost, Elsewhere, Passed, Route } from '../../server/base/cluster.ts'
import { each } from '../../server/base/each.ts'
import type { Refusal } from '../../server/base/handshake.ts'
import { wait } from '../../server/base/wait.ts'
import type { Claim, Claimed, Engine, NodeRecord, Parcel } from '../base/engine.ts'
import { isAddress } from '../passing/lines.ts'
import type { Outcome, Passing } from '../passing/passing.ts'
import type { Owners } from './owners.ts'
import { Silence } from './silence.ts'

/** The most parcels on the way to a store that is back: each may have some megabytes. */
const handedAtOnce = 8
/** The pause after all known nodes were asked in vain. */
const pause = 100

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

/** A session that this node hands over, until it knows that the store has it. */
interface Parked extends Parcel {
  /** The store may have got it: then this node does not go on with the session before the store has said who has it. */
  readonly isSent: boolean
  readonly handed: Promise<'handed' | 'kept' | 'lost'>
}

export interface RoutesHost {
  readonly engine: Pick<Engine, 'node' | 'nodes'>
  /** The name of this node. */
  readonly name: string
  readonly owners: Owners
  readonly server: Pick<ClusterHost, 'path' | 'recovers' | 'durable' | 'patience' | 'origin'>
  readonly passing: Passing
  /** Whether the store can be reached, as far as this node knows. */
  isUp(): boolean
  /** Whether this node opens no sessions any more. */
  isLeaving(): boolean
  /** Whether a claim that the store does not know may still be there. */
  isUnsure(): boolean
  /** Whether this node joined so lately that the store may have lost claims before without its knowledge. */
  isNew(): boolean
  /** Asks the other nodes which of them has the session. */
  whoHas(session: string): Promise<string | undefined>
  /** A session could not be handed over and is still here: it is to be tried again. */
  kept(): void
  /** Whether requests can be passed on to this node. */
  isReachable(node: NodeRecord): boolean
}

export class Routes {
  readonly #host: RoutesHost
  /** The other nodes that are known to live. */
  readonly #nodes = new Map<string, NodeRecord>()
  readonly #parked = new Map<string, Parked>()
  /** Sessions that others have handed over, and that this node is about to go on with or to hand on. */
  readonly #arriving = new Map<
    string,
    { readonly proof: string; readonly route: Promise<Route | undefined> }
  >()
  readonly #silence = new Silence({
    look: async (name) => {
      const node = await this.#look(name)
      return node && (() => this.#host.passing.connect(node))
    },
  })
  readonly totals: { passed: number; handedOver: number } = { passed: 0, handedOver: 0 }

  constructor(host: RoutesHost) {
    this.#host = host
  }

  /** The other nodes, as far as they are known. */
  get nodes(): readonly NodeRecord[] {
    return [...this.#nodes.values()]
  }

  /** These are all nodes that live. Requests that wait for any other node end. */
  lives(nodes: readonly NodeRecord[]): void {
    const { name, passing } = this.#host
    // Kept, so that these nodes can be asked while the store is away.
    this.#nodes.clear()
    for (const node of nodes) if (node.name !== name) this.#nodes.set(node.name, usable(node))
    passing.lives(new Set(this.#nodes.keys()))
  }

  /** Whether this node still has the session that it hands over. */
  isParked(session: string): boolean {
    return this.#parked.has(session)
  }

  /** The proof of a session that this node hands over, or is about to go on with; undefined for any other. */
  proofOf(session: string): string | undefined {
    return (this.#parked.get(session) ?? this.#arriving.get(session))?.proof
  }

  get isHandingOver(): boolean {
    return this.#parked.size > 0
  }

  /** Resolves when it is known whether this node gets a session for which it has asked. */
  async settled(session: string): Promise<void> {
    await this.#host.owners.settled(session)
    await Promise.allSettled([this.#arriving.get(session)?.route])
    await this.#parked.get(session)?.handed
  }

  /** Resolves when each session that this node hands over is in the store, or stays here for now. */
  async handed(): Promise<void> {
    await Promise.allSettled([...this.#arriving.values()].map(({ route }) => route))
    await Promise.allSettled([...this.#parked.values()].map(({ handed }) => handed))
  }

  /** Who answers for a session that the server does not have. */
  async route(session: string, proof: string, opens: boolean): Promise<Route> {
    try {
      let hasTried = false
      for (;;) {
        const parked = this.#parked.get(session)
        if (parked?.proof !== proof) break
        await parked.handed
        // It may be being handed over once more by now.
        if (this.#parked.get(session) !== parked) continue
        if (!parked.isSent) {
          this.#parked.delete(session)
          return parked
        }
        if (hasTried) return unsure
        hasTried = true
        await this.handOver(session, proof, parked.state)
      }
      return await this.#route(session, proof, opens)
    } catch {
      // The store cannot be asked: one of the others may have the session.
      return this.#anybody(session)
    }
  }

  async #route(session: string, proof: string, opens: boolean): Promise<Route> {
    const found =
      opens && !this.#host.isLeaving()
        ? await this.#host.owners.claim(session, proof)
        : await this.#host.owners.find(session)
    if (found === 'ended') return 'nobody'
    if (found === 'nobody') {
      if (opens) return leaving
      return this.#nobody(session)
    }
    if (found === 'stale') return this.#nobody(session)
    if (found === 'waiting') {
      // An event stream has no proof: its client asks for another ticket.
      if (proof === '') return 'nobody'
      if (this.#host.isLeaving() || !this.#host.server.recovers) return this.#adopter(session)
      return this.#mine(session, proof, await this.#host.owners.claim(session, proof), opens)
    }
    if (found.node === this.#host.name) return this.#mine(session, proof, found, opens)
    const node = await this.#node(found.node)
    // The store has lost its data, and that node may not have said yet that it lives.
    if (!node && this.#host.isUnsure()) return this.#anybody(session)
    if (node) return this.#host.isReachable(node) ? this.#elsewhere(session, node) : unsure
    this.#host.owners.forget(session)
    // That node is dead, but it may have handed the session over before it ended: ask the store again.
    const still = await this.#host.owners.find(session)
    if (typeof still !== 'object' || still.fence !== found.fence) return this.#route(session, proof, opens)
    this.#host.owners.forget(session)
    return this.#revive(session, proof, found, opens)
  }

  /**
   * The node that has the session is dead. If it has stored the session, or was given it and had not gone on with it yet, the session
   * goes on here, or elsewhere if this node is about to end.
   */
  async #revive(session: string, proof: string, dead: Claim, opens: boolean): Promise<Route> {
    const { owners, server, isLeaving } = this.#host
    // An event stream has no proof: its client asks for another ticket.
    if (proof === '') return 'nobody'
    if (server.recovers) {
      if (isLeaving()) return this.#adopter(session)
    } else if (!opens || isLeaving()) return 'nobody'
    return this.#mine(session, proof, await owners.claim(session, proof, dead), opens)
  }

  /** Nobody has the session, as far as the store knows. */
  #nobody(session: string): Route | Promise<Route> {
    if (this.#host.isUnsure()) return this.#anybody(session)
    return this.#host.isNew() ? this.#askAll(session) : 'nobody'
  }

  /** This node has the session, as far as the store knows, or asked for it. */
  async #mine(session: string, proof: string, claim: Claimed, opens: boolean): Promise<Route> {
    const { owners, name } = this.#host
    if (claim === 'ended') return 'nobody'
    if (claim === 'stale') return this.#nobody(session)
    if (claim.node !== name) {
      // Another node was first.
      const node = await this.#node(claim.node)
      return node && this.#host.isReachable(node) ? this.#elsewhere(session, node) : unsure
    }
    const arriving = this.#arriving.get(session)
    if (arriving && arriving.proof !== proof) return 'nobody'
    if (arriving || claim.state)
      return (
        (await (arriving?.route ?? this.#arrived(session, proof, claim.state as Uint8Array))) ??
        this.route(session, proof, opens)
      )
    // This node may be handing the session over by now.
    const parked = this.#parked.get(session)
    if (parked) return parked.proof === proof ? this.route(session, proof, opens) : 'nobody'
    if (owners.has(session)) return opens ? 'here' : 'nobody'
    // No request has brought the session to the server yet; this one may. An event stream has no proof.
    if (proof === '') return 'nobody'
    if (this.#host.isLeaving()) {
      const found = await owners.find(session)
      if (found === 'waiting') return this.#adopter(session)
      if (typeof found !== 'object' || found.node !== name) return 'nobody'
    }
    return this.#mine(session, proof, await owners.claim(session, proof), opens)
  }

  /** Another node has handed the session over. Resolves with undefined if the store must be asked again. */
  #arrived(session: string, proof: string, state: Uint8Array): Promise<Route | undefined> {
    const route = this.#take(session, proof, state)
    const arriving = { proof, route }
    this.#arriving.set(session, arriving)
    const over = (): void => {
      if (this.#arriving.get(session) === arriving) this.#arriving.delete(session)
    }
    // Requests that come before the server has the session get the same route.
    route.then((found) => (found ? setImmediate(over) : over()), over)
    return route
  }

  /**
   * Goes on with the session here. If this node is about to end by now, the next node gets it. The store forgets the parcel before
   * this node goes on: if this node dies then, the session ends, and nobody goes on from an older state.
   */
  async #take(session: string, proof: string, state: Uint8Array): Promise<Route | undefined> {
    const { owners, server, isLeaving } = this.#host
    if (isLeaving()) {
      // If the store cannot be reached, it still has the parcel: another request brings it to a node.
      if (await owners.handOver(session, { proof, state }, server.patience)) this.totals.handedOver++
      return this.#adopter(session)
    }
    // In durable mode the store keeps the parcel until the session is stored from here.
    if (server.durable) return { state }
    try {
      if (!(await owners.takeOut(session))) return undefined
      if (!isLeaving()) return { state }
    } catch {
      // The store may have forgotten the parcel, so it is handed over once more.
    }
    await this.handOver(session, proof, state)
    return undefined
  }

  /** Another node, which takes a waiting session over: this one is about to end, or does not have the option `recover`. */
  async #adopter(session: string): Promise<Route> {
    const { path } = this.#host.server
    const nodes = (await this.#host.engine.nodes())
      .map(usable)
      .filter(
        (node) => node.name !== this.#host.name && this.#host.isReachable(node) && node.recovers === path,
      )
    const node = nodes[Math.floor(Math.random() * nodes.length)]
    return node ? this.#elsewhere(session, node, true) : unsure
  }

  /** The store knows nobody, but it may have lost claims: asks all nodes whether they have the session. */
  async #askAll(session: string): Promise<Route> {
    const name = await this.#host.whoHas(session)
    if (name === undefined) return 'nobody'
    // `name` may be this node: another request may have brought the session here meanwhile.
    const node = name === this.#host.name ? undefined : await this.#node(name)
    return node && this.#host.isReachable(node) ? this.#elsewhere(session, node) : unsure
  }

  /** Passes the request to all other nodes, one after the other. */
  #anybody(session: string): Route {
    const nodes = [...this.#nodes.values()].filter((node) => this.#host.isReachable(node))
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
    const { passing } = this.#host
    const passed = async (outcome: Outcome): Promise<boolean> => {
      if (outcome === 'answered') {
        this.totals.passed++
        return true
      }
      this.#host.owners.forget(session)
      if (outcome === 'unreachable') await this.#silence.over(node.name)
      return false
    }
    const origin = (request: IncomingMessage): Passed => ({ ...this.#host.server.origin(request), adopt })
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

  /** Hands a session over to the node that its client asks next. Resolves with false if the store could not take it. */
  async handOver(session: string, proof: string, state: Uint8Array): Promise<boolean> {
    const isSent = this.#parked.get(session)?.isSent || this.#host.isUp()
    const handed = isSent ? this.#handOver(session, proof, state) : Promise.resolve('kept' as const)
    this.#parked.set(session, { proof, state, isSent, handed })
    const outcome = await handed
    if (outcome === 'kept') {
      this.#host.kept()
      return false
    }
    this.#parked.delete(session)
    if (outcome === 'handed') this.totals.handedOver++
    return true
  }

  /** Tries again to hand over what the store has not confirmed. Resolves with whether nothing is left. */
  async handOverAgain(): Promise<boolean> {
    await each([...this.#parked], handedAtOnce, async ([session, parked]) => {
      if ((await parked.handed) === 'kept' && this.#parked.get(session) === parked)
        await this.handOver(session, parked.proof, parked.state)
    })
    return this.#parked.size === 0
  }

  async #handOver(session: string, proof: string, state: Uint8Array): Promise<'handed' | 'kept' | 'lost'> {
    try {
      const parcel = { proof, state }
      const isHanded = await this.#host.owners.handOver(session, parcel, this.#host.server.patience)
      return isHanded ? 'handed' : 'lost'
    } catch {
      // The store cannot be reached: the client finds the session here.
      return 'kept'
    }
  }

  async #node(name: string): Promise<NodeRecord | undefined> {
    return this.#nodes.get(name) ?? this.#look(name)
  }

  /** Asks the store for a node. */
  async #look(name: string): Promise<NodeRecord | undefined> {
    const found = await this.#host.engine.node(name)
    if (!found) {
      this.#nodes.delete(name)
      this.#host.passing.cut(name)
      return undefined
    }
    const node = usable(found)
    this.#nodes.set(name, node)
    return node
  }
}

/** Without an address that is none: the node is then reached through the store. */
function usable(node: NodeRecord): NodeRecord {
  return isAddress(node.address) ? node : { ...node, address: '' }
}
