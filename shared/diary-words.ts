/** Entries of a diary, of the client's or the server's, in words for people. Browsers load this only with `formatDiary`. */

/** An entry of either diary, as far as words are made of it. */
export type AnyEntry =
  | CarrierLike
  | { readonly type: 'sign'; readonly at: number; readonly sign: string }
  | {
      readonly type: 'lesson'
      readonly at: number
      readonly about: string
      readonly transport?: string
      readonly value: number
    }
  | { readonly type: 'close'; readonly at: number; readonly code: number; readonly reason: string }

interface CarrierLike {
  readonly type: 'carrier'
  readonly at: number
  readonly transport: string
  readonly epoch: number
  readonly purpose?: string
  readonly proven?: number
  readonly sound?: number
  readonly ended?: number
  readonly by?: string
  readonly why?: string
  readonly received?: number
  readonly acknowledged?: number
}

const purposes: Readonly<Record<string, string>> = {
  open: 'to open the session',
  resume: 'to resume the session',
  doubt: 'beside one in doubt',
  better: 'as a better transport',
}

const signs: Readonly<Record<string, string>> = {
  online: 'the machine is online again',
  network: 'the network has changed',
  visible: 'the page is visible again',
  wake: 'the page or the machine was asleep',
  silent: 'nothing came for too long',
  unanswered: 'an answer is overdue',
  away: 'the page went into the back/forward cache',
  back: 'the page came back from the back/forward cache',
  leaving: 'the page is being left',
}

/** All of an entry in one sentence without its time. */
export function wordsOfEntry(entry: AnyEntry): string {
  switch (entry.type) {
    case 'carrier': {
      const { ended, by, proven, sound } = entry
      const steps = [
        ...(proven === undefined ? [] : [`answered after ${span(proven)}`]),
        ...(sound === undefined ? [] : [`sound after ${span(sound)}`]),
        ended === undefined ? 'in use or being tried' : endWords(entry),
      ]
      // Only a client has proofs, and only a server counts on each carrier.
      return `${beginWords(entry)}: ${steps.join(', ')}${by === undefined ? counts(entry) : ''}`
    }
    case 'sign':
      return `a reason to look: ${signs[entry.sign] ?? entry.sign}`
    case 'lesson':
      return `learnt: ${lesson(entry)}`
    case 'close':
      return `the session is over: ${closeWords(entry.code, entry.reason)}`
  }
}

/** Which carrier it is, and what for. */
export function beginWords({ transport, epoch, purpose }: CarrierLike): string {
  const name = epoch === 0 ? `an ordinary ${transport}` : `carrier ${epoch}, ${transport}`
  return purpose === undefined ? name : `${name}, ${purposes[purpose] ?? purpose}`
}

/** When, by whom and why a carrier ended. */
export function endWords(entry: CarrierLike): string {
  const { ended = 0, by = 'nobody', why = '' } = entry
  const who = by === 'network' ? 'by the network or a proxy' : `by the ${by}`
  return `ended after ${span(ended)} ${who}${why === '' ? '' : `: ${why}`}${counts(entry)}`
}

export function closeWords(code: number, reason: string): string {
  return reason === '' ? `code ${code}` : `code ${code}, ${JSON.stringify(reason)}`
}

/** A time for people. */
export function span(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(1))} s`
}

function counts({ received, acknowledged }: CarrierLike): string {
  return received === undefined ? '' : `; ${received} received, ${acknowledged} acknowledged`
}

function lesson({
  about,
  transport,
  value,
}: {
  readonly about: string
  readonly transport?: string
  readonly value: number
}): string {
  switch (about) {
    case 'rest':
      return value > 0 ? `${transport} is left alone for ${span(value)}` : `${transport} may be tried at once`
    case 'quiet':
      return `a silence of ${span(value)} is not cut here`
    case 'life':
      return `a streamed answer of ${span(value)} is not cut here`
    case 'piece':
      return `a request with a body of ${value} bytes is not refused here`
    default:
      return `${about} ${value}`
  }
}
