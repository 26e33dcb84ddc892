/**
 * The plan of an HTTP carrier: which exchange it begins next, and what follows when one is over. Both are functions of what
 * the carrier is now: they do no I/O and have no timer, clock or randomness. `http.ts` does what they say.
 * docs/PROTOCOL.md, section 3.5, has the rules.
 */
import type { Session } from '../../shared/session.ts'
import type { CarrierLink } from '../base/carrier.ts'
import type { Why } from '../base/why.ts'

/** What the exchanges of one kind are doing: at most one of them is under way. */
export type LaneState =
  | 'free'
  /** Nothing is under way until a timer ends. */
  | 'resting'
  /** The carrier asks for a slot, without which nothing may be held. */
  | 'asking'
  /** There was no slot: a short exchange asks instead, then comes a rest. */
  | 'slotless'
  /** A request is under way, and nothing of its answer has come. */
  | 'asked'
  /** The answer has begun, so the server has the request. */
  | 'begun'
  /** The second piece of a streamed answer has come, so nothing holds the stream back. */
  | 'shown'

export interface Lane {
  is: LaneState
  /** The next exchange asks the server to start again after what has arrived. */
  again: boolean
}

/** As much of a carrier as its plan depends on. */
export interface HttpView {
  state: 'opening' | 'used' | 'over'
  readonly link: CarrierLink
  readonly host: {
    readonly session: Session
    readonly pilot: {
      readonly welcome: unknown
      /** The server takes no messages now. */
      readonly paused: boolean
    }
  }
  readonly held: Lane
  readonly short: Lane
  /** The permission to hold exchanges. `recalled`: it is to be given back. */
  slot: 'vacant' | 'leased' | 'recalled'
  /** The ticket for the next event stream. */
  ticket: string | undefined
  /** Whether a request may be held: the connection of the first exchange is left to the first messages of the application. */
  settled: boolean
  /** Whether a piece of the stream is late. A short exchange that is asked then shows whether the server would answer now. */
  lateness: 'no' | 'yes' | 'asked'
  /** Whether a short exchange was begun beside one that is held with this slot: it shows whether there is room for both. */
  tested: 'no' | 'yes'
}

/**
 * Whether a request is under way. `late`: it may leave later than one that is made now, as browsers send the request of an
 * event stream later than that of a fetch; then it is under way once its answer has begun.
 */
export function isUnderWay({ is }: Lane, late?: boolean): boolean {
  return is === 'begun' || is === 'shown' || (is === 'asked' && !late)
}

export type Step =
  /** The carrier is over: the server has a newer one. */
  | 'quit'
  | 'giveBackSlot'
  | 'askForSlot'
  /** Begin a held exchange. */
  | 'holdOne'
  /** Begin a short exchange. */
  | 'askOne'
  /** Begin a short exchange that also asks for a ticket. It may be the one that opens or resumes the session. */
  | 'askForTicket'

/** What to begin now; `undefined` if nothing. Each step changes the view, so the caller asks again after it. */
export function nextStep({
  state,
  link,
  host,
  held,
  short,
  slot,
  ticket,
  settled,
  lateness,
  tested,
}: HttpView): Step | undefined {
  const { session, pilot } = host
  const { transport, standby } = link
  const used = state === 'used'
  const polling = transport === 'polling'
  const sse = transport === 'sse'
  const free = held.is === 'free'
  const granted = slot !== 'vacant'
  // A short answer also gets through where streams are held back: only a stream that begins proves them. Where nothing is
  // open yet, that can wait.
  const probing = !used && standby && !polling && !!pilot.welcome
  // The answer to the first exchange may bring a ticket already, if no other carrier is tried.
  const wantsTicket = sse && free && !ticket && (used || !standby)
  if (state === 'over') return undefined
  // A carrier that was left begins no requests: one could overtake those of the next carrier, and would acknowledge more than they do.
  if (used && session.link !== link) return free && short.is === 'free' ? 'quit' : undefined
  if (free && slot === 'recalled') return 'giveBackSlot'
  if (free && (probing || (used && ((sse && !granted) || (settled && !wantsTicket)))))
    // A stream that only shows that streams get through needs no slot: it is over soon.
    return granted || probing ? 'holdOne' : 'askForSlot'
  return short.is === 'free' &&
    !probing &&
    // A long-poll that is being answered is about to be renewed: the new one takes all controls along.
    (!polling || held.is !== 'begun' || (!pilot.paused && session.peek(link))) &&
    (!used ||
      wantsTicket ||
      held.is === 'slotless' ||
      short.again ||
      lateness === 'yes' ||
      (tested === 'no' && isUnderWay(held, sse)) ||
      session.wants(link))
    ? wantsTicket
      ? 'askForTicket'
      : 'askOne'
    : undefined
}

/** The smallest piece that is tried where bodies are refused. */
const minPiece = 1024
/** A body as small as this is not refused for its size: the smallest limit that is common is 8 KiB (AWS WAF). */
const modest = 8 * minPiece
/** The most bytes of messages in a body that is to show whether small bodies get through. With its other records it is still modest. */
export const smallPiece: number = modest >> 1

export interface Verdict {
  /** Why the exchange failed, if it did. */
  readonly why: Why | undefined
  /** The carrier is over. */
  readonly end: boolean
  /** How many exchanges of this kind have failed in a row. */
  readonly failures: number
  /** The most bytes of messages in the body of the next request. */
  readonly piece: number
  /** The body was refused for its size: the client must remember the new limit. */
  readonly lesson: boolean
  /** The size of the body, if it may be the unstated reason of the failure; otherwise 0. Then the next body must be small. */
  readonly balked: number
}

/**
 * What an exchange that is over means for its carrier. `opening`: the carrier is not proven yet, and is to open the session or to
 * resume it. `taken`: the server has everything that was sent. `failures`: how many exchanges of this kind failed before this one, in
 * a row. `size`: the bytes of its body; `balked`: those of the body before, if it was large and failed. `piece`: the most bytes of
 * messages in a body.
 */
export function verdict(
  short: boolean,
  why: Why | undefined,
  opening: 'first' | 'again' | false,
  sound: boolean,
  taken: boolean,
  { failures, size, balked }: { readonly failures: number; readonly size: number; readonly balked: number },
  piece: number,
): Verdict {
  // Middleboxes may cut a connection instead of a 413, and browsers hide answers from pages of other origins.
  const large = !!why && size > modest
  // The server has not taken the messages: a message before them was lost.
  if (short ? !taken : !sound || !!opening) why ??= { is: short ? 'not taken' : 'ended early' }
  const status = why?.is === 'status' ? why.status : 0
  const refused = status === 413
  const blamed = refused ? size : Math.max(size, balked)
  // Some middleboxes refuse a body for its size without saying so.
  const cut = !!why && piece > minPiece && (refused || (blamed > modest && failures > 0))
  const lesson = refused && cut
  const fails = why ? failures + +!lesson : 0
  return {
    why,
    end:
      !!why &&
      ((!short && (!!opening || why.is === 'held back')) ||
        fails > 2 ||
        why.is === 'not allowed' ||
        // While opening, a server that failed once may answer the next request; a carrier that resumes ends, and another follows.
        (!!opening && !lesson && status >= 400 && (status < 500 || opening === 'again'))),
    failures: fails,
    piece: cut ? Math.max(minPiece, Math.min(piece, blamed) >> 1) : piece,
    lesson,
    balked: large && !refused ? Math.min(piece, size) : 0,
  }
}
