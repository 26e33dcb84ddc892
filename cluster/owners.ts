/**
 * Who has which session. A node that opens a session claims it first, in the store, so that two nodes never open the same one.
 * The claims of this node are kept alive in groups; what was learnt of other nodes' claims is remembered until it proves wrong.
 */
import type { SessionChange } from '../server/base/cluster.ts'
import { stateOf } from './durable.ts'
import type { Claim, Engine, Parcel, Stored } from './engine.ts'

/** What the owners need of the node. */
export interface OwnersHost {
  readonly engine: Engine
  /** The name of this node. */
  readonly name: string
  /** Another node has taken a session of this node, because this node seemed dead. */
  lost(session: string): void
}

/** A claim is forgotten after this time if its node died: other nodes take over sooner, from a node whose lease is over. */
export const claimLife = 600_000

/** A session that is over is known as such for so long, if its patience does not ask for more. */
const leastEnded = 60_000

/** So many claims of others are remembered. */
const maxRemembered = 50_000

/** The most claims in one call of the engine. */
const groupSize = 1_000

export class Owners {
  readonly #host: OwnersHost
  readonly #ended: number
  /** The sessions that this node has claimed, with the numbers of the claims. */
  readonly #own = new Map<string, number>()
  readonly #claiming = new Map<string, Promise<Claim | 'ended'>>()
  readonly #others = new Map<string, Claim>()
  readonly #arriving = new Map<string, Uint8Array>()

  constructor(host: OwnersHost, patience: number) {
    this.#host = host
    // Longer than a client tries without a carrier, and its last data may be on the way.
    this.#ended = Math.max(leastEnded, patience * 2)
  }

  /** How many sessions this node has claimed. */
  get size(): number {
    return this.#own.size
  }

  has(session: string): boolean {
    return this.#own.has(session)
  }

  /** Resolves when it is known whether a claim that is under way was successful. */
  async settled(session: string): Promise<void> {
    await this.#claiming.get(session)?.catch(ignore)
  }

  /** The node that has the session. Rejects if the store cannot be reached. */
  async find(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'> {
    const known = this.#others.get(session)
    if (known) return known
    const found = await this.#host.engine.owner(session)
    if (typeof found === 'object' && found.node !== this.#host.name) this.#remember(session, found)
    return found
  }

  /**
   * Claims the session, unless another node has it, or had it and is not `dead`. Those who ask at a time share one claim. `proof`:
   * that it is the client's own session, if it was handed over.
   */
  async claim(session: string, proof: string, dead?: Claim): Promise<Claim | 'ended'> {
    const already = this.#claiming.get(session)
    if (already) return already
    const known = dead ? undefined : this.#others.get(session)
    if (known) return known
    const { engine, name } = this.#host
    const claiming = engine.claim(session, name, claimLife, proof, dead).then((found) => {
      if (typeof found !== 'object') return found
      const claim = found.record ? { ...found, state: stateOf(found.record) } : found
      if (claim.node === name) this.#took(session, claim)
      else this.#remember(session, claim)
      return claim
    })
    this.#claiming.set(session, claiming)
    try {
      return await claiming
    } finally {
      this.#claiming.delete(session)
    }
  }

  /** Resolves when all claims that are under way have come to something, and who asked has been told. */
  async claimed(): Promise<void> {
    await Promise.allSettled(this.#claiming.values())
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** What was handed over to this node a moment ago: the server does not go on with it yet. */
  arriving(session: string): Uint8Array | undefined {
    return this.#arriving.get(session)
  }

  #took(session: string, { fence, state }: Claim): void {
    this.#own.set(session, fence)
    if (!state) return
    this.#arriving.set(session, state)
    // By then the request that asked for it has brought it to the server.
    setImmediate(() => this.#arriving.delete(session))
  }

  /** The claim of another node has proved wrong. */
  forget(session: string): void {
    this.#others.delete(session)
  }

  /** The session was restored from what was handed over: that is not needed any more. */
  received(session: string): void {
    this.#arriving.delete(session)
    const { engine, name } = this.#host
    engine.keep(name, [session], claimLife).catch(ignore)
  }

  /** Hands the session over to the node that its client asks next. Resolves with false if it is not this node's any more. */
  async handOver(session: string, parcel: Parcel, life: number): Promise<boolean> {
    const handed = await this.#host.engine.handOver(session, this.#host.name, parcel, life)
    this.#own.delete(session)
    return handed
  }

  /** Changes what is stored of sessions. Rejects if the store cannot be reached: then it is not known what is stored. */
  async store(changes: readonly SessionChange[]): Promise<readonly Stored[]> {
    const { engine, name } = this.#host
    const own = changes.flatMap((change) => {
      const fence = this.#own.get(change.session)
      return fence === undefined ? [] : [{ ...change, fence }]
    })
    const results = await engine.store(name, own, claimLife)
    const byName = new Map(own.map(({ session }, at) => [session, results[at] as Stored]))
    for (const [session, result] of byName) if (result === 'lost') this.#lose(session)
    return changes.map(({ session }) => byName.get(session) ?? 'lost')
  }

  /** Gives the session up. `ended`: nobody may open it again. */
  release(session: string, ended: boolean): void {
    if (!this.#own.delete(session)) return
    const { engine, name } = this.#host
    // If the store cannot be reached, the claim ends with its life.
    engine.release(session, name, ended ? this.#ended : 0).catch(ignore)
  }

  /** Keeps the claims of this node, and finds out which it has lost. */
  async keep(): Promise<void> {
    for (const sessions of this.#groups()) {
      for (const session of await this.#host.engine.keep(this.#host.name, sessions, claimLife))
        this.#lose(session)
    }
  }

  /** The store has lost everything: this node says again which sessions it has. */
  async claimAgain(): Promise<void> {
    const { engine, name } = this.#host
    for (const sessions of this.#groups()) {
      const claims = await Promise.all(sessions.map((session) => engine.claim(session, name, claimLife, '')))
      claims.forEach((claim, at) => {
        const session = sessions[at] as string
        if (claim === 'ended' || claim.node !== name) this.#lose(session)
        else if (this.#own.has(session)) this.#own.set(session, claim.fence)
      })
    }
  }

  *#groups(): Iterable<string[]> {
    const all = [...this.#own.keys()]
    for (let from = 0; from < all.length; from += groupSize) yield all.slice(from, from + groupSize)
  }

  #lose(session: string): void {
    if (this.#own.delete(session)) this.#host.lost(session)
  }

  #remember(session: string, claim: Claim): void {
    this.#others.delete(session)
    this.#others.set(session, claim)
    for (const oldest of this.#others.keys()) {
      if (this.#others.size <= maxRemembered) return
      this.#others.delete(oldest)
    }
  }
}

function ignore(): void {}
