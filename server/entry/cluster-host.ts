/** What the other servers of a cluster may ask of this one. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CloseCode } from '../../shared/codes.ts'
import { addressOf, hostOf, notePassed, schemeOf } from '../admission/address.ts'
import type { Clients } from '../admission/clients.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import type { Registry } from '../admission/registry.ts'
import { type ClusterHost, type ClusterState, misdirected, type TopicChange } from '../base/cluster.ts'
import { markIn } from '../base/request.ts'
import { refuse } from '../base/responses.ts'
import { rethrow, safely } from '../base/turn.ts'
import { carriedBy, takeCarried } from './carrying.ts'

/** The parts of a server that a cluster reaches. */
export interface ClusterParts {
  readonly options: ResolvedOptions
  readonly registry: Registry
  readonly clients: Clients
  /** Takes a request of the HTTP transports, with everwire's mark. */
  handle(request: IncomingMessage, response: ServerResponse, mark: string): Promise<void>
  /** Takes a WebSocket handshake. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  tellState(state: ClusterState): void
  tellGap(topic: string | undefined): void
  tellTopic(change: TopicChange): void
  tellError(error: Error): void
}

const anotherHasIt = 'another server has the session'

export function clusterHostOf(parts: ClusterParts): ClusterHost {
  const { options, registry, clients } = parts
  return {
    patience: options.patience,
    path: options.path ?? '',
    recovers: !!options.recover,
    durable: options.durable === true,
    request: (request, response, passed) => {
      notePassed(request, passed)
      takeCarried(request, passed.carried)
      const mark = markIn(request)
      if (mark === undefined) refuse(response, misdirected)
      else parts.handle(request, response, mark).catch(rethrow)
    },
    upgrade: (request, socket, head, passed) => {
      notePassed(request, passed)
      takeCarried(request, passed.carried)
      parts.upgrade(request, socket, head).catch(rethrow)
    },
    origin: (request) => ({
      address: addressOf(request, options),
      scheme: schemeOf(request, options),
      host: hostOf(request, options),
      carried: carriedBy(request, options.carry),
    }),
    deliver: (...message) => clients.deliver(...message),
    disconnect: (...close) => clients.topics.close(...close),
    count: (topic) => clients.count(topic),
    roster: (topic, limit) => clients.roster(topic, limit),
    gap: (topic) => safely(() => parts.tellGap(topic)),
    topicChanged: (change) => parts.tellTopic(change),
    lost: (session) => {
      registry
        .findById(session)
        .then((socket) => {
          // In durable mode the session goes on at the other server, and the client finds it there.
          if (clients.keeper) socket?.handOver(CloseCode.lost, anotherHasIt)
          else socket?.abort(CloseCode.lost, anotherHasIt, 'lost')
        })
        .catch(rethrow)
    },
    proofOf: (session) => registry.proofById(session),
    storeAnew: () => clients.keeper?.storeAnew(),
    changed: (state) => safely(() => parts.tellState(state)),
    failed: (reason, isFinal) =>
      safely(() => (isFinal ? parts.tellError(reason) : parts.tellState({ state: 'down', reason }))),
  }
}
