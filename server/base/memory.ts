/** Counts the bytes that are buffered for all clients of a server, and ends the largest clients if there are too many. */
import type { Ledger } from '../../shared/snapshot.ts'

/** A client, or a request without a session, that uses memory. */
export interface Weighed {
  /** The bytes that are kept for it. */
  readonly weight: number
  /** Ends the client or request because of its memory. When this returns, none of its bytes are counted any more. */
  overload(): void
}

/** The memory is reduced to this part of the limit, so that not every following message ends a client. */
const relief = 0.9
/** After a relief that was not enough, the memory must grow by this factor before the clients are examined again. */
const step = 1.05
/** Requests and texts with fewer bytes, which are most, are not counted. */
const worthHolding = 1_024

/** Up to so many bytes on their way to a client are not counted: they nearly always leave at once, and no 'drain' tells of them. */
export const worthCounting: number = 64 * 1024

/** What counts of a text that a client chose, such as its subprotocol. */
export function countedOf({ length }: string): number {
  return length < worthHolding ? 0 : length
}

export class Memory implements Ledger {
  readonly #options: { readonly maxMemory: number }
  readonly #clients: () => Iterable<Weighed>
  /** Large bodies that are being read, and those that wait. */
  readonly #bodies = new Set<Weighed>()
  #used = 0
  #relieving = false
  /** Above this number clients are ended; 0 means above the option. It rises when a relief could not free enough. */
  #edge = 0

  constructor(options: { readonly maxMemory: number }, clients: () => Iterable<Weighed>) {
    this.#options = options
    this.#clients = clients
  }

  get used(): number {
    return this.#used
  }

  /** A large body is being read, until `bodyRead`. Its reader calls `add`. */
  readsBody(body: Weighed): void {
    this.#bodies.add(body)
  }

  bodyRead(body: Weighed): void {
    this.#bodies.delete(body)
  }

  /**
   * A request with this many bytes waits for another server. `end` ends it if there is too little memory. Returns the function to call
   * when it waits no longer.
   */
  hold(bytes: number, end: () => void): () => void {
    if (bytes < worthHolding) return nothing
    const over = (): void => {
      if (this.#bodies.delete(held)) this.add(-bytes)
    }
    const held: Weighed = {
      weight: bytes,
      overload: () => {
        over()
        end()
      },
    }
    this.#bodies.add(held)
    this.add(bytes)
    return over
  }

  add(bytes: number): void {
    this.#used += bytes
    if (this.#used <= this.#options.maxMemory) this.#edge = 0
    else if (!this.#relieving && this.#used > this.#edge) {
      this.#relieving = true
      // Not now: the caller of `add` is in the middle of its work.
      process.nextTick(() => this.#makeRoom())
    }
  }

  *#burdens(): Iterable<Weighed> {
    yield* this.#bodies
    yield* this.#clients()
  }

  #makeRoom(): void {
    try {
      this.#relieve()
    } finally {
      this.#relieving = false
      if (this.#used > this.#options.maxMemory) this.#edge = this.#used * step
    }
  }

  /** Ends the heaviest clients. Weighs each once and sorts only by powers of two, which is fast for any number. */
  #relieve(): void {
    const enough = this.#options.maxMemory * relief
    const byRank: Weighed[][] = []
    for (const client of this.#burdens()) {
      const { weight } = client
      if (weight < 1) continue
      const rank = Math.floor(Math.log2(weight))
      byRank[rank] ??= []
      byRank[rank].push(client)
    }
    for (const clients of byRank.reverse()) {
      for (const client of clients ?? []) {
        client.overload()
        if (this.#used <= enough) return
      }
    }
  }
}

function nothing(): void {}
