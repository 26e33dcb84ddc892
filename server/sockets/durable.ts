/**
 * The durable mode: what another server needs to go on with a session is kept in the cluster's store, in groups. What all sessions
 * of a server changed in one turn of the event loop goes there together; what a session changes meanwhile goes with its next change.
 */
import { serialize } from 'node:v8'
import type { ClusterMember, SessionChange } from '../base/cluster.ts'
import { rethrow } from '../base/turn.ts'
import { now } from '../base/wakeups.ts'
import type { BinaryType } from './data.ts'
import type { DurableSession } from './durable-session.ts'
import type { Head, Places, Rest, State } from './record.ts'

/** What the keeper needs of the server. */
export interface KeeperHost {
  store: ClusterMember['store']
  /** What proves whose session it is. */
  proofOf(socket: KeptSocket): string
  /** Up to where the socket has its topics; undefined while it is given what it missed of one. */
  placesOf(socket: KeptSocket): Places | undefined
}

/** A socket whose session is kept. */
export interface KeptSocket {
  readonly id: string
  readonly protocol: string
  readonly isAnnounced: boolean
  readonly shownType: BinaryType
  readonly shownData: unknown
  /** More may leave now. */
  stored(): void
  /** It cannot be kept, because of something in `socket.data`. */
  notKept(): void
}

/** After the store could not be reached, and while a topic is not known yet. */
const retryPause = 100
/** While the store stays away the pauses grow up to this one. */
const longestPause = 1_000
/** An exchange whose messages are not safe yet is answered after this time: its client is told to wait. */
const longestHold = 500
/** What the other end has is dropped with the next change, or by itself if it is more than this: groups, and bytes. */
const mostGroups = 64
const mostBytes = 128 * 1024
/** So many groups are dropped at a time. */
const dropAtOnce = 1_000

export class Keeper {
  readonly #host: KeeperHost
  readonly #changed = new Set<Kept>()
  /** How many groups are on their way to the store. */
  #underWay = 0
  #isScheduled = false
  readonly #all = new Set<Kept>()

  constructor(host: KeeperHost) {
    this.#host = host
  }

  /** Stores a session that begins, before its client is told that it has. Rejects, or gives false, if that is not possible. */
  async begin(id: string, proof: string, protocol: string): Promise<boolean> {
    const head: Head = [0, 0, [0, 0, false, false, []]]
    const rest: Rest = { proof, protocol, binaryType: 'nodebuffer', undelivered: [], data: {} }
    const set = new Map<string, string | Uint8Array>([
      ['h', JSON.stringify(head)],
      ['d', serialize(rest)],
    ])
    const [stored] = await this.#host.store([{ session: id, whole: proof, drop: [], set }])
    return stored === 'stored'
  }

