/**
 * HTTP transports for libraries that learn of clients only by the `upgrade` event of their HTTP server. The request that
 * opens a session over HTTP becomes such an event with a stand-in for the connection, by which `handleUpgrade` finds the
 * request. Once a WebSocketServer has admitted the session, the session's requests go to that server.
 */
import type { Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import { defaultMaxBody } from '../../shared/limits.ts'
import { defaultMaxMemory } from '../admission/options.ts'
import { closing, isUpgrade, showAsUpgrade } from '../base/handshake.ts'
import { Memory } from '../base/memory.ts'
import {
  type BodyLimits,
  defaultBodyTimeout,
  keepBody,
  type MountedRequest,
  markIn,
  pathOf,
  plainUrl,
  readBody,
} from '../base/request.ts'
import { refuse } from '../base/responses.ts'
import { rethrow } from '../base/turn.ts'
import { attach, hasAttached } from '../mount/attach.ts'
import { StandIn, type StandInHost } from '../mount/stand-in.ts'
import { methodOf, offeredBy, refuseBody } from './http-entry.ts'

const noBytes = Buffer.alloc(0)

/**
 * Turns the opening of a session over HTTP into an `upgrade` event of the server, for code that takes WebSockets by
 * `server.on('upgrade', …)` and our `handleUpgrade`. `path`: only for requests below it. Returns a function that ends it.
 */
export function attachFallbacks(server: Server | SecureServer, path = ''): () => void {
  const hosts = new Set<StandInHost>()
  /** Counts bodies while no server of ours has taken a session. */
  const memory = new Memory({ maxMemory: defaultMaxMemory() }, () => [])
  const prefix = path.replace(/\/$/, '')
  return attach(server, {
    request(request, response) {
      const mark = markIn(request)
      const at = pathOf(request.url ?? '')
      if (mark === undefined || isUpgrade(request) || !`${at}/`.startsWith(`${prefix}/`)) return false
      if (request.method !== methodOf(mark)) return false
      // The application may have mounted a middleware of ours on the same server.
      if (hasAttached(server, at)) return false
      // A library that closes removes its listener first. The sessions that it still has go on to their end.
      if (server.listenerCount('upgrade') === 0 && hosts.size === 0) return false
      receive(server, hosts, memory, request, response, mark).catch(rethrow)
      return true
    },
    upgrade: () => false,
  })
}

async function receive(
  server: Server,
  hosts: Set<StandInHost>,
  ownMemory: Memory,
  request: MountedRequest,
  response: ServerResponse,
  mark: string,
): Promise<void> {
  let body: Uint8Array = noBytes
  if (mark === '1') {
    const limits = limitsOf(hosts)
    // Only the body says whose session it is: while it is read, the first server counts it.
    const [first] = hosts
    const bytes = await readBody(request, limits, first?.memory ?? ownMemory)
    if (typeof bytes === 'string') {
      refuseBody(response, bytes, limits)
      return
    }
    body = bytes
    keepBody(request, bytes)
  }
  for (const host of hosts) {
    if (!(await host.holds(mark, body))) continue
    await host.handle(request, response, mark)
    return
  }
  if (server.listenerCount('upgrade') === 0) {
    refuse(response, closing)
    return
  }
  showAsUpgrade(request, offeredBy(body))
  request.url = plainUrl(request)
  server.emit('upgrade', request, new StandIn(request, response, mark, hosts), noBytes)
}

/** The largest limits of all hosts, because the host of the session is not known yet. */
function limitsOf(hosts: Set<StandInHost>): BodyLimits {
  const all: BodyLimits[] = [...hosts]
  if (all.length === 0) all.push({ maxBody: defaultMaxBody, bodyTimeout: defaultBodyTimeout })
  return {
    maxBody: Math.max(defaultMaxBody, ...all.map(({ maxBody }) => maxBody)),
    bodyTimeout: Math.max(...all.map(({ bodyTimeout }) => bodyTimeout || Number.POSITIVE_INFINITY)),
  }
}
