/** The option `verifyResume`: the application decides about each later connection of a session, too. */
import type { IncomingMessage } from 'node:http'
import { CloseCode, maxReasonBytes } from '../../shared/codes.ts'
import type { RequestHead } from '../../shared/exchange.ts'
import { internalError, type Refusal } from '../base/handshake.ts'
import { rethrow } from '../base/turn.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import { verify } from './admission.ts'
import type { ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'

type Decision = Promise<Refusal | undefined>

/** So many decisions of a session are remembered: a client tries a few connections at a time. */
const remembered = 8

export class Resumes {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  /** By session, and there by epoch. */
  readonly #decisions = new WeakMap<SessionSocket, Map<number, Decision>>()

  constructor(options: ResolvedOptions, registry: Registry) {
    this.#options = options
    this.#registry = registry
  }

  /** The decision about this connection was made with that about its session. */
  admitted(socket: SessionSocket, { epoch }: RequestHead): void {
    if (this.#areAsked) this.#remember(socket, epoch, Promise.resolve(undefined))
  }

  /** Whether the application is still to decide about this connection. */
  wants(socket: SessionSocket, { epoch }: RequestHead): boolean {
    return this.#areAsked && !this.#decisions.get(socket)?.has(epoch)
  }

  /** Whether nothing is to be decided about this connection, nor under way. */
  hasDecided(socket: SessionSocket, head: RequestHead): boolean {
    return !this.wants(socket, head) && !this.#decisions.has(socket)
  }

  get #areAsked(): boolean {
    const { verifyResume, verifyClient } = this.#options
    return !!verifyResume && !!verifyClient
  }

  /** The refusal of this connection alone. If the whole session is refused, it is over, and nobody finds it any more. */
  async decide(socket: SessionSocket, head: RequestHead, request: IncomingMessage): Decision {
    if (this.wants(socket, head)) this.#remember(socket, head.epoch, this.#verify(request))
    const decided = this.#decisions.get(socket)
    const refusal = await decided?.get(head.epoch)
    if (!refusal) return undefined
    if (refusal.status === 429 || refusal.status >= 500) {
      decided?.delete(head.epoch)
      return refusal
    }
    const { verifyResume } = this.#options
    const code = typeof verifyResume === 'number' ? verifyResume : CloseCode.policy
    const reason = cut(`${refusal.status} ${refusal.reason}`)
    this.#registry.refuse(socket, code, reason)
    socket.abort(code, reason, 'refused')
    return undefined
  }

  async #verify(request: IncomingMessage): Decision {
    try {
      return await verify(this.#options, request, true)
    } catch (error) {
      // Answer the client even though the application failed.
      rethrow(error)
      return internalError
    }
  }

  #remember(socket: SessionSocket, epoch: number, decision: Decision): void {
    const decisions = this.#decisions.get(socket) ?? new Map<number, Decision>()
    this.#decisions.set(socket, decisions)
    decisions.set(epoch, decision)
    for (const oldest of decisions.keys()) {
      if (decisions.size <= remembered) return
      decisions.delete(oldest)
    }
  }
}

/** As much of a reason as fits into a close; a stream's decoder leaves out a character that is not whole. */
function cut(reason: string): string {
  return new TextDecoder().decode(Buffer.from(reason).subarray(0, maxReasonBytes), { stream: true })
}
