/**
 * What is known of the way to one origin: how each transport fared, how long a round trip takes, what is cut and what
 * is refused. Evidence that fades, never a verdict: a transport that failed rests for a while that grows with each
 * failure, and is still tried when nothing else is left. Kept for the next visit where the runtime has a place for it.
 */
import type { NetworkFinding, Transport } from './types.ts'

/** With so much held against it a transport comes after the others. */
const bad = 0.9

const firstRest = 1000
const longestRest = 300_000
/** After so long a failure says half as much … */
const halfLife = 7_200_000
/** … and what was learnt of cuts and bodies says nothing any more. */
const lessonLife = 1_800_000

/** How often something is to be heard at first: every path is patient for so long, or shows that it is not. */
const firstQuiet = 4000
/** To be heard more often than this costs more than to be cut; and no limit is less. */
const least = 600
const leastLife = 2000
/** What took longer was not on its way all the time: the machine slept, or much was before it. */
const longestRoundTrip = 10_000
/** Of the time after which something was cut, this much is safe. */
const safe = 0.75
/** The pace that is assumed of any path, 2 Mbit/s, as long as it does not prove slower. */
const fastest = 256
/** So much may be on its way before something, in what networks and systems keep. */
const queued = 128 * 1024
/** After so many silences that were not cut, a longer one is tried; after the next cut only after twice as many. */
const firstBeats = 8

/** How much is held against a transport, as of when. */
type Fare = readonly [weight: number, at: number, restsUntil: number]

/** A limit that was met, and when. */
type Limit = readonly [value: number, at: number]

type Fares = { [T in Transport]?: Fare }

interface Known {
  /** Has no time: the next answer measures it anew. */
  roundTrip?: readonly [ms: number]
  /** Silence was cut, a stream was cut, a body was refused: less than this gets through. */
  quiet?: Limit
  life?: Limit
  piece?: Limit
}

/** What is kept for the next visit, as JSON. */
type Kept = readonly [fares: Fares, known: Known]

/** As much of a `Storage` as is needed. */
export interface Store {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

export class Network {
  #fares: Fares = {}
  #known: Known = {}
  readonly #key: string
  readonly #store: Store | undefined
  /** How often something is wanted to be heard now, in ms: longer as the path proves patient. */
  quiet: number
  /** Bytes a millisecond: slower than this nothing is taken to be, else large messages would look like silence. */
  pace: number = fastest
  #beats = 0
  #beatsNeeded: number = firstBeats
  /** When a stream was cut last for no reason that silence would give: once may be chance. */
  #cutLife = 0

  constructor(key: string, store: Store | undefined) {
    this.#key = key
    this.#store = store
    try {
      // An exception would take longer than all the rest of a constructor.
      if (store) {
        const kept = JSON.parse(store.getItem(key) as string) as Kept
        if (kept.every((part) => Object.values(part).every((list) => list.every(isSane)))) {
          this.#fares = { ...kept[0] }
          this.#known = { ...kept[1] }
        }
      }
    } catch {
      // Nothing kept, nothing that may be read, or nothing of ours.
    }
    this.quiet = this.#limit('quiet') ?? firstQuiet
  }

  failed(transport: Transport, weight: number): NetworkFinding {
    const now = Date.now()
    const all = weight + this.#weight(transport)
    const rest = all < bad ? 0 : Math.floor(Math.min(firstRest * 2 ** (all - 1), longestRest))
    this.#fares[transport] = [all, now, now + rest]
    this.#save()
    return { type: 'lesson', at: now, about: 'rest', transport, value: rest }
  }

  /** It has served for long. */
  worked(transport: Transport): void {
    if (!this.#fares[transport]) return
    delete this.#fares[transport]
    this.#save()
  }

  /** Whether others come first. */
  fares(transport: Transport): 'well' | 'badly' {
    return this.#weight(transport) < bad ? 'well' : 'badly'
  }

  /** How much is held against it now. */
  #weight(transport: Transport): number {
    const [weight = 0, at = 0] = this.#fares[transport] ?? []
    return weight * 0.5 ** (age(at) / halfLife)
  }

  /** How long it is left alone, in ms. */
  rest(transport: Transport): number {
    const rest = (this.#fares[transport]?.[2] ?? 0) - Date.now()
    return rest > longestRest ? 0 : Math.max(rest, 0)
  }

  /** Perhaps another network: what failed on the one before says nothing here. It is kept for the next visit all the same. */
  moved(): void {
    this.#fares = {}
  }

  /** In ms; undefined before the first measurement. */
  get roundTrip(): number | undefined {
    const [ms = Number.NaN] = this.#known.roundTrip ?? []
    return ms <= longestRoundTrip ? ms : undefined
  }

  /** Smoothed, so that one slow answer does not count for much. */
  measured(ms: number): void {
    const took = Math.min(ms, longestRoundTrip)
    const { roundTrip = took } = this
    this.#known.roundTrip = [roundTrip + (took - roundTrip) / 4]
  }

  /** Nothing was heard for so long, and then something was. `longest`: there is no silence beyond that. */
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

  /** So many bytes have taken so long. */
  took(bytes: number, ms: number): void {
    this.pace = Math.min(Math.max(bytes / (2 * ms + 1), 1), fastest)
  }

  /** What was in doubt had much to carry: perhaps it was only slow. */
  slower(): void {
    this.pace = Math.max(this.pace / 4, 1)
  }

  /** How long something small may take that comes behind what is on its way already, in ms. */
  get queueTime(): number {
    return queued / this.pace
  }

  /** How long a streamed answer may last; 0 for as long as it will. */
  get life(): number {
    return this.#limit('life') ?? 0
  }

  /** The largest body that was not refused, as far as is known. */
  get piece(): number {
    return this.#limit('piece') ?? Number.MAX_SAFE_INTEGER
  }

  /** An answer was cut when it had lasted for `age`, and nothing had been heard for `silence`. Two cuts at one age are not for silence. */
  cut(age: number, silence: number): NetworkFinding | undefined {
    const again = age < this.#cutLife * 1.3 && age > this.#cutLife * 0.7
    this.#cutLife = age || this.#cutLife
    if (again && age >= leastLife) {
      // The cut before may have been taken for one of silence: a longer silence is tried again.
      this.quiet = firstQuiet
      return this.#learn('life', age * safe)
    }
    if (silence > this.quiet * 0.2 && silence * safe >= least && silence < this.quiet * 1.2) {
      this.quiet = silence * safe
      this.#beatsNeeded *= 2
      return this.#learn('quiet', this.quiet)
    }
    return undefined
  }

  refused(piece: number): NetworkFinding {
    return this.#learn('piece', piece)
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

/** Clocks are set back: what is from the future says as little as what is as long ago. */
function age(at: number): number {
  return Math.abs(Date.now() - at)
}

/** What is kept may be of another version, or of somebody else's making. */
function isSane(one: number): boolean {
  return Math.min(Math.abs(one), Number.MAX_SAFE_INTEGER) === one
}

/** What this page, or process, knows: shared by all its sockets to an origin. */
const networks = new Map<string, Network>()

export function networkTo(origin: string, store: () => Store | undefined): Network {
  let network = networks.get(origin)
  if (!network) {
    network = new Network(`everwire ${origin}`, storeOf(store))
    networks.set(origin, network)
  }
  return network
}

/** To ask for it can throw: a page may be forbidden to keep anything. */
function storeOf(store: () => Store | undefined): Store | undefined {
  try {
    return store()
  } catch {
    return undefined
  }
}
