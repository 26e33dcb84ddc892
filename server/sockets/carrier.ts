/** What the server's sockets know of a carrier. A carrier never throws, and says once that it has ended. */
import type { Link } from '../../shared/link.ts'

/** What can carry a session. */
export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

export interface Carrier {
  readonly link: Link
  readonly transport: Transport
  /** Bytes that it took and the network has not. */
  readonly bufferedAmount: number
  /** Bytes that it keeps of what has not come as a whole. */
  readonly partialBytes: number
  /** Whether anything came over it since this was last asked, where a message in the making is no sign of life otherwise. */
  readonly progressed: boolean
  /** Takes what the session has to send. */
  flush(): void
  /** No longer wanted. 'moved': the client is to come again at once, because another server has the session. */
  end(why: 'superseded' | 'closed' | 'dead' | 'moved'): void
  /** Stops and goes on reading. */
  pause(): void
  resume(): void
}

/** More often than this no client is told that its server is there, whatever it wants. */
const shortestQuiet = 200

/** How often a client is to hear something; 0 if it does not mind. */
export function wanted(quiet: number): number {
  return quiet && Math.max(quiet, shortestQuiet)
}
