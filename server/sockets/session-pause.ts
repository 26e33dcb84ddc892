/** Counts and keeps what comes while the application has paused a session's socket, until it has been told of all of it. */
import type { Link } from '../../shared/link.ts'
import { eventOverhead, type PortableSession } from '../../shared/snapshot.ts'
import { now } from '../base/wakeups.ts'

/** The bytes that may wait before the client is stopped on HTTP, where the network's buffers do not stop it. */
const mostBytes = 1024 * 1024

export class SessionPause {
  #bytes = 0
  #close: { link: Link; payload: string } | undefined
  #isOver = false

  constructor(session: PortableSession) {
    this.begin(session)
  }

  /** The application has paused, perhaps again: counts the events that it has not been told of. */
  begin(session: PortableSession): void {
    this.#isOver = false
    this.#bytes = session.untoldBytes
  }

  /** The application goes on. The carrier waits until the application has been told of everything that waits. */
  end(): void {
    this.#isOver = true
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** This many bytes came over HTTP. */
  arrived(bytes: number): void {
    this.#bytes += bytes + eventOverhead
  }

  /** Whether the client has to wait, too: the server does not take what it sends. */
  get congested(): boolean {
    return this.#bytes > mostBytes
  }

  /** Makes the client wait from now on. */
  congest(): void {
    this.#bytes = mostBytes + 1
  }

  /** Keeps a close received over a WebSocket. Accepting it would answer it, so it waits for resume(). */
  keepClose(link: Link, payload: string): void {
    this.#close = { link, payload }
  }

  /** Accepts the close that was kept: the application has been told of everything before it, or closes the socket itself. */
  acceptClose(session: PortableSession): void {
    const close = this.#close
    this.#close = undefined
    if (close) session.receive(close.link, 'close', close.payload, now())
  }
}
