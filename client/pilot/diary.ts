/** What happened, for whoever has to find out why: kept within bounds, in words and numbers a program can read. */
import type { CarrierLink } from '../base/carrier.ts'
import type { CarrierEntry, DiaryEntry } from '../base/types.ts'
import type { Why } from '../base/why.ts'

const maxEntries = 64

export class Diary {
  readonly #entries: DiaryEntry[] = []

  /** As it is now; nobody else's changes show in it. */
  get entries(): DiaryEntry[] {
    return this.#entries.map((entry) => ({ ...entry }))
  }

  add(entry: DiaryEntry | undefined): void {
    if (entry) this.#entries.push(entry)
    // The beginning says how it came to be: what is dropped is what follows it.
    if (this.#entries.length > maxEntries) this.#entries.splice(maxEntries / 4, 1)
  }

  began(link: CarrierLink, purpose: CarrierEntry['purpose']): void {
    const { transport, epoch } = link
    link.entry = { type: 'carrier', at: Date.now(), transport, epoch, purpose }
    this.add(link.entry)
  }

  /** It got so far now. */
  reached({ entry }: CarrierLink, stage: 'proven' | 'sound'): void {
    if (entry) entry[stage] ??= Date.now() - entry.at
  }

  ended({ entry }: CarrierLink, by: NonNullable<CarrierEntry['by']>, why: Why): void {
    if (!entry) return
    entry.ended = Date.now() - entry.at
    entry.by = by
    entry.why = wordsOf(why)
  }
}

/** A reason for people. The only place where words are made of it. */
export function wordsOf(why: Why): string {
  const { is, status, code, text }: { is: string; status?: number; code?: number; text?: string } = why
  return status ? `${status} ${text}`.trim() : text || (code ? `closed ${code}` : is)
}
