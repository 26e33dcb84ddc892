/**
 * Topics across nodes. What is published goes to the store and comes back from there, also to the subscribers of the node that
 * published it: so each topic has one order. A node listens only to topics that have subscribers on it.
 */
import type { ClusterHost, Latecomer, SharedTopics } from '../../server/base/cluster.ts'
import { rethrow } from '../../server/base/turn.ts'
import type { Engine, Entries, History, Place } from '../base/engine.ts'
import { type After, Retries } from '../base/retries.ts'
import type { Closing } from './closings.ts'
import { type Entry, readEntry, type Said } from './entry.ts'
import { Outbox, type OutboxLimits } from './outbox.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

export interface TopicsSetting extends OutboxLimits {
  readonly engine: Pick<Engine, 'publish' | 'subscribe' | 'unsubscribe' | 'history'>
  /** The name of this node. */
  readonly name: string
  readonly host: Pick<ClusterHost, 'deliver' | 'disconnect' | 'gap'>
  /** How long a subscriber may be on the way from another node. Default: no subscribers come from other nodes. */
  readonly patience?: number
  /** Told how many clients were closed here because of a `disconnect`. */
  readonly closed?: (closing: Closing, count: number) => void
  /** The topic has its first subscriber here, or has had none for a while. `name`: the topic in the words of the engine. */
  readonly changed?: (name: string, isUsed: boolean) => void
  readonly after: After
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number
}

export const defaultLimits: OutboxLimits = { maxWaiting: 16 * 1024 * 1024, maxWaitingEntries: 10_000 }

/**
 * How long a node still listens to a topic that has lost its last subscriber, so that the reload of a page costs
 * nothing.
 */
const lingers = 1_000
/** The pause between two tries to read the history for a subscriber that came from another node. */
const catchUpPause = 200
const start: Place = { epoch: '', offset: 0 }
const maxLingering = 10_000
/**
 * After one or two of these times a publication must have come back to the subscribers of this node; otherwise the
 * node reads the history.
 */
const comesBackIn = 1_000
/** The most topics that read their history at a time. */
const maxReading = 64
/** All clients, in the words of the engine. The application's topics have a prefix. */
const everyone = 'everyone'

export class ClusterTopics implements SharedTopics {
  readonly #setting: TopicsSetting
  readonly #host: SubscriptionHost
  readonly #retries: Retries
  readonly #outbox: Outbox
  readonly #subscriptions = new Map<string, Subscription>()
  /** The topics that have lost their last subscriber, with the function that calls off their end. */
  readonly #lingering = new Map<Subscription, () => void>()
  /** For each topic the senders that `publish` was given, by number, until the publication has come back. */
  readonly #senders = new Map<string, Map<number, object>>()
  #senderCount = 0
  /** By topic the last number that the store has and that has not come back yet: for less than a second, and for longer. */
  #expected = new Map<string, number>()
  #overdue = new Map<string, number>()
  #stopWaiting: (() => void) | undefined
  #isUp = false
  /** The store has lost data, and subscribers on their way from another node do not know it. Calls off the timer that ends this. */
  #movedOn: (() => void) | undefined
  readonly #toRead = new Set<Subscription>()
  #reading = 0

