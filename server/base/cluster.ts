/** What a server needs of its cluster (`ClusterMember`), and the cluster of it (`ClusterHost`). A server alone has neither. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Refusal } from './handshake.ts'

/** RFC 9110, 15.5.20: the server that passed the request on is to look up again who has the session. */
export const misdirected: Refusal = { status: 421, reason: 'This server does not have the session' }

/** The value of the option `cluster`, as `redisCluster()` makes it. */
export interface Cluster {
  /** Called once, when the server is made. */
  join(host: ClusterHost): ClusterMember
}

/** What a cluster needs of the server that joins it. */
export interface ClusterHost {
  /** How long a session lives without a connection, in milliseconds. */
  readonly patience: number
  /** The path that the server takes; '' for any path. Sessions are handed over only to servers of the same path. */
  readonly path: string
  /** Whether the server goes on with sessions that others hand over. */
  readonly recovers: boolean
  /** Whether sessions are stored, so that another server goes on with those of a server that died. */
  readonly durable: boolean
  /** Takes a request that reached another server of the cluster and is for a session of this one. */
  request(request: IncomingMessage, response: ServerResponse, passed: Passed): void
  /** The same for a WebSocket handshake. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, passed: Passed): void
  /** What the server that got the request knows of its client. */
  origin(request: IncomingMessage): Passed
  /**
   * Gives a message to the subscribers on this server; without a topic, to all its clients. Subscribers of the topics
   * `except` get none. `sender` is what `publish` of this server was given; undefined if another server published the
   * message.
   */
  deliver(
    topic: string | undefined,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    sender: object | undefined,
  ): void
  /** Closes the subscribers here. Returns their number. */
  disconnect(topic: string, code: number | undefined, reason: string, sender: object | undefined): number
  /** How many subscribers the topic has here; without a topic, how many clients there are. */
  count(topic: string | undefined): number
  /** The same clients, written down for another server; at most `limit` of them. */
  roster(topic: string | undefined, limit: number): Uint8Array
  /** Messages of a topic are lost; without a topic, messages for all clients. */
  gap(topic: string | undefined): void
  /** A topic has its first subscriber on any server, or has lost its last one, and this server tells it. */
  topicChanged(change: TopicChange): void
  /** Another server has this session now, because this one was silent for too long. */
  lost(session: string): void
  /** The proof for the session, a hash of its key; empty if the session is not here. */
  proofOf(session: string): string
  /** The records of sessions may be lost: they must be stored anew. */
  storeAnew(): void
  /** The cluster can be reached, or cannot. */
  changed(state: ClusterState): void
  /** The server could not join. `isFinal`: else it tries again. */
  failed(error: Error, isFinal: boolean): void
}

/** Whether the other servers of a cluster can be reached. */
export interface ClusterState {
  /** `'down'`: what needs the other servers waits, or is refused with 503. */
  readonly state: 'up' | 'down'
  /** Why it is down. */
  readonly reason?: Error | undefined
}

/** Whether a topic has subscribers on any server. */
export interface TopicChange {
  /** The topic. */
  readonly topic: string
  /** `'occupied'`: it has its first subscriber. `'vacated'`: it has lost its last one. */
  readonly state: 'occupied' | 'vacated'
}

/** A number of subscribers or clients on all servers of a cluster together. */
export interface ClusterCount {
  /** The sum over the servers that answered. */
  readonly count: number
  /** How many servers answered, this one included. */
  readonly nodes: number
  /** How many servers did not answer within a second: theirs are not in the sum. */
  readonly missing: number
}

/** The clients of all servers, as each server has written its own down. */
export interface ClusterRosters {
  readonly rosters: readonly { readonly node: string; readonly written: Uint8Array }[]
  /** The names of the servers that did not answer within a second. */
  readonly missing: readonly string[]
}

