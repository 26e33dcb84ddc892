/** What the server's sockets know of a carrier. A carrier never throws, and says once that it has ended. */
import type { Link } from '../../shared/link.ts'

/** What can carry a session. */
export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

export interface Carrier {
  readonly link: Link
  readonly transport: Transport
  /** Bytes that the carrier has taken and the network has not. */
  readonly bufferedAmount: number
  /** The memory that these bytes take. */
  readonly unreadBytes: number
  /** Bytes of incomplete messages that the carrier keeps. */
  readonly partialBytes: number
  /** Whether bytes came or left since this was last asked, on a carrier whose incomplete messages are no other sign of life. */
  readonly progressed: boolean
  /** Takes what the session has to send. */
  flush(): void
  /** Ends the carrier. 'moved': the client must come again at once, because another server has the session. */
  end(why: 'superseded' | 'closed' | 'dead' | 'moved'): void
  /** Stops and goes on reading. */
  pause(): void
  resume(): void
}

/** The server sends pings no more often than this, whatever the client wants. */
const shortestQuiet = 200

/** How often the client must hear something, in ms; 0: as often as the server likes. */
export function wanted(quiet: number): number {
  return quiet && Math.max(quiet, shortestQuiet)
}
