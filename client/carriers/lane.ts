/** The exchanges of one kind that one carrier has: at most one of them is under way. */
import type { Position } from '../../shared/link.ts'
import { now, type Timer } from '../base/clock.ts'
import type { Why } from '../base/why.ts'

/** No server of ours has nothing to say more often than this, in ms. */
const soon = 50
/** Some answers in a row may be empty: a pause of a hidden page, however short, takes a second. */
const shortestPause = 8
/** Also the bits of the longest pause, at which its doubling stops. */
const longestPause = 4095

export class Lane {
  serial = 0
  /** In a row; the third ends the carrier. */
  failures = 0
  /** Under way, or waiting for its next try. */
  busy = false
  /** Its answer has begun: the server has it. */
  begun = false
  /** The next one asks to begin again after what has arrived. */
  again = false
  /** The bytes of its body. */
  size = 0
  /** Its answer goes on and on. */
  streaming = false
  /** … and its second piece has come. */
  shown = false
  /** … and the server has given it everything up to here. */
  due: Position | undefined
  /** The server was asked for what makes it end this one. */
  dismissed = false
  /** It waits for its next try, and nothing is under way. */
  resting = false
  abort: AbortController | undefined
  /** Why it was given up here. */
  why: Why | undefined
  /** The place of the next record of its answer. */
  at: { number: number; offset: number } = { number: 0, offset: 0 }
  /** What the session had moved when one ended last, when that was, and the pause after it. */
  #moved: string | undefined
  #overAt = 0
  #pause = 0
  readonly #next: () => void
  #timer: Timer

  /** `next`: goes on when the lane has rested. */
  constructor(next: () => void) {
    this.#next = next
  }

  /** Another exchange is under way. */
  begin(streaming: boolean): AbortController {
    this.busy = true
    this.streaming = streaming
    this.begun = this.shown = this.dismissed = false
    this.due = undefined
    this.why = undefined
    this.abort = new AbortController()
    return this.abort
  }

  /** Gives it up, for this reason, or does that, unless something comes within so many milliseconds. */
  wait(ms: number, why: Why | (() => void) = { is: 'timeout' }): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (typeof why === 'function') why()
      else {
        this.why = why
        this.abort?.abort()
      }
    }, ms)
  }

  /**
   * One is over, and it was well. Whoever answers at once and has nothing to say, again and again, is asked less and less
   * often. `moved` is another one when the session has got anything done.
   */
  over(moved: string): void {
    const time = now()
    const idle = moved === this.#moved && time - this.#overAt < 2 * this.#pause + soon
    this.#pause = idle ? (2 * this.#pause + 2) & longestPause : 0
    this.#moved = moved
    this.#overAt = time
    if (this.#pause > shortestPause) this.rest(this.#pause)
  }

  /** Goes on later. */
  rest(ms: number): void {
    this.busy = this.resting = true
    this.#timer = setTimeout(() => this.rouse(), ms)
  }

  rouse(): void {
    if (!this.resting) return
    this.stop()
    this.busy = this.resting = false
    this.#next()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
