/** The diary of a socket: a bounded list of what happened, for people and programs that must find out why. */
import type { CarrierLink } from '../base/carrier.ts'
import type { CarrierEntry, DiaryEntry } from '../base/types.ts'
import type { Why } from '../base/why.ts'

const maxEntries = 64

export class Diary {
  readonly #entries: DiaryEntry[] = []

  /** A copy of the entries as they are now. */
  get entries(): DiaryEntry[] {
    return this.#entries.map((entry) => ({ ...entry }))
  }

  add(entry: DiaryEntry | undefined): void {
    if (entry) this.#entries.push(entry)
    // The first entries say how the session began: drop those after them.
    if (this.#entries.length > maxEntries) this.#entries.splice(maxEntries / 4, 1)
  }

  began(link: CarrierLink, purpose: CarrierEntry['purpose']): void {
    const { transport, epoch } = link
    link.entry = { type: 'carrier', at: Date.now(), transport, epoch, purpose }
    this.add(link.entry)
  }

  /** The carrier is proven or sound from now on. */
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

/** A reason in words for people. No other code makes words of it. */
export function wordsOf(why: Why): string {
  const { is, status, code, text }: { is: string; status?: number; code?: number; text?: string } = why
  return status ? `${status} ${text}`.trim() : text || (code ? `closed ${code}` : is)
}