/** What a server knows of its cluster. */
export interface ClusterStats {
  /** The name of this server in the cluster. */
  readonly node: string
  /** `'joining'`: it cannot open sessions yet. `'down'`: the others cannot be reached now. */
  readonly state: 'joining' | 'up' | 'down'
  /** Now: servers in the cluster, this one included, as far as this one knows. */
  readonly nodes: number
  /** Now: sessions that this server has claimed. */
  readonly sessions: number
  /** Now: requests, streams and WebSockets that this server passes on to others. */
  readonly passing: number
  /** Total: requests and WebSockets that another server has answered for this one. */
  readonly passed: number
  /** Total: those of them that went through the store, because that server could not be connected to. */
  readonly relayed: number
  /** Total: sessions that this server has handed over. */
  readonly handedOver: number
  /** Total: sessions that others have handed over to this one; in durable mode also those of servers that have died. */
  readonly received: number
  /** Now: what was published here and is not in the store yet. */
  readonly waiting: { readonly messages: number; readonly bytes: number }
}

/** What a server tells the others about itself with each beat, for their status pages. */
export interface NodeLoad {
  readonly sessions: number
  readonly isDraining: boolean
  /** How many requests, streams and WebSockets it passes on to each other server now. A server to which it passes none is left out. */
  readonly passing: Readonly<Record<string, number>>
}

/** A server of the cluster, as the status page shows it. */
export interface NodeView {
  readonly name: string
  /** Where it is reached; empty: only through the store. */
  readonly address: string
  readonly version: string
  /** Whether it is this server. */
  readonly isHere: boolean
  /** Whether it has another version, so that the two do not understand each other. */
  readonly isForeign: boolean
  readonly isDraining: boolean
  /** Whether this server reaches it through the store. */
  readonly isRelayed: boolean
  readonly sessions: number | undefined
  /** How many requests, streams and WebSockets this server passes on to it, and it to this server. */
  readonly fromHere: number
  readonly toHere: number
}

/** What a server knows of its cluster, for its status page. */
export interface ClusterView {
  readonly stats: ClusterStats
  /** Why the store cannot be reached; empty if it can. */
  readonly reason: string
  /** How many topics this server hears, and of how many it does not have everything yet. */
  readonly topics: { readonly heard: number; readonly behind: number }
  readonly nodes: readonly NodeView[]
}

/** What only the server that received a request can know, and passes on with the request. */
export interface Passed {
  /** The client's address, as far as proxies are believed; empty if it is unknown. */
  readonly address: string
  readonly scheme: 'http' | 'https' | undefined
  readonly host: string
  /** The session was handed over, and the server that got the request does not go on with it: this one does. */
  readonly adopt?: boolean
  /** The properties that the option `carry` lets come along, as JSON; empty or undefined: none. */
  readonly carried?: string | undefined
}

/**
 * Who answers for a session. `'here'`: this server. `'nobody'`: it is unknown. A refusal: nobody can say now. Else another server,
 * to which the request is passed on.
 */
export type Route = 'here' | 'nobody' | Refusal | Elsewhere | HandedOver

/** Another server has handed the session over, and this one has it from now on. */
export interface HandedOver {
  readonly state: Uint8Array
}

