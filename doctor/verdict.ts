/** Turns the result of a probe into the report on its transport. */
import type { Transport } from '../client/base/types.ts'
import { clean, noAnswer } from './hindrance.ts'
import type { HttpResult } from './http-probe.ts'
import { type Hindrance, type TransportReport, time } from './report.ts'
import type { SocketResult } from './socket-probe.ts'

/** A piece that is this much later than the others was held back. */
const muchLater = 1_000
/** The first piece may have waited for a connection. */
const firstMuchLater = 1_500
/** The server writes two pieces of a stream in this time. */
const silent = 500
/** An answer that was held for this much less than asked still counts as held. */
const early = 400

export function socketReport(result: SocketResult, timeout: number): TransportReport {
  const transport = 'websocket'
  const { opened, first, welcome, end, trips } = result
  const hindrance = end && (end.hindrance ?? closed(end.code, end.reason))
  const found = {
    transport,
    ...(first !== undefined && { first: round(first) }),
    ...(trips.length > 0 && { roundTrip: median(trips) }),
    ...(result.held > 0 && { held: result.held }),
    ...(hindrance && { hindrance }),
  } as const
  if (opened === undefined) {
    if (isBusy(hindrance)) return { ...found, ...busy }
    if (hindrance) return { ...found, outcome: 'refused', usable: false, says: hindrance.says }
    const says = `the handshake gets ${noAnswer(timeout).says}`
    return { ...found, outcome: 'swallowed', usable: false, says, hindrance: noAnswer(timeout) }
  }
  if (result.unknown)
    return { ...found, outcome: 'works', usable: true, says: 'opens and answers; no more could be tried' }
  if (result.foreign) return { ...found, outcome: 'refused', usable: false, ...notOurs }
  if (!welcome) {
    if (trips.length > 0)
      return {
        ...found,
        outcome: 'buffered',
        usable: false,
        says: "opens, but the server's messages arrive late",
      }
    if (hindrance) {
      const says = `opens and ends at once: ${hindrance.says}`
      return { ...found, outcome: 'refused', usable: false, says }
    }
    if (!result.heardByServer)
      return { ...found, outcome: 'silent', usable: false, says: 'opens, but carries no data' }
    const says = 'opens, but carries data only to the server'
    return { ...found, outcome: 'one way', usable: false, carries: 'to server', says }
  }
  if (trips.length === 0 && result.fellSilent) {
    const says = 'opens, but carries data only to the client'
    return { ...found, outcome: 'one way', usable: false, carries: 'to client', says }
  }
  if (!end && !result.fellSilent) {
    return {
      ...found,
      outcome: 'works',
      usable: true,
      says: `still works after ${time(result.held)} of silence`,
    }
  }
  const cutAfter = round(result.endedAt)
  const silent = result.endedAt - result.heardAt
  const how = `${
    hindrance ? hindrance.says : 'it carries no data any more, without a close'
  }${silent > early ? `, after ${time(silent)} of silence` : ''}`
  return { ...found, outcome: 'cut', usable: true, cutAfter, says: `cut after ${time(cutAfter)}: ${how}` }
}

export function streamReport(
  transport: 'stream' | 'sse',
  result: HttpResult,
  asked: number,
): TransportReport {
  const { hindrance, ours, first, took } = result
  const found = {
    transport,
    ...(ours && { first: round(first) }),
    ...(hindrance && { hindrance }),
  } as const
  if (!ours) {
    if (isBusy(hindrance)) return { ...found, ...busy }
    if (result.passedOver && hindrance && gaveUpLate(result, asked)) {
      const says = `nothing arrived for ${time(took)}, then ${hindrance.says}`
      return { ...found, outcome: 'buffered', usable: false, cutAfter: round(took), says }
    }
    return unreached(transport, result)
  }
  const firstLate = result.firstLate.proven
  if (firstLate > firstLimit(asked)) {
    const says =
      took - first < muchLater
        ? `nothing arrives before the end of an answer (here after ${time(first)}): a proxy collects it`
        : `nothing arrives for the first ${time(first)}: a proxy collects the answer`
    return { ...found, outcome: 'buffered', usable: false, late: round(firstLate), says }
  }
  if (isCut(result, asked)) {
    const how = hindrance?.says ?? 'the answer was ended, but not by the server'
    const cutAfter = round(took)
    return {
      ...found,
      outcome: 'cut',
      usable: true,
      cutAfter,
      held: cutAfter,
      says: `cut after ${time(took)}: ${how}`,
    }
  }
  const held = round(took)
  const late = result.late.proven
  if (late > muchLater) {
    const says = `begins at once, but then pieces arrive together, up to ${time(late)} late`
    // The client waits for a second piece, so it would not use a stream that holds that piece back.
    return { ...found, outcome: 'buffered', usable: false, held, late: round(late), says }
  }
  return {
    ...found,
    outcome: 'works',
    usable: true,
    held,
    says: `every piece arrived in time for ${time(held)}`,
  }
}

