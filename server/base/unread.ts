/** Answers that were written but that the network has not taken. Their bytes are counted, and after `answerTimeout` they are given up. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { Ledger } from '../../shared/snapshot.ts'
import type { Refusal } from './handshake.ts'
import { forget, notBooked, now, type Timed, wakeAt } from './wakeups.ts'

/** Limit for one session. A client that lost its answers asks for the messages again, over another connection. */
const maxOfOne = 1024 * 1024

/** The unread answers of one session, oldest first. */
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

/** A session that puts messages into answers. It creates the list when the first answer is not read at once. */
export interface Answered {
  readonly answers: UnreadAnswers
}

/** For each connection the functions to call at its end. Many answers may wait on one, and an emitter should have few listeners. */
const waiting = new WeakMap<Socket, Set<() => void>>()

function waitingOn(socket: Socket): Set<() => void> {
  let all = waiting.get(socket)
  if (all === undefined) {
    const told = new Set<() => void>()
    socket.once('close', () => {
      for (const tell of told) tell()
    })
    waiting.set(socket, told)
    all = told
  }
  return all
}

class Unread implements Timed {
  wakeTick: number = notBooked
  readonly bytes: number
  readonly #response: ServerResponse
  readonly #ledger: Ledger
  readonly #of: UnreadAnswers | undefined
  #isOver = false

  constructor(response: ServerResponse, bytes: number, ledger: Ledger, of: UnreadAnswers | undefined) {
    this.bytes = bytes
    this.#response = response
    this.#ledger = ledger
    this.#of = of
    ledger.add(bytes)
    response.once('close', this.over)
    // A response that waits behind another one is not told when their connection ends.
    if (!response.socket && response.req.socket) waitingOn(response.req.socket).add(this.over)
    of?.add(this)
  }

  wake(): void {
    this.#response.destroy()
  }

  giveUp(): void {
    this.over()
    this.#response.destroy()
  }

  /** It is read, or nobody is there to read it. */
  readonly over = (): void => {
    if (this.#isOver) return
    this.#isOver = true
    forget(this)
    this.#response.off('close', this.over)
    // The connection may live on and carry many more answers.
    waiting.get(this.#response.req.socket)?.delete(this.over)
    this.#of?.delete(this)
    this.#ledger.add(-this.bytes)
  }
}

/** A request is refused, and why. */
export type Refused = (request: IncomingMessage, refusal: Refusal) => void

/** Whether nobody is there to read the answer. A response that waits behind another one is not told so itself. */
export function isGone(response: ServerResponse): boolean {
  const { stream } = response as ServerResponse & Partial<Http2ServerResponse>
  if (stream) return stream.destroyed || stream.closed
  return response.destroyed || response.req?.socket?.destroyed === true
}

/** Watches the answers of one server. */
export class AnswerWatch {
  /** Whether the server is closing: its answers are the last on their connections. */
  closing = false
  /** Whether the time of the close is over, too. */
  isCut = false
  readonly #options: { readonly answerTimeout: number }
  readonly #ledger: Ledger
  /**
   * The answers that nobody has read completely. Not a set: V8 keeps the old tables of a set that has grown, and these still
   * refer to answers that are long over, so the collector would move such answers to the old generation.
   */
  readonly #open: Placed[] = []
  /** The name of the property with an answer's index in the list. A symbol, because another server may watch the same answer. */
  readonly #place = Symbol('place')
  readonly #closed: (this: ServerResponse) => void
  /** Told of each request that is refused. */
  readonly refused: Refused

  constructor(options: { readonly answerTimeout: number }, ledger: Ledger, refused: Refused) {
    this.#options = options
    this.#ledger = ledger
    this.refused = refused
    const over = (response: ServerResponse): void => this.#forget(response as Placed)
    // One function for all responses.
    this.#closed = function () {
      over(this)
    }
  }

  /** Watches this answer: from now on, and when it was given until the client has read it. */
  over(response: ServerResponse): void {
    const placed = response as Placed
    placed[watch] = this
    if (placed[this.#place] !== undefined || isGone(response)) return
    placed[this.#place] = this.#open.push(placed) - 1
    response.on('close', this.#closed)
    const { socket } = response.req
    if (response.socket || response.req.httpVersionMajor >= 2) return
    // A response that waits behind another one is not told when their connection ends.
    const told = waitingOn(socket)
    const tell = (): void => {
      told.delete(tell)
      this.#forget(placed)
    }
    told.add(tell)
    response.once('close', tell)
  }

  /** Takes the answer out of the list; the last one takes its place. */
  #forget(response: Placed): void {
    const place = response[this.#place]
    const last = this.#open.at(-1)
    if (place === undefined || !last) return
    last[this.#place] = place
    this.#open[place] = last
    this.#open.pop()
    response[this.#place] = undefined
  }

  /** Ends the connections, or the streams of HTTP/2, of all requests whose answers are not complete. */
  cut(): void {
    this.isCut = true
    for (const response of [...this.#open]) {
      if (response.socket || response.req.httpVersionMajor >= 2) response.destroy()
      else response.req.socket.destroy()
    }
  }

  given(response: ServerResponse, bytes: number, of: Answered | undefined): void {
    if (!isTaken(response)) this.#wait(response, bytes, of)
  }

  /** Returns what is to be called when the network takes more of the answer. */
  waits(response: ServerResponse): () => void {
    return this.#wait(response, response.writableLength, undefined).over
  }

  #wait(response: ServerResponse, bytes: number, of: Answered | undefined): Unread {
    const unread = new Unread(response, bytes, this.#ledger, of?.answers)
    wakeAt(unread, now() + this.#options.answerTimeout)
    return unread
  }
}

const watch: unique symbol = Symbol('watch')
type Watched = ServerResponse & { [watch]?: AnswerWatch }
type Placed = Watched & { [place: symbol]: number | undefined }

/** Tells the watch that an answer has been written completely. `of`: the session whose messages it contains. */
export function answerGiven(response: ServerResponse, bytes: number, of?: Answered): void {
  ;(response as Watched)[watch]?.given(response, bytes, of)
}

/** Tells the watch that the network takes no more of an answer for now. Returns what is to be called when it does. */
export function answerWaits(response: ServerResponse): () => void {
  return (response as Watched)[watch]?.waits(response) ?? nothing
}

/** Tells the watch that the request has been refused. */
export function answerRefused(response: ServerResponse, refusal: Refusal): void {
  ;(response as Watched)[watch]?.refused(response.req, refusal)
}

/** Whether the answer is the last on its connection, because the server is closing. */
export function isLast(response: ServerResponse): boolean {
  return (response as Watched)[watch]?.closing === true && response.req.httpVersionMajor < 2
}

/** Whether the operating system has taken the whole answer, which is usual, or nobody is there to read it. */
function isTaken({ socket, writableEnded, writableFinished, destroyed, req }: ServerResponse): boolean {
  if (writableFinished || destroyed) return true
  // What compresses it has not given all of it yet.
  if (req.httpVersionMajor >= 2 || !writableEnded) return false
  return socket ? socket.writableLength === 0 : req.socket.destroyed
}

function nothing(): void {}
