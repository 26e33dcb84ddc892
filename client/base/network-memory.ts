/**
 * The client's memory of the network to one origin: how each transport fared, how long a round trip takes, and what the network
 * cuts and refuses. It fades, and rules nothing out: a transport that failed rests, longer after each failure, and is still
 * tried when nothing else is left. Where the runtime has a store, the memory is kept for the next visit.
 */
import type { NetworkFinding, Transport } from './types.ts'

/** A transport with at least this weight against it comes after the others. */
const bad = 0.9

const firstRest = 1000
/** The first rest of a transport that also failed on an earlier visit. */
const laterRest = 300_000
const longestRest = 1_800_000
/** After this time a failure has half its weight. */
const halfLife = 7_200_000
/** After this time the client forgets what it learnt of cuts and of large bodies. */
const lessonLife = 1_800_000

/** The first wish for how often the server says something. Hardly any network cuts so short a silence. */
const firstQuiet = 4000
/** No limit that the client learns is lower: heartbeats more often than this would cost more than a cut. */
const least = 600
const leastLife = 2000
/** A longer measurement is no round trip: the machine slept, or much was in the way. */
const longestRoundTrip = 10_000
/** The network cut something after some time: this part of that time is safe to use. */
const safe = 0.75
/** The pace that the client assumes of a network, 2 Mbit/s, until the network shows that it is slower. */
const fastest = 256
/** The bytes that the buffers of systems and networks may hold in front of a new message. */
const queued = 128 * 1024
/** After this many silences without a cut the client tries a longer one. Each cut doubles the number. */
const firstBeats = 8
/** After this many large bodies that failed, each followed by a small one that passed, the size is the reason. Fewer may be chance. */
const balksNeeded = 3

/** The weight against a transport, when it was counted, and how long the transport rests from then on. */
type Fare = readonly [weight: number, at: number, rest: number]

/** A limit that the client met, and when. */
type Limit = readonly [value: number, at: number]

type Fares = { [T in Transport]?: Fare }

interface Known {
  /** Has no time, because the next answer measures it anew. */
  roundTrip?: readonly [ms: number]
  /** What gets through: a silence, the life of a stream (in ms), the body of a request (in bytes). */
  quiet?: Limit
  life?: Limit
  piece?: Limit
}

/** The form in the store, as JSON. */
type Kept = readonly [fares: Fares, known: Known]

/** The two methods of `Storage` that the memory uses. */
export interface Store {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

export class Network {
  #fares: Fares = {}
  #known: Known = {}
  /** When this visit began. */
  readonly #since: number = Date.now()
  readonly #key: string
  readonly #store: Store | undefined
  /** How often the server is asked to say something, in ms. It grows while the network cuts no silence. */
  quiet: number
  /** The assumed pace in bytes per millisecond: the time that a large message needs at this pace does not count as silence. */
  pace: number = fastest
  #beats = 0
  #beatsNeeded: number = firstBeats
  /** The smallest body that failed while small ones passed, and how often that happened, since a body of that size last got through. */
  #balked: number = Number.MAX_SAFE_INTEGER
  #balks = 0
  /** The age of the last stream that was cut although it was not silent. One such cut may be chance. */
  #cutLife = 0

  constructor(key: string, store: Store | undefined) {
    this.#key = key
    this.#store = store
    try {
      // Without a store this throws at once, which costs less than to parse nothing.
      const [fares, known] = JSON.parse((store as Store).getItem(key) as string) as Kept
      if ([fares, known].every((part) => Object.values(part).every((list) => list.every(isSane)))) {
        this.#fares = { ...fares }
        this.#known = { ...known }
      }
    } catch {
      // Nothing is kept, the page may not read it, or it is not everwire's.
    }
    this.quiet = this.#limit('quiet') ?? firstQuiet
  }

