/** Where sessions are found by their id. The only place that looks one up, and asynchronous: it may live elsewhere one day. */
import type { RequestHead } from '../../shared/exchange.ts'
import type { Refusal } from '../base/handshake.ts'
import { now } from '../base/wakeups.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import { gone } from './admission.ts'
import type { ResolvedOptions } from './options.ts'
import { Tombstones } from './tombstones.ts'

interface Entry {
  readonly socket: SessionSocket
  readonly key: string
}

export type Found = SessionSocket | 'unknown'

/** A session that is being decided about. */
interface Opening {
  readonly decision: Promise<Refusal | undefined>
  /** Of each request that waits for the decision: whether its client is still there. */
  readonly waiting: (() => boolean)[]
}

export class Registry {
  readonly #sessions = new Map<string, Entry>()
  readonly #opening = new Map<string, Opening>()
  readonly #ended = new Tombstones()
  readonly #options: Pick<ResolvedOptions, 'patience'>

  constructor(options: Pick<ResolvedOptions, 'patience'>) {
    this.#options = options
  }

  /** Unknown, expired and somebody else's are one and the same. */
  async find(head: RequestHead): Promise<Found> {
    const entry = this.#sessions.get(idOf(head))
    return entry && sameKey(entry.key, keyOf(head)) ? entry.socket : 'unknown'
  }

  /** By its public name alone: the caller has another proof, or needs none. */
  async findById(id: string): Promise<SessionSocket | undefined> {
    return this.#sessions.get(id)?.socket
  }

  /**
   * Lets `admit` decide once about each session, however many carriers ask for it at the same time; each of them then finds
   * what it made. One that has ended is not made again: it stays unknown. `isThere`: whether this client still waits. One that
   * nobody waits for any more is not wanted, and is not made.
   */
  async open(
    head: RequestHead,
    isThere: () => boolean,
    admit: (isWanted: () => boolean) => Promise<Refusal | undefined>,
  ): Promise<Refusal | undefined> {
    const id = idOf(head)
    if (this.#sessions.has(id) || this.#ended.has(id)) return undefined
    if (!isThere()) return gone
    const already = this.#opening.get(id)
    if (already) {
      already.waiting.push(isThere)
      const refusal = await already.decision
      // All others had left already when this one asked.
      return refusal === gone && isThere() ? this.open(head, isThere, admit) : refusal
    }
    const waiting = [isThere]
    const decision = admit(() => waiting.some((is) => is()))
    this.#opening.set(id, { decision, waiting })
    try {
      return await decision
    } finally {
      this.#opening.delete(id)
    }
  }

  add(head: RequestHead, socket: SessionSocket): void {
    this.#sessions.set(socket.id, { socket, key: keyOf(head) })
  }

  delete(socket: SessionSocket): void {
    this.#sessions.delete(socket.id)
    // Longer than the client lives without a carrier, and whatever it sent last is under way.
    this.#ended.add(socket.id, this.#options.patience * 2, now())
  }

  get sockets(): Iterable<SessionSocket> {
    return Array.from(this.#sessions.values(), ({ socket }) => socket)
  }

  /** All that are kept, those that are over too: they still answer. */
  get size(): number {
    return this.#sessions.size
  }
}

/** What names a session in logs and as a socket's `id`. */
export function idOf(head: RequestHead): string {
  return asBuffer(head.id).toString('base64url')
}

function keyOf(head: RequestHead): string {
  return asBuffer(head.key).toString('latin1')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Takes as long for a key that is wrong from the start as for one that is nearly right. */
function sameKey(a: string, b: string): boolean {
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0 && a.length === b.length
}
