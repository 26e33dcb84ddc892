/** The diary of a session's carriers, for debugging. Its size is limited, and it costs nothing while it is empty. */
import type { Transport } from './carrier.ts'

/** An entry of `socket.diary`, oldest first. `at`: milliseconds since 1970. */
export type ServerDiaryEntry = ServerCarrierEntry | CloseEntry

/** One connection, or one series of HTTP exchanges. */
export interface ServerCarrierEntry {
  readonly type: 'carrier'
  readonly at: number
  readonly transport: Transport
  /** The number of the client's attempt, from 1; attempts that never reached the server are missing. 0: an ordinary WebSocket. */
  readonly epoch: number
  /** When the carrier ended, in milliseconds after `at`; absent while it is in use, as are `by` and `why`. */
  readonly ended?: number
  /** Who ended the carrier, as far as the server can know: 'network' also stands for any proxy in between. */
  readonly by?: 'client' | 'server' | 'network'
  readonly why?: string
  /**
   * Messages that the session had received from the client, and that the client had acknowledged, at the end or until now.
   * 0 without a session.
   */
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
