/** The carriers of a session: the one in use, and a diary of those before it. */
import type { PortableSession } from '../../shared/snapshot.ts'
import { dateOf, now } from '../base/wakeups.ts'
import type { Carrier } from './carrier.ts'
import { Diary, type ServerCarrierEntry, type ServerDiaryEntry } from './carrier-diary.ts'

export type Party = NonNullable<ServerCarrierEntry['by']>

/** In place of a time: no carrier is in use. */
const notCarried = -1

export class SessionCarriers {
  /** The carrier taken last. A cut HTTP carrier is kept, because its client may send more exchanges, or the same again. */
  #last: Carrier | undefined
  #since = notCarried
  /** Undefined while there is nothing to enter. */
  #diary: Diary | undefined

  get current(): Carrier | undefined {
    return this.#since === notCarried ? undefined : this.#last
  }

  /** The carrier in use, or a cut HTTP carrier, which may be taken again. */
  get last(): Carrier | undefined {
    return this.#last
  }

  use(carrier: Carrier): void {
    this.#last = carrier
    this.#since = now()
  }

  /** The carrier in use has ended: enters it in the diary. */
  leave(session: PortableSession, by: Party, why: string): void {
    const carrier = this.current
    if (!carrier) return
    this.#diary ??= new Diary()
    this.#diary.add(entryOf(carrier, session, this.#since, { ended: now() - this.#since, by, why }))
    this.#since = notCarried
    if (carrier.transport === 'websocket') this.#last = undefined
  }

  /** The session takes no carrier any more. */
  forget(): void {
    this.#since = notCarried
    this.#last = undefined
  }

  closed(code: number, reason: string): void {
    this.#diary ??= new Diary()
    this.#diary.add({ type: 'close', at: dateOf(now()), code, reason })
  }

  /** The diary for the application, in the order of what began: a carrier is entered when it has ended. */
  diary(session: PortableSession): ServerDiaryEntry[] {
    const entries: ServerDiaryEntry[] = (this.#diary?.entries ?? []).map((entry) => ({ ...entry }))
    if (this.current) entries.push(entryOf(this.current, session, this.#since))
    const last = ({ type }: ServerDiaryEntry) => Number(type === 'close')
    return entries.sort((one, other) => one.at - other.at || last(one) - last(other))
  }
}

function entryOf(
  carrier: Carrier,
  session: PortableSession,
  since: number,
  end?: Pick<ServerCarrierEntry, 'ended' | 'by' | 'why'>,
): ServerCarrierEntry {
  return {
    type: 'carrier',
    at: dateOf(since),
    transport: carrier.transport,
    epoch: carrier.link.epoch,
    received: session.received.number,
    acknowledged: session.acknowledged.number,
    ...end,
  }
}
