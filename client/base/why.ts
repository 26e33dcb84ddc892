/**
 * Why a carrier ended. A reason is a value, and code decides by its tag and its numbers; the words that a person reads are
 * made of it in `client/pilot/diary.ts`, and may be reworded without a change of behaviour.
 */
import type { NetworkSignal } from './types.ts'

export type Why =
  /** An HTTP answer other than 200. */
  | {
      readonly is: 'status'
      readonly status: number
      readonly text: string
      /** When to come again, in ms, if the answer says so in `Retry-After`. */
      readonly retryAfter?: number
    }
  /** The WebSocket was open, and was closed. `text`: what the server or the runtime says of it, if anything. */
  | { readonly is: 'ended'; readonly code: number; readonly text: string }
  /** The WebSocket did not open, the request failed, or the runtime forbids this connection; `text` as above. */
  | { readonly is: 'refused' | 'network' | 'not allowed'; readonly text: string }
  /** This sign put the carrier in doubt, and another took its place. */
  | { readonly is: 'sign'; readonly text: NetworkSignal['sign'] }
  | { readonly is: Plain }

/** Reasons without details. */
type Plain =
  /** A stream did not begin, or began and did not go on. */
  | 'held back'
  /** Only the held exchange was given up, not its carrier: the exchange may have been in the way of others. */
  | 'gave way'
  /** The server has taken a newer carrier. */
  | 'superseded'
  | 'timeout'
  | 'redirected'
  /** The answer ended within a record. */
  | 'truncated'
  /** A stream ended before it had shown that it goes on. */
  | 'ended early'
  /** The answer is not one of this protocol. */
  | 'not ours'
  /** The server had no place for a message: something before it was lost. */
  | 'not taken'
  /** The session gave the carrier in use up: it was silent, or a message was missing on it. */
  | 'silent'
  | 'faulty'
  /** The client had no more use for it. */
  | 'another was first'
  | 'not needed'
  | 'in doubt'
  | 'the line is busy'
  | 'left'
  | 'page away'
  /** The session is over. */
  | 'closed'
