/** What goes between a session and its carriers beside frames: places, events, and where each carrier stands. */

import type { Control } from './frame.ts'

/** How far a queue has come: all messages up to `number`, and `offset` bytes of the one after it. */
export interface Position {
  readonly number: number
  readonly offset: number
}

/** Whether a queue that has come so far has reached this place. */
export function hasReached(has: Position, place: Position): boolean {
  return (has.number - place.number || has.offset - place.offset) >= 0
}

export type SessionEvent =
  | { readonly type: 'message'; readonly binary: boolean; readonly data: string | Uint8Array }
  | { readonly type: 'close'; readonly code: number; readonly reason: string; readonly clean: boolean }
  | { readonly type: 'ping' | 'pong'; readonly payload: string }
  /** This carrier is no use any more: it fell silent, or has lost its place. */
  | {
      readonly type: 'drop'
      readonly link: Link
      readonly why: 'silent' | 'faulty'
    }

/** How a carrier that wants to be the one in use fared. */
export type Attached = 'attached' | 'older' | 'impossible'

/** The time of what is not to happen. */
export const never: number = Number.POSITIVE_INFINITY
/** What a session knows about one carrier: no more than where each direction stands on it. */
export class Link {
  /** Newer carriers have higher epochs; the newest that was taken wins. */
  readonly epoch: number
  /** The last message sent on it, and the bytes of the next one (only carriers that cut messages use the offset). */
  sent = 0
  sentOffset = 0
  /** The last message that came in on it, where the carrier itself keeps order and numbers are not sent. */
  got = 0
  /** How long an acknowledgement may wait on it: longer where it costs a request of its own. */
  readonly ackDelay: number
  /** How often the other end wants to hear something on it, in ms; 0: it does not matter. */
  quiet = 0
  pingOwed: string | undefined = undefined
  pongOwed: string | undefined = undefined
  /** The client's token for a server that asked; from a server, the question. */
  tokenOwed: string | undefined = undefined

  /** The place of what is sent next on it. */
  get place(): Position {
    return { number: this.sent, offset: this.sentOffset }
  }

  constructor(epoch: number, ackDelay: number) {
    this.epoch = epoch
    this.ackDelay = ackDelay
  }
}

/** The pong, ping or token that is to be said next over this carrier, if any. It is said once. */
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
