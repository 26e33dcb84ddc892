/** The diary of a session's carriers, for debugging. Its size is limited, and it costs nothing while it is empty. */
import type { Transport } from './carrier.ts'

/** An entry of `socket.diary`, oldest first. `at`: milliseconds since 1970. */
export type ServerDiaryEntry = ServerCarrierEntry | CloseEntry

/** One connection, or one series of HTTP exchanges. */
export interface ServerCarrierEntry {
  /** Tells the kinds of entries apart. */
  readonly type: 'carrier'
  /** When the carrier began, in milliseconds since 1970. */
  readonly at: number
  /** The transport of the carrier. */
  readonly transport: Transport
  /** The number of the client's attempt, from 1; attempts that never reached the server are missing. 0: an ordinary WebSocket. */
  readonly epoch: number
  /** When the carrier ended, in milliseconds after `at`; absent while it is in use, as are `by` and `why`. */
  readonly ended?: number
  /** Who ended the carrier, as far as the server can know: 'network' also stands for any proxy in between. */
  readonly by?: 'client' | 'server' | 'network'
  /** Why the carrier ended, in words for people. Compare nothing with them: they may change. */
  readonly why?: string
  /** How many messages of the client the session had, at the end of the carrier or until now. 0 without a session. */
  readonly received: number
  /** How many messages the client had acknowledged, at the end of the carrier or until now. 0 without a session. */
  readonly acknowledged: number
}

/** The end of the session. No entry comes after it. */
export interface CloseEntry {
  /** Tells the kinds of entries apart. */
  readonly type: 'close'
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
  /** The code of the event `close`. */
  readonly code: number
  /** The reason of the event `close`. */
  readonly reason: string
}

const maxEntries = 64

export class Diary {
  readonly #entries: ServerDiaryEntry[] = []

  get entries(): readonly ServerDiaryEntry[] {
    return this.#entries
  }

  add(entry: ServerDiaryEntry): void {
    this.#entries.push(entry)
    // Keep the first entries, which show how the session began, and drop the ones after them.
    if (this.#entries.length > maxEntries) this.#entries.splice(maxEntries / 4, 1)
  }
}