/**
 * Why a stream does not show how streams work here, if it does not. `'late'`: it was late, but nothing shows that other
 * answers came sooner: the server, the line or this machine paused. `'silent'`: it was cut while the server wrote less
 * than it should, and may have been cut for that silence.
 */
export function unclear(result: HttpResult, asked: number): 'late' | 'silent' | undefined {
  const { ours, firstLate, late, passedOver, took, heardAt, hindrance } = result
  if (isBusy(hindrance)) return undefined
  if (!ours) return !passedOver && gaveUpLate(result, asked) ? 'late' : undefined
  if (firstLate.proven > firstLimit(asked)) return undefined
  if (firstLate.most > firstLimit(asked)) return 'late'
  if (isCut(result, asked))
    return hindrance?.cause !== 'timeout' && took - heardAt > silent ? 'silent' : undefined
  return late.most > muchLater && late.proven <= muchLater ? 'late' : undefined
}

const isCut = ({ whole, took }: HttpResult, asked: number): boolean => !whole || took < asked - early

const firstLimit = (asked: number): number => Math.min(firstMuchLater, asked * 0.8)

/** Whether an answer that is not everwire's came so late that the stream must have begun before it. */
const gaveUpLate = ({ hindrance, took }: HttpResult, asked: number): boolean =>
  hindrance?.cause !== 'timeout' && took > Math.min(firstMuchLater, asked / 2)

/** One held exchange, and the time for which the server was to hold it. */
export interface Hold {
  readonly asked: number
  readonly result: HttpResult
}

export function pollingReport(
  knocked: HttpResult,
  shorts: readonly HttpResult[],
  holds: readonly Hold[],
): TransportReport {
  const transport = 'polling'
  if (!knocked.ours) return unreached(transport, knocked)
  const trips = shorts.filter(({ ours }) => ours).map(({ took }) => took)
  const good = holds.filter(({ asked, result }) => result.whole && result.took > asked - early)
  const bad = holds.filter((hold) => !good.includes(hold))
  const held = Math.max(0, ...good.map(({ asked }) => asked))
  const found = {
    transport,
    first: round(knocked.first),
    ...(trips.length > 0 && { roundTrip: median(trips) }),
    ...(held > 0 && { held }),
  } as const
  if (holds.length === 0 || bad.some(({ result }) => isBusy(result.hindrance)))
    return { ...found, outcome: 'works', usable: true, says: 'one exchange works; no more could be tried' }
  const lost = shorts.length - trips.length
  const [worst] = bad.sort((a, b) => a.result.took - b.result.took)
  if (!worst) {
    const some = lost > 0 ? `, but ${lost} of ${shorts.length} short exchanges failed` : ''
    return { ...found, outcome: 'works', usable: true, says: `answers held for ${time(held)}${some}` }
  }
  const { hindrance, took } = worst.result
  const how = hindrance?.says ?? 'the answer was ended, but not by the server'
  const cutAfter = round(took)
  const says = `short exchanges work; a held one is cut after ${time(took)}: ${how}`
  return { ...found, outcome: 'cut', usable: true, cutAfter, says, ...(hindrance && { hindrance }) }
}

/** Whether the server holds its maximum of probes, which says nothing about the network. The text is the server's own. */
const isBusy = (hindrance: Hindrance | undefined): boolean =>
  hindrance?.status === 503 && hindrance.says.includes('Too many probes')

const busy = {
  outcome: 'unknown',
  usable: false,
  says: 'the server already holds its maximum number of probes; try again later',
} as const

/** Reports that not even a first answer came from an everwire server. */
function unreached(transport: Transport, { hindrance = noAnswer(0), took }: HttpResult): TransportReport {
  const silent = hindrance.cause === 'timeout'
  return {
    transport,
    outcome: silent ? 'swallowed' : 'refused',
    usable: false,
    says: silent ? noAnswer(took).says : hindrance.says,
    hindrance,
  }
}

const notOurs = {
  says: 'opens, but the server is not an everwire server',
  hindrance: { cause: 'foreign', says: 'a WebSocket server, but not an everwire server' },
} as const

function closed(code: number, reason: string): Hindrance {
  // 1006 is the runtime's code for a connection that ended without a close.
  if (code === 1006) return { cause: 'reset', says: 'the connection was cut without a close' }
  return { cause: 'ended', says: `closed with ${code}${reason ? `, "${clean(reason, 123)}"` : ''}` }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return round(sorted[Math.floor(sorted.length / 2)] ?? 0)
}

/** Rounds to tenths of a millisecond below 10 ms: more digits would mean nothing. */
function round(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)
}
