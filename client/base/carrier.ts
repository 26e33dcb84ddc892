/** The interface of a carrier, which has four members, and of its host, which the carrier tells what happens. */
import type { ByteWriter } from '../../shared/bytes.ts'
import type { Welcome } from '../../shared/frame.ts'
import { Link, never, type Position } from '../../shared/link.ts'
import type { Session } from '../../shared/session.ts'
import type { Network } from './network-memory.ts'
import type { CarrierEntry, Transport } from './types.ts'
import type { Why } from './why.ts'

/**
 * Moves frames for a session for a while. A carrier begins to connect when it is made, and never throws. It reports its end
 * once, as the last thing. After `close` it reports nothing.
 */
export interface Carrier {
  /** Makes it the carrier in use: it attaches its link to the session. The host calls this at most once, from within `proven`. */
  take(): void
  /** The session may have something to send. */
  flush(): void
  /** Ends the carrier. Frames that it has taken from the session still go out. `atOnce`: the page has no later turn. */
  close(atOnce?: boolean): void
  /** The bytes of messages that the carrier has taken and the network has not. */
  readonly buffered: number
}

/** With more bytes than this under way, a carrier that does not answer may be slow rather than dead. */
export const much = 65_536

/** A carrier's link, and what the pilot knows of the carrier, from the attempt to the end. */
export class CarrierLink extends Link {
  readonly transport: Transport
  /** The client only tries the carrier: the session is on another one, or on none. */
  standby: boolean
  carrier: Carrier | undefined
  /** The carrier's entry in the diary. */
  entry: CarrierEntry | undefined
  /** `Why`: the pilot left the carrier for this reason. For a while it may still bring what is on its way. */
  state: 'tried' | 'used' | 'ended' | Why = 'tried'
  readonly beganAt: number
  provenAt = 0
  /** The time from `beganAt` to `provenAt`, in ms. */
  took = 0
  /** The carrier has shown everything that its transport must be able to do. */
  sound = false
  /** The client has asked over it, and the server, which answers at once, has not answered. */
  asked = false
  /** When the carrier began to owe an answer; the bytes under way at that time, and the bytes that the native socket still held. */
  owesSince: number = never
  sentThen = 0
  bufferedThen = 0
  /** The size of a large message that the server has announced, and when it did. */
  longBytes = 0
  longSince = 0
  /** The same message was announced before, over another carrier. */
  longAgain = false
  /** The network's memory has already counted how this carrier fared. */
  judged = false

  constructor(transport: Transport, epoch: number, ackDelay: number, standby: boolean, now: number) {
    super(epoch, ackDelay)
    this.transport = transport
    this.standby = standby
    this.beganAt = now
  }

  /** Whether many bytes are on their way over this carrier, in either direction: an answer may wait behind them. */
  get isLoaded(): boolean {
    return this.sentThen > much || this.longBytes > 0
  }
}

/** The part of the pilot that carriers need: how soon it expects an answer, and reports of what came. */
export interface CarrierPilot {
  /** What the server said when the session was opened. A carrier that has none asks for it. */
  readonly welcome: Welcome | undefined
  /** How long an answer that should come at once may take, in milliseconds. */
  readonly answerPatience: number
  /** After this many ms without an answer it is cheaper to try another way than to wait. */
  readonly soon: number
  /** An answer that is late by this many ms gives reason to doubt the carrier. */
  readonly overdue: number
  /** The server takes no messages now: its application has paused. */
  paused: boolean
  /** Something arrived over this carrier. */
  heard(link: CarrierLink, now: number): void
  /** An answer to something that was sent over this carrier arrived, so both directions are open. */
  answered(link: CarrierLink, now: number): void
  /** A large message comes next over this carrier. */
  announced(link: CarrierLink, now: number): void
}

/** What a carrier needs of its owner, and what it reports to it. */
export interface CarrierHost {
  readonly session: Session
  readonly pilot: CarrierPilot
  /** The subprotocols that the application offers. */
  readonly protocols: readonly string[]
  /** The memory of the network to the server. */
  readonly network: Network
  /** A body that begins with the head of a request. Adds the bits `open` and `standby` where they belong. */
  head(link: CarrierLink, ask: number, serial: number, quiet?: number): ByteWriter
  /** An answer came back over the carrier. Calls its `take` or `close` before this returns. */
  proven(link: CarrierLink, welcome?: Welcome): void
  /** Makes this link the session's; `has`: the place up to which the server has the client's messages. */
  attach(link: CarrierLink, has: Position): void
  /** The server asks over this link who the client is. */
  askToken(link: CarrierLink): void
  /** A pong came: the answer to a ping, or one of the session's own. */
  ponged?(payload: string): void
  /** The network cut an answer that had lasted for `age` ms; nothing had come for `silence` ms. */
  cut(age: number, silence: number): boolean
  /** Larger bodies than this were refused. */
  refused(piece: number): void
  /** A body of so many bytes got through, after a large one of `balked` bytes had failed; 0: none had. */
  passed(size: number, balked: number): void
  /** The carrier has shown everything that its transport must be able to do. A second call has no effect. */
  sound(link: CarrierLink): void
  /** The session has changed: there may be events, and more to send. `ownTask`: this is the task of a single message. `time`: now. */
  settle(ownTask?: boolean, time?: number): void
  /** The carrier has ended. */
  lost(link: CarrierLink, why: Why, by?: 'client' | 'server' | 'network'): void
}
