/** What a session and its carriers exchange beside frames: places, events, and the link of each carrier. */

import type { Control } from './frame.ts'

/** A place in a queue: behind message `number`, and behind `offset` bytes of the message after it. */
export interface Position {
  readonly number: number
  readonly offset: number
}

/** Whether `has` is `place`, or behind it. */
export function hasReached(has: Position, place: Position): boolean {
  return (has.number - place.number || has.offset - place.offset) >= 0
}

export type SessionEvent =
  | { readonly type: 'message'; readonly binary: boolean; readonly data: string | Uint8Array }
  | { readonly type: 'close'; readonly code: number; readonly reason: string; readonly clean: boolean }
  | { readonly type: 'ping' | 'pong'; readonly payload: string }
  /** The carrier is of no use any more: it was silent for too long, or the other end left out a message on it. */
  | {
      readonly type: 'drop'
      readonly link: Link
      readonly why: 'silent' | 'faulty'
    }

/** What became of a carrier that was to be the one in use. */
export type Attached = 'attached' | 'older' | 'impossible'

/** The time of something that does not happen. */
export const never: number = Number.POSITIVE_INFINITY

/** What a session knows of one carrier: the place of each direction, and the pings and pongs that wait. */
export class Link {
  /** The number of the carrier. A newer carrier has a higher one, and the newest that the client took carries the session. */
  readonly epoch: number
  /** The last message sent on it, and the bytes of the next one. Only carriers that cut messages use the offset. */
  sent = 0
  sentOffset = 0
  /** The last message that arrived on it. Only carriers that keep order use it: there a message has no number of its own. */
  got = 0
  /** How long an acknowledgement may wait, in ms: longer where it needs a request of its own. */
  readonly ackDelay: number
  /** The other end wants to hear something at least this often, in ms; 0: as often as this end likes. */
  quiet = 0
  pingOwed: string | undefined = undefined
  pongOwed: string | undefined = undefined
  /** The client's token for a server that asked; from a server, the question. */
  tokenOwed: string | undefined = undefined

  /** The place of the next message, or piece, on it. */
  get place(): Position {
    return { number: this.sent, offset: this.sentOffset }
  }

  constructor(epoch: number, ackDelay: number) {
    this.epoch = epoch
    this.ackDelay = ackDelay
  }
}

/** Takes the pong, ping or token that waits for this carrier, if there is one. */
export function takeBeat(link: Link): Control | undefined {
  const { pongOwed, pingOwed, tokenOwed } = link
  if (pongOwed !== undefined) {
    link.pongOwed = undefined
    return { kind: 'pong', payload: pongOwed }
  }
  if (pingOwed !== undefined) {
    link.pingOwed = undefined
    return { kind: 'ping', payload: pingOwed }
  }
  if (tokenOwed !== undefined) {
    link.tokenOwed = undefined
    return { kind: 'token', payload: tokenOwed }
  }
  return undefined
}
