/** The pieces of one stream: how late each came, and whether short exchanges were answered while it was missing. */
import type { Witness } from './witness.ts'

/** So long after the request, or after a piece, it is time to ask something else meanwhile; pieces are 250 ms apart. */
const firstDue = 100
const nextDue = 500
/** Timers ring a little early. */
const rounding = 5

/** In milliseconds. */
export interface Lateness {
  /** How much later than the quickest piece of the same stream. */
  readonly most: number
  /** The same, of pieces in whose absence short exchanges were answered. */
  readonly proven: number
}

export const inTime: Lateness = { most: 0, proven: 0 }

interface Piece {
  /** When the server said it, since it began. */
  readonly said: number
  /** When it came, since the request. */
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

  /** No more will come. */
  end(): void {
    clearTimeout(this.#timer)
    this.#stop()
  }

  /** `ended`: it was whole then. The server, which was to hold it for `asked`, did not end it sooner, perhaps later. */
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