  /** `isNew`: the record is that of `begin`. */
  keep(socket: KeptSocket, session: DurableSession, isNew: boolean): Kept {
    const kept = new Kept(socket, session, this, this.#host, isNew)
    this.#all.add(kept)
    if (!isNew) kept.changed()
    return kept
  }

  forget(kept: Kept): void {
    this.#all.delete(kept)
    this.#changed.delete(kept)
  }

  /** The store has lost what it knew. */
  storeAnew(): void {
    for (const kept of this.#all) kept.storeAnew()
  }

  add(kept: Kept): void {
    this.#changed.add(kept)
    if (this.#isScheduled) return
    this.#isScheduled = true
    // While something is on its way, more sessions are changed in this pass of the event loop. Else it need not wait for the next one.
    if (this.#underWay > 0) setImmediate(this.#storeChanged)
    else process.nextTick(this.#storeChanged)
  }

  readonly #storeChanged = (): void => {
    this.#isScheduled = false
    const all: Kept[] = []
    const changes: SessionChange[] = []
    for (const kept of this.#changed) {
      const change = kept.take()
      if (!change) continue
      all.push(kept)
      changes.push(change)
    }
    this.#changed.clear()
    if (changes.length > 0) void this.#store(all, changes)
  }

  async #store(all: readonly Kept[], changes: readonly SessionChange[]): Promise<void> {
    this.#underWay++
    const results = await this.#host.store(changes).catch(() => undefined)
    this.#underWay--
    for (const [at, kept] of all.entries()) kept.answered(results?.[at])
  }
}

/** Messages that were stored together. */
interface Group {
  readonly first: number
  readonly last: number
  readonly bytes: number
}

/** What is on its way to the store. */
interface Pending {
  readonly taken: number
  readonly last: number
  readonly state: string
  readonly rest: Buffer
  readonly group: Group | undefined
  readonly dropped: number
}

/** One session's part of the store. */
export class Kept {
  readonly #socket: KeptSocket
  readonly #session: DurableSession
  readonly #keeper: Keeper
  readonly #host: KeeperHost
  #isOver = false
  /** Made once: it takes a hash. */
  #proof = ''
  /** The whole record is to be stored. */
  #isWhole: boolean
  /** What is stored. */
  #last: number
  #state = ''
  #rest: Buffer | undefined
  #groups: Group[] = []
  #groupBytes = 0
  #pending: Pending | undefined
  /** Something has changed since what is on its way was taken. */
  #isChanged = false
  /** Looks again, after a pause. There is never more than one. */
  #again: NodeJS.Timeout | undefined
  /** How often the store could not be reached, one time after the other. */
  #failures = 0
  #hold: NodeJS.Timeout | undefined
  /** Exchanges have waited for too long. */
  #isLate = false

  constructor(socket: KeptSocket, session: DurableSession, keeper: Keeper, host: KeeperHost, isNew: boolean) {
    this.#socket = socket
    this.#session = session
    this.#keeper = keeper
    this.#host = host
    this.#isWhole = !isNew
    this.#last = isNew ? 0 : session.acknowledged.number
  }

  /** Something may have changed. */
  changed(): void {
    if (this.#isOver) return
    if (this.#pending) this.#isChanged = true
    else if (!this.#isWaiting) this.#keeper.add(this)
  }

  /** The client has more of what it was sent: what it has is dropped if that is much. */
  acknowledged(): void {
    if (this.#groups.length >= mostGroups || this.#groupBytes >= mostBytes) this.changed()
  }

  storeAnew(): void {
    this.#isWhole = true
    this.#failures = 0
    this.changed()
  }

  close(): void {
    this.#isOver = true
    clearTimeout(this.#hold)
    clearTimeout(this.#again)
    this.#keeper.forget(this)
  }

  /** The application's listeners have been called; those that returned a promise are not done before it settles. */
  told(promises: readonly PromiseLike<unknown>[]): void {
    if (promises.length === 0) return
    const number = this.#session.handle()
    const handled = (): void => {
      this.#session.handled(number)
      this.changed()
    }
    // Of what is no promise and has `then`, such as a query, that is called once: each call may be an effect.
    const all = promises.map((promise) => Promise.resolve(promise))
    void Promise.allSettled(all).then((results) => {
      // One that is rejected and that nobody handles ends the process, before anything says that this message is done.
      if (results.some(({ status }) => status === 'rejected')) setImmediate(handled)
      else handled()
    })
    void Promise.all(all)
  }

  /** Whether an exchange may be answered: what it brought is stored, or it has waited for long enough. */
  get mayAnswer(): boolean {
    if (this.#session.isSafe) {
      clearTimeout(this.#hold)
      this.#hold = undefined
      this.#isLate = false
      return true
    }
    this.#hold ??= setTimeout(() => {
      this.#isLate = true
      this.#socket.stored()
    }, longestHold).unref()
    return this.#isLate
  }

  /** The client has to wait. */
  get isLate(): boolean {
    return this.#isLate && !this.#session.isSafe
  }

  // ---- storing ----

  /** What has changed since the last time; undefined if nothing has. */
  take(): SessionChange | undefined {
    const socket = this.#socket
    // Before the application knows of it, what is stored already is all there is.
    if (this.#isOver || this.#pending || !socket.isAnnounced) return undefined
    const session = this.#session
    this.#proof ||= this.#host.proofOf(socket)
    const places = this.#host.placesOf(socket)
    if (!places) {
      this.#later()
      return undefined
    }
    // It must be known from where to go on.
    if (places.some(([, place]) => place === undefined)) this.#later()
    const { base, last, epoch, taken, ownClose, over } = session.numbers
    const state = JSON.stringify([taken, ownClose, over, true, places] satisfies State)
    let rest: Buffer
    try {
      rest = serialize({
        proof: this.#proof,
        protocol: socket.protocol,
        binaryType: socket.shownType,
        undelivered: session.undelivered(),
        data: socket.shownData,
      } satisfies Rest)
    } catch (error) {
      rethrow(error)
      socket.notKept()
      return undefined
    }
    const whole = this.#isWhole
    if (whole) {
      this.#groups = []
      this.#groupBytes = 0
      this.#last = base
    }
    const first = Math.max(this.#last, base) + 1
    const isRestNew = whole || !this.#rest?.equals(rest)
    let dropped = 0
    let droppedBytes = 0
    for (const group of this.#groups) {
      if (group.last > base || dropped === dropAtOnce) break
      dropped++
      droppedBytes += group.bytes
    }
    if (
      !isRestNew &&
      state === this.#state &&
      first > last &&
      dropped < mostGroups &&
      droppedBytes < mostBytes
    )
      return undefined
    const set = new Map<string, string | Uint8Array>([['h', `[${base},${epoch},${state}]`]])
    if (isRestNew) set.set('d', rest)
    let group: Group | undefined
    if (first <= last) {
      const messages = session.written(first, last)
      set.set(String(first), messages)
      group = { first, last, bytes: messages.length }
    }
    this.#isChanged = false
    this.#isWhole = false
    this.#pending = { taken, last, state, rest, group, dropped }
    const drop = this.#groups.slice(0, dropped).map((one) => String(one.first))
    return { session: socket.id, whole: whole ? this.#proof : undefined, drop, set }
  }

  /** What became of it; undefined: that is not known. */
  answered(result: 'stored' | 'lost' | 'unknown' | undefined): void {
    const pending = this.#pending as Pending
    this.#pending = undefined
    if (this.#isOver) return
    if (result !== 'stored') {
      // All is stored again, so it does not matter what of it is stored already. Who has lost the session is told so.
      this.#isWhole = true
      if (result === 'lost') return
      this.#later(Math.min(retryPause * 2 ** this.#failures, longestPause))
      this.#failures++
      return
    }
    this.#failures = 0
    this.#last = pending.last
    this.#state = pending.state
    this.#rest = pending.rest
    for (const { bytes } of this.#groups.splice(0, pending.dropped)) this.#groupBytes -= bytes
    if (pending.group) {
      this.#groups.push(pending.group)
      this.#groupBytes += pending.group.bytes
    }
    this.#session.stored(pending.taken, pending.last, now())
    if (this.#isChanged) this.#keeper.add(this)
    this.#socket.stored()
  }

  /** The store could not be reached, and is not asked before the pause is over. */
  get #isWaiting(): boolean {
    return this.#failures > 0 && this.#again !== undefined
  }

  #later(pause = retryPause): void {
    clearTimeout(this.#again)
    this.#again = setTimeout(() => {
      this.#again = undefined
      this.changed()
    }, pause).unref()
  }
}
