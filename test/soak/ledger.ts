/** Checks the numbers of one direction as they come. It keeps two counters, however long it runs. */

export type FaultKind = 'lost' | 'twice' | 'disorder' | 'spoilt'

export interface Fault {
  readonly kind: FaultKind
  /** How many messages. */
  readonly count: number
  readonly what: string
}

export class Ledger {
  #next: number
  /** Numbers that were passed over: one that comes later is out of order, not doubled. */
  #missing = 0

  constructor(first = 1) {
    this.#next = first
  }

  /** The number that the next message must have. */
  get next(): number {
    return this.#next
  }

  /** A message has come. */
  take(number: number): Fault | undefined {
    const expected = this.#next
    const what = `${number} came, ${expected} was next`
    if (number === expected) {
      this.#next++
      return undefined
    }
    if (number > expected) {
      this.#next = number + 1
      this.#missing += number - expected
      return { kind: 'lost', count: number - expected, what }
    }
    if (this.#missing === 0) return { kind: 'twice', count: 1, what }
    this.#missing--
    return { kind: 'disorder', count: 1, what }
  }

  /** The sender says which number would have been the next. */
  ended(next: number): Fault | undefined {
    const expected = this.#next
    if (next === expected) return undefined
    const what = `${next} would have been sent next, ${expected} was expected next`
    return next > expected
      ? { kind: 'lost', count: next - expected, what }
      : { kind: 'twice', count: expected - next, what }
  }
}
