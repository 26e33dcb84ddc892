/** The traffic on one connection: HTTP, one request after the other, until another protocol begins. */

import { type Head, readHead } from './http.ts'
import { Exchange, type Way } from './http-exchange.ts'

export interface Conversation extends Way {
  /** Whether the connection is over, so that no more data is passed on. */
  readonly isOver: boolean
  /** Announces a request. Returns its number. */
  announce(line: string, isWebSocket: boolean): number
  /** The client has sent all: end the connection to the server. */
  endServer(): void
  /** The server has sent all: end the connection to the client. */
  endClient(): void
  /** Sets whether the client has to wait before it sends more. */
  holdClient(hold: boolean): void
}

const requestLine = /^[!#$%&'*+.^_`|~\w-]+ \S+ HTTP\/1\.[01]$/
const maxAhead = 64 * 1024
const nothing = Buffer.alloc(0)

export class Traffic {
  readonly #way: Conversation
  #exchange: Exchange | undefined
  /** The bytes of the next request that have come so far. */
  #ahead: Buffer = nothing
  /** Whether the data is not HTTP (any more), so that it is passed on unchanged. */
  #foreign = false
  #clientHasEnded = false
  #serverHasEnded = false

  constructor(way: Conversation) {
    this.#way = way
  }

  fromClient(bytes: Buffer): void {
    let left = this.#ahead.length > 0 ? Buffer.concat([this.#ahead, bytes]) : bytes
    this.#ahead = nothing
    while (left.length > 0 && !this.#way.isOver) {
      if (this.#foreign) {
        this.#way.toServer(left)
        break
      }
      if (this.#exchange?.requestDone === false) {
        left = this.#exchange.takeRequest(left)
        if (this.#exchange?.over) this.#exchange = undefined
        continue
      }
      // The next request begins only after the previous one has been answered.
      const head = this.#exchange ? 'more' : readHead(left, requestLine)
      if (head === 'more') {
        this.#ahead = left
        break
      }
      if (head === 'foreign') this.#foreign = true
      else {
        left = left.subarray(head.raw.length)
        this.#begin(head)
      }
    }
    this.#way.holdClient(this.#ahead.length > maxAhead)
  }

  fromServer(bytes: Buffer): void {
    // Pass on also answers without a request: a server may send 408, for example.
    const rest = this.#exchange && !this.#foreign ? this.#exchange.takeAnswer(bytes) : bytes
    if (rest.length > 0) this.#way.toClient(rest)
  }

  clientEnded(): void {
    this.#clientHasEnded = true
    this.#lookAtEnds()
  }

  serverEnded(): void {
    this.#serverHasEnded = true
    const isWhole = this.#exchange?.takeEnd() ?? true
    if (!isWhole) this.#exchange = undefined
    this.#lookAtEnds()
  }

  retime(): void {
    this.#exchange?.retime()
  }

  drop(): void {
    this.#exchange?.drop()
    this.#exchange = undefined
  }

  #begin(head: Head): void {
    const [method, target] = head.first.split(' ')
    const isWebSocket = head.headers.some(
      ([name, value]) => name.toLowerCase() === 'upgrade' && value.toLowerCase() === 'websocket',
    )
    const index = this.#way.announce(`${method} ${target}`, isWebSocket)
    if (this.#way.isOver) return
    if (method === 'CONNECT') {
      this.#foreign = true
      this.#way.toServer(head.raw)
      return
    }
    const exchange = new Exchange(head, isWebSocket, index, this.#way, () => this.#moved(exchange))
    this.#exchange = exchange
    exchange.begin()
    if (exchange.over && this.#exchange === exchange) this.#exchange = undefined
  }

  /** An exchange has moved by itself, so the next request may be able to begin. */
  #moved(exchange: Exchange): void {
    if (exchange.switched) this.#foreign = true
    if (exchange.over && this.#exchange === exchange) {
      this.#exchange = undefined
      // Do it later: this may be called in the middle of reading.
      if (this.#ahead.length > 0) setImmediate(() => this.fromClient(nothing))
    }
    this.#lookAtEnds()
  }

  /** Passes the ends on, after all data that came before them. */
  #lookAtEnds(): void {
    if (this.#clientHasEnded && this.#ahead.length === 0 && !this.#exchange?.isHeld) {
      this.#way.endServer()
    }
    if (this.#serverHasEnded && (this.#exchange?.answered ?? true)) this.#way.endClient()
  }
}
