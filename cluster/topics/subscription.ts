/**
 * One topic of which a node wants every message, once and in order. The node knows its place in the topic's history.
 * If an entry does not follow that place, the node keeps it until it has read from the history what stands between.
 */
import type { Entries, History, Place } from '../base/engine.ts'
import type { Trying } from '../base/retries.ts'
import { type Entry, readEntry } from './entry.ts'

export interface SubscriptionHost {
  /** Whether there is a connection to the store. */
  isUp(): boolean
  subscribe(name: string): Promise<Place>
  history(name: string, after: Place): Promise<History>
  /** Asks to read the history, which only some subscriptions do at a time: calls `subscription.readHistory` when it may. */
  mayRead(subscription: Subscription): void
  /** The subscription has read its history, or could not. */
  hasRead(): void
  worked(): void
  failed(subscription: Subscription): void
  take(subscription: Subscription, entry: Entry): void
  gap(subscription: Subscription): void
}

interface Held {
  readonly entries: Entries
  /** How often the history had been read when the entries came. */
  readonly asked: number
}

/** The most entries that wait. If there are more, they are dropped and read again from the history. */
const maxHeldEntries = 1_000
const maxHeldBytes = 1024 * 1024
/** The most publishers of a topic whose numbers are remembered. */
const maxPublishers = 1_000

export class Subscription implements Trying {
  /** The topic in the words of the engine. */
  readonly name: string
  /** The topic in the words of the application; undefined: all clients. */
  readonly topic: string | undefined
  readonly #host: SubscriptionHost
  #place: Place | undefined
  /** Publisher and number of the entry at this place: a store with older data has another entry there. */
  #last: string | undefined
  /** The number of the last entry of each publisher. */
  readonly #publishers = new Map<string, number>()
  #held: Held[] = []
  #heldEntries = 0
  #heldBytes = 0
  /** Entries between this place and the next that comes may be missing. */
  #isUnsure = false
  /** A gap is to be told: messages may have come before there was a place, or the store may have lost some. */
  #missed = false
  #isAsking = false
  #asked = 0
  #isOver = false
  readonly #awaiting: (() => void)[] = []
  /** Subscribers that came from another node and have more than this node has told, and the place up to which they have it. */
  #ahead: { readonly place: Place; readonly reached: () => void }[] = []
  /** Callbacks for the next time that the history has been read. */
  #rereading: (() => void)[] = []

  constructor(name: string, topic: string | undefined, host: SubscriptionHost) {
    this.name = name
    this.topic = topic
    this.#host = host
    if (!host.isUp()) this.#missed = true
    else this.#subscribe()
  }

  /** The place of the last entry that was told. */
  get place(): Place | undefined {
    return this.#place
  }

  /** Whether a gap is about to be told. */
  get willTell(): boolean {
    return this.#missed
  }

