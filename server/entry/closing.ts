/**
 * Ends a server in order, as a deploy needs it: every client is told, spread over time so that not all of them ask the next
 * server at once, and has time to confirm. Those still there at the end of the time are given up. Nothing of ours then keeps
 * an HTTP server or the process.
 */
import type { Clients } from '../admission/clients.ts'
import type { Socket } from '../sockets/socket.ts'
import type { CloseOptions } from './close-options.ts'

/** Even with few clients no two of them wait longer for each other. */
const longestGap = 50
/** A last word may leave in this time, before its connection is cut. */
const lastWord = 50
const defaultWithin = 10_000
const serviceRestart = 1012

export class Closing {
  readonly done: Promise<void>
  readonly #clients: Clients
  readonly #code: number
  readonly #reason: string
  readonly #queue: Socket[]
  readonly #gap: number
  readonly #begun: number = performance.now()
  readonly #deadline: NodeJS.Timeout
  #told = 0
  #next: NodeJS.Timeout | undefined
  #finished = false
  #resolve: () => void = () => {}

  constructor(clients: Clients, { code, reason, within }: CloseOptions) {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#clients = clients
    this.#code = code ?? serviceRestart
    this.#reason = reason ?? ''
    this.#queue = [...clients.everyone()]
    const whole = within ?? defaultWithin
    // The second half is for the last ones to confirm.
    this.#gap = Math.min(longestGap, whole / 2 / this.#queue.length)
    this.#deadline = setTimeout(() => this.#giveUp(), whole)
    this.#tell()
  }

  /** Everything has ended: the promise resolves. */
  finish(): void {
    this.#finished = true
    clearTimeout(this.#deadline)
    clearTimeout(this.#next)
    this.#resolve()
  }

  #tell(): void {
    const due = this.#gap === 0 ? this.#queue.length : (performance.now() - this.#begun) / this.#gap + 1
    while (this.#told < Math.min(Math.floor(due), this.#queue.length)) this.#tellOne()
    if (this.#told < this.#queue.length) this.#next = setTimeout(() => this.#tell(), Math.max(1, this.#gap))
  }

  #tellOne(): void {
    const socket = this.#queue[this.#told++] as Socket
    socket.close(this.#code, this.#reason)
  }

  #giveUp(): void {
    clearTimeout(this.#next)
    this.#clients.giveUp(this.#code, this.#reason)
    setTimeout(() => {
      if (!this.#finished) this.#clients.cut()
    }, lastWord)
  }
}
