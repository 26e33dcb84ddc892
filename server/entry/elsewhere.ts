/** Finds out who answers for a session that is not known here, and passes its request on to that server of the cluster. */
import type { IncomingMessage } from 'node:http'
import { passedBy } from '../admission/address.ts'
import type { ClusterMember, Elsewhere } from '../base/cluster.ts'
import type { Refusal } from '../base/handshake.ts'
import { now } from '../base/wakeups.ts'

/** So long a request looks for the server that has its session, in milliseconds. */
const longestSearch = 5_000

const nobodyAnswers: Refusal = {
  status: 503,
  reason: 'The server that has this session does not answer',
  headers: { 'Retry-After': '1' },
}

/** RFC 9110, 15.5.20: the server that passed the request on is to look up again who has the session. */
export const misdirected: Refusal = { status: 421, reason: 'This server does not have the session' }

/** 'here': it can be opened here. 'nobody': it is unknown. 'answered': another server has answered. Else the request is refused. */
export type Answerer = 'here' | 'nobody' | 'answered' | Refusal

/**
 * Who answers a request for this session. `isHere` tells whether it has come to be known here meanwhile; `pass` passes the
 * request on, and resolves with false if that server does not have the session.
 */
export async function whoAnswers(
  cluster: ClusterMember,
  request: IncomingMessage,
  session: string,
  opens: boolean,
  isHere: () => boolean,
  pass: (to: Elsewhere) => Promise<boolean>,
): Promise<Answerer> {
  if (passedBy(request)) {
    await cluster.settled(session)
    // It opens a session only beside a request of the same session that came to this server itself.
    return isHere() ? 'here' : misdirected
  }
  const until = now() + longestSearch
  while (now() < until) {
    const route = await cluster.route(session, opens)
    if (typeof route === 'string' || 'status' in route) return route
    if (await pass(route)) return 'answered'
  }
  return nobodyAnswers
}
