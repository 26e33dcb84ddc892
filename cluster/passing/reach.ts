/** Which nodes can be connected to, and which are reached through the store. */
import type { ClientRequest } from 'node:http'
import { connect } from 'node:net'
import type { NodeRecord } from '../base/engine.ts'
import { placeOf } from './lines.ts'

/** A node that could not be connected to is tried again after this time, beside the requests. */
const tryAgainAfter = 30_000
/** A node that does not take a connection within this time cannot be connected to. */
const connectTime = 1_000

export class Reach {
  readonly #isRelayed: boolean
  /** The nodes that could not be connected to, and when that was tried last. */
  readonly #unreachable = new Map<string, number>()

  /** `isRelayed`: whether nodes can also be reached through the store. */
  constructor(isRelayed: boolean) {
    this.#isRelayed = isRelayed
  }

  /** The nodes that could not be connected to. */
  get nodes(): Iterable<string> {
    return this.#unreachable.keys()
  }

  isDirect(node: NodeRecord): boolean {
    if (!this.#isRelayed) return true
    if (node.address === '') return false
    const tried = this.#unreachable.get(node.name)
    if (tried === undefined) return true
    if (performance.now() - tried > tryAgainAfter) this.#tryAgain(node)
    return false
  }

  /** No connection was made. If the node lives, it is reached in another way the next time. */
  failed({ name }: NodeRecord): void {
    if (this.#isRelayed) this.#unreachable.set(name, performance.now())
  }

  forget(node: string): void {
    this.#unreachable.delete(node)
  }

  #tryAgain({ name, address }: NodeRecord): void {
    this.#unreachable.set(name, performance.now())
    const connection = connect({ ...placeOf(address), timeout: connectTime })
    connection
      .unref()
      .once('connect', () => {
        this.#unreachable.delete(name)
        connection.destroy()
      })
      .once('timeout', () => connection.destroy())
      .on('error', () => {})
  }
}

/** Tells at any time whether the request has had a connection. */
export function connectionOf(request: ClientRequest): () => boolean {
  let wasConnected = false
  request.once('socket', (socket) => {
    wasConnected = !socket.connecting
    if (!wasConnected)
      socket.once('connect', () => {
        wasConnected = true
      })
  })
  return () => wasConnected
}
