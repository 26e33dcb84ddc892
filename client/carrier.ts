/** What every transport is to the rest of the client: four members, and a client that is told what happens. */
import type { ByteWriter } from '../shared/bytes.ts'
import type { Welcome } from '../shared/control.ts'
import { Link, type Position, type Session } from '../shared/session.ts'
import type { Timer } from './clock.ts'
import type { Transport } from './types.ts'

/**
 * Moves frames for a session for a while. It begins by itself when it is made, never throws, and reports its end
 * exactly once and last - unless it was closed: then it says nothing more.
 */
export interface Carrier {
  /** It is the one in use from now on: it attaches its link. Called at most once, from within `proven`. */
  take(): void
  /** The session may have something to send. */
  flush(): void
  /** Ends it. What the session has already given it still goes out. */
  close(): void
  /** Bytes of messages that it has taken and not yet got rid of. */
  readonly buffered: number
}

/** A carrier's link, from the attempt to the end. */
export class Attempt extends Link {
  readonly transport: Transport
  /** Only to see whether it gets through; the session is somewhere else. */
  standby: boolean
  carrier: Carrier | undefined
  /** Gives it up while it is not proven, and once it was left. */
  timer: Timer
  provenAt = 0
  /** Whether it has shown all that it must be able to do. */
  sound = false

  constructor(transport: Transport, epoch: number, ackDelay: number, standby: boolean) {
    super(epoch, ackDelay)
    this.transport = transport
    this.standby = standby
  }
}

/** Whom a carrier tells, and what it is given. */
export interface Client {
  readonly session: Session
  /** The server's word on the session, once it has said one; to ask for it is to open. */
  readonly welcome: Welcome | undefined
  /** The subprotocols that the application offers. */
  readonly protocols: readonly string[]
  /** How long an answer that should come at once may take, in milliseconds. */
  readonly answerPatience: number
  /** A body that begins with the head of a request. The bits `open` and `standby` are seen to. */
  head(link: Attempt, ask: number, serial: number): ByteWriter
  /** An answer came back over it. Calls `take` or `close` before it returns. */
  proven(link: Attempt, welcome?: Welcome): void
  /** Makes its link the session's; `has` is what the server has. */
  attach(link: Attempt, has: Position): void
  /** The session was told something: there may be events, and more to send. `ownTask`: by a message in a task of its own. */
  settle(ownTask?: boolean): void
  /** It is over with this carrier, for a reason that a person can read. */
  lost(link: Attempt, why: string): void
}
