/**
 * Hands a server's sessions over to the other servers of its cluster, as a deploy needs it: one after the other, spread over time.
 * While the store cannot be reached, the sessions go on here, for as long again. A client that cannot be handed over is closed with
 * 1012, so that it opens a new session elsewhere.
 */
import type { Clients } from '../admission/clients.ts'
import type { ServerOptions } from '../admission/options.ts'
import type { Registry } from '../admission/registry.ts'
import type { ClusterMember } from '../base/cluster.ts'
import { each } from '../base/each.ts'
import { Spread } from '../base/spread.ts'
import { rethrow } from '../base/turn.ts'
import { wait } from '../base/wait.ts'
import { pack, warnOfData } from '../durable/parcel.ts'
import { SessionSocket } from '../sockets/session-socket.ts'
import { type Socket, shownFor } from '../sockets/socket.ts'
import type { DrainOptions } from './close-options.ts'

/** What the draining needs of its server. */
export interface DrainingHost {
  readonly clients: Clients
  readonly registry: Registry
  readonly cluster: ClusterMember | undefined
  /** The present value of the option `recover`. */
  recover(): ServerOptions['recover']
}

const defaultWithin = 10_000
/** The longest time between two clients, even if there are few. */
const longestGap = 50
/** The most bytes that are written into the store for one client. */
const maxState = 4 * 1024 * 1024
/** How long to wait for publications to come back, and for listeners. A listener that takes longer is called again at the next server. */
const longestWait = 2_000
const shortWait = 10
/** The pause before sessions that the store could not take are tried again. */
const retryWait = 250
/** The most sessions that are moved at a time after they have waited for the store. */
const movedAtOnce = 16
const serviceRestart = 1012
const handedOver = 'handed over'

export class Draining {
  readonly done: Promise<void>
  readonly #host: DrainingHost
  /** Until then the draining waits for a store that cannot be reached, or that is full. */
  readonly #until: number
  readonly #begun = new WeakSet<Socket>()
  /** The store could not take a session. */
  #mustWait = false

  constructor(host: DrainingHost, { within = defaultWithin }: DrainOptions) {
    this.#host = host
    this.#until = performance.now() + 2 * within
    const passed = host.cluster?.leave(within)
    const sockets = [...host.clients.everyone()]
    const moving: Promise<void>[] = []
    const gap = Math.min(longestGap, within / sockets.length)
    const { done } = new Spread<Socket>(sockets, gap, (socket) => {
      if (socket instanceof SessionSocket && this.#isAway) this.#mustWait = true
      else moving.push(this.#begin(socket))
    })
    this.done = done.then(async () => {
      await Promise.all([passed, ...moving])
      if (this.#mustWait) await this.#finish()
    })
  }

  #begin(socket: Socket): Promise<void> {
    this.#begun.add(socket)
    return this.#move(socket)
  }

  /** Whether the store cannot be reached now: until the time is over, sessions then go on here. */
  get #isAway(): boolean {
    const { cluster } = this.#host
    return cluster?.stats().state === 'down' && !!this.#host.recover() && performance.now() < this.#until
  }

  /** Moves the sessions that have waited for the store, and those that it could not take and that their clients have found here again. */
  async #finish(): Promise<void> {
    const { clients, cluster } = this.#host
    for (;;) {
      const left = [...clients.everyone()].filter((socket) => !this.#begun.has(socket))
      if (left.length === 0 && !cluster?.isHandingOver) return
      const isAway = this.#isAway
      const now = left.filter((socket) => !isAway || !(socket instanceof SessionSocket))
      await each(now, movedAtOnce, (socket) => this.#begin(socket))
      if (now.length === left.length && performance.now() >= this.#until) return
      // `wait` does not keep the process: a server that is closed meanwhile need not wait.
      await wait(retryWait)
    }
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
      if (!(await cluster.handOver(id, proof, state))) this.#mustWait = true
    }
  }

  /** Resolves when it is known which messages of its topics the client has and its listeners are done, or after `longestWait`. */
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
    warnOfData(error)
    return undefined
  }
}
