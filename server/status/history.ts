/** The last quarter of an hour in numbers: one sample every five seconds, in a ring that never grows. */
import type { ByTransport, MessageCount, ServerStats } from '../sockets/statistics.ts'

export const samplePeriod = 5_000
export const maxSamples = 180

/** What a chart needs of the numbers at one moment. Counts of messages are totals, so that a late sample loses none. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly carriers: ByTransport
  readonly resuming: number
  readonly plain: number
  readonly received: MessageCount
  readonly sent: MessageCount
  readonly memory: number
}

export class History {
  readonly #ring: Sample[] = []
  /** The index of the oldest sample, once the ring is full. */
  #oldest = 0

  /** Oldest first. */
  get samples(): Sample[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)]
  }

  add(sample: Sample): void {
    if (this.#ring.length < maxSamples) this.#ring.push(sample)
    else {
      this.#ring[this.#oldest] = sample
      this.#oldest = (this.#oldest + 1) % maxSamples
    }
  }
}

export function sampleOf({ sessions, plain, received, sent, memory }: ServerStats, at: number): Sample {
  const { carriers, resuming } = sessions
  return { at, carriers, resuming, plain: plain.open, received, sent, memory: memory.used }
}
