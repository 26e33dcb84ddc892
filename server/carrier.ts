/** What the server's sockets know of a carrier. A carrier never throws, and says once that it has ended. */
import type { Link } from '../shared/session.ts'

export type Transport = 'websocket' | 'stream' | 'sse' | 'polling'

export interface Carrier {
  readonly link: Link
  readonly transport: Transport
  /** Bytes that it took and the network has not. */
  readonly bufferedAmount: number
  /** Takes what the session has to send. */
  flush(): void
  /** No longer wanted. */
  end(why: 'superseded' | 'closed' | 'dead'): void
  /** Stops and goes on reading. */
  pause(): void
  resume(): void
}