/** Another server that has the session. Both resolve with false if it does not have it any more: then the route is looked up again. */
export interface Elsewhere {
  request(request: IncomingMessage, response: ServerResponse, body: Uint8Array): Promise<boolean>
  /** `protocols`: the header with the subprotocols, as it came: it proves whose session it is. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, protocols: string): Promise<boolean>
}

/** A change of the record of a session. */
export interface SessionChange {
  readonly session: string
  /** The proof for the session, if `set` replaces everything that was stored before. Undefined: only these parts change. */
  readonly whole: string | undefined
  /** The parts that are dropped. */
  readonly drop: readonly string[]
  readonly set: ReadonlyMap<string, string | Uint8Array>
}

/** A place in the history of a topic. */
export interface TopicPlace {
  readonly epoch: string
  readonly offset: number
}

/** A subscriber that moved from one server to another, and still lacks what was published meanwhile. */
export interface Latecomer {
  deliver(data: Buffer, binary: boolean, except: readonly string[]): void
  disconnect(code: number | undefined, reason: string): void
  /** Whether the subscriber still wants the topic. */
  isThere(): boolean
  /** The subscriber has every message that the subscribers here have: from now on it gets the next ones, too. */
  caughtUp(): void
}

/** The topics of all servers together. */
export interface SharedTopics {
  /**
   * Publishes to the subscribers of all servers, including this one; without a topic, to all clients. Copies the data. `deliver` of
   * this server gets `sender` back; other servers do not get it.
   */
  publish(
    topic: string | undefined,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    sender: object,
  ): void
  /**
   * Closes the subscribers of all servers. `disconnect` of this server gets `sender` back; other servers do not get it. Returns the
   * number of this publication among those of this server to the topic.
   */
  disconnect(topic: string, code: number | undefined, reason: string, sender: object): number
  /** Whether something that was published here to this topic has not come back yet. */
  isPending(topic: string | undefined): boolean
  /** The topic has its first subscriber here; without a topic, the server its first client. */
  subscribed(topic: string | undefined): void
  /** The place up to which the subscribers here have the topic; undefined if it is not known yet. */
  placeOf(topic: string): TopicPlace | undefined
  /**
   * Gives a subscriber that came from another server the messages published since this place, up to the place of the subscribers
   * here. Resolves when it has as many as they have, or will not get them.
   */
  catchUp(topic: string, from: TopicPlace, latecomer: Latecomer): Promise<void>
  /** The topic has lost its last subscriber here; without a topic, the server its last client. */
  unsubscribed(topic: string | undefined): void
}

/** A server's place in its cluster. */
export interface ClusterMember extends SharedTopics {
  /** What this server is called among the others, for balancers: letters, digits, `-` and `_`. */
  readonly name: string
  /** Whether sessions can be opened. */
  readonly ready: boolean
  /**
   * A request looks for a session or opens it, until it calls the returned function. `isHere`: this server has the session. When the
   * last such request is over and the session is not here, its claim is given up.
   */
  seek(session: string): (isHere: boolean) => void
  /** Whether this server has claimed the session, as far as it knows. */
  has(session: string): boolean
  /** Resolves when it is known whether this server gets a session for which it has asked. */
  settled(session: string): Promise<void>
  /**
   * Who has a session that is not known here. `opens`: if nobody has the session, this server gets it. `proof`: a session that was
   * handed over is given only to the same proof; to an empty one never.
   */
  route(session: string, proof: string, opens: boolean): Promise<Route>
  /**
   * A promise if the lease of this server is over, so that others may have taken sessions from it: resolves when it knows which.
   * Undefined if the lease holds.
   */
  doubt(): Promise<void> | undefined
  /** A session that was handed over to this server goes on here. */
  received(session: string): void
  /**
   * Hands a session over to the server that its client asks next. Resolves with false if the store could not take the session: then
   * the cluster tries again.
   */
  handOver(session: string, proof: string, state: Uint8Array): Promise<boolean>
  /** Whether this server has sessions that it has handed over, and that the store could not take yet. */
  readonly isHandingOver: boolean
  /**
   * Stores what other servers need to go on with sessions of this one if it dies. Resolves with what became of each: 'lost': another
   * server has the session; 'unknown': it must be stored as a whole. Rejects while the store is away.
   */
  store(changes: readonly SessionChange[]): Promise<readonly ('stored' | 'lost' | 'unknown')[]>
  /**
   * From now on this server opens no session. It cuts off the clients whose requests it passes on, spread over
   * `within` milliseconds, so that they come again at other servers. Resolves when all are cut off.
   */
  leave(within: number): Promise<void>
  /** Cuts off all clients whose requests are passed on: this server stops listening. */
  stopPassing(): void
  /** A session of this server is over: nobody opens it again. */
  ended(session: string): void
  /** How many subscribers the topic has on all servers; without a topic, how many clients there are. Rejects while the store is away. */
  count(topic: string | undefined): Promise<ClusterCount>
  /** Who these clients are: at most `limit` of each server. Rejects while the store is away. */
  rosters(topic: string | undefined, limit: number): Promise<ClusterRosters>
  /** How many clients all servers have closed because of the `disconnect` of this number. Rejects while the store is away. */
  closed(topic: string, disconnect: number): Promise<ClusterCount>
  /** Whether the application of this server wants to know which topics have subscribers anywhere. */
  watchTopics(isWatched: boolean): void
  /** What this server knows of the cluster. */
  stats(): ClusterStats
  /** The same, and what this server knows of each other one. */
  view(): ClusterView
  /** Leaves the cluster. */
  close(): Promise<void>
}
