/** The times of the pilot: how long each thing may take. */
import type { Network } from '../base/network-memory.ts'
import type { RaceDelay, WebSocketOptions } from '../base/types.ts'

export type PilotOptions = Pick<
  WebSocketOptions,
  'connectTimeout' | 'patience' | 'raceDelay' | 'reconnectionDelay' | 'token'
>

export const defaultConnectTimeout = 10_000
/** How long a carrier that was left may still bring what is on its way. */
export const leavePatience = 2000
/** A carrier that lived this long has shown that its transport works here. */
export const longLife = 10_000
/**
 * After a carrier that lived this long, rounds are counted anew: the next one will probably not be lost at once. The time doubles
 * with each round, up to `mostRestful`, because a carrier that is refused takes a round trip, a pause and a round trip.
 */
export const restful = 250
export const mostRestful = 2000
/** How long an attempt to resume may take; at least eight round trips, and longer if many bytes wait before it on a slow line. */
export const resumePatience = 3000
/** The pause between attempts while the browser says that it is offline, which can be wrong, or while the application has no token. */
export const rareLook = 20_000
/** A better transport is tried no sooner than this after a carrier was taken. */
export const upgradeDelay = 1000
/** No answer is overdue sooner: machines pause. */
export const leastMargin = 1000
/** A carrier that takes this much longer to connect than the one before has waited behind other data. */
export const queueing = 500
/** Within this time a refusal may be a mistake, or a sign-in may be under way. */
export const mistaken = 1000
/** A timer that rings this late belongs to a page that was throttled or a machine that slept. */
export const late = 1000
/** Runtimes count timers in 31 bits: a longer one rings at once. This leaves room for the time that the bytes of a body add. */
export const longestDelay = 2e9

/** After this delay the next transport is tried in parallel, in ms. */
export function raceDelayOf({ raceDelay = {} }: PilotOptions, { roundTrip }: Network): number {
  const { start = 300, min = 100, max = 1500 } = raceDelay as RaceDelay
  const measured = roundTrip === undefined ? start : Math.min(Math.max(4 * roundTrip + 50, min), max)
  return Math.min(typeof raceDelay === 'number' ? raceDelay : measured, longestDelay)
}
