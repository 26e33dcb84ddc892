/** What happened, for whoever has to find out why: kept within bounds, in words and numbers a program can read. */
import type { Attempt } from './carrier.ts'
import type { CarrierEntry, DiaryEntry } from './types.ts'

const maxEntries = 64

export class Diary {
  readonly #entries: DiaryEntry[] = []
  readonly #carriers = new WeakMap<Attempt, CarrierEntry>()

  /** As it is now; nobody else's changes show in it. */
  get entries(): DiaryEntry[] {
    return this.#entries.map((entry) => ({ ...entry }))
  }

  add(entry: DiaryEntry): void {
    this.#entries.push(entry)
    // The beginning says how it came to be: what is dropped is what follows it.
    if (this.#entries.length > maxEntries) this.#entries.splice(maxEntries / 4, 1)
  }

  began(link: Attempt, purpose: CarrierEntry['purpose']): void {
    const { transport, epoch } = link
    const entry: CarrierEntry = { type: 'carrier', at: Date.now(), transport, epoch, purpose }
    this.#carriers.set(link, entry)
    this.add(entry)
  }

  /** It got so far now. */
  reached(link: Attempt, stage: 'proven' | 'sound'): void {
    const entry = this.#carriers.get(link)
    if (entry) entry[stage] ??= Date.now() - entry.at
  }

  ended(link: Attempt, by: NonNullable<CarrierEntry['by']>, why: string): void {
    const entry = this.#carriers.get(link)
    if (!entry || entry.ended !== undefined) return
    entry.ended = Date.now() - entry.at
    entry.by = by
    entry.why = why
  }
}
