/** The body of an exchange, read in steps: its head, what decides whether its client is let in, and the rest only then. */
import { ByteReader, incomplete, Malformed } from '../../shared/bytes.ts'
import {
  Ask,
  type FrameRecord,
  type RequestHead,
  readRecordHead,
  readRequestHead,
} from '../../shared/exchange.ts'
import { maxRecords } from '../../shared/limits.ts'
import { decodeText } from '../../shared/text.ts'
import { isToken } from './handshake.ts'

/** As much as all headers of a request together. */
const maxHello = 16 * 1024
/** Before its session is open a client has nothing to send but its hello. */
export const maxOpening: number = 2 * maxHello
/** Whoever keeps a small part of something larger keeps all of it: such parts are copied. */
const worthCopying = 16 * 1024

export class RequestBody {
  readonly head: RequestHead
  readonly #bytes: Uint8Array
  /** Where the records begin. */
  readonly #start: number
  readonly #maxRecord: number

  private constructor(head: RequestHead, bytes: Uint8Array, start: number, maxRecord: number) {
    this.head = head
    this.#bytes = bytes
    this.#start = start
    this.#maxRecord = maxRecord
  }

  /** Undefined for what no client of ours would have sent. Nothing is made of the records yet. */
  static read(bytes: Uint8Array, maxRecord: number = Number.POSITIVE_INFINITY): RequestBody | undefined {
    try {
      const from = new ByteReader(bytes)
      const head = readRequestHead(from)
      const body = new RequestBody(head, bytes, from.at, maxRecord)
      return body.#isWhole(from, head.ask & Ask.open ? maxHello : maxRecord) ? body : undefined
    } catch (error) {
      if (error === incomplete || error instanceof Malformed) return undefined
      throw error
    }
  }

  get size(): number {
    return this.#bytes.length
  }

  *records(): Generator<FrameRecord> {
    const from = this.#reader()
    while (from.left > 0) {
      const { kind, more, length } = readRecordHead(from, this.#maxRecord)
      yield { kind, more, payload: this.#lasting(from.bytes(length)) }
    }
  }

  /** The subprotocols that the application offers: the record that says so is the first, if there is one. */
  offered(): Set<string> {
    const from = this.#reader()
    if (from.left === 0) return new Set()
    const { kind, length } = readRecordHead(from, this.#maxRecord)
    if (kind !== 'hello' || length > maxHello) return new Set()
    try {
      const { protocols } = JSON.parse(decodeText(from.bytes(length)) ?? '{}') as { protocols?: unknown }
      return new Set(Array.isArray(protocols) ? protocols.filter(isToken) : [])
    } catch {
      return new Set()
    }
  }

  #reader(): ByteReader {
    const from = new ByteReader(this.#bytes)
    from.at = this.#start
    return from
  }

  #isWhole(from: ByteReader, mostOfHello: number): boolean {
    for (let count = 0; from.left > 0; count++) {
      const { kind, length } = readRecordHead(from, this.#maxRecord)
      if (count >= maxRecords || length > from.left) return false
      if (kind === 'hello' && length > mostOfHello) return false
      from.at += length
    }
    return true
  }

  #lasting(payload: Uint8Array): Uint8Array {
    const { byteLength } = payload.buffer
    const copied = byteLength > worthCopying && payload.length * 2 < byteLength
    return copied ? Buffer.from(payload) : payload
  }
}
