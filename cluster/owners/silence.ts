/**
 * Nodes that do not answer, though their lease says that they live. Thousands of requests may wait for such a node: only one search
 * for it runs, and all of them wait for its result.
 */
import type { Duplex } from 'node:stream'
import { wait } from '../../server/base/wait.ts'

export interface SilenceHost {
  /** How to connect to the node; undefined if its lease is over. Rejects if the store cannot be asked. */
  look(name: string): Promise<(() => Duplex) | undefined>
}

/** The pause between two looks for a node. */
const pause = 100
/** A node that does not even take a connection within this time is silent. */
const connectTime = 1_000
/** A request waits no longer than this before it asks anew which node has its session: it may be another one by now. */
const longestWait = 1_000

export class Silence {
  readonly #host: SilenceHost
  readonly #ends = new Map<string, Promise<void>>()

  constructor(host: SilenceHost) {
    this.#host = host
  }

  /** Whether somebody looks for this node. */
  has(name: string): boolean {
    return this.#ends.has(name)
  }

  /** The node did not answer. Resolves when it is known to be there again, or dead, or when it is time to ask anew. */
  async over(name: string): Promise<void> {
    let end = this.#ends.get(name)
    if (!end) {
      end = this.#watch(name).finally(() => this.#ends.delete(name))
      this.#ends.set(name, end)
    }
    await Promise.race([end, wait(longestWait)])
  }

  async #watch(name: string): Promise<void> {
    let probe: Promise<boolean> | undefined
    for (;;) {
      const paused = wait(pause)
      if (probe && (await Promise.race([probe, paused]))) return
      await paused
      let connect: (() => Duplex) | undefined
      try {
        connect = await this.#host.look(name)
      } catch {
        // Whoever waits asks the others.
        return
      }
      if (!connect) return
      // A probe may take as long as the rest of the lease.
      probe ??= takes(connect()).finally(() => {
        probe = undefined
      })
    }
  }
}

/** Whether the other end takes the connection. */
function takes(socket: Duplex): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (is: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(is)
    }
    const timer = setTimeout(end, connectTime, false)
    timer.unref()
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
