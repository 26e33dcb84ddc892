/**
 * Who has which session. A node that opens a session claims it first, in the store, so that two nodes never open the same one.
 * The claims of this node are kept alive in groups. Claims of other nodes are remembered until they prove wrong.
 */
import type { SessionChange } from '../../server/base/cluster.ts'
import { stateOf } from '../base/durable.ts'
import type { Claim, Claimed, Engine, Parcel, Stored } from '../base/engine.ts'

/** What the owners need of the node. */
export interface OwnersHost {
  readonly engine: Engine
  /** The name of this node. */
  readonly name: string
  /** Another node has taken a session of this node, because this node seemed dead. */
  lost(session: string): void
  /** The proof for the session, a hash of its key; empty if this node does not have the session. */
  proofOf(session: string): string
  /** The store has forgotten a claim of this node, so it has lost something. */
  forgotten(): void
  /** Whether the lease of this node is over, as far as it knows: then the others may take it for dead. */
  isOverdue(): boolean
  /** Resolves when the lease holds again. Rejects if the store cannot be reached. */
  renew(): Promise<void>
}

/** A claim that is not kept ends after this time. Other nodes take it over sooner: when the lease of its node is over. */
export const claimLife = 600_000

/** The store knows a session as ended for at least this long. */
const leastEnded = 60_000

/** The most claims of other nodes that are remembered. */
const maxRemembered = 50_000

/** The most claims in one call of the engine. */
const groupSize = 1_000

export class Owners {
  readonly #host: OwnersHost
  readonly #endedLife: number
  /** How long a new claim lasts until it is kept: at least `patience`, so that a session that was handed over waits as long as before. */
  readonly #life: number
  /** The sessions that this node has claimed, with the numbers of the claims. */
  readonly #own = new Map<string, number>()
  /**
   * Claims of sessions that another node had handed over or stored, until the server goes on with them. The store keeps the session
   * until then: if this request does not bring it to the server, the next request claims it again.
   */
  readonly #brought = new Map<string, number>()
  /** In durable mode: sessions that the server goes on with and has not stored yet. The store still has what the node before left. */
  readonly #unstored = new Set<string>()
  /** The claims under way: by session, and for each session by the question. */
  readonly #claiming = new Map<string, Map<string, Promise<Claimed>>>()
  /** Sessions that ended here while a claim was under way. The store may answer what was true before. */
  readonly #ended = new Set<string>()
  /** How many requests look for a session or open it. */
  readonly #seekers = new Map<string, number>()
  readonly #others = new Map<string, Claim>()

  constructor(host: OwnersHost, patience: number) {
    this.#host = host
    this.#life = Math.max(claimLife, patience)
    // Longer than a client tries without a carrier, because its last data may still be on the way.
    this.#endedLife = Math.max(leastEnded, patience * 2)
  }

  /** How many sessions this node has claimed. */
  get size(): number {
    return this.#own.size
  }

  has(session: string): boolean {
    return this.#own.has(session)
  }

