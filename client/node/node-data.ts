/** Conversions of data that is sent and received in Node, in the forms of the standard and of `ws`. */
import { isAnyArrayBuffer } from 'node:util/types'
import type { OwnBytes } from '../../shared/bytes.ts'
import { cannotSend } from '../../shared/cannot-send.ts'

/** A Blob only if `binaryType` is 'blob'. */
export type RawData = Buffer | ArrayBuffer | Buffer[]
export type BinaryType = 'blob' | 'arraybuffer' | 'nodebuffer' | 'fragments'
export type Data = string | ArrayBufferLike | ArrayBufferView | Blob

export function asWanted(data: Uint8Array, type: string): RawData {
  if (type === 'blob') return new Blob([data as Uint8Array<ArrayBuffer>]) as unknown as Buffer
  const { buffer, byteOffset, byteLength } = data
  if (type === 'nodebuffer') return Buffer.from(buffer, byteOffset, byteLength)
  if (type === 'fragments') return [Buffer.from(buffer, byteOffset, byteLength)]
  const whole = byteLength === buffer.byteLength
  return (whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)) as ArrayBuffer
}

/** Makes text or binary data, as `binary` says. A Blob stays a Blob. */
export function converted(data: Data, binary: boolean | undefined): Data {
  if (isBlob(data)) return data
  const bytes = isBytes(data)
  if (binary === undefined) return bytes ? data : `${data}`
  if (binary) return bytes ? data : Buffer.from(`${data}`)
  return bytes ? bytesOf(data).toString() : `${data}`
}

/** Whether this is a buffer or a view, of any realm. */
export function isBytes(data: unknown): boolean {
  return ArrayBuffer.isView(data) || isAnyArrayBuffer(data)
}

export function isBlob(data: unknown): data is Blob {
  return Object.prototype.toString.call(data) === '[object Blob]'
}

export function bytesOf(data: unknown): Buffer {
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (isAnyArrayBuffer(data)) return Buffer.from(data)
  return Array.isArray(data) ? Buffer.from(data) : Buffer.from(String(data))
}

/** Data as `ws` takes it: empty for a missing value, text for a number, bytes for an array. */
export function plain(data: unknown): Data {
  if (typeof data === 'number' || typeof data === 'string') return `${data}`
  if (!data) return new Uint8Array()
  if (isBytes(data) || isBlob(data)) return data as Data
  try {
    return Buffer.from(data as readonly number[])
  } catch (cause) {
    throw cannotSend(data, cause)
  }
}

export function copyOf(data: unknown): OwnBytes {
  return Uint8Array.from(bytesOf(data))
}

export function sizeOf(piece: string | Uint8Array | Blob): number {
  if (typeof piece === 'string') return Buffer.byteLength(piece)
  return piece instanceof Uint8Array ? piece.byteLength : piece.size
}

/** Joins the pieces of a message. The first piece decides whether it is text. */
export function wholeOf(pieces: readonly (string | OwnBytes | Blob)[]): Data {
  if (pieces.some(isBlob)) return new Blob([...pieces])
  const bytes = Buffer.concat(pieces.map(bytesOf))
  return typeof pieces[0] === 'string' ? bytes.toString() : bytes
}
