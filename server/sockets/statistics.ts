/**
 * What `realtime.stats()` tells. Totals are counted where things happen, by an addition and nothing else. What is there now is
 * counted when somebody asks, so that it cannot drift away from the truth.
 */
import type { ClusterStats } from '../base/cluster.ts'
import type { Transport } from './carrier.ts'
import { type EndReason, endReasons } from './end-reasons.ts'

/** Messages, and the bytes of their payloads: of text, its UTF-8. */
export interface MessageCount {
  /** How many. */
  readonly messages: number
  /** The bytes of their payloads together. */
  readonly bytes: number
}

/** A number for each transport. A carrier counts under its name at its beginning: an event stream begins as `stream`. */
export type ByTransport = Readonly<Record<Transport, number>>

/**
 * What `realtime.stats()` returns: plain numbers, which `JSON.stringify` takes. Totals never fall; they count from `since`.
 * All other numbers are of the moment of the call.
 */
export interface ServerStats {
  /** When the server was made, in milliseconds since 1970. Every total begins at 0 then. */
  readonly since: number
  /** The clients with a session. */
  readonly sessions: {
    /** Now: sessions that a carrier carries. The sum of `carriers`, without those that are closing. */
    readonly open: number
    /** Now: sessions without a connection, whose clients may come back within `patience`. */
    readonly resuming: number
    /** Now: sessions that one side has closed, until the other side has confirmed it. */
    readonly closing: number
    /** Now: sessions that are over for the application, and are kept to tell their clients so. */
    readonly ended: number
    /** Now: sessions that are not over, by what carries them. Those that are resuming are in none of these numbers. */
    readonly carriers: ByTransport
    /** Total: sessions, by the transport of their first carrier. */
    readonly opened: ByTransport
    /** Total: how often a client that had lost its connection came back, by the transport over which it came. */
    readonly resumed: ByTransport
    /**
     * Total: how often a new carrier took over from one in use: `moved.websocket.polling` from a WebSocket to long-polling. From
     * HTTP to the same transport: the client found the connection lost, and was back before the server noticed.
     */
    readonly moved: Readonly<Record<Transport, ByTransport>>
    /** Total: sessions that are gone, by reason. */
    readonly gone: Readonly<Record<EndReason, number>>
    /**
     * Total: how often a client asked for a session that is not here: it has ended, or lives in another process. If this rises
     * while nothing was restarted, clients reach the wrong process: see docs/DEPLOYING.md.
     */
    readonly unknown: number
  }
  /** The clients without a session: ordinary WebSockets. */
  readonly plain: {
    /** Now: those that are connected. */
    readonly open: number
    /** Total: those that were let in. */
    readonly opened: number
    /** Total: those that are gone, by reason. */
    readonly gone: Readonly<Record<EndReason, number>>
  }
  /** Total: requests and handshakes that were refused, by the status of the answer: `refused[503]`. */
  readonly refused: Readonly<Record<number, number>>
  /** Total: messages that the application was given, from clients of both kinds. */
  readonly received: MessageCount
  /** Total: messages that the application sent and the server took: a publication counts once for each client. */
  readonly sent: MessageCount
  /** Total: messages that were given to a carrier and have to be sent once more, because it was not known that they had arrived. */
  readonly replayed: MessageCount
  /** Now: messages to clients with a session that these have not acknowledged. */
  readonly waiting: MessageCount
  /** The memory that clients cost. */
  readonly memory: {
    /** Now: the bytes that are buffered for all clients together, as `realtime.memory`. */
    readonly used: number
    /** The option `maxMemory`. Above it the largest clients end with 1013. */
    readonly limit: number
  }
  /** With the option `cluster`: what this server knows of it. */
  readonly cluster?: ClusterStats
  /** The topics and their subscriptions. */
  readonly topics: {
    /** Now: topics with subscribers. */
    readonly count: number
    /** Now: subscriptions: of each topic, its subscribers. */
    readonly subscriptions: number
  }
}

/** A server, as far as its numbers go. */
export interface StatisticsSource {
  stats(): ServerStats
}

/** The present numbers, each counted by the object that knows it. */
export type Present = Pick<ServerStats, 'waiting' | 'memory' | 'topics'> & {
  readonly sessions: Pick<ServerStats['sessions'], 'open' | 'resuming' | 'closing' | 'ended' | 'carriers'>
  readonly plain: Pick<ServerStats['plain'], 'open'>
}

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const reasons = Object.keys(endReasons) as EndReason[]

/** Messages that are counted one by one. */
export class Counter implements MessageCount {
  messages = 0
  bytes = 0

  add(bytes: number, messages = 1): void {
    this.messages += messages
    this.bytes += bytes
  }

  now(): MessageCount {
    return { messages: this.messages, bytes: this.bytes }
  }
}

export class Statistics {
  readonly received: Counter = new Counter()
  readonly sent: Counter = new Counter()
  readonly replayed: Counter = new Counter()
  readonly #since = Date.now()
  readonly #opened = byTransport()
  readonly #resumed = byTransport()
  readonly #moved = each(transports, byTransport)
  readonly #gone = each(reasons, zero)
  #unknown = 0
  #plainOpened = 0
  readonly #plainGone = each(reasons, zero)
  readonly #refused: Record<number, number> = {}

  /** A session has its first carrier. */
  opened(transport: Transport): void {
    this.#opened[transport]++
  }

  /** A session that had lost its carrier has another one. */
  resumed(transport: Transport): void {
    this.#resumed[transport]++
  }

  /** A session that had a carrier has another one. */
  moved(from: Transport, to: Transport): void {
    this.#moved[from][to]++
  }

  gone(reason: EndReason): void {
    this.#gone[reason]++
  }

  /** A client asked for a session that is not here. */
  unknown(): void {
    this.#unknown++
  }

  plainOpened(): void {
    this.#plainOpened++
  }

  plainGone(reason: EndReason): void {
    this.#plainGone[reason]++
  }

  refused(status: number): void {
    this.#refused[status] = (this.#refused[status] ?? 0) + 1
  }

  /** A copy of the totals that nobody changes, with the present numbers. */
  tell({ sessions, plain, ...present }: Present): ServerStats {
    return {
      since: this.#since,
      sessions: {
        ...sessions,
        opened: { ...this.#opened },
        resumed: { ...this.#resumed },
        moved: each(transports, (from) => ({ ...this.#moved[from] })),
        gone: { ...this.#gone },
        unknown: this.#unknown,
      },
      plain: { ...plain, opened: this.#plainOpened, gone: { ...this.#plainGone } },
      refused: { ...this.#refused },
      received: this.received.now(),
      sent: this.sent.now(),
      replayed: this.replayed.now(),
      ...present,
    }
  }
}

/** A zero for each transport. */
export function byTransport(): Record<Transport, number> {
  return each(transports, zero)
}

function each<Name extends string, Value>(
  names: readonly Name[],
  value: (name: Name) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, Value>
}

function zero(): number {
  return 0
}