  /**
   * A request looks for this session or opens it, until it calls the returned function. `isHere`: the server has the session. When the
   * last such request is over and the server does not have the session, this node gives up its claim.
   */
  seek(session: string): (isHere: boolean) => void {
    this.#seekers.set(session, (this.#seekers.get(session) ?? 0) + 1)
    return (isHere) => {
      const others = (this.#seekers.get(session) as number) - 1
      if (others > 0) {
        this.#seekers.set(session, others)
        return
      }
      this.#seekers.delete(session)
      this.#brought.delete(session)
      if (!isHere) this.release(session, false)
    }
  }

  /** Resolves when it is known whether claims that are under way were successful. */
  async settled(session: string): Promise<void> {
    await Promise.allSettled(this.#claiming.get(session)?.values() ?? [])
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
   * Claims the session, unless a node other than `dead` has it. Requests that ask the same at the same time share one claim. `proof`
   * shows that a session that was handed over or stored is the client's own.
   */
  async claim(session: string, proof: string, dead?: Claim): Promise<Claimed> {
    const question = `${proof} ${dead?.node} ${dead?.fence}`
    const all = this.#claiming.get(session) ?? new Map<string, Promise<Claimed>>()
    const already = all.get(question)
    if (already) return already
    const known = dead ? undefined : this.#others.get(session)
    if (known) return known
    const claiming = this.#claim(session, proof, dead)
    this.#claiming.set(session, all.set(question, claiming))
    try {
      return await claiming
    } finally {
      all.delete(question)
      if (all.size === 0) {
        this.#claiming.delete(session)
        this.#ended.delete(session)
      }
    }
  }

  /**
   * A claim counts only while the lease of this node holds: otherwise another node may take this one for dead, and may be about to
   * take the session from it. A second claim has another number, so that the other node comes too late.
   */
  async #claim(session: string, proof: string, dead?: Claim): Promise<Claimed> {
    const claim = await this.#ask(session, proof, dead)
    if (typeof claim === 'string' || claim.node !== this.#host.name || !this.#host.isOverdue()) return claim
    await this.#host.renew()
    const again = await this.#ask(session, proof, claim)
    if (typeof again === 'object' && again.node === this.#host.name && this.#host.isOverdue())
      throw new Error('The store is too slow for the lease')
    return again
  }

  async #ask(session: string, proof: string, dead?: Claim): Promise<Claimed> {
    const { engine, name } = this.#host
    const found = await engine.claim(session, name, this.#life, proof, dead)
    if (typeof found === 'string') return found
    if (this.#ended.has(session)) return 'ended'
    const { node, fence, record } = found
    const state = record ? stateOf(record) : found.state
    if (node !== name) this.#remember(session, { node, fence })
    else if (state && !this.#own.has(session)) {
      this.#brought.set(session, fence)
      return { node, fence, state }
    } else this.#own.set(session, fence)
    // The server goes on with the session already, and needs no state.
    return { node, fence }
  }

  /** Resolves when all claims under way have an answer, and those who asked have been told. */
  async claimed(): Promise<void> {
    await Promise.allSettled([...this.#claiming.values()].flatMap((all) => [...all.values()]))
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** The claim of another node has proved wrong. */
  forget(session: string): void {
    this.#others.delete(session)
  }

  /** The server goes on with a session of another node. `isStored`: it stores the session, which replaces what the node before left. */
  received(session: string, isStored: boolean): void {
    const fence = this.#brought.get(session)
    if (fence === undefined) return
    this.#brought.delete(session)
    this.#own.set(session, fence)
    if (isStored) this.#unstored.add(session)
  }

  /**
   * Takes what the node before handed over out of the store, before the server goes on with it: once the application here has been
   * told of more, nobody may go on from there. Resolves with false if this node does not have the session any more. Rejects if that
   * is not known.
   */
  async takeOut(session: string): Promise<boolean> {
    const { engine, name } = this.#host
    this.received(session, false)
    const missing = await engine.keep(name, [session], claimLife)
    if (missing.length > 0) await this.#claimAgain(session)
    return this.#own.has(session)
  }

  /**
   * Hands the session over to the node that its client asks next. Resolves with false if another node has it, or it is over. Rejects if
   * that is not known.
   */
  async handOver(session: string, parcel: Parcel, life: number): Promise<boolean> {
    const { engine, name } = this.#host
    if (!(await engine.handOver(session, name, parcel, life))) {
      await this.#claimAgain(session)
      if (!this.#own.has(session)) return false
      if (!(await engine.handOver(session, name, parcel, life))) throw new Error('The store forgets')
    }
    this.#drop(session)
    this.#brought.delete(session)
    return true
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
    for (const [at, { session, whole }] of own.entries())
      if (whole !== undefined && results[at] === 'stored') this.#unstored.delete(session)
    // Nobody has these sessions, except those that this node has claimed anew meanwhile.
    const forgotten = own.filter(
      (one, at) => results[at] === 'unknown' && this.#own.get(one.session) === one.fence,
    )
    await Promise.all(forgotten.map(({ session }) => this.#claimAgain(session)))
    for (const { session } of forgotten) if (!this.#own.has(session)) byName.set(session, 'lost')
    return changes.map(({ session }) => byName.get(session) ?? 'lost')
  }

  /** Gives the session up. `ended`: nobody may open it again. */
  release(session: string, ended: boolean): void {
    if (!this.#drop(session)) return
    if (ended && this.#claiming.has(session)) this.#ended.add(session)
    const { engine, name } = this.#host
    // If the store cannot be reached, the claim ends with its life.
    engine.release(session, name, ended ? this.#endedLife : 0).catch(ignore)
  }

  /**
   * Keeps the claims of this node, makes those again that the store has forgotten, and finds out which sessions another node has.
   * `wasOver`: others may have taken this node for dead, and may be about to take its sessions.
   */
  async keep(wasOver = false): Promise<void> {
    const { engine, name } = this.#host
    for (const sessions of this.#groups()) {
      const whole = sessions.filter((session) => !this.#unstored.has(session))
      const missing = await (wasOver ? this.#renew(whole) : engine.keep(name, whole, claimLife))
      const unstored = sessions.filter((session) => this.#unstored.has(session))
      await Promise.all([...missing, ...unstored].map((session) => this.#claimAgain(session)))
    }
  }

  /** Keeps these claims under other numbers. Returns those that the store does not know. */
  async #renew(sessions: readonly string[]): Promise<string[]> {
    const { engine, name } = this.#host
    const numbers = await engine.renew(name, sessions, claimLife)
    for (const [session, fence] of numbers) if (this.#own.has(session)) this.#own.set(session, fence)
    return sessions.filter((session) => !numbers.has(session))
  }

  /** The store does not know the claim of this node: the node gets the session back if nobody has it; otherwise it has lost it. */
  async #claimAgain(session: string): Promise<void> {
    const { engine, name } = this.#host
    const fence = this.#own.get(session)
    // The session may have been given up meanwhile.
    if (fence === undefined) return
    const proof = this.#host.proofOf(session)
    // A store with older data may have the claim of an earlier owner, or the session as an earlier owner handed it over.
    let claim = await engine.claim(session, name, claimLife, proof, undefined, fence)
    if (!this.#own.has(session)) return
    if (typeof claim === 'object' && claim.node !== name && claim.fence < fence)
      claim = await engine.claim(session, name, claimLife, proof, claim, fence)
    if (!this.#own.has(session)) return
    if (typeof claim === 'string' || claim.node !== name) {
      this.#lose(session)
      return
    }
    this.#own.set(session, claim.fence)
    // A claim that is repeated has the same number.
    if (claim.fence !== fence) this.#host.forgotten()
    if (claim.state && !this.#unstored.has(session)) await engine.keep(name, [session], claimLife)
  }

  *#groups(): Iterable<string[]> {
    const all = [...this.#own.keys()]
    for (let from = 0; from < all.length; from += groupSize) yield all.slice(from, from + groupSize)
  }

  #lose(session: string): void {
    if (this.#drop(session)) this.#host.lost(session)
  }

  #drop(session: string): boolean {
    this.#unstored.delete(session)
    return this.#own.delete(session)
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
