/** The body of an exchange, read in steps: the head and the offered subprotocols first, the rest only for an admitted client. */
import { ByteReader, incomplete, Malformed } from '../../shared/bytes.ts'
import {
  Ask,
  type BodyRecord,
  type RequestHead,
  readRecordHead,
  readRequestHead,
} from '../../shared/exchange.ts'
import { maxRecords, maxToken } from '../../shared/limits.ts'
import { decodeText } from '../../shared/text.ts'
import { isToken } from './handshake.ts'

/** As large as all headers of a request may be. */
const maxHello = 16 * 1024
/** The largest body that opens a session: before that, a client has only its hello to send. */
export const maxOpening: number = 2 * maxHello
/** A view keeps its whole buffer alive, so small parts of buffers from this size on are copied. */
const worthCopying = 16 * 1024

export class RequestBody {
  readonly head: RequestHead
  readonly #bytes: Uint8Array
  /** The offset of the first record. */
  readonly #start: number

  private constructor(head: RequestHead, bytes: Uint8Array, start: number) {
    this.head = head
    this.#bytes = bytes
    this.#start = start
  }

  /** Reads the head; undefined if no client of ours would have sent it. Does not look at the records yet. */
  static read(bytes: Uint8Array): RequestBody | undefined {
    return unlessMalformed(() => {
      const from = new ByteReader(bytes)
      return new RequestBody(readRequestHead(from), bytes, from.at)
    })
  }

  /** Whether the records are complete, not too many, and none too large. */
  isWhole(maxRecord: number = Number.POSITIVE_INFINITY): boolean {
    const mostOfHello = this.head.ask & Ask.open ? maxHello : maxRecord
    return unlessMalformed(() => this.#isWhole(maxRecord, mostOfHello)) === true
  }

  get size(): number {
    return this.#bytes.length
  }

  /** The records of a body that is whole. */
  *records(): Generator<BodyRecord> {
    const from = this.#reader()
    while (from.left > 0) {
      const { kind, more, length } = readRecordHead(from, Number.POSITIVE_INFINITY)
      yield { kind, more, payload: this.#lasting(from.bytes(length)) }
    }
  }

  /** The subprotocols that the application offers, in a body that is whole. A hello can come first, or after the token. */
  offered(): Set<string> {
    const { hello } = this.#leading()
    if (!hello || hello.length > maxHello) return new Set()
    try {
      const { protocols } = JSON.parse(decodeText(hello) ?? '{}') as { protocols?: unknown }
      return new Set(Array.isArray(protocols) ? protocols.filter(isToken) : [])
    } catch {
      return new Set()
    }
  }

  /** Who the client says it is, in a body that is whole. */
  token(): string | undefined {
    const { token } = this.#leading()
    return token && decodeText(token)
  }

  /** Whether the client only says that it is gone, in a body that is whole. */
  get isFarewell(): boolean {
    return this.records().next().value?.kind === 'abort'
  }

  /** The records that come before all others. */
  #leading(): { token?: Uint8Array; hello?: Uint8Array } {
    const from = this.#reader()
    const found: { token?: Uint8Array; hello?: Uint8Array } = {}
    while (from.left > 0) {
      const { kind, length } = readRecordHead(from, Number.POSITIVE_INFINITY)
      if (kind === 'token' && !found.token) found.token = from.bytes(length)
      else {
        if (kind === 'hello') found.hello = from.bytes(length)
        break
      }
    }
    return found
  }

  #reader(): ByteReader {
    const from = new ByteReader(this.#bytes)
    from.at = this.#start
    return from
  }

  #isWhole(maxRecord: number, mostOfHello: number): boolean {
    const from = this.#reader()
    for (let count = 0; from.left > 0; count++) {
      const { kind, length } = readRecordHead(from, maxRecord)
      if (count >= maxRecords || length > from.left) return false
      if (kind === 'hello' && length > mostOfHello) return false
      if (kind === 'token' && length > maxToken) return false
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

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error === incomplete || error instanceof Malformed) return undefined
    throw error
  }
}
