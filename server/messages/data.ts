/** The types and conversions of data that an application sends and receives. */
import { isUtf8 } from 'node:buffer'
import { cannotSend } from '../../shared/cannot-send.ts'
import { binaryMessage, type Message, textMessage } from '../../shared/message.ts'

/**
 * What `send` and `publish` take. Strings and numbers are sent as text, all else as binary. `publish` takes no
 * Blob.
 */
export type SendData =
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
  // Other values that Buffer.from() takes.
  | { valueOf(): ArrayBuffer | SharedArrayBuffer | Uint8Array | readonly number[] | string }
  | { [Symbol.toPrimitive](hint: string): string }

/** The options of `send`, as in `ws`. */
export interface SendOptions {
  /** Whether to send the data as binary. Default: false for a string, true for other data. */
  binary?: boolean | undefined
  /** Whether an ordinary client gets the message compressed, if compression was negotiated. Default true. */
  compress?: boolean | undefined
  /** Whether this is the last piece of its message. Default true: it is the whole message. */
  fin?: boolean | undefined
  /** Accepted for code written for `ws`; servers do not mask frames. */
  mask?: boolean | undefined
}

export type BinaryType = 'nodebuffer' | 'arraybuffer' | 'fragments' | 'blob'
/**
 * A message as a listener gets it: text is a Buffer, binary data has the form of `binaryType`. A Blob only if that
 * is 'blob'.
 */
export type RawData = Buffer | ArrayBuffer | Buffer[]

/** The bytes at this moment. `own`: copies bytes that the caller could still change. */
export function toBuffer(data: Exclude<SendData, Blob>, own: boolean): Buffer {
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
  try {
    // Other values that Buffer.from() takes; for all others it throws a TypeError.
    return Buffer.from(data as unknown as readonly number[])
  } catch (cause) {
    throw cannotSend(data, cause)
  }
}

/** The bytes of a text at this moment. Invalid UTF-8 is replaced, because a peer would close the connection. */
export function toText(data: Exclude<SendData, Blob>, own = false): Buffer {
  const bytes = toBuffer(data, own)
  return typeof data === 'string' || isUtf8(bytes) ? bytes : Buffer.from(bytes.toString())
}

export function isBinary(data: SendData): boolean {
  return typeof data !== 'string' && typeof data !== 'number'
}

/** The message at this moment. */
export function toMessage(data: Exclude<SendData, Blob>, binary: boolean): Message {
  if (binary) return binaryMessage(toBuffer(data, true))
  const text = toText(data, true)
  return textMessage(text, text.length)
}

/** A message's bytes in the form of `binaryType`. */
export function asWanted(data: Buffer, binary: boolean, type: BinaryType): RawData {
  if (!binary || type === 'nodebuffer') return data
  if (type === 'fragments') return [data]
  if (type === 'blob') return new Blob([data as Uint8Array<ArrayBuffer>]) as unknown as Buffer
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer
}
