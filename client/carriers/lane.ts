/** The exchanges of one kind that a carrier makes: at most one of them is under way. It fetches, reads, waits and rests. */
import { type AnswerHead, BodyReader, readAnswerHead } from '../../shared/exchange.ts'
import { maxRecord } from '../../shared/limits.ts'
import type { Position } from '../../shared/link.ts'
import { now, type Timer } from '../base/clock.ts'
import { Abort, type Answer, type WholeAnswer } from '../base/natives.ts'
import type { Why } from '../base/why.ts'
import type { LaneState } from './http-plan.ts'

/** A server of everwire gives empty answers no more often than this, in ms. */
const soon = 50
/** A few answers in a row may be empty: in a hidden page any pause takes a second. */
const shortestPause = 8
/** The longest pause; its bits also end the doubling. */
const longestPause = 4095

export class Lane {
  is: LaneState = 'free'
  serial = 0
  /** Failures in a row; the third ends the carrier. */
  failures = 0
  /** The next exchange asks the server to start again after what has arrived. */
  again = false
  /** The bytes of the request's body. */
  size = 0
  /** The bytes of the body before, if its size may be why it failed; otherwise 0. */
  balked = 0
  /** The server has written everything up to this place into the stream that is under way. */
  due: Position | undefined
  /** A request was sent that makes the server end this exchange. */
  dismissed = false
  abort: AbortController | undefined
  /** Why this end gave the exchange up. */
  why: Why | undefined
  /** The place of the next record of the answer. */
  at: { number: number; offset: number } = { number: 0, offset: 0 }
  /** The places of the session when the last exchange ended, the time of that, and the pause after it. */
  #moved: string | undefined
  #overAt = 0
  #pause = 0
  readonly #next: () => void
  #timer: Timer

  /** `next`: called when the lane has rested. */
  constructor(next: () => void) {
    this.#next = next
  }

  /** Makes an exchange, and hands on each chunk of its answer. Returns why it failed, if it did. */
  async run(
    request: (signal: AbortSignal) => Answer | Promise<Answer>,
    take: (reader: BodyReader<AnswerHead>, chunk: Uint8Array) => void,
  ): Promise<Why | undefined> {
    const abort = new Abort()
    this.abort = abort
    const reader = new BodyReader(readAnswerHead, maxRecord)
    let why: Why | undefined
    this.is = 'asked'
    this.dismissed = false
    this.due = this.why = undefined
    try {
      const answer = await request(abort.signal)
      const { status, statusText, headers } = answer
      if (status !== 200)
        why = status
          ? { is: 'status', status, text: statusText, retryAfter: Number(headers?.get('retry-after')) * 1000 }
          : { is: 'redirected' }
      else {
        const stream = answer.body?.getReader()
        // Where there are no streams, the answer comes as one whole.
        for (let more = true; more; ) {
          const value = stream
            ? (await stream.read()).value
            : new Uint8Array(await (answer as WholeAnswer).arrayBuffer())
          more = !!stream && !!value
          if (value?.length) take(reader, typeof value === 'string' ? bytesOf(atob(value)) : value)
        }
        if (!reader.complete) why = { is: 'truncated' }
      }
    } catch (error) {
      const { name, message: text } = (error ?? {}) as Partial<Error>
      const is = name === 'SecurityError' ? 'not allowed' : 'network'
      why = this.why ?? (text ? { is, text } : { is: 'not ours' })
    }
    if (why) setTimeout(() => abort.abort())
    if (abort === this.abort) this.stop()
    return why
  }

  /** After `ms` without a chunk, gives the exchange up for this reason, or calls the function. */
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
   * An exchange has succeeded. A server that gives empty answers at once, again and again, is asked after pauses that grow.
   * `moved` is another string if a message has arrived or was acknowledged since.
   */
  over(moved: string): void {
    const time = now()
    const idle = moved === this.#moved && time - this.#overAt < 2 * this.#pause + soon
    this.#pause = idle ? (2 * this.#pause + 2) & longestPause : 0
    this.#moved = moved
    this.#overAt = time
    if (this.#pause > shortestPause) this.rest(this.#pause)
  }

  /** Begins nothing for so many milliseconds. */
  rest(ms: number): void {
    this.is = 'resting'
    this.#timer = setTimeout(() => this.rouse(), ms)
  }

  rouse(): void {
    if (this.is !== 'resting') return
    this.stop()
    this.is = 'free'
    this.#next()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

/** Not `Uint8Array.from`, which asks an iterator for each character: that takes seven times as long. */
function bytesOf(text: string): Uint8Array {
  return new Uint8Array(text.length).map((_, at) => text.charCodeAt(at))
}