  failed(transport: Transport, weight: number): NetworkFinding {
    const now = Date.now()
    const all = weight + this.#weight(transport)
    // A transport that also failed on an earlier visit is tried once, and then seldom: browsers write a console line for each WebSocket.
    const [before = 0, at = 0, last = 0] = this.#fares[transport] ?? []
    const again = before >= bad && (at < this.#since || last >= laterRest)
    const next = again ? Math.max(2 * last, laterRest) : firstRest * 2 ** (all - 1)
    const rest = all < bad ? 0 : Math.floor(Math.min(next, longestRest))
    this.#fares[transport] = [all, now, rest]
    this.#save()
    return { type: 'lesson', at: now, about: 'rest', transport, value: rest }
  }

  /** A carrier of this transport has served for long. */
  worked(transport: Transport): void {
    if (!this.#fares[transport]) return
    delete this.#fares[transport]
    this.#save()
  }

  /** 'badly': other transports come first. */
  fares(transport: Transport): 'well' | 'badly' {
    return this.#weight(transport) < bad ? 'well' : 'badly'
  }

  /** The weight against a transport now. */
  #weight(transport: Transport): number {
    const [weight = 0, at = 0] = this.#fares[transport] ?? []
    return weight * 0.5 ** (age(at) / halfLife)
  }

  /** How long the client leaves the transport alone, in ms. */
  rest(transport: Transport): number {
    const [, at = 0, rest = 0] = this.#fares[transport] ?? []
    return Math.max(Math.min(rest, longestRest) - age(at), 0)
  }

  /** The network may be another one: earlier failures do not count on it. The store keeps them for the next visit. */
  moved(): void {
    this.#fares = {}
  }

  /** The round trip in ms; undefined before the first measurement. */
  get roundTrip(): number | undefined {
    const [ms = Number.NaN] = this.#known.roundTrip ?? []
    return ms <= longestRoundTrip ? ms : undefined
  }

  /** Smooths the round trip, so that one slow answer changes little. */
  measured(ms: number): void {
    const took = Math.min(ms, longestRoundTrip)
    const { roundTrip = took } = this
    this.#known.roundTrip = [roundTrip + (took - roundTrip) / 4]
  }

  /** A silence of so many ms ended without a cut. `longest`: the server is never silent for longer. */
  wasQuiet(ms: number, longest: number): void {
    if (ms < this.quiet * 0.8 || this.quiet >= longest) return
    const limit = this.#limit('quiet')
    if (limit === undefined || this.quiet < limit)
      this.quiet = Math.min(this.quiet * 2, limit ?? longest, longest)
    else if (++this.#beats >= this.#beatsNeeded) {
      this.quiet = Math.min(this.quiet * 1.5, longest)
      this.#learn('quiet', this.quiet)
    }
  }

  /** A message of so many bytes took so many ms. */
  took(bytes: number, ms: number): void {
    this.pace = Math.min(Math.max(bytes / (2 * ms + 1), 1), fastest)
  }

  /** A carrier in doubt had many bytes to carry: perhaps it was only slow, so assume a lower pace. */
  slower(): void {
    this.pace = Math.max(this.pace / 4, 1)
  }

  /** How long a small message may take behind full buffers, in ms. */
  get queueTime(): number {
    return queued / this.pace
  }

  /** How long a streamed answer may last, in ms; 0: no limit is known. */
  get life(): number {
    return this.#limit('life') ?? 0
  }

  /** The largest body that the network does not refuse, as far as the client knows. */
  get piece(): number {
    return this.#limit('piece') ?? Number.MAX_SAFE_INTEGER
  }

  /** The network cut an answer after `age` ms, when it had been silent for `silence` ms. */
  cut(age: number, silence: number): NetworkFinding | undefined {
    if (silence > this.quiet * 0.2 && silence * safe >= least && silence < this.quiet * 1.2) {
      this.quiet = silence * safe
      this.#beatsNeeded *= 2
      return this.#learn('quiet', this.quiet)
    }
    if (!age) return undefined
    const again = age < this.#cutLife * 1.3 && age > this.#cutLife * 0.7
    this.#cutLife = age
    return again && age >= leastLife ? this.#learn('life', age * safe) : undefined
  }

  refused(piece: number): NetworkFinding {
    return this.#learn('piece', piece)
  }

  /** A body of `size` bytes got through. `balked`: the size of the body before it, if that failed for no stated reason; otherwise 0. */
  passed(size: number, balked: number): NetworkFinding | undefined {
    if (size >= this.#balked) {
      this.#balks = 0
      this.#balked = Number.MAX_SAFE_INTEGER
    }
    if (!balked) return undefined
    this.#balked = Math.min(this.#balked, balked)
    if (++this.#balks < balksNeeded) return undefined
    // From now on one more such failure halves the limit again, until a body of this size has got through.
    this.#balked >>= 1
    return this.refused(this.#balked)
  }

  #limit(about: 'quiet' | 'life' | 'piece'): number | undefined {
    const [value = 0, at = 0] = this.#known[about] ?? []
    return value >= least && age(at) < lessonLife ? value : undefined
  }

  #learn(about: 'quiet' | 'life' | 'piece', exact: number): NetworkFinding {
    this.#beats = 0
    const at = Date.now()
    const value = Math.floor(exact)
    this.#known[about] = [value, at]
    this.#save()
    return { type: 'lesson', at, about, value }
  }

  #save(): void {
    try {
      this.#store?.setItem(this.#key, JSON.stringify([this.#fares, this.#known]))
    } catch {
      // Full, or not allowed.
    }
  }
}

/** A clock can be set back: a time in the future counts as the same distance in the past. */
function age(at: number): number {
  return Math.abs(Date.now() - at)
}

/** The store may hold values of another version, or of somebody else. */
function isSane(one: number): boolean {
  return Math.min(Math.abs(one), Number.MAX_SAFE_INTEGER) === one
}

/** The memories of this page or process. All its sockets to an origin share one. */
const networks = new Map<string, Network>()

export function networkTo(origin: string, store: () => Store | undefined): Network {
  let network = networks.get(origin)
  if (!network) {
    network = new Network(`everwire ${origin}`, storeOf(store))
    networks.set(origin, network)
  }
  return network
}

/** Asking for the store can throw, where a page may not keep anything. */
function storeOf(store: () => Store | undefined): Store | undefined {
  try {
    return store()
  } catch {
    return undefined
  }
}
