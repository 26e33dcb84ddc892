/**
 * Hands a server's sessions over to the other servers of its cluster, as a deploy needs it: one after the other, spread over time.
 * A client that cannot be handed over is closed with 1012, so that it opens a new session elsewhere.
 */
import type { Clients } from '../admission/clients.ts'
import type { ServerOptions } from '../admission/options.ts'
import type { Registry } from '../admission/registry.ts'
import type { ClusterMember } from '../base/cluster.ts'
import { Spread } from '../base/spread.ts'
import { rethrow } from '../base/turn.ts'
import { pack } from '../sockets/parcel.ts'
import { SessionSocket } from '../sockets/session-socket.ts'
import { type Socket, shownFor } from '../sockets/socket.ts'
import type { DrainOptions } from './close-options.ts'

/** What the draining needs of its server. */
export interface DrainingHost {
  readonly clients: Clients
  readonly registry: Registry
  readonly cluster: ClusterMember | undefined
  /** What the application says of its sessions now. */
  recover(): ServerOptions['recover']
}

const defaultWithin = 10_000
/** Even with few clients no two of them wait longer for each other. */
const longestGap = 50
/** More is not written into the store for one client. */
const maxState = 4 * 1024 * 1024
/** What was published here comes back within moments, unless the store is away. A listener that takes longer is called again elsewhere. */
const longestWait = 2_000
const shortWait = 10
const serviceRestart = 1012
const handedOver = 'handed over'

export class Draining {
  readonly done: Promise<void>
  readonly #host: DrainingHost

  constructor(host: DrainingHost, { within = defaultWithin }: DrainOptions) {
    this.#host = host
    const passed = host.cluster?.leave(within)
    const sockets = [...host.clients.everyone()]
    const moving: Promise<void>[] = []
    const gap = Math.min(longestGap, within / sockets.length)
    const { done } = new Spread<Socket>(sockets, gap, (socket) => moving.push(this.#move(socket)))
    this.done = done.then(async () => void (await Promise.all([passed, ...moving])))
  }

  async #move(socket: Socket): Promise<void> {
    const { cluster, registry } = this.#host
    const recover = this.#host.recover()
    if (!cluster || !recover || !(socket instanceof SessionSocket)) {
      socket.close(serviceRestart)
      return
    }
    const { clients } = this.#host
    if (!clients.parcelOf(socket)) {
      try {
        if (typeof recover === 'function') await recover(shownFor(socket))
      } catch (error) {
        rethrow(error)
      }
      await this.#settled(socket)
    }
    if (socket.readyState === 3) return
    const proof = registry.proofOf(socket)
    const state =
      clients.parcelOf(socket) ?? (socket.isPortable ? written(clients, socket, proof) : undefined)
    if (!state) socket.close(serviceRestart)
    else {
      const { id } = socket
      socket.handOver(serviceRestart, handedOver)
      await cluster.handOver(id, proof, state)
    }
  }

  /** Resolves when it is known which messages of its topics the client has, and its listeners are done. */
  async #settled(socket: Socket): Promise<void> {
    const { topics } = this.#host.clients
    const shown = shownFor(socket)
    const until = performance.now() + longestWait
    const isSettled = (): boolean => topics.isSettled(shown, shown.topics) && !isHandling(socket)
    while (!isSettled() && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, shortWait))
  }
}

/** Whether the application is still busy with a message of this client. */
function isHandling(socket: Socket): boolean {
  return socket instanceof SessionSocket && socket.isHandling
}

/** The client as bytes; undefined if it cannot be written down. */
function written(clients: Clients, socket: SessionSocket, proof: string): Uint8Array | undefined {
  const { protocol, topics, binaryType, data } = shownFor(socket)
  try {
    const snapshot = socket.session.snapshot()
    const placed = [...topics].map((topic) => [topic, clients.topics.placeOf(topic)] as const)
    const state = pack({ proof, protocol, snapshot, topics: placed, binaryType, data })
    return state.length > maxState ? undefined : state
  } catch (error) {
    // The application keeps something in `data` that cannot be written down.
    rethrow(error)
    return undefined
  }
}
