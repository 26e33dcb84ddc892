/** What every transport is to the rest of the client: four members, and a client that is told what happens. */
import type { ByteWriter } from '../../shared/bytes.ts'
import type { Welcome } from '../../shared/frame.ts'
import { Link, never, type Position } from '../../shared/link.ts'
import type { Session } from '../../shared/session.ts'
import type { Network } from './network-memory.ts'
import type { CarrierEntry, Transport } from './types.ts'
import type { Why } from './why.ts'

/**
 * Moves frames for a session for a while. It begins by itself when it is made, never throws, and reports its end
 * exactly once and last - unless it was closed: then it says nothing more.
 */
export interface Carrier {
  /** It is the one in use from now on: it attaches its link. Called at most once, from within `proven`. */
  take(): void
  /** The session may have something to send. */
  flush(): void
  /** Ends it. What the session has already given it still goes out. `atOnce`: there is no later turn. */
  close(atOnce?: boolean): void
  /** Bytes of messages that it has taken and not yet got rid of. */
  readonly buffered: number
}

/** With so much under way a carrier may be slow rather than dead. */
export const much = 65_536

/** A carrier's link, from the attempt to the end. */
export class CarrierLink extends Link {
  readonly transport: Transport
  /** Only to see whether it gets through; the session is somewhere else. */
  standby: boolean
  carrier: Carrier | undefined
  /** What the diary says of it. */
  entry: CarrierEntry | undefined
  /** Left for a reason: it may go on for a while to say what it still has. */
  state: 'tried' | 'used' | 'ended' | Why = 'tried'
  readonly beganAt: number
  provenAt = 0
  /** From the one to the other. */
  took = 0
  /** Whether it has shown all that it must be able to do. */
  sound = false
  /** The server was asked something over it that it answers at once, and has not yet. */
  asked = false
  /** Since when it owes an answer, and what had been sent over it, and not yet left, by then. */
  owesSince: number = never
  sentThen = 0
  bufferedThen = 0
  /** The server has announced a message that takes its time. */
  longBytes = 0
  longSince = 0
  /** It has been held against its transport that this one was none. */
  judged = false

  constructor(transport: Transport, epoch: number, ackDelay: number, standby: boolean, now: number) {
    super(epoch, ackDelay)
    this.transport = transport
    this.standby = standby
    this.beganAt = now
  }

  /** Whether much is on its way over it, either way: an answer may wait behind that. */
  get isLoaded(): boolean {
    return this.sentThen > much || this.longBytes > 0
  }

  /** When a message that was announced ought to have come, at this pace. */
  longUntil(pace: number): number {
    return Math.floor(this.longSince + this.longBytes / pace)
  }
}

/** As much of the pilot as carriers need: what it expects of an answer, and what came. */
export interface CarrierPilot {
  /** What the server said when the session was opened. A carrier that has none asks for it. */
  readonly welcome: Welcome | undefined
  /** How long an answer that should come at once may take, in milliseconds. */
  readonly answerPatience: number
  /** In how many ms an answer may be expected whose delay costs more than to do without it. */
  readonly soon: number
  /** How late something may be before it gives reason to doubt. */
  readonly overdue: number
  /** The server takes no messages now: its application has paused. */
  paused: boolean
  /** Something arrived over this carrier. */
  heard(link: CarrierLink, now: number): void
  /** It was an answer to what was sent over this carrier, so both ways are open. */
  answered(link: CarrierLink, now: number): void
}

/** Whom a carrier tells, and what it is given. */
export interface CarrierHost {
  readonly session: Session
  readonly pilot: CarrierPilot
  /** The subprotocols that the application offers. */
  readonly protocols: readonly string[]
  /** What is known of the way to the server, and is learnt on it. */
  readonly network: Network
  /** A body that begins with the head of a request. The bits `open` and `standby` are seen to. */
  head(link: CarrierLink, ask: number, serial: number, quiet?: number): ByteWriter
  /** An answer came back over it. Calls `take` or `close` before it returns. */
  proven(link: CarrierLink, welcome?: Welcome): void
  /** Makes its link the session's; `has` is what the server has. */
  attach(link: CarrierLink, has: Position): void
  /** The server asks over this link who the client is. */
  askToken(link: CarrierLink): void
  /** The server's word on a ping, or nothing special. */
  ponged?(payload: string): void
  /** The network cut an answer that had lasted for `age` ms; nothing had come for `silence` ms. */
  cut(age: number, silence: number): boolean
  /** Larger bodies than this were refused. */
  refused(piece: number): void
  /** It has shown all that it must be able to do. */
  sound(link: CarrierLink): void
  /** The session was told something: there may be events, and more to send. `ownTask`: by a message in a task of its own. */
  settle(ownTask?: boolean): void
  /** It is over with this carrier. */
  lost(link: CarrierLink, why: Why, by?: 'client' | 'server' | 'network'): void
}
