/**
 * `ws`'s WebSocket, which tells one handler what happens instead of any number of listeners: it is cheaper for each message,
 * and a list of listeners for each connection is memory.
 */
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { rethrow } from './turn.ts'

/** As much of a message may have come before it is counted. */
const worthCounting = 1024
/** What each piece costs beside its bytes: a Buffer, and what it stands on. */
const pieceOverhead = 128
/** So many pieces are joined to one of such a size. */
const joinedPieces = 64
const joinedSize = 64 * 1024
/** On average: larger ones are not worth a copy. */
const smallPiece = 16 * 1024
/** A peer whose messages nobody wants may be in the middle of a small one: about two reads of the operating system. */
export const tolerated: number = 128 * 1024

/** What has come and is not a message yet. Part of `ws`, but not of its published types. */
interface Receiver {
  /** As read, before it is taken apart into frames. */
  readonly _buffers: Buffer[]
  readonly _bufferedBytes: number
  /** Of the frames that have come of a message in several. */
  readonly _fragments: Buffer[]
  readonly _messageLength: number
}

export interface WireHandler {
  received(data: Buffer, binary: boolean): void
  closed(code: number, reason: Buffer): void
  faulty(error: Error & { code?: string }): void
  pinged?(data: Buffer): void
  ponged?(data: Buffer): void
  /** The goodbye is about to be written: what was sent before it goes first. */
  leaving?(): void
  /** Much of a message has come, and not yet all. */
  growing(): void
}

export class Wire extends ws.WebSocket {
  handler: WireHandler | undefined
  #connection: Duplex | undefined
  #unwanted = false
  /** The first of the pieces, and of the fragments, that have come and have not been joined. */
  #unjoined = 0
  #unjoinedFragments = 0

  /** What comes in is counted from now on. */
  watch(connection: Duplex): void {
    this.#connection = connection
    ;(connection as Watched)[wireOf] = this
    connection.on('data', onData)
  }

  /** What is kept of a message that is not whole yet. */
  get partialBytes(): number {
    if (!this.#connection || this.#connection.destroyed) return 0
    const { _buffers, _bufferedBytes, _fragments, _messageLength } = this.#receiver
    const bytes = _bufferedBytes + _messageLength + pieceOverhead * (_buffers.length + _fragments.length)
    return bytes > worthCounting ? bytes : 0
  }

  /** Says goodbye to a peer of whom no more messages are wanted: it may confirm that, and has no time for a large one. */
  dismiss(): void {
    this.close(1000)
    this.#unwanted = true
    this.cameInPart()
    // The peer's answer is read, whatever the application wants to hear.
    if (this.isPaused) this.resume()
  }

  /** Something came, and was not the end of a message. */
  cameInPart(): void {
    const { partialBytes } = this
    if (this.#unwanted && partialBytes > tolerated) this.terminate()
    else if (partialBytes > 0) {
      this.#join()
      this.handler?.growing()
    }
  }

  /**
   * `ws` keeps a piece for each read and for each fragment, and takes the former one by one from the beginning of a list when
   * the message is whole: that takes minutes where a peer sends it byte by byte.
   */
  #join(): void {
    const { _buffers, _fragments } = this.#receiver
    this.#unjoined = join(_buffers, this.#unjoined)
    this.#unjoinedFragments = join(_fragments, this.#unjoinedFragments)
  }

  get #receiver(): Receiver {
    return (this as unknown as { _receiver: Receiver })._receiver
  }

  /** Also called by `ws` itself, in the same turn in which the messages before the peer's goodbye were handed out. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === ws.WebSocket.OPEN) this.handler?.leaving?.()
    super.close(code, reason)
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { handler } = this
    if (handler === undefined) return event === 'error'
    try {
      this.#tell(handler, event, args)
    } catch (error) {
      // It is the application's. `ws` reads nothing more of a connection after an exception that went through it.
      rethrow(error)
    }
    return true
  }

  #tell(handler: WireHandler, event: string | symbol, args: unknown[]): void {
    switch (event) {
      case 'message':
        handler.received(args[0] as Buffer, args[1] as boolean)
        break
      case 'close':
        handler.closed(args[0] as number, args[1] as Buffer)
        break
      case 'error':
        handler.faulty(args[0] as Error)
        break
      case 'ping':
        handler.pinged?.(args[0] as Buffer)
        break
      case 'pong':
        handler.ponged?.(args[0] as Buffer)
    }
  }
}

const wireOf: unique symbol = Symbol('wire')
type Watched = Duplex & { [wireOf]?: Wire }

function onData(this: Duplex): void {
  ;(this as Watched)[wireOf]?.cameInPart()
}

/** Joins small pieces from this one on, if they are many; returns from which one on to join next. */
function join(pieces: Buffer[], from: number): number {
  // A message was whole since, and the list begins anew.
  if (pieces.length < from) return 0
  if (pieces.length < from + joinedPieces) return from
  const latest = pieces.slice(from)
  const size = latest.reduce((sum, { length }) => sum + length, 0)
  if (size < latest.length * smallPiece) pieces.splice(from, latest.length, Buffer.concat(latest, size))
  return size < joinedSize ? from : pieces.length
}
