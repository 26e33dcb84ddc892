/** How many places the clients of one address hold. */
import type { IncomingMessage } from 'node:http'
import { addressOf, countedAs, knowsProxies, mayBeProxy, type TrustProxy } from './address.ts'
import type { Refusal } from './handshake.ts'

export interface PlacesOptions {
  readonly maxClientsPerAddress: number
  readonly trustProxy?: TrustProxy | undefined
}

/** After so many seconds some of those who were let go for good have been forgotten. */
const retryAfter = 10

export class Places {
  readonly #options: PlacesOptions
  readonly #counts = new Map<string, number>()
  /** Who holds a place, and at which address. */
  readonly #holders = new Map<object, string>()
  #warned = false

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** How many are held by the clients of this address. */
  heldAt(address: string): number {
    return this.#counts.get(countedAs(address)) ?? 0
  }

  /** Why the client of this request gets none, if it does not. */
  refuse(request: IncomingMessage): Refusal | undefined {
    const { maxClientsPerAddress } = this.#options
    const address = addressOf(request, this.#options)
    if (this.heldAt(address) < maxClientsPerAddress) return undefined
    this.#warn(address, request)
    return {
      status: 429,
      reason: `Too many clients from one address: the server's option "maxClientsPerAddress" allows ${maxClientsPerAddress}. Behind a proxy all come from one, unless the option "trustProxy" says whose word to take`,
      headers: { 'Retry-After': String(retryAfter) },
    }
  }

  /** Until `give` for the same holder. */
  take(holder: object, request: IncomingMessage): void {
    const key = countedAs(addressOf(request, this.#options))
    this.#holders.set(holder, key)
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** Of somebody who holds none this takes nothing. */
  give(holder: object): void {
    const key = this.#holders.get(holder)
    if (key === undefined) return
    this.#holders.delete(holder)
    const left = (this.#counts.get(key) ?? 1) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }

  #warn(address: string, request: IncomingMessage): void {
    if (this.#warned || !mayBeProxy(address) || knowsProxies(request, this.#options)) return
    this.#warned = true
    process.emitWarning(
      `${this.#options.maxClientsPerAddress} clients have come from ${address || 'one address'}, which may be a proxy's: the option "trustProxy" says whose X-Forwarded-For to believe, "maxClientsPerAddress" how many clients one address may have.`,
      { type: 'everwire', code: 'EVERWIRE_PROXY' },
    )
  }
}
