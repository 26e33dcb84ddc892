/**
 * What joins servers: a store, and a way for nodes to send something to each other. Redis is one (`everwire/redis`),
 * memory another. An engine does not know what is in a session, in a request or in the application. While the store
 * cannot be reached, every call that needs it is rejected: an engine does not wait, and does not keep a call that
 * failed. The caller decides whether to wait, to try again or to give up.
 */
import type { NodeLoad } from '../../server/base/cluster.ts'

/** The store can be reached and takes nothing now, but may later: it is full, or cannot write to its disk. */
export class TakesNothing extends Error {}

/** A server process of the cluster. Its name is new with each start, so it never means an earlier process. */
export interface NodeRecord {
  readonly name: string
  /** The address where other nodes reach it, `host:port`. Empty: they cannot. */
  readonly address: string
  /** The version of the language between nodes. Nodes with another major number do not understand each other. */
  readonly version: string
  /** The path that its server takes, if it goes on with sessions that another node hands over. */
  readonly recovers?: string
  /** The present load of the node. */
  readonly load?: NodeLoad
}

/** Who has a session, and the number of this claim: each new owner of a session has a higher one. */
export interface Claim {
  readonly node: string
  readonly fence: number
  /**
   * What the previous owner handed over. The claim that takes the session over contains it, also if it is repeated,
   * until the new owner has kept the claim.
   */
  readonly state?: Uint8Array | undefined
  /** The record of the previous owner, if it died. The claim that took the session over contains it until the new owner stores something. */
  readonly record?: SessionRecord | undefined
}

/** What became of a claim. */
export type Claimed = Claim | 'ended' | 'stale'

/** The record of a session, for the node that goes on with the session if its owner dies. An engine does not know what the parts mean. */
export type SessionRecord = ReadonlyMap<string, Uint8Array>

/** What an owner stores of a session at a time. */
export interface Change {
  readonly session: string
  /** The number of the owner's claim. */
  readonly fence: number
  /** The proof of who may take the record over: `set` replaces everything stored or handed over before. Undefined: changes the record. */
  readonly whole: string | undefined
  /** The parts of the record that are dropped. */
  readonly drop: readonly string[]
  readonly set: ReadonlyMap<string, string | Uint8Array>
}

/** 'lost': another node has the session, or it is over. 'unknown': nobody has it (the store has lost data), or the node has claimed it anew. */
export type Stored = 'stored' | 'lost' | 'unknown'

/** A session that its owner has handed over, and that waits for the node that its client asks next. */
export interface Parcel {
  /** A hash of the session's key: only a client with the key gets the session. The key itself is never stored. */
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
  /**
   * The number of the first entry. The numbers of one publisher in one topic rise; the store does not add an entry
   * again that it has already.
   */
  readonly seq: number
  readonly entries: readonly Uint8Array[]
}

/** Consecutive entries of a topic. */
export interface Entries {
  /** The place of the first entry; if there is none, the place that the next entry will get. */
  readonly from: Place
  readonly entries: readonly Uint8Array[]
}

/** What is left of a topic's history after a place, up to its last entry. */
export interface History extends Entries {
  /** Entries between that place and `from` are gone, or that place is of another epoch. */
  readonly isGap: boolean
}

/** How many nodes have subscribers of a topic. */
export interface Occupied {
  readonly nodes: number
  /** Whether the call has changed something in the store. */
  readonly isNew: boolean
}

/** What an engine tells the node that it serves. It tells nothing before `open` has resolved. */
export interface EngineListener {
  /**
   * Somebody published to a topic that this node subscribes to. After a break of the connection some entries may be
   * missing: then the engine calls `connection` before it brings the next ones. Nobody changes the entries any more.
   */
  published(topic: string, entries: Entries): void
  /** Another node has sent something to this one with `tell`. */
  told(data: Uint8Array): void
  /**
   * The store can be reached again (`'up'`), or no longer (`'down'`). `'up'` comes when all subscriptions are in
   * place again, so that the node can read with `history` what it missed. `'fresh'` is `'up'` with a store that has
   * lost all or some of its data, for example because a replica took over.
   */
  connection(state: 'up' | 'down' | 'fresh', why?: Error): void
}