  /** Whether entries must still be read that other nodes may have told already. */
  get isBehind(): boolean {
    return !this.#place || this.#isUnsure || this.#isAsking || this.#held.length > 0
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Resolves when the subscription has a place, or is over. */
  placed(): Promise<void> {
    if (this.#place || this.#isOver) return Promise.resolve()
    return new Promise((resolve) => this.#awaiting.push(resolve))
  }

  /** Calls `reached` when the entries up to this place have been told here, or will not come any more. */
  reaches(place: Place, reached: () => void): void {
    this.#ahead.push({ place, reached })
    this.#tellReached()
  }

  /** `all`: calls back everybody, because the history may be another one now. */
  #tellReached(all = false): void {
    if (this.#ahead.length === 0) return
    const here = this.#place
    const isBehind = (place: Place): boolean =>
      !all && here?.epoch === place.epoch && here.offset < place.offset
    const reached = this.#ahead.filter(({ place }) => !isBehind(place))
    this.#ahead = this.#ahead.filter(({ place }) => isBehind(place))
    for (const one of reached) one.reached()
  }

  /** Nobody needs the topic any more. */
  end(): void {
    this.#isOver = true
    this.#tellReached(true)
    for (const go of this.#awaiting.splice(0)) go()
    this.#drop()
  }

  /** There is another connection to the store. `lost`: the store has lost data. */
  connected(lost: boolean): void {
    this.#isUnsure = true
    if (lost) {
      this.#missed = true
      this.#tellReached(true)
    }
    this.tryAgain()
  }

  /** Reads the history again. `done` is called when everything that the store has now was told. */
  reread(done: () => void): void {
    this.#rereading.push(done)
    this.#isUnsure = true
    this.tryAgain()
  }

  tryAgain(): void {
    if (this.#isOver || this.#isAsking || !this.#host.isUp()) return
    if (!this.#place) this.#subscribe()
    else if (this.#isUnsure || this.#held.length > 0) this.#host.mayRead(this)
  }

  published(entries: Entries): void {
    const mustWait = this.#isAsking || this.#isUnsure || this.#held.length > 0
    if (mustWait || !this.#takeNext(entries)) this.#hold({ entries, asked: this.#asked })
  }

  /** Takes the entries behind the place. Returns false if entries between are missing. */
  #takeNext({ from, entries }: Entries): boolean {
    const place = this.#place
    if (!place || from.epoch !== place.epoch || from.offset > place.offset + 1) return false
    for (const [i, bytes] of entries.entries()) {
      if (from.offset + i > (this.#place as Place).offset) this.#take(from.offset + i, bytes)
      else if (this.#isNew(bytes)) {
        this.#isUnsure = true
        this.tryAgain()
      }
    }
    return true
  }

  #take(offset: number, bytes: Uint8Array): void {
    this.#place = { epoch: (this.#place as Place).epoch, offset }
    const entry = readEntry(bytes)
    this.#last = entry && keyOf(entry)
    if (!entry) this.#host.gap(this)
    else if (this.#isNext(entry)) this.#host.take(this, entry)
    this.#tellReached()
  }

  /** A subscriber that came from another node was given this entry, which stands before the place. */
  gaveLate(entry: Entry): void {
    this.#isNext(entry)
  }

  /** Whether the entry is new by the numbers of its publisher. A store that has lost data may get an entry a second time. */
  #isNext({ publisher, seq }: Entry): boolean {
    const publishers = this.#publishers
    if ((publishers.get(publisher) ?? 0) >= seq) return false
    publishers.delete(publisher)
    publishers.set(publisher, seq)
    if (publishers.size > maxPublishers) publishers.delete(publishers.keys().next().value as string)
    return true
  }

  /** Whether this is a new entry at a place that this node has passed: then the store went back to older data. */
  #isNew(bytes: Uint8Array): boolean {
    const entry = readEntry(bytes)
    return entry !== undefined && (this.#publishers.get(entry.publisher) ?? 0) < entry.seq
  }

  #hold(held: Held): void {
    this.#held.push(held)
    const { entries } = held.entries
    this.#heldEntries += entries.length
    for (const { length } of entries) this.#heldBytes += length
    if (this.#heldEntries > maxHeldEntries || this.#heldBytes > maxHeldBytes) {
      this.#drop()
      this.#isUnsure = true
    }
    this.tryAgain()
  }

  #drop(): Held[] {
    const held = this.#held
    this.#held = []
    this.#heldEntries = 0
    this.#heldBytes = 0
    return held
  }

  #subscribe(): void {
    this.#ask(
      () => this.#host.subscribe(this.name),
      (place) => {
        this.#place = place
        for (const go of this.#awaiting.splice(0)) go()
        this.#tellMissed()
        this.#takeHeld(-1)
      },
    )
  }

  readHistory(): void {
    const place = this.#place
    if (this.#isOver || !place || !this.#host.isUp()) {
      this.#host.hasRead()
      return
    }
    this.#isUnsure = false
    const asked = ++this.#asked
    const rereading = this.#rereading
    this.#rereading = []
    // Also read the last entry again: it shows whether the store still has what this node has taken.
    const back = this.#last === undefined ? 0 : 1
    this.#ask(
      () => this.#host.history(this.name, { epoch: place.epoch, offset: place.offset - back }),
      (history) => {
        this.#fill(history)
        for (const reread of rereading) reread()
        this.#takeHeld(asked)
      },
      (isRead) => {
        if (!isRead) this.#rereading.push(...rereading)
        this.#host.hasRead()
      },
    )
  }

  /** Takes the entries of the history that follow the place. */
  #fill({ from, entries }: History): void {
    const { epoch, offset } = this.#place as Place
    const isShorter = from.offset + entries.length - 1 < offset
    const isSame =
      from.epoch === epoch && !isShorter && !(from.offset === offset && this.#differs(entries[0]))
    // Another history, or its entries do not reach back to the place: begin there, and tell a gap.
    if (!isSame || from.offset > offset + 1) {
      this.#place = { epoch: from.epoch, offset: from.offset - 1 }
      this.#last = undefined
      this.#missed = true
      this.#tellReached(true)
    }
    this.#tellMissed()
    this.#takeNext({ from, entries })
  }

  /** Whether this entry is another one than this node took at its place. */
  #differs(bytes: Uint8Array | undefined): boolean {
    const entry = bytes && readEntry(bytes)
    return this.#last !== undefined && (!entry || keyOf(entry) !== this.#last)
  }

  #tellMissed(): void {
    if (!this.#missed) return
    this.#missed = false
    this.#host.gap(this)
  }

  /**
   * Takes the entries that came meanwhile. Those that came before the history was asked for are in the answer, or the store has lost
   * them: then others can stand at their places.
   */
  #takeHeld(answered: number): void {
    // First it must be known whether entries before them are missing.
    if (this.#isUnsure) return
    for (const held of this.#drop())
      if (held.asked >= answered && (this.#held.length > 0 || !this.#takeNext(held.entries))) this.#hold(held)
  }

  #ask<T>(question: () => Promise<T>, use: (answer: T) => void, done?: (isAnswered: boolean) => void): void {
    this.#isAsking = true
    question().then(
      (answer) => {
        this.#isAsking = false
        done?.(true)
        if (this.#isOver) return
        this.#host.worked()
        use(answer)
        this.tryAgain()
      },
      () => {
        this.#isAsking = false
        done?.(false)
        if (this.#isOver) return
        this.#isUnsure = true
        if (!this.#place) this.#missed = true
        if (this.#host.isUp()) this.#host.failed(this)
      },
    )
  }
}

function keyOf({ publisher, seq }: Entry): string {
  return `${publisher} ${seq}`
}
