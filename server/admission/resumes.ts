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

/** Is told which request of a session the application has let in, and the callback that gets its client. */
type Accepted = (
  socket: SessionSocket,
  request: IncomingMessage,
  callback: UpgradeCallback | undefined,
) => void

/** The number of decisions that are remembered for a session: a client tries a few connections at a time. */
const remembered = 8

export class Resumes {
  readonly #options: ResolvedOptions
  readonly #registry: Registry
  /** The decisions, by session, and for each session by epoch. */
  readonly #decisions = new WeakMap<SessionSocket, Map<number, Decision>>()
  /** The sessions that came from other servers, with the newest epoch that the other server had taken. */
  readonly #restored = new WeakMap<SessionSocket, number>()
  readonly #accepted: Accepted

  constructor(options: ResolvedOptions, registry: Registry, accepted: Accepted) {
    this.#options = options
    this.#registry = registry
    this.#accepted = accepted
  }

  /** This connection opened the session, so it was decided about with the session, unless another server made that decision. */
  admitted(socket: SessionSocket, { epoch }: RequestHead): void {
    if (this.#areAsked && !this.#restored.has(socket))
      this.#remember(socket, epoch, Promise.resolve(undefined))
  }

  /** A session of another server goes on here: each of its connections counts as a later one, also one with `open`. */
  restored(socket: SessionSocket): void {
    this.#restored.set(socket, socket.session.epoch)
  }

  /**
   * Whether an HTTP request goes on with a carrier that began at another server: then the request has no token any more. The client
   * must begin another carrier, about which the application is asked.
   */
  beganElsewhere(socket: SessionSocket, head: RequestHead, token: string | undefined): boolean {
    const epoch = this.#restored.get(socket)
    if (epoch === undefined || token !== undefined || !this.wants(socket, head)) return false
    const { ask, serial } = head
    if ((ask & Ask.open) !== 0) return false
    return head.epoch <= epoch || ((ask & Ask.standby) === 0 && (serial > 1 || (ask & Ask.hold) !== 0))
  }

  /** Whether the application must still decide about this connection. */
  wants(socket: SessionSocket, { epoch }: RequestHead): boolean {
    return this.#areAsked && !this.#decisions.get(socket)?.has(epoch)
  }

  /** Whether no decision about this connection is needed or under way. */
  hasDecided(socket: SessionSocket, head: RequestHead): boolean {
    return !this.wants(socket, head) && !this.#decisions.has(socket)
  }

  get #areAsked(): boolean {
    const { verifyResume, verifyClient } = this.#options
    return !!verifyResume && !!verifyClient
  }

  /**
   * The refusal of this connection alone; undefined if it is let in, or if the whole session is refused: that session is over, and
   * nobody finds it any more. `callback`: gets the client of this request.
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
    // Meanwhile another server has the session: it will ask its application itself.
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
    // The application here has not seen the session, so nothing else reports its end.
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