export interface Engine {
  /** Connects. Rejects if the store cannot be reached or cannot be used; it may be called again. */
  open(listener: EngineListener): Promise<void>
  /** Ends all connections. Nothing of the engine keeps the process afterwards. */
  close(): Promise<void>

  /** The value under this name that all nodes share. The first one that a node stores is kept. */
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
  /** Sends something to a node, at most once. The node gets it in `told`. */
  tell(node: string, data: Uint8Array): Promise<void>

  // ---- sessions ----

  /**
   * Makes the node the owner of the session if nobody has it, if `instead` has it, or if it was handed over; returns who has it then.
   * `'ended'`: the session is over, or was handed over or stored with another `proof`: nobody gets it. This holds for the node that
   * has claimed it, too, until it has kept the claim or stored the session. The claim lasts `life` milliseconds unless it is kept.
   * `'stale'`: the session was handed over before the store changed hands, as when a replica takes over. The store may lack what
   * happened since, so nobody goes on from there; but a node that `had` the session later than that gets it back.
   */
  claim(
    session: string,
    node: string,
    life: number,
    proof: string,
    instead?: Claim,
    had?: number,
  ): Promise<Claimed>
  /** Who has the session. `'nobody'`: it is unknown. `'waiting'`: it was handed over. */
  owner(session: string): Promise<Claim | 'ended' | 'nobody' | 'waiting'>
  /**
   * Gives the session up; the node that claims it next within `life` milliseconds gets it. Resolves with false if
   * this node does not have the session any more. If the session waits already with the same proof, the parcel that
   * waits stays as it is, and the result is true.
   */
  handOver(session: string, node: string, parcel: Parcel, life: number): Promise<boolean>
  /** Makes the claims of this node last `life` milliseconds from now, and forgets what was handed over to it. Returns the sessions that it does not have any more. */
  keep(node: string, sessions: readonly string[], life: number): Promise<readonly string[]>
  /**
   * The same for a node that others may have taken for dead. Each claim gets another number, so a node that is about to take a
   * session over from this one comes too late. Returns the numbers of the claims that this node still has.
   */
  renew(node: string, sessions: readonly string[], life: number): Promise<ReadonlyMap<string, number>>
  /** Changes the records of sessions, each in one step, if the claim with this number still is the node's. Returns what became of each. */
  store(node: string, changes: readonly Change[], life: number): Promise<readonly Stored[]>
  /**
   * Gives a claim up, if the node still has it, with all that is stored of the session. For `ended` milliseconds the store knows the session as ended; 0: not
   * at all.
   */
  release(session: string, node: string, ended: number): Promise<void>

  // ---- topics ----

  /** Appends to the topic's history and tells its subscribers, in one step. Rejects with `TakesNothing` if it may be tried for ever. */
  publish(topic: string, batch: Batch): Promise<void>
  /**
   * From now on the engine calls `published` for this topic. Resolves with the last place of the topic's history at
   * the time of the call: what this node published earlier is before that place, and what it publishes later is
   * behind it.
   */
  subscribe(topic: string): Promise<Place>
  /** The engine brings nothing more of this topic, whether the store can be reached or not. */
  unsubscribe(topic: string): Promise<void>
  /** The entries after this place, as far as the store still has them. */
  history(topic: string, after: Place): Promise<History>

  // ---- which topics have subscribers, for nodes that want to know ----

  /** Notes that the node has subscribers of the topic. */
  occupy(topic: string, node: string): Promise<Occupied>
  /** Notes that the node has no subscribers of the topic any more. */
  vacate(topic: string, node: string): Promise<Occupied>
  /** Notes that the node has no subscribers of any topic. Resolves with the topics that no node has any more. */
  vacateAll(node: string): Promise<readonly string[]>
  /** The nodes that have subscribers, as far as they said so; also those that are dead. */
  occupants(): Promise<readonly string[]>
}
