/** The times of the pilot: how long each thing may take. */
import type { Network } from '../base/network-memory.ts'
import type { RaceDelay, WebSocketOptions } from '../base/types.ts'

export type PilotOptions = Pick<
  WebSocketOptions,
  'connectTimeout' | 'patience' | 'raceDelay' | 'reconnectionDelay' | 'token'
>

export const defaultConnectTimeout = 10_000
/** How long a carrier that was left may go on to say what it still has. */
export const leavePatience = 2000
/** A carrier that lived so long has shown that its transport works here. */
export const longLife = 10_000
/**
 * A carrier that lived so long is no sign that the next will be lost at once. With each round it is twice as long, up to
 * `mostRestful`: what is refused takes a round trip, a pause and a round trip.
 */
export const restful = 250
export const mostRestful = 2000
/** How long an attempt to resume may take, or eight round trips, or longer where much is before it on a slow line. */
export const resumePatience = 3000
/** How often a look is taken while the browser says that it is offline, which can be wrong, or while the application has no token. */
export const rareLook = 20_000
/** A better transport is not sought before the new connection has come to rest. */
export const upgradeDelay = 1000
/** No answer is overdue sooner: machines pause. */
export const leastMargin = 1000
/** What takes so much longer to connect than the one before it has waited behind something else. */
export const queueing = 500
/** For so long refusals may be somebody's mistake, or a sign-in under way. */
export const mistaken = 1000
/** A timer that comes so late belongs to a page that was throttled or a machine that slept. */
export const late = 1000
/** Runtimes count in 31 bits: a longer timer rings at once. There is room for what is added for the bytes of a body. */
export const longestDelay = 2e9

/** How long an attempt may be slow before the next is begun beside it, in ms. */
export function raceDelayOf({ raceDelay = {} }: PilotOptions, { roundTrip }: Network): number {
  const { start = 300, min = 100, max = 1500 } = raceDelay as RaceDelay
  const measured = roundTrip === undefined ? start : Math.min(Math.max(4 * roundTrip + 50, min), max)
  return Math.min(typeof raceDelay === 'number' ? raceDelay : measured, longestDelay)
}
