/** A pause of the application's, and what waits for its end. */
import type { Link } from '../../shared/link.ts'
import { eventOverhead, type PortableSession } from '../../shared/snapshot.ts'
import { now } from '../base/wakeups.ts'

/** How much may wait before the client is stopped on HTTP, where nothing else does it. */
const mostBytes = 1024 * 1024

export class SessionPause {
  #bytes = 0
  #close: { link: Link; code: number; reason: string } | undefined

  /** So much came over HTTP. */
  arrived(bytes: number): void {
    this.#bytes += bytes + eventOverhead
  }

  /** The client has to wait, too: what it sends is not taken. */
  get congested(): boolean {
    return this.#bytes > mostBytes
  }

  /** Takes nothing more over HTTP. */
  congest(): void {
    this.#bytes = mostBytes + 1
  }

  /** Keeps a close received over a WebSocket: to accept it would be to answer it. */
  keepClose(link: Link, code: number, reason: string): void {
    this.#close = { link, code, reason }
  }

  /** The application goes on, or closes itself: the close that was kept is accepted. */
  acceptClose(session: PortableSession): void {
    const close = this.#close
    this.#close = undefined
    if (close) session.receive(close.link, 'close', close.reason, close.code, now())
  }
}
