/** What a process of a run counts. */
import type { Fault, FaultKind } from './ledger.ts'

export type Faults = Record<FaultKind, number>

export interface Counts {
  readonly faults: Faults
  /** Closes that nobody asked for, by code and reason. */
  readonly unexpected: Record<string, number>
  opened: number
  /** Attempts whose connection was cut before there was a session. */
  notOpened: number
  /** Sessions that ended as they were to. */
  ended: number
  sent: number
  received: number
  resumed: number
}

/** So many faults are told in full. */
const told = 20

export class Tally {
  readonly counts: Counts = {
    faults: { lost: 0, twice: 0, disorder: 0, spoilt: 0 },
    unexpected: {},
    opened: 0,
    notOpened: 0,
    ended: 0,
    sent: 0,
    received: 0,
    resumed: 0,
  }
  #told = 0
  readonly #tell: (text: string) => void

  constructor(tell: (text: string) => void) {
    this.#tell = tell
  }

  /** `who` is called only for what is told in full. */
  fault(fault: Fault | undefined, who: () => unknown): void {
    if (!fault) return
    this.counts.faults[fault.kind] += fault.count
    this.#say(`${fault.kind}: ${fault.what}`, who)
  }

  unexpected(code: number, reason: string, who: () => unknown): void {
    const name = `${code} ${reason.replace(/\d+/g, 'n')}`.trim()
    this.counts.unexpected[name] = (this.counts.unexpected[name] ?? 0) + 1
    this.#say(`unexpected close: ${code} '${reason}'`, who)
  }

  #say(what: string, who: () => unknown): void {
    if (this.#told++ < told) this.#tell(`${what} ${JSON.stringify(who())}`)
  }
}

export function sum(all: readonly Counts[]): Counts {
  const { counts } = new Tally(() => {})
  for (const { faults, unexpected, ...rest } of all) {
    add(counts.faults, faults)
    add(counts.unexpected, unexpected)
    add(counts as unknown as Record<string, number>, rest)
  }
  return counts
}

function add(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) to[name] = (to[name] ?? 0) + count
}
