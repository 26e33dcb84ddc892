/** What carried a session, for whoever has to find out why: kept within bounds, and nothing until there is something. */
import type { Transport } from './carrier.ts'

/** What `socket.diary` is made of, oldest first. `at`: milliseconds since 1970. */
export type DiaryEntry = CarrierEntry | CloseEntry

/** One connection, or one series of HTTP exchanges, from when it was taken to its end. */
export interface CarrierEntry {
  readonly type: 'carrier'
  readonly at: number
  readonly transport: Transport
  /** The client counts its attempts from 1; those that never got here are missing. 0: an ordinary WebSocket. */
  readonly epoch: number
  /** Milliseconds after `at`; absent while it is in use, as are the following two. */
  readonly ended?: number
  /** Who ended it, as far as can be told from here: the network also stands for whatever is between the two. */
  readonly by?: 'client' | 'server' | 'network'
  readonly why?: string
  /** Messages that the session had of the client's, and the client was known to have of the server's, by then or by now; 0 where there is no session. */
  readonly received: number
  readonly acknowledged: number
}

export interface CloseEntry {
  readonly type: 'close'
  readonly at: number
  readonly code: number
  readonly reason: string
}

const maxEntries = 64

export class Diary {
  readonly #entries: DiaryEntry[] = []

  get entries(): readonly DiaryEntry[] {
    return this.#entries
  }

  add(entry: DiaryEntry): void {
    this.#entries.push(entry)
    // The beginning says how it came to be: what is dropped is what follows it.
    if (this.#entries.length > maxEntries) this.#entries.splice(maxEntries / 4, 1)
  }
}
