/**
 * The WebSocket of `ws` with one handler instead of event listeners, which is faster for each message and needs no memory
 * for lists of listeners.
 */
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { kinds, type Piece } from '../../shared/frame.ts'
import { maxToken } from '../../shared/limits.ts'
import { rethrow } from './turn.ts'

/** From this size on, an incomplete message is counted. */
const worthCounting = 1024
/** The cost of each piece in addition to its bytes: a Buffer and its memory. */
const pieceOverhead = 128
/** This many small pieces are joined, up to the size below. */
const joinedPieces = 64
const joinedSize = 64 * 1024
/** Pieces that are larger on average are not worth a copy. */
const smallPiece = 16 * 1024
/** A small piece is copied if it would keep a read of this size alive. */
const largeRead = 16 * 1024

/** How much an unwanted peer may still send, because it may be in the middle of a small message: about two reads of the system. */
export const tolerated: number = 128 * 1024

/** The controls of a client are shorter. Of a longer one, this much is read, which shows that it is malformed. */
export const maxControl = 1024

/** The control in a text that begins with U+0000 and is no message. */
export function pieceOf(data: Buffer): Piece {
  const kind = kinds[data[1] ?? 0]
  const most = kind === 'token' ? maxToken + 3 : maxControl
  return { kind, payload: data.toString('utf8', 2, most) }
}

/** The receiver of `ws`, which keeps incomplete messages. Part of `ws`, but not of its published types. */
interface Receiver {
  /** Chunks as they were read, before they are split into frames. */
  readonly _buffers: Buffer[]
  readonly _bufferedBytes: number
  /** The fragments of an incomplete message. `_messageLength`: their bytes. */
  readonly _fragments: Fragments
  readonly _messageLength: number
}

/** `ws` makes another list for each message, so what is known of its fragments is kept in the list. */
interface Fragments extends Array<Buffer> {
  /** The index of the first fragment that has not been joined. */
  unjoined?: number
  /** The index of the first one that may still keep its read alive. */
  unchecked?: number
}

export interface WireHandler {
  messaged(data: Buffer, binary: boolean): void
  closed(code: number, reason: Buffer): void
  faulty(error: Error & { code?: string }): void
  pinged?(data: Buffer): void
  ponged?(data: Buffer): void
  /** The close frame is about to be written: send the messages before it first. */
  leaving?(): void
  /** A large part of a message has come, but not the whole message. */
  growing(): void
}

export class Wire extends ws.WebSocket {
  handler: WireHandler | undefined
  /** Called when the connection has ended, whatever the handler is. */
  ended: ((wire: Wire) => void) | undefined
  #connection: Duplex | undefined
  #unwanted = false
  /** The index of the first chunk that has not been joined. */
  #unjoined = 0

  /** From now on, counts the data that comes in. */
  watch(connection: Duplex): void {
    this.#connection = connection
    // There are no listeners, because `emit` calls the handler: drop their list. Node makes a new one if somebody listens.
    ;(this as { _events?: object | undefined })._events = undefined
    ;(connection as Watched)[wireOf] = this
    connection.on('data', onData)
  }

  /** The bytes that are kept of an incomplete message. */
  get partialBytes(): number {
    if (!this.#connection || this.#connection.destroyed) return 0
    const { _buffers, _bufferedBytes, _fragments, _messageLength } = this.#receiver
    const bytes = _bufferedBytes + _messageLength + pieceOverhead * (_buffers.length + _fragments.length)
    return bytes > worthCounting ? bytes : 0
  }

  /** Closes a peer whose messages are no longer wanted. It may confirm the close, but not finish a large message. */
  dismiss(): void {
    this.close(1000)
    this.#unwanted = true
    this.cameInPart()
    // Read the peer's answer even if the application has paused.
    if (this.isPaused) this.resume()
  }

  /** Data came that did not complete a message. */
  cameInPart(): void {
    this.#letGoOfReads()
    const { partialBytes } = this
    if (this.#unwanted && partialBytes > tolerated) this.terminate()
    else if (partialBytes > 0) {
      this.#join()
      this.handler?.growing()
    }
  }

  /** A piece is a view of the read that it came in: with it all other messages of that read would stay, and nobody counts these. */
  #letGoOfReads(): void {
    const { _buffers, _fragments } = this.#receiver
    // The other chunks are whole reads.
    if (_buffers.length > 0) copySmall(_buffers, 0)
    for (let at = _fragments.unchecked ?? 0; at < _fragments.length; at++) copySmall(_fragments, at)
    if (_fragments.length > 0) _fragments.unchecked = _fragments.length
  }

  /**
   * Joins small pieces. `ws` keeps one piece per read and per fragment, and removes reads from the start of a list one by one,
   * which takes minutes for a message that a peer sends byte by byte.
   */
  #join(): void {
    const { _buffers, _fragments } = this.#receiver
    this.#unjoined = join(_buffers, this.#unjoined)
    if (_fragments.length < joinedPieces) return
    _fragments.unjoined = join(_fragments, _fragments.unjoined ?? 0)
    _fragments.unchecked = _fragments.length
  }

  get #receiver(): Receiver {
    return (this as unknown as { _receiver: Receiver })._receiver
  }

  /** `ws` calls this too, in the turn in which it delivered the messages before the peer's close frame. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === ws.WebSocket.OPEN) this.handler?.leaving?.()
    super.close(code, reason)
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { handler } = this
    if (event === 'close') this.ended?.(this)
    if (handler === undefined) return event === 'error'
    try {
      this.#tell(handler, event, args)
    } catch (error) {
      // The exception is the application's. After an exception that passes through it, `ws` stops reading the connection.
      rethrow(error)
    }
    return true
  }

  #tell(handler: WireHandler, event: string | symbol, args: unknown[]): void {
    switch (event) {
      case 'message':
        handler.messaged(args[0] as Buffer, args[1] as boolean)
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

function copySmall(pieces: Buffer[], at: number): void {
  const piece = pieces[at] as Buffer
  const { byteLength } = piece.buffer
  if (byteLength > largeRead && piece.length * 2 < byteLength) pieces[at] = Buffer.from(piece)
}

/** Joins the pieces from index `from` on, if there are many small ones. Returns the index from which to join next. */
function join(pieces: Buffer[], from: number): number {
  // A message was complete since then, and the list began again.
  if (pieces.length < from) return 0
  if (pieces.length < from + joinedPieces) return from
  const latest = pieces.slice(from)
  const size = latest.reduce((sum, { length }) => sum + length, 0)
  if (size < latest.length * smallPiece) pieces.splice(from, latest.length, Buffer.concat(latest, size))
  return size < joinedSize ? from : pieces.length
}
