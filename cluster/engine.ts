/**
 * What joins servers: a store and a way to tell each other something. Redis is one (`everwire/redis`), memory another. An engine
 * knows nothing of sessions' contents, of requests or of the application.
 *
 * Every call that needs the store is rejected while the store cannot be reached: an engine neither waits nor keeps what it could
 * not do. Whether to wait, to try again or to give up is the caller's decision.
 */
import type { NodeLoad } from '../server/base/cluster.ts'

/** A server process of the cluster. Its name is new with each start, so it never means an earlier process. */
export interface NodeRecord {
  readonly name: string
  /** Where other nodes reach it, `host:port`. Empty: nowhere. */
  readonly address: string
  /** The version of what nodes say to each other; nodes with another major number do not understand each other. */
  readonly version: string
  /** The path that its server takes, if it goes on with sessions that another node hands over. */
  readonly recovers?: string
  /** What it is busy with. */
  readonly load?: NodeLoad
}

/** Who has a session, and the number of this claim: each new owner of a session has a higher one. */
export interface Claim {
  readonly node: string
  readonly fence: number
  /** What the owner before handed over. The claim that took the session over brings it, again and again, until the claim is kept. */
  readonly state?: Uint8Array | undefined
}

/** A session that its owner has handed over, and that waits for the node that its client asks next. */
export interface Parcel {
  /** A hash of the session's key: nobody else gets the session. The key itself is never stored. */
  readonly proof: string
  readonly state: Uint8Array
}

/** A place in the history of a topic. Offsets count within one epoch; a history that was lost begins a new epoch. */
export interface Place {
  readonly epoch: string
  readonly offset: number
}

/** What one publisher adds to a topic at a time. */
export interface Batch {
  /** Who publishes. */
  readonly publisher: string
  /** The number of the first entry. Of each publisher and topic they rise; what has come already is not added again. */
  readonly seq: number
  readonly entries: readonly Uint8Array[]
}

/** Consecutive entries of a topic. */
export interface Entries {
  /** The place of the first one. Of no entries: the place of the next that will come. */
  readonly from: Place
  readonly entries: readonly Uint8Array[]
}

/** What is left of a topic's history after a place, up to its last entry. */
export interface History extends Entries {
  /** Entries between that place and `from` are gone, or it is the place of another epoch. */
  readonly isGap: boolean
}

/** How many nodes have subscribers of a topic. */
export interface Occupied {
  readonly nodes: number
  /** Whether the store did not know already what was said. */
  readonly isNew: boolean
}

/** What an engine tells the node that it serves. Nothing is told before `open` has resolved. */
export interface EngineListener {
  /**
   * Something was published to a topic that this node subscribes to. After a break of the connection some may be missing: then nothing
   * is told before `connection`. Nobody changes the entries any more.
   */
  published(topic: string, entries: Entries): void
  /** Another node says something to this one. */
  told(data: Uint8Array): void
  /**
   * The store can be reached again, or no longer. `'up'` comes after all subscriptions stand again, so what was missed can be read
   * with `history`. `'fresh'` is `'up'` with a store that has lost what it knew, or some of it, as a replica may have that took over.
   */
  connection(state: 'up' | 'down' | 'fresh', why?: Error): void
}

export interface Engine {
  /** Connects. Rejects if the store cannot be reached or cannot be used; it may be called again. */
  open(listener: EngineListener): Promise<void>
  /** Ends all connections. Nothing of the engine keeps the process afterwards. */
  close(): Promise<void>

  /** The value under this name that all nodes share: the one that was stored first. */
  common(name: string, proposal: string): Promise<string>

  // ---- nodes ----

  /** Says that the node lives for another `lease` milliseconds. */
  beat(node: NodeRecord, lease: number): Promise<void>
  /** Says that the node ends now. */
  leave(node: string): Promise<void>
  /** The node, or undefined if its lease is over. */
  node(name: string): Promise<NodeRecord | undefined>
  /** All nodes whose lease is not over. */
  nodes(): Promise<readonly NodeRecord[]>
  /** Says something to a node, at most once; `told` there. */
  tell(node: string, data: Uint8Array): Promise<void>

  // ---- sessions ----

  /**
   * Makes the node the owner of the session if nobody has it, if `instead` has it, or if it was handed over; returns who has it then.
   * `'ended'`: the session is over, or was handed over with another `proof`: nobody gets it. The claim lasts `life` milliseconds
   * unless it is kept.
   */
  claim(session: string, node: string, life: number, proof: string, instead?: Claim): Promise<Claim | 'ended'>
  /** Who has the session. `'nobody'`: it is unknown. `'waiting'`: it was handed over. */
  owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'>
  /**
   * Gives the session up for whoever claims it next, within `life` milliseconds. Resolves with false if the node does not have it
   * any more.
   */
  handOver(session: string, node: string, parcel: Parcel, life: number): Promise<boolean>
  /** Makes the claims of this node last `life` milliseconds from now, and forgets what was handed over to it. Returns the sessions that it does not have any more. */
  keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]>
  /** Gives a claim up, if it still is the node's. `ended`: for how many milliseconds the session is known as ended; 0: not at all. */
  release(session: string, node: string, ended: number): Promise<void>

  // ---- topics ----

  /** Appends to the topic's history and tells its subscribers, in one step. */
  publish(topic: string, batch: Batch): Promise<void>
  /**
   * From now on `published` is called for this topic. Resolves with the last place of its history when `subscribe` was called: what this
   * node publishes before the call is in front of that place, and what it publishes after the call is behind it.
   */
  subscribe(topic: string): Promise<Place>
  /** Nothing more of this topic, whether the store can be reached or not. */
  unsubscribe(topic: string): Promise<void>
  /** What was published after this place, as far as it is kept. */
  history(topic: string, after: Place): Promise<History>

  // ---- which topics have subscribers, for nodes that want to know ----

  /** Notes that the node has subscribers of the topic. */
  occupy(topic: string, node: string): Promise<Occupied>
  /** Notes that the node has none any more. */
  vacate(topic: string, node: string): Promise<Occupied>
  /** Notes that the node has none of any topic. Resolves with the topics that no node has any more. */
  vacateAll(node: string): Promise<readonly string[]>
  /** The nodes that have subscribers, as far as they said so; also those that are dead. */
  occupants(): Promise<readonly string[]>
}
