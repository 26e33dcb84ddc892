/** A stream of our own that stands for the connection of a handshake, with the members that libraries ask a connection for. */
import type { Socket as Connection } from 'node:net'
import { Duplex } from 'node:stream'

export abstract class ConnectionLike extends Duplex {
  readonly #connection: Connection & { readonly encrypted?: boolean }

  /** `connection`: the one that the request came over. */
  constructor(connection: Connection) {
    super()
    this.#connection = connection
  }

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#connection.remotePort
  }

  get encrypted(): boolean {
    return this.#connection.encrypted === true
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }
}
