/** `NODE_DEBUG=everwire`: what a client decides, a line for each entry of its diary. */
import { debuglog } from 'node:util'
import { beginWords, endWords, span, wordsOfEntry } from '../../shared/diary-words.ts'
import type { CarrierLink } from '../base/carrier.ts'
import type { CarrierEntry, DiaryEntry } from '../base/types.ts'
import type { Why } from '../base/why.ts'
import { Diary } from '../pilot/diary.ts'

const log = debuglog('everwire')

/** Whether `NODE_DEBUG` asks for the log. */
export const isLogging: boolean = log.enabled

/** A diary that is read while it is written. */
export class LoggedDiary extends Diary {
  readonly #name: () => string

  /** `name`: the id of the session, as the server has it. */
  constructor(name: () => string) {
    super()
    this.#name = name
  }

  override add(entry: DiaryEntry | undefined): void {
    super.add(entry)
    if (!entry) return
    if (entry.type === 'carrier') this.#say(`${beginWords(entry)}: begins`)
    else this.#say(wordsOfEntry(entry))
  }

  override reached(link: CarrierLink, stage: 'proven' | 'sound'): void {
    const before = link.entry?.[stage]
    super.reached(link, stage)
    const { entry } = link
    const after = entry?.[stage]
    if (!entry || before !== undefined || after === undefined) return
    const what = stage === 'proven' ? 'an answer came back' : 'gets through in both directions'
    this.#say(`${nameOf(entry)}: ${what} after ${span(after)}`)
  }

  override ended(link: CarrierLink, by: NonNullable<CarrierEntry['by']>, why: Why): void {
    const over = link.entry?.ended !== undefined
    super.ended(link, by, why)
    if (link.entry && !over) this.#say(`${nameOf(link.entry)}: ${endWords(link.entry)}`)
  }

  #say(what: string): void {
    log('client %s: %s', this.#name(), what)
  }
}

function nameOf({ transport, epoch }: CarrierEntry): string {
  return beginWords({ type: 'carrier', at: 0, transport, epoch })
}
