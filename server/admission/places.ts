/** The places of a server: which client has one, how many one address has, and which client must give way if none is left. */
import type { IncomingMessage } from 'node:http'
import type { Refusal } from '../base/handshake.ts'
import { now } from '../base/wakeups.ts'
import { addressOf, countedAs, knowsProxies, mayBeProxy, type TrustProxy } from './address.ts'

export interface PlacesOptions {
  readonly maxClients: number
  readonly maxClientsPerAddress: number
  readonly trustProxy?: TrustProxy | undefined
}

/** Seconds until some abandoned sessions have been forgotten. */
const retryAfter = 10

/** A client that may have to give up its place. */
export interface Guest {
  abandon(): void
}

/** After this time, a client that wants to continue its session would have returned. */
const timeToComeAgain = 1_000
/** Up to this number of unseen clients, each may take as long to return as a client that has lost its connection. */
const fewUnseen = 1_000
/** With more unseen clients, each may take only this long. */
export const shortWait = 10_000
/** One address may have a tenth of all places for unseen clients, or this many: real clients return at once. */
const mostUnseen = 64

export class Places {
  readonly #options: PlacesOptions
  readonly #counts = new Map<string, number>()
  /** The address of each client that has a place. */
  readonly #holders = new Map<object, string>()
  /** Clients that opened a session over HTTP and have not been seen again, oldest first, with the time of the opening. */
  readonly #unseen = new Map<Guest, number>()
  readonly #unseenCounts = new Map<string, number>()
  /** Clients whose session is over and only kept for late requests, oldest first. */
  readonly #over = new Set<Guest>()
  #warned = false

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** The number of places that the clients of this address have. */
  heldAt(address: string): number {
    return this.#counts.get(countedAs(address)) ?? 0
  }

  /** The refusal if no place is left for the client. `overHttp`: the client must be seen again before it counts as real. */
  refuse(request: IncomingMessage, overHttp: boolean): Refusal | undefined {
    this.#makeRoom()
    if (!this.#areLeft) return { status: 503, reason: 'Too many clients' }
    const { maxClients, maxClientsPerAddress } = this.#options
    const address = addressOf(request, this.#options)
    const unseen = this.#unseenCounts.get(countedAs(address)) ?? 0
    if (overHttp && unseen >= Math.max(mostUnseen, maxClients / 10)) {
      const reason = 'Too many sessions from this address were opened and not used'
      return { status: 429, reason, headers: { 'Retry-After': String(retryAfter) } }
    }
    if (this.heldAt(address) < maxClientsPerAddress) return undefined
    this.#warn(address, request)
    return {
      status: 429,
      reason: `Too many clients from one address: the server's option "maxClientsPerAddress" allows ${maxClientsPerAddress}. Behind a proxy all clients seem to have its address: name the proxy in the option "trustProxy"`,
      headers: { 'Retry-After': String(retryAfter) },
    }
  }

  /** Notes that the client opened a session over HTTP and has to be seen again. */
  awaitAgain(guest: Guest): void {
    this.#unseen.set(guest, now())
    change(this.#unseenCounts, this.#holders.get(guest), 1)
  }

  /** How much longer a client may take to return. With many unseen clients none: they may be a flood. */
  timeLeft(guest: Guest, patience: number): number {
    const since = this.#unseen.get(guest) ?? 0
    return this.#unseen.size > fewUnseen ? 0 : since + patience - now()
  }

  seen(guest: Guest): void {
    if (this.#unseen.delete(guest)) change(this.#unseenCounts, this.#holders.get(guest), -1)
  }

  /** The session of this client is over: the client gives way if no place is left. */
  over(guest: Guest): void {
    // A session that has nothing left to answer has given its place back already.
    if (this.#holders.has(guest)) this.#over.add(guest)
  }

  get #areLeft(): boolean {
    return this.#holders.size < this.#options.maxClients
  }

  /** Makes room: first removes clients whose session is over, then clients that were not seen again. */
  #makeRoom(): void {
    for (const guest of this.#over) {
      if (this.#areLeft) return
      guest.abandon()
    }
    for (const [guest, since] of this.#unseen) {
      if (this.#areLeft || since + timeToComeAgain > now()) return
      guest.abandon()
    }
  }

  /** Takes a place for `holder`, until `give(holder)`. */
  take(holder: object, request: IncomingMessage): void {
    const key = countedAs(addressOf(request, this.#options))
    this.#holders.set(holder, key)
    change(this.#counts, key, 1)
  }

  /** Gives the place of `holder` back, if it has one. */
  give(holder: object): void {
    const key = this.#holders.get(holder)
    if (key === undefined) return
    this.seen(holder as Guest)
    this.#over.delete(holder as Guest)
    this.#holders.delete(holder)
    change(this.#counts, key, -1)
  }

  #warn(address: string, request: IncomingMessage): void {
    if (this.#warned || !mayBeProxy(address) || knowsProxies(request, this.#options)) return
    this.#warned = true
    process.emitWarning(
      `${this.#options.maxClientsPerAddress} clients came from ${address || 'one address'}, as many as "maxClientsPerAddress" allows. If it is your proxy's address, name the proxy in the option "trustProxy".`,
      { type: 'everwire', code: 'EVERWIRE_PROXY' },
    )
  }
}

function change(counts: Map<string, number>, key: string | undefined, by: number): void {
  if (key === undefined) return
  const count = (counts.get(key) ?? 0) + by
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}