  constructor(setting: TopicsSetting) {
    this.#setting = setting
    const { engine, name } = setting
    const retries = new Retries(setting.after, setting.random)
    this.#retries = retries
    this.#outbox = new Outbox({
      name,
      limits: setting,
      retries,
      everyone,
      publish: (topic, batch) => engine.publish(topic, batch),
      settled: (topic, through) => {
        // Nobody here listens, so nothing comes back.
        if (!this.#subscriptions.has(topic)) this.#forget(topic, through)
        else if (this.#isExpected(topic, through)) this.#expect(topic, through)
      },
    })
    this.#host = {
      isUp: () => this.#isUp,
      subscribe: (topic) => engine.subscribe(topic),
      history: (topic, after) => engine.history(topic, after),
      mayRead: (subscription) => {
        this.#toRead.add(subscription)
        this.#readNext()
      },
      hasRead: () => {
        this.#reading--
        this.#readNext()
      },
      worked: () => retries.worked(),
      failed: (subscription) => retries.later(subscription),
      take: (subscription, entry) => this.#take(subscription, entry),
      gap: ({ topic }) =>
        this.#guard(() => {
          setting.host.gap(topic)
          // The lost entries may have said that messages of any topic are lost.
          if (topic === undefined) this.#gaps()
        }),
    }
  }

  // ---- for the server ----

  publish(
    topic: string | undefined,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    sender: object,
  ): void {
    this.#add(topic, { kind: 'message', binary, except, data }, sender)
  }

  disconnect(topic: string, code: number | undefined, reason: string, sender: object): number {
    return this.#add(topic, { kind: 'disconnect', code, reason }, sender)
  }

  /** Whether what is published to the topic comes here. */
  hears(topic: string): boolean {
    return this.#subscriptions.has(nameOf(topic))
  }

  isPending(topic: string | undefined): boolean {
    return this.#senders.has(nameOf(topic))
  }

  subscribed(topic: string | undefined): void {
    const name = nameOf(topic)
    const known = this.#subscriptions.get(name)
    if (known) {
      this.#lingering.get(known)?.()
      this.#lingering.delete(known)
      return
    }
    this.#subscriptions.set(name, new Subscription(name, topic, this.#host))
    if (topic !== undefined) this.#setting.changed?.(name, true)
  }

  placeOf(topic: string): Place | undefined {
    return this.#subscriptions.get(nameOf(topic))?.place
  }

  async catchUp(topic: string, from: Place, latecomer: Latecomer): Promise<void> {
    const { engine, host } = this.#setting
    const name = nameOf(topic)
    let place = from
    let told: (() => void) | undefined
    /** The store still has the entries that the latecomer has had. */
    let isKept = false
    /** The latecomer had more than the subscribers here, and the store could not be asked whether it still has that. */
    let wasAhead = false
    for (;;) {
      const subscription = this.#subscriptions.get(name)
      await subscription?.placed()
      const here = subscription?.place
      if (!here || subscription?.isOver || !latecomer.isThere()) return
      // The store has lost data while the latecomer was on its way: entries at places that it has passed may be new.
      const loss = this.#movedOn
      if (loss && loss !== told) host.gap(topic)
      told = loss
      const isSame = here.epoch === place.epoch
      const isAhead = isSame && place.offset > here.offset
      // After a loss, the entries up to the latecomer's place may be new ones.
      if (loss && wasAhead && !isAhead) host.gap(topic)
      wasAhead = isAhead && !isKept
      if (isSame && place.offset === here.offset) {
        latecomer.caughtUp()
        return
      }
      if (isAhead && isKept) {
        // The latecomer has entries that the subscribers here are still to get.
        await new Promise<void>((resolve) =>
          subscription?.reaches(place, () => {
            latecomer.caughtUp()
            resolve()
          }),
        )
        return
      }
      let history: History | undefined
      try {
        history = isSame ? await engine.history(name, place) : undefined
      } catch {
        await new Promise<void>((resolve) => this.#setting.after(catchUpPause, resolve))
        continue
      }
      if (isAhead && history) {
        isKept = history.from.epoch === place.epoch && history.from.offset > place.offset
        if (isKept) continue
        // The store went back to older data: entries at these places are new from now on.
        host.gap(topic)
        return
      }
      if (!history || history.isGap) {
        host.gap(topic)
        if (!history || history.from.epoch !== place.epoch) return
      }
      place = this.#giveLate(subscription as Subscription, history, latecomer)
    }
  }

  /** Gives the latecomer the entries that the subscribers here have had. Returns the place that is reached. */
  #giveLate(subscription: Subscription, { from, entries }: History, latecomer: Latecomer): Place {
    const { topic, place: here = start } = subscription
    const count = here.epoch === from.epoch ? here.offset - from.offset + 1 : 0
    const given = entries.slice(0, Math.max(0, count))
    for (const bytes of given) {
      const entry = readEntry(bytes)
      const said = entry?.said
      if (entry) subscription.gaveLate(entry)
      this.#guard(() => {
        if (said?.kind === 'message') latecomer.deliver(said.data, said.binary, said.except)
        else if (said?.kind === 'disconnect') latecomer.disconnect(said.code, said.reason)
        else this.#setting.host.gap(topic)
      })
    }
    return { epoch: from.epoch, offset: from.offset + given.length - 1 }
  }

  unsubscribed(topic: string | undefined): void {
    const subscription = this.#subscriptions.get(nameOf(topic))
    if (!subscription || this.#lingering.has(subscription)) return
    this.#lingering.set(
      subscription,
      this.#setting.after(lingers, () => this.#end(subscription)),
    )
    const [oldest] = this.#lingering.keys()
    if (this.#lingering.size > maxLingering) this.#end(oldest as Subscription)
  }

  // ---- for the node ----

  /** Resolves when the store has everything that was published. */
  published(): Promise<void> {
    return this.#outbox.empty()
  }

  /** The topics that have subscribers here, or had some a moment ago, in the words of the engine. */
  *names(): Iterable<string> {
    for (const { name, topic } of this.#subscriptions.values()) if (topic !== undefined) yield name
  }

  /** How many topics this node listens to, and for how many of them entries must still be read. */
  get heard(): { readonly heard: number; readonly behind: number } {
    const all = [...this.#subscriptions.values()].filter(({ topic }) => topic !== undefined)
    return { heard: all.length, behind: all.filter(({ isBehind }) => isBehind).length }
  }

  /** The entries that wait to be published. */
  get waiting(): { readonly entries: number; readonly bytes: number } {
    return this.#outbox.waiting
  }

  /** The state of the engine's connection; `'up'` also when the engine was opened. */
  connection(state: 'up' | 'down' | 'fresh'): void {
    this.#isUp = state !== 'down'
    if (!this.#isUp) {
      this.#outbox.connection(false)
      return
    }
    const { patience } = this.#setting
    if (state === 'fresh' && patience !== undefined) {
      this.#movedOn?.()
      this.#movedOn = this.#setting.after(patience, () => {
        this.#movedOn = undefined
      })
    }
    this.#retries.now()
    for (const subscription of this.#subscriptions.values()) subscription.connected(state === 'fresh')
    this.#outbox.connection(true)
  }

  /** The engine brings entries of this topic. */
  arrived(name: string, entries: Entries): void {
    this.#subscriptions.get(name)?.published(entries)
  }

  close(): void {
    this.#isUp = false
    this.#outbox.connection(false)
    this.#retries.close()
    this.#stopWaiting?.()
    this.#movedOn?.()
    for (const cancel of this.#lingering.values()) cancel()
    for (const subscription of this.#subscriptions.values()) subscription.end()
    this.#lingering.clear()
    this.#subscriptions.clear()
    this.#toRead.clear()
  }

  // ---- publishing ----

  /** Returns the number of the entry. */
  #add(topic: string | undefined, said: Said, sender: object): number {
    const name = nameOf(topic)
    const seq = this.#outbox.nextOf(name)
    let senders = this.#senders.get(name)
    if (!senders) {
      senders = new Map()
      this.#senders.set(name, senders)
    }
    senders.set(seq, sender)
    // Senders of entries that were dropped, or that the store never brings back, are forgotten here.
    if (++this.#senderCount > 2 * this.#setting.maxWaitingEntries) {
      const [oldest] = senders.keys()
      this.#forget(name, oldest as number)
    }
    this.#outbox.add(name, said)
    return seq
  }

  /** The publications to this topic up to this number have come back, or never will. */
  #forget(name: string, through: number): void {
    const senders = this.#senders.get(name)
    for (const seq of senders?.keys() ?? []) {
      if (seq > through) break
      senders?.delete(seq)
      this.#senderCount--
    }
    if (senders?.size === 0) this.#senders.delete(name)
  }

  #isExpected(name: string, through: number): boolean {
    const [oldest = Number.POSITIVE_INFINITY] = this.#senders.get(name)?.keys() ?? []
    return oldest <= through
  }

  /** The store has these entries, so they come back soon; otherwise they got lost, or were published before this node listened. */
  #expect(name: string, through: number): void {
    this.#expected.set(name, through)
    this.#stopWaiting ??= this.#setting.after(comesBackIn, () => this.#lookForMissing())
  }

  #lookForMissing(): void {
    this.#stopWaiting = undefined
    const overdue = this.#overdue
    this.#overdue = this.#expected
    this.#expected = new Map()
    if (this.#overdue.size > 0)
      this.#stopWaiting = this.#setting.after(comesBackIn, () => this.#lookForMissing())
    for (const [name, through] of overdue)
      if (this.#isExpected(name, through))
        this.#subscriptions.get(name)?.reread(() => this.#forget(name, through))
  }

  // ---- subscriptions ----

  #end(subscription: Subscription): void {
    const { name, topic } = subscription
    this.#lingering.get(subscription)?.()
    this.#lingering.delete(subscription)
    this.#subscriptions.delete(name)
    this.#toRead.delete(subscription)
    subscription.end()
    if (!this.#outbox.has(name)) this.#forget(name, Number.POSITIVE_INFINITY)
    this.#setting.engine.unsubscribe(name).catch(() => {})
    if (topic !== undefined) this.#setting.changed?.(name, false)
  }

  #readNext(): void {
    for (const subscription of this.#toRead) {
      if (this.#reading >= maxReading) return
      this.#toRead.delete(subscription)
      this.#reading++
      subscription.readHistory()
    }
  }

  #take({ topic, name }: Subscription, { publisher, seq, said }: Entry): void {
    const { host } = this.#setting
    let sender: object | undefined
    if (publisher === this.#setting.name) {
      sender = this.#senders.get(name)?.get(seq)
      this.#forget(name, seq)
    }
    this.#guard(() => {
      if (said.kind === 'gaps') this.#gaps()
      if (said.kind === 'gaps' || said.kind === 'gap' || said.kind === 'unknown') host.gap(topic)
      // This node no longer knows who must not get the message.
      else if (publisher === this.#setting.name && !sender) host.gap(topic)
      else if (said.kind === 'message') host.deliver(topic, said.data, said.binary, said.except, sender)
      else if (topic !== undefined) {
        const count = host.disconnect(topic, said.code, said.reason, sender)
        this.#setting.closed?.({ topic, publisher, seq }, count)
      }
    })
  }

  /** An exception of the application must not stop other messages. */
  #guard(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      rethrow(error)
    }
  }

  /** Messages of any topic may be lost. */
  #gaps(): void {
    for (const { topic, willTell } of this.#subscriptions.values())
      if (topic !== undefined && !willTell) this.#setting.host.gap(topic)
  }
}

/** The topic in the words of the engine, which may write all lone surrogates alike: such a topic is written as JSON. */
function nameOf(topic: string | undefined): string {
  if (topic === undefined) return everyone
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : `topic:${topic}`
}

/** The topic in the words of the application. */
export function topicOf(name: string): string {
  return name.startsWith('json:') ? (JSON.parse(name.slice(5)) as string) : name.slice(name.indexOf(':') + 1)
}

/** A timer that does not keep the process. */
export function after(ms: number, ring: () => void): () => void {
  const timer = setTimeout(ring, ms).unref()
  return () => clearTimeout(timer)
}
