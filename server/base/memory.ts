/** How much is buffered for all clients of a server, and who has to go when that is too much. */
import type { Ledger } from '../../shared/snapshot.ts'

/** A client, or a request of somebody who is none yet, as a burden. */
export interface Weighed {
  /** Bytes that are kept for it. */
  readonly weight: number
  /** Ends it for what it weighs: when this returns, nothing of that is counted any more. */
  overload(): void
}

/** Whoever has to make room makes some more, so that not every message makes somebody else go. */
const relief = 0.9
/** So much more before all clients are looked at again in vain. */
const step = 1.05

export class Memory implements Ledger {
  readonly #options: { readonly maxMemory: number }
  readonly #clients: () => Iterable<Weighed>
  /** Bodies that are being read, if they are large. */
  readonly #bodies = new Set<Weighed>()
  #used = 0
  #relieving = false
  /** Above it somebody has to go; 0: above the option. It is higher after a relief that found too little to let go. */
  #edge = 0

  constructor(options: { readonly maxMemory: number }, clients: () => Iterable<Weighed>) {
    this.#options = options
    this.#clients = clients
  }

  get used(): number {
    return this.#used
  }

  /** A large body is being read, until `bodyRead`. Its reader counts what it keeps. */
  readsBody(body: Weighed): void {
    this.#bodies.add(body)
  }

  bodyRead(body: Weighed): void {
    this.#bodies.delete(body)
  }

  add(bytes: number): void {
    this.#used += bytes
    if (this.#used <= this.#options.maxMemory) this.#edge = 0
    else if (!this.#relieving && this.#used > this.#edge) {
      this.#relieving = true
      // Whoever counts is in the middle of something.
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

  /** The heaviest clients end. All are weighed once, and sorted by the powers of two alone, however many there are. */
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
