/**
 * Writes messages into one WebSocket. `ws` makes the frames; they are collected here and leave in one write.
 * With permessage-deflate they go through the WebSocket's own sender, which keeps their order while it compresses.
 */
import type { Duplex } from 'node:stream'
import * as ws from 'ws'

/** Part of `ws`'s interface, but not of its published types. */
interface FrameOptions {
  fin: boolean
  rsv1: boolean
  opcode: number
  mask: boolean
  readOnly: boolean
}
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: FrameOptions): Buffer[] } }

const asText: FrameOptions = { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true }
const asBinary: FrameOptions = { fin: true, rsv1: false, opcode: 2, mask: false, readOnly: true }

/** Up to this size, copying is cheaper than one more buffer in the system call. */
const joinUpTo = 64 * 1024

/** What Node keeps of a write that waits, beside its bytes. */
const writeCost = 128

/** A frame in one buffer, which can be written to any number of connections. */
export function makeFrame(data: Buffer, binary: boolean): Buffer {
  return Buffer.concat(Sender.frame(data, binary ? asBinary : asText))
}

export class FrameWriter {
  readonly #ws: ws.WebSocket
  readonly #socket: Duplex
  /** Whether messages are compressed: then `buffered` includes those that still wait for zlib, of which 'drain' tells nothing. */
  readonly compresses: boolean
  #frames: Buffer[] = none
  /** The last message to compress. It waits for the end of the turn, because only then its callback is known. */
  #last: { data: Buffer; binary: boolean; compress: boolean } | undefined
  #size = 0
  /** Bytes in the corked connection that are not the application's: the answer to the handshake leaves with the first messages. */
  #corked: number
  /** How often was written since the connection last had nothing to write. */
  #writes = 0

  constructor(webSocket: ws.WebSocket, socket: Duplex) {
    this.#ws = webSocket
    this.#socket = socket
    this.compresses = webSocket.extensions.includes('permessage-deflate')
    this.#corked = socket.writableCorked ? socket.writableLength : 0
  }

  /** Adds a message. `frame` is the same message as a frame, if it has been made already. */
  add(data: Buffer, binary: boolean, frame?: Buffer, compress = true): void {
    if (this.compresses) {
      this.#sendLast()
      this.#last = { data, binary, compress }
      this.#size = data.length
      return
    }
    const parts = frame ? [frame] : Sender.frame(data, binary ? asBinary : asText)
    if (this.#frames === none) this.#frames = parts
    else for (const part of parts) this.#frames.push(part)
    this.#size += frame ? frame.length : data.length + 4
  }

  /** Calls `write`. The bytes that it writes do not count as the application's. */
  beside(write: () => void): void {
    const socket = this.#socket
    const before = socket.writableLength
    write()
    if (socket.writableCorked) this.#corked += socket.writableLength - before
  }

  #sendLast(written?: (error?: Error) => void): void {
    const last = this.#last
    this.#last = undefined
    this.#size = 0
    if (last) this.#ws.send(last.data, { binary: last.binary, compress: last.compress }, written)
  }

  flush(written?: (error?: Error | null) => void): void {
    if (this.#last) {
      this.#countWrite()
      this.#sendLast(written)
      return
    }
    const frames = this.#frames
    const socket = this.#socket
    // RFC 6455, 5.5.1: nothing may be sent after the close frame.
    const goesOn = socket.writable && this.#ws.readyState === ws.WebSocket.OPEN
    if (frames === none || !goesOn) {
      if (written) process.nextTick(written, goesOn ? undefined : new Error('The connection is closed'))
      return
    }
    this.#frames = none
    this.#countWrite()
    const [first] = frames
    if (frames.length === 1 && first) socket.write(first, written)
    else if (this.#size <= joinUpTo) socket.write(join(frames), written)
    else {
      socket.cork()
      const last = frames.pop() as Buffer
      for (const frame of frames) socket.write(frame)
      socket.write(last, written)
      socket.uncork()
    }
    this.#size = 0
  }

  #countWrite(): void {
    this.#writes = this.#socket.writableLength === 0 ? 0 : this.#writes + 1
  }

  /** Sends the answer to the handshake even if no message follows. */
  release(): void {
    if (this.#socket.writableCorked) this.#socket.uncork()
  }

  /** Bytes that were collected or written and that the system has not taken. */
  get buffered(): number {
    const { writableLength, writableCorked } = this.#socket
    // With compression, `ws` counts what it has written and what it still compresses.
    const written = this.compresses ? this.#ws.bufferedAmount : writableLength
    return this.#size + written - (writableCorked ? this.#corked : 0)
  }

  /** The memory that waits: `buffered`, and what each write costs if the network takes no more for now. Small writes cost the most. */
  get cost(): number {
    return this.buffered + (this.#socket.writableNeedDrain ? this.#writes * writeCost : 0)
  }
}

const none: Buffer[] = []

/** The frames that were joined last, and the whole of them. */
let lastParts = none
let lastWhole = Buffer.alloc(0)

/** Joins frames into one buffer. Those of a broadcast are the same for all who get them, and are joined once. */
function join(frames: Buffer[]): Buffer {
  const isSame = frames.length === lastParts.length && frames.every((frame, at) => frame === lastParts[at])
  if (!isSame) {
    lastParts = frames
    lastWhole = Buffer.concat(frames)
  }
  return lastWhole
}
