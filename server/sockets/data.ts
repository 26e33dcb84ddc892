/** What an application may hand to `send`, and what it gets. */
import { isUtf8 } from 'node:buffer'
import { binaryMessage, type Message, textMessage } from '../../shared/message.ts'

export type Data =
  | string
  | number
  | Buffer
  | Uint8Array
  | DataView
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | Blob
  | readonly Uint8Array[]
  | readonly unknown[]
  // What else Buffers are made of.
  | { valueOf(): ArrayBuffer | SharedArrayBuffer | Uint8Array | readonly number[] | string }
  | { [Symbol.toPrimitive](hint: string): string }

export interface SendOptions {
  /** Whether to send it as binary; by default, whether it is other than a string. */
  binary?: boolean | undefined
  /** Whether an ordinary client gets it compressed, where that was agreed on. Default true. */
  compress?: boolean | undefined
  /** Whether this is the last piece of its message; by default it is all of it. */
  fin?: boolean | undefined
  /** Accepted for the sake of code written for `ws`: a server masks nothing. */
  mask?: boolean | undefined
}

export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'fragments' | 'blob'
/** A Blob only if `binaryType` says so. */
export type RawData = Buffer | ArrayBuffer | Buffer[]

/** The bytes as they are at this moment: `own` copies what the caller could still change. */
export function toBuffer(data: Exclude<Data, Blob>, own: boolean): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  if (Buffer.isBuffer(data)) return own ? Buffer.from(data) : data
  if (ArrayBuffer.isView(data)) {
    const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    return own ? Buffer.from(view) : view
  }
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
    return own ? Buffer.from(Buffer.from(data)) : Buffer.from(data)
  }
  if (typeof data === 'number') return Buffer.from(String(data))
  if (Array.isArray(data) && data.every((part) => part instanceof Uint8Array)) return Buffer.concat(data)
  // What else Buffers are made of; anything else is a TypeError.
  return Buffer.from(data as unknown as readonly number[])
}

export function isBinary(data: Data): boolean {
  return typeof data !== 'string' && typeof data !== 'number'
}

/** What is sent, as it is at this moment. Text is UTF-8: what is none in a Buffer is replaced, as no peer would bear it. */
export function toMessage(data: Exclude<Data, Blob>, binary: boolean): Message {
  const bytes = toBuffer(data, true)
  if (binary) return binaryMessage(bytes)
  const text = typeof data === 'string' || isUtf8(bytes) ? bytes : Buffer.from(bytes.toString())
  return textMessage(text, text.length)
}

/** A message's bytes as the application wants them. */
export function asWanted(data: Buffer, binary: boolean, type: BinaryType): RawData {
  if (!binary || type === 'nodebuffer') return data
  if (type === 'fragments') return [data]
  if (type === 'blob') return new Blob([data as Uint8Array<ArrayBuffer>]) as unknown as Buffer
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer
}
