/** The callbacks of `send`, in the order of their messages. */
import { Fifo } from '../../shared/fifo.ts'
import { rethrow } from '../base/turn.ts'
import type { SendCallback } from './socket-events.ts'

export class SendCallbacks {
  readonly #waiting = new Fifo<{ number: number; done: SendCallback }>()

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add(number: number, done: SendCallback): void {
    this.#waiting.push({ number, done })
  }

  /** Takes out the callbacks of the messages up to this number. */
  upTo(number: number): SendCallback[] {
    const due: SendCallback[] = []
    for (let next = this.#waiting.at(0); next && next.number <= number; next = this.#waiting.at(0)) {
      due.push(next.done)
      this.#waiting.shift()
    }
    return due
  }
}

/** Calls each of them. One that throws stops neither the others nor the end of its client. */
export function callAll(callbacks: readonly SendCallback[], error: Error | undefined): void {
  for (const callback of callbacks) {
    try {
      callback(error)
    } catch (thrown) {
      rethrow(thrown)
    }
  }
}
