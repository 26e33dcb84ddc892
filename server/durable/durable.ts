/**
 * The durable mode: the cluster's store has a record of each session, with which another server can go on. The changes of all sessions
 * of a server in one turn of the event loop are stored together. What a session changes meanwhile is stored with its next change.
 */
import { serialize } from 'node:v8'
import type { ClusterMember, SessionChange } from '../base/cluster.ts'
import { now } from '../base/wakeups.ts'
import type { BinaryType } from '../messages/data.ts'
import type { DurableSession } from './durable-session.ts'
import { warnOfData } from './parcel.ts'
import type { Head, Places, Rest, State } from './record.ts'

/** What the keeper needs of the server. */
export interface KeeperHost {
  store: ClusterMember['store']
  /** The proof for the session, a hash of its key. */
  proofOf(socket: KeptSocket): string
  /** The places up to which the socket has its topics; undefined while it still gets missed messages of one. */
  placesOf(socket: KeptSocket): Places | undefined
}

/** A socket whose session is kept. */
export interface KeptSocket {
  readonly id: string
  readonly protocol: string
  readonly isAnnounced: boolean
  readonly shownType: BinaryType
  readonly shownData: unknown
  /** More messages and acknowledgements may leave now. */
  stored(): void
  /** The session cannot be stored, because of a value in `socket.data`. */
  notKept(): void
}

/** The pause after the store could not be reached, and while the place of a topic is not known yet. */
const retryPause = 100
/** While the store stays away, the pauses grow up to this. */
const longestPause = 1_000
/** An exchange whose messages are not safe yet is answered after this time: its client is told to wait. */
const longestHold = 500
/** Messages that the other end has are dropped with the next change, or without one if there are more groups or bytes than this. */
const mostGroups = 64
const mostBytes = 128 * 1024
/** The most groups that are dropped at a time. */
const dropAtOnce = 1_000

export class Keeper {
  readonly #host: KeeperHost
  readonly #changed = new Set<Kept>()
  /** How many calls to the store are under way. */
  #underWay = 0
  #isScheduled = false
  readonly #all = new Set<Kept>()

  constructor(host: KeeperHost) {
    this.#host = host
  }

  /** Stores a new session, before its client gets the welcome. Rejects, or resolves with false, if that is not possible. */
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

  /** From now on stores this session. `isNew`: the record is that of `begin`. */
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

  /** The store has lost data: stores all sessions as a whole again. */
  storeAnew(): void {
    for (const kept of this.#all) kept.storeAnew()
  }

  add(kept: Kept): void {
    this.#changed.add(kept)
    if (this.#isScheduled) return
    this.#isScheduled = true
    // While a call is under way, wait for more changed sessions of this pass of the event loop. Otherwise store at once.
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

/** The change that is on its way to the store. */
interface Pending {
  readonly taken: number
  readonly last: number
  readonly state: string
  readonly rest: Buffer
  readonly group: Group | undefined
  readonly dropped: number
}

/** The record of one session in the store. */
export class Kept {
  readonly #socket: KeptSocket
  readonly #session: DurableSession
  readonly #keeper: Keeper
  readonly #host: KeeperHost
  #isOver = false
  /** Computed once, because it is a hash. */
  #proof = ''
  /** The next change is the whole record. */
  #isWhole: boolean
  /** The last own message that is stored; the state, the rest and the groups as they are stored. */
  #last: number
  #state = ''
  #rest: Buffer | undefined
  #groups: Group[] = []
  #groupBytes = 0
  #pending: Pending | undefined
  /** The session has changed since `#pending` was taken. */
  #isChanged = false
  /** The timer for the next look after a pause. There is never more than one. */
  #again: NodeJS.Timeout | undefined
  /** How often in a row the store could not be reached. */
  #failures = 0
  #hold: NodeJS.Timeout | undefined
  /** A short exchange has waited for longer than `longestHold`. */
  #isLate = false

  constructor(socket: KeptSocket, session: DurableSession, keeper: Keeper, host: KeeperHost, isNew: boolean) {
    this.#socket = socket
    this.#session = session
    this.#keeper = keeper
    this.#host = host
    this.#isWhole = !isNew
    this.#last = isNew ? 0 : session.acknowledged.number
  }

  /** The session may have changed. */
  changed(): void {
    if (this.#isOver) return
    if (this.#pending) this.#isChanged = true
    else if (!this.#isWaiting) this.#keeper.add(this)
  }

  /** The client has acknowledged messages: they are dropped if they are many. */
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

  /** The application's listeners have been called. A listener that returned a promise is done when the promise is settled. */
  told(promises: readonly PromiseLike<unknown>[]): void {
    if (promises.length === 0) return
    const number = this.#session.handle()
    const handled = (): void => {
      this.#session.handled(number)
      this.changed()
    }
    // An object with `then` that is no promise, such as a query: `then` is called only once, because each call may have an effect.
    const all = promises.map((promise) => Promise.resolve(promise))
    void Promise.allSettled(all).then((results) => {
      // An unhandled rejection ends the process. Later, so that the message is not stored as done before that.
      if (results.some(({ status }) => status === 'rejected')) setImmediate(handled)
      else handled()
    })
    void Promise.all(all)
  }

  /** Whether a short exchange may be answered: its messages are stored, or it has waited for long enough. */
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

  /** Whether the client has to wait: the server takes no messages now. */
  get isLate(): boolean {
    return this.#isLate && !this.#session.isSafe
  }

  // ---- storing ----

  /** What has changed since the last time; undefined if nothing has. */
  take(): SessionChange | undefined {
    const socket = this.#socket
    // Before the application knows of the session, the record of `begin` is all there is.
    if (this.#isOver || this.#pending || !socket.isAnnounced) return undefined
    const session = this.#session
    this.#proof ||= this.#host.proofOf(socket)
    const places = this.#host.placesOf(socket)
    if (!places) {
      this.#later()
      return undefined
    }
    // Another server must know from which place of each topic to go on.
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
      warnOfData(error)
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

  /** What became of the change; undefined: it is not known. */
  answered(result: 'stored' | 'lost' | 'unknown' | undefined): void {
    const pending = this.#pending as Pending
    this.#pending = undefined
    if (this.#isOver) return
    if (result !== 'stored') {
      // The whole record is stored next, so it does not matter how much of this change is stored. If the session is lost, the
      // cluster tells the server so.
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

  /** Whether the store could not be reached, and must not be asked before the pause is over. */
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
