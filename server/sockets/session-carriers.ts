/** The carriers of a session: the one in use, and a diary of those before it. */
import type { PortableSession } from '../../shared/snapshot.ts'
import { dateOf, now } from '../base/wakeups.ts'
import type { Carrier } from './carrier.ts'
import { Diary, type ServerCarrierEntry, type ServerDiaryEntry } from './carrier-diary.ts'
import type { Reports } from './reports.ts'
import type { Socket } from './socket.ts'

export type Party = NonNullable<ServerCarrierEntry['by']>

/** The socket of the session. */
interface Carried extends Socket {
  readonly session: PortableSession
  readonly reports: Reports
  /** Whether the application knows of the socket, and has not been told of its end. */
  readonly isShown: boolean
}

/** In place of a time: no carrier is in use. */
const notCarried = -1

export class SessionCarriers {
  /** The carrier that was taken last. A cut HTTP carrier is kept, because its client may send more exchanges, or repeat one. */
  #last: Carrier | undefined
  #since = notCarried
  /** The beginning of the present carrier was reported. */
  #isReported = false
  /** Undefined while there is nothing to enter. */
  #diary: Diary | undefined

  get current(): Carrier | undefined {
    return this.#since === notCarried ? undefined : this.#last
  }

  /** The carrier in use, or a cut HTTP carrier, which may be taken again. */
  get last(): Carrier | undefined {
    return this.#last
  }

  /** Takes a carrier into use in place of the present one. */
  use(socket: Carried, carrier: Carrier, isFirst: boolean): void {
    const { reports, session } = socket
    const { transport } = carrier
    const from = this.current?.transport
    this.leave(socket, 'client', 'another was taken')
    this.#last = carrier
    this.#since = now()
    this.#isReported = socket.isShown
    // After the end a carrier only transports the two closes.
    if (socket.readyState === 3) return
    if (from) reports.statistics.moved(from, transport)
    else if (isFirst) reports.statistics.opened(transport)
    else {
      reports.statistics.resumed(transport)
      reports.resumed(socket, transport, () => this.#away)
    }
    const purpose = from ? 'move' : isFirst ? 'open' : 'resume'
    if (socket.isShown)
      reports.carrierBegan(socket, purpose, from, () => entryOf(carrier, session, this.#since))
  }

  /** The application is told of the session: reports the carrier that opened it. */
  reportFirst(socket: Carried): void {
    const { current } = this
    if (!current) return
    this.#isReported = true
    socket.reports.carrierBegan(socket, 'open', undefined, () =>
      entryOf(current, socket.session, this.#since),
    )
  }

  /** How long there was no carrier before the present one. */
  get #away(): number {
    const left = this.#diary?.entries.findLast((entry) => entry.type === 'carrier')
    return left ? dateOf(this.#since) - left.at - (left.ended ?? 0) : 0
  }

  /** The carrier in use has ended: enters it in the diary. */
  leave(socket: Carried, by: Party, why: string): void {
    const carrier = this.current
    if (!carrier) return
    this.#diary ??= new Diary()
    const entry = entryOf(carrier, socket.session, this.#since, { ended: now() - this.#since, by, why })
    this.#diary.add(entry)
    if (this.#isReported) socket.reports.carrierEnded(socket, entry)
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

  /** The diary for the application, sorted by beginnings, because a carrier is entered only when it has ended. */
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
