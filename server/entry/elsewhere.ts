/** Finds out who answers for a session that is not known here, and passes its request on to that server of the cluster. */
import type { IncomingMessage } from 'node:http'
import { passedBy } from '../admission/address.ts'
import { type ClusterMember, type Elsewhere, misdirected } from '../base/cluster.ts'
import type { Refusal } from '../base/handshake.ts'
import { wait } from '../base/wait.ts'
import { now } from '../base/wakeups.ts'

/** How long a request looks for the server that has its session, in milliseconds. */
const longestSearch = 5_000
/** The first pause, after the second server in vain. Pauses grow: otherwise one request could keep two servers busy. */
const shortestPause = 8
const longestPause = 256

const nobodyAnswers: Refusal = {
  status: 503,
  reason: 'The server that has this session does not answer',
  headers: { 'Retry-After': '1' },
}

/** 'here': it is here now, or can be opened here. 'nobody': it is unknown. 'answered': another server has answered. Else a refusal. */
export type Answerer = 'here' | 'nobody' | 'answered' | Refusal

/** What the search needs of the request. */
export interface SearchHost {
  /** The session, and the proof that it is the client's; empty if there is none. */
  readonly session: string
  readonly proof: string
  /** Whether the session is opened if nobody has it. */
  readonly opens: boolean
  /** Whether the session has come to be known here meanwhile. */
  isHere(): boolean
  /** Goes on with the session that another server has handed over. Returns false if its state cannot be understood. */
  restore(state: Uint8Array): boolean
  /** Passes the request on. Resolves with false if that server does not have the session. */
  pass(to: Elsewhere): Promise<boolean>
}

/** Who answers a request for this session. */
export async function whoAnswers(
  cluster: ClusterMember,
  request: IncomingMessage,
  host: SearchHost,
): Promise<Answerer> {
  const { session, proof, opens } = host
  const passed = passedBy(request)
  if (passed && !passed.adopt) {
    await cluster.settled(session)
    if (host.isHere()) return 'here'
    // A request from another server opens no session here.
    const route = await cluster.route(session, proof, false)
    if (typeof route === 'object' && 'state' in route) return received(cluster, host, route.state)
    return misdirected
  }
  const until = now() + longestSearch
  let pause = 0
  while (now() < until) {
    const route = await cluster.route(session, proof, opens)
    // Another request of the same client may have brought the session here meanwhile.
    if (route === 'nobody' && host.isHere()) return 'here'
    if (typeof route === 'string' || 'status' in route) return route
    if ('state' in route) return received(cluster, host, route.state)
    if (await host.pass(route)) return 'answered'
    if (host.isHere()) return 'here'
    if (pause > 0) await wait(pause)
    pause = Math.min(pause * 2 || shortestPause, longestPause)
  }
  return nobodyAnswers
}

function received(cluster: ClusterMember, host: SearchHost, state: Uint8Array): Answerer {
  // Another request of the same client may have been first.
  if (host.isHere()) return 'here'
  if (!host.restore(state)) return 'nobody'
  cluster.received(host.session)
  return 'here'
}
