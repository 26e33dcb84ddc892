/** The pieces of one stream: how late each arrived, and whether short exchanges were answered while it was missing. */
import type { Witness } from './witness.ts'

/** This long after the request, or after a piece, start short exchanges for comparison. Pieces are 250 ms apart. */
const firstDue = 100
const nextDue = 500
/** Timers may fire a little early. */
const rounding = 5

/** How late pieces arrived, in milliseconds. */
export interface Lateness {
  /** How much later than the fastest piece of the same stream the latest piece arrived. */
  readonly most: number
  /** The same, counting only pieces during whose absence short exchanges were answered. */
  readonly proven: number
}

export const inTime: Lateness = { most: 0, proven: 0 }

interface Piece {
  /** When the server wrote the piece, in milliseconds after it began the stream. */
  readonly said: number
  /** When the piece arrived, in milliseconds after the request. */
  readonly came: number
}

export class Pieces {
  readonly #witness: Witness
  readonly #begun: number
  readonly #pieces: Piece[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #stop = (): void => {}

  constructor(witness: Witness, begun: number) {
    this.#witness = witness
    this.#begun = begun
    this.#watch(firstDue)
  }

  came(said: number, came: number): void {
    this.#pieces.push({ said, came })
    this.#watch(nextDue)
  }

  /** Stops watching: no more pieces will arrive. */
  end(): void {
    clearTimeout(this.#timer)
    this.#stop()
  }

  /** `ended`: when the stream ended, if it was complete. The server was to hold it for `asked` and did not end it sooner. */
  lateness(asked: number, ended: number | undefined): { first: Lateness; any: Lateness } {
    const ways = this.#pieces.map(({ said, came }) => came - said)
    if (ended !== undefined && ended > asked - rounding) ways.push(ended - asked)
    const quickest = Math.min(...ways)
    const all = this.#pieces.map(({ said, came }) => {
      const most = came - said - quickest
      const missed = this.#begun + said + quickest
      return { most, proven: this.#witness.answeredWithin(missed, this.#begun + came) ? most : 0 }
    })
    const any = {
      most: Math.max(0, ...all.map(({ most }) => most)),
      proven: Math.max(0, ...all.map(({ proven }) => proven)),
    }
    return { first: all[0] ?? inTime, any }
  }

  #watch(due: number): void {
    this.end()
    this.#timer = setTimeout(() => {
      this.#stop = this.#witness.compare()
    }, due)
  }
}
