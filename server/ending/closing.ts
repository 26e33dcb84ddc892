/**
 * Ends a server in order, as a deploy needs it: every client is told, spread over time so that not all of them ask the next
 * server at once, and has time to confirm. Those still there at the end of the time are given up. Nothing of ours then keeps
 * an HTTP server or the process.
 */
import type { Clients } from '../admission/clients.ts'
import { Spread } from '../base/spread.ts'
import type { Socket } from '../sockets/socket.ts'
import type { CloseOptions } from './close-options.ts'

/** The longest time between two clients, even if there are few. */
const longestGap = 50
/** The last bytes may leave in this time, before their connection is cut. */
const lastWord = 50
const defaultWithin = 10_000
const serviceRestart = 1012

export class Closing {
  readonly done: Promise<void>
  readonly #clients: Clients
  readonly #code: number
  readonly #reason: string
  readonly #cut: () => void
  readonly #telling: Spread<Socket>
  readonly #deadline: NodeJS.Timeout
  #finished = false
  #resolve: () => void = () => {}

  /** `cut` ends every connection that is still open for us. */
  constructor(clients: Clients, { code, reason, within }: CloseOptions, cut: () => void) {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#clients = clients
    this.#cut = cut
    this.#code = code ?? serviceRestart
    this.#reason = reason ?? ''
    const sockets = [...clients.everyone()]
    const whole = within ?? defaultWithin
    this.#deadline = setTimeout(() => this.#giveUp(), whole)
    // The second half of the time is for the last clients to confirm.
    const gap = Math.min(longestGap, whole / 2 / sockets.length)
    this.#telling = new Spread<Socket>(sockets, gap, (socket) => socket.close(this.#code, this.#reason))
  }

  /** All clients have ended: the promise resolves. Requests that are not answered yet have the rest of the time. */
  finish(): void {
    this.#finished = true
    this.#deadline.unref()
    this.#telling.stop()
    this.#resolve()
  }

  #giveUp(): void {
    this.#telling.stop()
    if (!this.#finished) this.#clients.giveUp(this.#code, this.#reason)
    const last = setTimeout(this.#cut, lastWord)
    if (this.#finished) last.unref()
  }
}
