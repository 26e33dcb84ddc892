/** The option `verifyResume`: the application decides about each later connection of a session, too. */
import type { IncomingMessage } from 'node:http'
import { CloseCode, maxReasonBytes } from '../../shared/codes.ts'
import { Ask, type RequestHead } from '../../shared/exchange.ts'
import { internalError, type Refusal } from '../base/handshake.ts'
import { rethrow } from '../base/turn.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import type { UpgradeCallback } from '../sockets/socket.ts'
import { verify } from './admission.ts'
import type { ResolvedOptions } from './options.ts'
import type { Registry } from './registry.ts'

type Decision = Promise<Refusal | undefined>

/** Hears which request of a session the application has let in, and whom its client is for. */
type Accepted = (
  socket: SessionSocket,
  request: IncomingMessage,
  callback: UpgradeCallback | undefined,
) => void

/** So many decisions of a session are remembered: a client tries a few connections at a time. */
const remembered = 8

export class Resumes {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  /** By session, and there by epoch. */
  readonly #decisions = new WeakMap<SessionSocket, Map<number, Decision>>()
  /** Those that came from other servers, with the newest epoch that was taken there. */
  readonly #restored = new WeakMap<SessionSocket, number>()
  readonly #accepted: Accepted

  constructor(options: ResolvedOptions, registry: Registry, accepted: Accepted) {
    this.#options = options
    this.#registry = registry
    this.#accepted = accepted
  }

  /** The decision about this connection was made with that about its session, unless another server made it. */
  admitted(socket: SessionSocket, { epoch }: RequestHead): void {
    if (this.#areAsked && !this.#restored.has(socket))
      this.#remember(socket, epoch, Promise.resolve(undefined))
  }

  /** The session goes on here: each of its connections is a later one, also one that would open it. */
  restored(socket: SessionSocket): void {
    this.#restored.set(socket, socket.session.epoch)
  }

  /**
   * Whether a request of HTTP goes on with a carrier that began at another server: it does not say any more who the client is. The
   * client is to begin another one, about which the application is asked.
   */
  beganElsewhere(socket: SessionSocket, head: RequestHead, token: string | undefined): boolean {
    const epoch = this.#restored.get(socket)
    if (epoch === undefined || token !== undefined || !this.wants(socket, head)) return false
    const { ask, serial } = head
    if ((ask & Ask.open) !== 0) return false
    return head.epoch <= epoch || ((ask & Ask.standby) === 0 && (serial > 1 || (ask & Ask.hold) !== 0))
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

  /**
   * The refusal of this connection alone. If the whole session is refused, it is over, and nobody finds it any more. `callback`: whom
   * the client of this request is for.
   */
  async decide(
    socket: SessionSocket,
    head: RequestHead,
    request: IncomingMessage,
    callback?: UpgradeCallback,
  ): Decision {
    const isAsked = this.wants(socket, head)
    if (isAsked) this.#remember(socket, head.epoch, this.#verify(request))
    const decided = this.#decisions.get(socket)
    const refusal = await decided?.get(head.epoch)
    // Meanwhile another server has the session: it asks, too.
    if (socket.isHandedOver) return undefined
    if (!refusal) {
      if (isAsked) this.#accepted(socket, request, callback)
      return undefined
    }
    if (refusal.status === 429 || refusal.status >= 500) {
      decided?.delete(head.epoch)
      return refusal
    }
    const { verifyResume } = this.#options
    const code = typeof verifyResume === 'number' ? verifyResume : CloseCode.policy
    const reason = cut(`${refusal.status} ${refusal.reason}`)
    this.#registry.refuse(socket, code, reason)
    // The application here does not know of it, so its end is told nowhere else.
    if (!socket.isAnnounced) socket.reports.ended(socket, 'refused', code, reason, false)
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
