/**
 * The phase of a session: what it still has to say about its end, and whether its application knows of the end.
 *
 * | from | to | when |
 * |---|---|---|
 * | open | closing | this end queues a close: its application closes, it answers a close, or the other end broke a rule |
 * | closing | closed | the other end's close arrives, or the other end broke a rule: the application is told |
 * | closing | done | the other end's close arrives, and this end's close was acknowledged before |
 * | closed | done | this end's close is acknowledged |
 * | open, closing, closed | aborting | this end gives the session up while a carrier is in use |
 * | aborting | done | the carrier has taken the abort, or is lost |
 * | open, closing, closed, aborting | done | the other end gives the session up, or a deadline has passed |
 * | open, closing, closed | done | this end gives the session up without a carrier |
 *
 * An end that answers a close, or that meets a broken rule, goes through `closing` to `closed` in one step.
 * The application is told of the end exactly once: on the way from `open` or `closing` to one of the other three.
 */
import { never } from './link.ts'

export type Phase =
  | {
      /** `closing`: this end's close waits for an answer. `closed`: the application knows; the close is not acknowledged. */
      readonly is: 'open' | 'closing' | 'closed'
      /** The number of this end's close; 0 while there is none. */
      readonly ownClose: number
      readonly abort?: undefined
      /** When the session ends at the latest. Nothing that the other end does moves it. */
      readonly deadline: number
    }
  | {
      /** The next frame tells the other end that this end has given up. The messages are gone. */
      readonly is: 'aborting'
      readonly ownClose?: undefined
      /** The payload of that frame. */
      readonly abort: string
      readonly deadline: number
    }
  | {
      /** Nothing is left to say or to hear. A deadline would change nothing. */
      readonly is: 'done'
      readonly ownClose?: undefined
      readonly abort?: undefined
      readonly deadline: number
    }

export const open: Phase = { is: 'open', ownClose: 0, deadline: never }
export const done: Phase = { is: 'done', deadline: never }
