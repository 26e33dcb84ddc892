/** Answers that have been written and that the network has not taken: counted while they wait, and not for ever. */
import type { ServerResponse } from 'node:http'
import type { Ledger } from '../../shared/snapshot.ts'
import { forget, notBooked, now, type Timed, wakeAt } from './wakeups.ts'

/** What may wait so of one session. A client that lost its answers asks for the messages again, over another connection. */
const maxOfOne = 1024 * 1024

/** Those of one session, oldest first. */
export class UnreadAnswers {
  readonly #all = new Set<Unread>()
  bytes = 0

  add(answer: Unread): void {
    this.#all.add(answer)
    this.bytes += answer.bytes
    for (const oldest of this.#all) {
      if (this.bytes <= maxOfOne || oldest === answer) return
      oldest.giveUp()
    }
  }

  delete(answer: Unread): void {
    if (this.#all.delete(answer)) this.bytes -= answer.bytes
  }

  giveUp(): void {
    for (const answer of this.#all) answer.giveUp()
  }
}

/** A session whose messages are in answers; it makes the list when one is not read at once. */
export interface Answered {
  readonly answers: UnreadAnswers
}

class Unread implements Timed {
  wakeTick: number = notBooked
  readonly bytes: number
  readonly #response: ServerResponse
  readonly #ledger: Ledger
  readonly #of: UnreadAnswers | undefined
  #isGone = false

  constructor(response: ServerResponse, bytes: number, ledger: Ledger, of: UnreadAnswers | undefined) {
    this.bytes = bytes
    this.#response = response
    this.#ledger = ledger
    this.#of = of
    ledger.add(bytes)
    response.once('close', this.#gone)
    // One that waits behind another is not told when their connection ends.
    if (!response.socket) response.req.socket?.once('close', this.#gone)
    of?.add(this)
  }

  wake(): void {
    this.#response.destroy()
  }

  giveUp(): void {
    this.#gone()
    this.#response.destroy()
  }

  readonly #gone = (): void => {
    if (this.#isGone) return
    this.#isGone = true
    forget(this)
    // The connection may stay, and have many more.
    this.#response.req.socket?.off('close', this.#gone)
    this.#of?.delete(this)
    this.#ledger.add(-this.bytes)
  }
}

/** What watches over the answers of one server. */
export class AnswerWatch {
  readonly #options: { readonly answerTimeout: number }
  readonly #ledger: Ledger

  constructor(options: { readonly answerTimeout: number }, ledger: Ledger) {
    this.#options = options
    this.#ledger = ledger
  }

  /** The answer to this request, when it is given. */
  over(response: ServerResponse): void {
    ;(response as Watched)[watch] = this
  }

  given(response: ServerResponse, bytes: number, of: Answered | undefined): void {
    if (isTaken(response)) return
    wakeAt(new Unread(response, bytes, this.#ledger, of?.answers), now() + this.#options.answerTimeout)
  }
}

const watch: unique symbol = Symbol('watch')
type Watched = ServerResponse & { [watch]?: AnswerWatch }

/** All of an answer has been written. `of`: the session whose messages are in it. */
export function answerGiven(response: ServerResponse, bytes: number, of?: Answered): void {
  ;(response as Watched)[watch]?.given(response, bytes, of)
}

/** Whether the operating system has all of it, which is nearly always so at once; or whether nobody is there any more. */
function isTaken({ socket, writableFinished, destroyed, req }: ServerResponse): boolean {
  if (writableFinished || destroyed) return true
  if (req.httpVersionMajor >= 2) return false
  return socket ? socket.writableLength === 0 : req.socket.destroyed
}
