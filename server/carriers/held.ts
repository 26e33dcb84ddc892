/** The exchange that an HTTP carrier holds in order to bring the server's messages: none, a long-poll, or a stream. */
import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import type { ByteWriter } from '../../shared/bytes.ts'
import { endOn, needsDrain, writeOn } from '../base/responses.ts'
import { type Answered, answerGiven } from '../base/unread.ts'
import { longestDelay, now } from '../base/wakeups.ts'
import { eventStreamHeaders, proof, secondPiece, streamHeaders } from './answers.ts'
import { startStream } from './compression.ts'

/** About the largest write into a stream. A client reads whole records, so on a slow line short ones show it that the stream goes on. */
const streamPiece = 64 * 1024
/** The same before a carrier, or a stream, has shown that it gets through: until then its client is less patient. */
export const firstPiece: number = 8 * 1024
/** No stream ends sooner at the client's wish: otherwise it would be a poll. */
const shortestLife = 1_000

/** What a held exchange needs of its carrier. */
export interface HeldHost {
  /** The connection is gone before the answer was over. */
  cut(held: HeldPoll | HeldStream): void
  /** The network takes more bytes of a stream. */
  drained(): void
  /** A stream has lasted as long as it may: the carrier ends it. */
  release(): void
}

/** An answer that is given as a whole, when there is something to say. */
export interface HeldPoll {
  readonly is: 'polling'
  readonly response: ServerResponse
  readonly host: HeldHost
}

export type Held = { readonly is: 'nothing' } | HeldPoll | HeldStream

export const nothingHeld: Held = { is: 'nothing' }

/** Holds a request whose answer is not over. */
export function holdPoll(response: ServerResponse, host: HeldHost): HeldPoll {
  const held: HeldPoll = { is: 'polling', response, host }
  watch(held)
  return held
}

/** An answer that was begun and goes on. */
export class HeldStream {
  readonly is: 'stream' | 'sse'
  readonly response: ServerResponse
  readonly host: HeldHost
  /** Where its pieces are written: the response, or what compresses it. */
  readonly #out: Writable
  /** Writes the second piece, and later ends the stream. */
  #timer: NodeJS.Timeout | undefined
  #hasSecondPiece = false
  /** Since when the network takes no more; 0: it does. */
  #blockedSince = 0

  /** `life`: after how many milliseconds the client wants it to end; 0 for a stream that may go on. */
  constructor(
    response: ServerResponse,
    is: 'stream' | 'sse',
    life: number,
    first: ByteWriter,
    host: HeldHost,
  ) {
    this.is = is
    this.response = response
    this.host = host
    this.#out = startStream(response, is === 'sse' ? eventStreamHeaders : streamHeaders)
    watch(this)
    ;(this.#out as Watched)[heldBy] = this
    this.#out.on('drain', onDrain)
    this.write(first)
    this.#timer = after(secondPiece, () => this.#writeSecond(life))
  }

  /** Bytes that were written and that the network has not taken. */
  get bufferedAmount(): number {
    const { response } = this
    const packing = this.#out === response ? 0 : this.#out.writableLength
    return response.writableLength + packing
  }

  /** About the largest piece to write now. */
  get pieceSize(): number {
    return this.#hasSecondPiece ? streamPiece : firstPiece
  }

  /** Whether a piece can be written. A stream that nobody reads for `answerTimeout` ms is cut: its messages go over the next one. */
  takesMore(answerTimeout: number): boolean {
    if (!needsDrain(this.#out)) return !this.#out.writableEnded
    this.#blockedSince ||= now()
    if (now() >= this.#blockedSince + answerTimeout) this.response.destroy()
    return false
  }

  write(piece: ByteWriter): void {
    const bytes = piece.whole()
    if (this.is === 'stream') writeOn(this.#out, bytes)
    else {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
      writeOn(this.#out, `data: ${text}\n\n`)
    }
  }

  drained(): void {
    this.#blockedSince = 0
    this.host.drained()
  }

  /** Ends the answer; what was written still goes out. `of`: where it counts while nobody reads it. */
  end(of: Answered): void {
    this.stop()
    const bytes = this.bufferedAmount
    endOn(this.#out, this.response)
    answerGiven(this.response, bytes, of)
  }

  /** Clears the timer: the carrier no longer holds the stream. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #writeSecond(life: number): void {
    this.#timer = undefined
    this.write(proof())
    this.#hasSecondPiece = true
    if (life > 0) this.#timer = after(Math.max(life, shortestLife) - secondPiece, () => this.host.release())
  }
}

function after(ms: number, run: () => void): NodeJS.Timeout {
  return setTimeout(run, Math.min(ms, longestDelay)).unref()
}

/** A response refers to its held exchange, so that one listener serves all of them, in place of a closure for each. */
const heldBy: unique symbol = Symbol('held')
type Watched = Writable & { [heldBy]?: HeldPoll | HeldStream }

function watch(held: HeldPoll | HeldStream): void {
  ;(held.response as Watched)[heldBy] = held
  held.response.on('close', onClose)
}

function onClose(this: ServerResponse): void {
  const held = (this as Watched)[heldBy]
  held?.host.cut(held)
}

function onDrain(this: Writable): void {
  const held = (this as Watched)[heldBy]
  if (held?.is !== 'polling') held?.drained()
}
