/** The pieces of an unfinished message (`send` with `fin: false`). HTTP transports send only whole messages. */
import { type SendData, toBuffer } from './data.ts'

export class Pieces {
  readonly #parts: (Uint8Array<ArrayBuffer> | Blob)[] = []
  /** Whether the message is binary: the first piece decides. */
  readonly binary: boolean

  constructor(binary: boolean) {
    this.binary = binary
  }

  add(data: SendData): void {
    this.#parts.push(data instanceof Blob ? data : (toBuffer(data, true) as Uint8Array<ArrayBuffer>))
  }

  /** The message. */
  whole(): Blob | Buffer {
    const parts = this.#parts
    return parts.some((part) => part instanceof Blob) ? new Blob(parts) : Buffer.concat(parts as Uint8Array[])
  }
}
