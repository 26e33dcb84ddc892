/** Finds sessions by their id. No other file does. */
import { createHash } from 'node:crypto'
import type { RequestHead } from '../../shared/exchange.ts'
import type { Refusal } from '../base/handshake.ts'
import { isPromise } from '../base/promise.ts'
import { now } from '../base/wakeups.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import { gone } from './admission.ts'
import type { ResolvedOptions } from './options.ts'
import { type Epitaph, Tombstones } from './tombstones.ts'

interface Entry {
  readonly socket: SessionSocket
  readonly key: string
  /** The session was refused: it is kept only to tell its client how it ended. */
  end?: Epitaph
}

export type Found = SessionSocket | 'unknown'

/** A session for which the decision is under way. */
interface Opening {
  readonly decision: Promise<Refusal | undefined>
  /** For each request that waits for the decision: whether its client is still there. */
  readonly waiting: (() => boolean)[]
}

export class Registry {
  readonly #sessions = new Map<string, Entry>()
  readonly #opening = new Map<string, Opening>()
  readonly #ended = new Tombstones()
  readonly #options: Pick<ResolvedOptions, 'patience'>
  /** `ClusterMember.doubt`, of a durable server in a cluster. */
  doubt: (() => Promise<void> | undefined) | undefined

  constructor(options: Pick<ResolvedOptions, 'patience'>) {
    this.#options = options
  }

  /** Unknown, expired and foreign sessions are all `'unknown'`. */
  find(head: RequestHead): Found | Promise<Found> {
    const doubt = this.doubt?.()
    return doubt ? doubt.then(() => this.here(head)) : this.here(head)
  }

  /** The same, without asking whether another server has taken the session over. */
  here(head: RequestHead): Found {
    const entry = this.#sessions.get(idOf(head))
    return entry && !entry.end && sameKey(entry.key, keyOf(head)) ? entry.socket : 'unknown'
  }

  /** From now on whoever has the key of this session is told that it ended with this code and reason. */
  refuse(socket: SessionSocket, code: number, reason: string): void {
    const entry = this.#sessions.get(socket.id)
    if (entry) entry.end ??= { key: entry.key, code, reason }
  }

  /** How the session ended, if it was refused. */
  endOf(head: RequestHead): Epitaph | undefined {
    const id = idOf(head)
    const end = this.#sessions.get(id)?.end ?? this.#ended.epitaphOf(id)
    return end && sameKey(end.key, keyOf(head)) ? end : undefined
  }

  /** Whether a session with this id has lived here, whatever its key. */
  hadBefore(head: RequestHead): boolean {
    const id = idOf(head)
    return this.#sessions.has(id) || this.#opening.has(id) || this.#ended.has(id)
  }

  /** Finds a session by its public id alone: the caller has another proof, or needs none. */
  async findById(id: string): Promise<SessionSocket | undefined> {
    const entry = this.#sessions.get(id)
    return entry?.end ? undefined : entry?.socket
  }

  /**
   * Calls `admit` once for a session, however many carriers ask for it at a time; each of them then finds the new session.
   * A session that has ended is not created again, so it stays unknown. `isThere` tells whether this client still waits; a
   * session for which nobody waits any more is not created. A promise only if `admit` returns one.
   */
  open(
    head: RequestHead,
    isThere: () => boolean,
    admit: (isWanted: () => boolean) => Refusal | undefined | Promise<Refusal | undefined>,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    const id = idOf(head)
    if (this.#sessions.has(id) || this.#ended.has(id)) return undefined
    if (!isThere()) return gone
    const already = this.#opening.get(id)
    if (already) {
      already.waiting.push(isThere)
      // The decision may have found that all other clients had left: then ask again for this one.
      return already.decision.then((refusal) =>
        refusal === gone && isThere() ? this.open(head, isThere, admit) : refusal,
      )
    }
    const waiting = [isThere]
    const decision = admit(() => waiting.some((is) => is()))
    if (!isPromise(decision)) return decision
    this.#opening.set(id, { decision, waiting })
    return decision.finally(() => this.#opening.delete(id))
  }

  add(head: RequestHead, socket: SessionSocket): void {
    this.#sessions.set(socket.id, { socket, key: keyOf(head) })
  }

  /** Returns false if another server goes on with the session. */
  delete(socket: SessionSocket): boolean {
    const entry = this.#sessions.get(socket.id)
    if (entry?.socket !== socket) return false
    const { end } = entry
    this.#sessions.delete(socket.id)
    // Longer than a client tries without a carrier, because its last data may still be on the way.
    this.#ended.add(socket.id, this.#options.patience * 2, now(), end)
    return true
  }

  /** Another server goes on with the session: this one forgets it. */
  handedOver(socket: SessionSocket): void {
    this.#sessions.delete(socket.id)
  }

  /** A hash of the session's key: it proves to whom the session belongs. */
  proofOf(socket: SessionSocket): string {
    return proofOf(this.#sessions.get(socket.id)?.key ?? '')
  }

  /** The proof of the session with this id; empty if there is none. */
  proofById(id: string): string {
    const entry = this.#sessions.get(id)
    return entry ? proofOf(entry.key) : ''
  }

  /** Calls `look` with each kept session, without a copy of the list: `look` must not end any of them. */
  each(look: (socket: SessionSocket) => void): void {
    for (const { socket } of this.#sessions.values()) look(socket)
  }

  get sockets(): Iterable<SessionSocket> {
    return Array.from(this.#sessions.values(), ({ socket }) => socket)
  }

  /** The number of kept sessions, including those that are over but still answer. */
  get size(): number {
    return this.#sessions.size
  }
}

/** The latest head whose id was asked for, and its id: an opening asks for it several times. */
let latest: RequestHead | undefined
let latestId = ''

/** The name of a session in logs, and the `id` of its socket. */
export function idOf(head: RequestHead): string {
  if (head !== latest) {
    latestId = asBuffer(head.id).toString('base64url')
    latest = head
  }
  return latestId
}

/** A hash of the key in the head: it proves that the client may have a session that was handed over or stored. */
export function proofIn(head: RequestHead): string {
  return proofOf(keyOf(head))
}

function proofOf(key: string): string {
  return createHash('sha256').update(key, 'latin1').digest('base64url')
}

function keyOf(head: RequestHead): string {
  return asBuffer(head.key).toString('latin1')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Compares keys in constant time. */
function sameKey(a: string, b: string): boolean {
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0 && a.length === b.length
}
