/**
 * Notices that other processes serve the same address without sharing their sessions. Over HTTP each request may reach
 * another process, which does not know the session: the client fails at random. A session's first requests after its
 * opening follow within moments. If this process did not open it, and has been here for longer, another one did.
 */
import cluster from 'node:cluster'
import type { RequestHead } from '../../shared/exchange.ts'
import { now } from '../base/wakeups.ts'

/** A request that this process gets may have been sent to the one before it: a proxy keeps it while nobody listens. */
const longestWait = 10_000
/** The number of carriers that a client tries at first. */
const firstCarriers = 4
/** The first request after the opening, and one more. */
const firstRequests = 2
/** A session that is older has usually moved more. */
const fewMessages = 16

const began = now()
let warned = false

/** A request came for a session that was never here. `age`: how long this process has served, in milliseconds. */
export function unknownCame(head: RequestHead, age: number = now() - began): void {
  if (warned || !isNew(head) || !(cluster.isWorker || age > longestWait)) return
  warned = true
  process.emitWarning(
    'everwire: a request came for a session that another process has opened. Several processes or workers serve this address, ' +
      'and each knows only its own sessions: over HTTP, clients fail at random with "unknown session". ' +
      'Join the processes by the option "cluster" (docs/CLUSTER.md), run one process, or let the load balancer send each client to the ' +
      'same process (sticky sessions).',
    { code: 'EVERWIRE_SEVERAL_PROCESSES' },
  )
}

/** Whether the session was opened just now. */
function isNew({ epoch, serial, has, at }: RequestHead): boolean {
  return (
    epoch <= firstCarriers && serial <= firstRequests && has.number <= fewMessages && at.number <= fewMessages
  )
}
