/** The places of a server: who holds one, how many one address has, and who gives way where there is none left. */
import type { IncomingMessage } from 'node:http'
import type { Refusal } from '../base/handshake.ts'
import { now } from '../base/wakeups.ts'
import { addressOf, countedAs, knowsProxies, mayBeProxy, type TrustProxy } from './address.ts'

export interface PlacesOptions {
  readonly maxClients: number
  readonly maxClientsPerAddress: number
  readonly trustProxy?: TrustProxy | undefined
}

/** After so many seconds some of those who were let go for good have been forgotten. */
const retryAfter = 10

/** One who may have to leave a place. */
export interface Guest {
  abandon(): void
}

/** A client that means to come again has had the time to by then. */
const timeToComeAgain = 1_000
/** Where no more than these are awaited, each may take as long as any client that has lost its connection … */
const fewUnseen = 1_000
/** … and otherwise so long. */
export const shortWait = 10_000
/** Of clients that were not seen again one address may have a tenth of all places, or so many: each means to come again at once. */
const mostUnseen = 64

export class Places {
  readonly #options: PlacesOptions
  readonly #counts = new Map<string, number>()
  /** Who holds a place, and at which address. */
  readonly #holders = new Map<object, string>()
  /** Opened over HTTP and not seen again, oldest first; since when. */
  readonly #unseen = new Map<Guest, number>()
  readonly #unseenCounts = new Map<string, number>()
  /** Over, and kept only for what they still have to answer; oldest first. */
  readonly #over = new Set<Guest>()
  #warned = false

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** How many are held by the clients of this address. */
  heldAt(address: string): number {
    return this.#counts.get(countedAs(address)) ?? 0
  }

  /** Why the client of this request gets none, if it does not. `overHttp`: it has to be seen again before it is believed. */
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

  /** The client of a session that was opened over HTTP has to be seen again. */
  awaitAgain(guest: Guest): void {
    this.#unseen.set(guest, now())
    change(this.#unseenCounts, this.#holders.get(guest), 1)
  }

  /** How much longer it may take to come again. A flood of such is let go soon; a client on a machine that stands still is not. */
  timeLeft(guest: Guest, patience: number): number {
    const since = this.#unseen.get(guest) ?? 0
    return this.#unseen.size > fewUnseen ? 0 : since + patience - now()
  }

  seen(guest: Guest): void {
    if (this.#unseen.delete(guest)) change(this.#unseenCounts, this.#holders.get(guest), -1)
  }

  /** This one is over: where no place is left it gives way. */
  over(guest: Guest): void {
    // One that had nothing left to answer has left already.
    if (this.#holders.has(guest)) this.#over.add(guest)
  }

  get #areLeft(): boolean {
    return this.#holders.size < this.#options.maxClients
  }

  /** Where no place is left, those give way that are over, and then those that were not seen again. */
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

  /** Until `give` for the same holder. */
  take(holder: object, request: IncomingMessage): void {
    const key = countedAs(addressOf(request, this.#options))
    this.#holders.set(holder, key)
    change(this.#counts, key, 1)
  }

  /** Of somebody who holds none this takes nothing. */
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
