/**
 * The HTTP exchange: one form of request, one form of answer. Both begin with a head that says what has arrived and
 * where what follows has its place; then come records. So each can be lost, repeated or overtaken without harm.
 * The request's head is also what a WebSocket says in its handshake.
 */
import { ByteReader, type ByteWriter, Malformed } from './bytes.ts'
import type { Message } from './message.ts'
import type { Frame, Link, Position, Session } from './session.ts'
import { decodeText, encodeText } from './text.ts'

/** The first byte of every request and answer; no text and no error page of a middlebox begins with it. */
export const mark = 0xe1

export const idSize = 12
export const keySize = 16

/** What a request asks for, as bits of its second byte. */
export const Ask = {
  /** The session may be made if it does not exist. */
  open: 1,
  /** Only to see whether this carrier gets through; the session stays where it is. */
  standby: 2,
  /** Answer when there is something to say. */
  hold: 4,
  /** Answer at once and go on writing. */
  stream: 8,
  /** An answer may have been lost: start again after what is acknowledged. */
  again: 16,
  /** Give out a ticket for an event stream. */
  ticket: 32,
} as const

export interface RequestHead {
  readonly ask: number
  /** Names the session. Public: it stands in logs and is the server socket's `id`. */
  readonly id: Uint8Array
  /** Proves that the session is one's own. Never in a URL, never in a log. */
  readonly key: Uint8Array
  readonly epoch: number
  /** Counts the held and the short requests of an epoch: a lower one was overtaken, an equal one repeated. */
  readonly serial: number
  readonly has: Position
  /** Where the first record has its place. */
  readonly at: Position
}

/** How the server stands to the session that was asked for. */
export const Status = {
  ok: 0,
  /** A newer carrier was taken: this one is no longer wanted. */
  superseded: 1,
  /** Unknown, expired or somebody else's: one and the same answer. */
  unknown: 2,
} as const

export interface AnswerHead {
  readonly status: number
  readonly has: Position
  readonly at: Position
}

const kinds = ['', 'text', 'binary', 'close', 'ping', 'pong', 'abort', 'welcome', 'hello', 'ticket'] as const
export type RecordKind = Exclude<(typeof kinds)[number], ''>

export interface FrameRecord {
  readonly kind: RecordKind
  /** The message goes on in the next record. */
  readonly more: boolean
  readonly payload: Uint8Array
}

/** The bit of a record's first byte that says `more`. */
const moreBit = 0x80

export function writeRequestHead(to: ByteWriter, head: RequestHead): void {
  to.byte(mark)
  to.byte(head.ask)
  to.bytes(head.id)
  to.bytes(head.key)
  to.number(head.epoch)
  to.number(head.serial)
  writePosition(to, head.has)
  writePosition(to, head.at)
}

export function readRequestHead(from: ByteReader): RequestHead | undefined {
  if (!readMark(from)) return undefined
  const ask = from.byte()
  const id = from.bytes(idSize)
  const key = from.bytes(keySize)
  if (ask === undefined || id === undefined || key === undefined) return undefined
  const epoch = from.number()
  const serial = from.number()
  const has = readPosition(from)
  const at = readPosition(from)
  if (epoch === undefined || serial === undefined || has === undefined || at === undefined) return undefined
  return { ask, id, key, epoch, serial, has, at }
}

export function writeAnswerHead(to: ByteWriter, head: AnswerHead): void {
  to.byte(mark)
  to.byte(head.status)
  writePosition(to, head.has)
  writePosition(to, head.at)
}

export function readAnswerHead(from: ByteReader): AnswerHead | undefined {
  if (!readMark(from)) return undefined
  const status = from.byte()
  const has = readPosition(from)
  const at = readPosition(from)
  if (status === undefined || has === undefined || at === undefined) return undefined
  return { status, has, at }
}

export function writeRecord(to: ByteWriter, kind: RecordKind, payload: Uint8Array, more = false): void {
  to.byte(kinds.indexOf(kind) + (more ? moreBit : 0))
  to.number(payload.length)
  to.bytes(payload)
}

/** A control frame as a record. Acknowledgements stand in heads. */
export function writeControl(to: ByteWriter, frame: Exclude<Frame, Message | { kind: 'ack' }>): void {
  if (frame.kind === 'abort') writeRecord(to, 'abort', closePayload(frame.code, frame.reason))
  else writeRecord(to, frame.kind, encodeText(frame.payload))
}

/**
 * Writes what the session has for this carrier, up to about `budget` bytes in all; a message that is larger than
 * what is left is cut, and goes on in the next body. Returns whether there is more.
 */
export function writeMessages(to: ByteWriter, session: Session, link: Link, budget: number): boolean {
  for (let message = session.peek(link); message; message = session.peek(link)) {
    const payload = payloadOf(message)
    const left = Math.max(budget - to.size, 0)
    const offset = link.sentOffset
    if (offset === 0 && payload.length <= left) {
      writeRecord(to, message.kind, payload)
      session.advance(link, payload.length, true)
    } else {
      // Where a body is begun anyway, a piece worth the trouble or nothing.
      if (left < 64 && to.size > 64) return true
      const end =
        message.kind === 'close' ? payload.length : Math.min(payload.length, offset + Math.max(left, 64))
      const whole = end === payload.length
      writeRecord(to, message.kind, payload.subarray(offset, end), !whole)
      session.advance(link, end - offset, whole)
      if (!whole) return true
    }
  }
  return false
}

/** Hands the records of one body to the session. `data` is left out of what is returned: it has been taken. */
export function takeData(
  session: Session,
  at: { number: number; offset: number },
  record: FrameRecord,
  now: number,
): boolean {
  const { kind, payload, more } = record
  if (kind !== 'text' && kind !== 'binary' && kind !== 'close') return true
  const place = { number: at.number, offset: at.offset }
  if (more) at.offset += payload.length
  else {
    at.number++
    at.offset = 0
  }
  return session.receiveAt(place, kind, payload, more, now)
}

export function closePayload(code: number, reason: string): Uint8Array<ArrayBuffer> {
  if (code === 1005) return new Uint8Array(0)
  const text = encodeText(reason)
  const payload = new Uint8Array(2 + text.length)
  payload[0] = code >> 8
  payload[1] = code & 0xff
  payload.set(text, 2)
  return payload
}

export function readClosePayload(payload: Uint8Array): { code: number; reason: string } {
  if (payload.length === 0) return { code: 1005, reason: '' }
  if (payload.length === 1) throw new Malformed('close without a whole code')
  const code = ((payload[0] ?? 0) << 8) | (payload[1] ?? 0)
  return { code, reason: decodeText(payload.subarray(2)) ?? '' }
}

/** Takes a body as it comes in, chunk by chunk, and gives out its head and then its records as soon as each is whole. */
export class BodyReader<Head> {
  head: Head | undefined
  #readHead: (from: ByteReader) => Head | undefined
  #maxRecord: number
  /** What has come of a record that is not whole yet, in a buffer that grows; and how much there is when it is. */
  #rest: Uint8Array = new Uint8Array(0)
  #size = 0
  #need = 0

  constructor(readHead: (from: ByteReader) => Head | undefined, maxRecord: number) {
    this.#readHead = readHead
    this.#maxRecord = maxRecord
  }

  push(chunk: Uint8Array): FrameRecord[] {
    const bytes = this.#size > 0 ? this.#joined(chunk) : chunk
    // Until a record is whole nothing is read twice, however small the chunks.
    if (bytes.length < this.#need) return []
    this.#need = 0
    const from = new ByteReader(bytes)
    const records: FrameRecord[] = []
    let whole = 0
    this.head ??= this.#readHead(from)
    if (this.head !== undefined) {
      whole = from.at
      for (let record = this.#record(from); record; record = this.#record(from)) {
        records.push(record)
        whole = from.at
      }
    }
    this.#rest = bytes.subarray(whole)
    this.#size = this.#rest.length
    if (this.#need > 0) this.#need -= whole
    return records
  }

  /** Whether all that came was whole. */
  get complete(): boolean {
    return this.head !== undefined && this.#size === 0
  }

  #joined(chunk: Uint8Array): Uint8Array {
    const size = this.#size + chunk.length
    if (size > this.#rest.length) {
      const grown = new Uint8Array(Math.max(this.#size * 2, size))
      grown.set(this.#rest.subarray(0, this.#size))
      this.#rest = grown
    }
    this.#rest.set(chunk, this.#size)
    this.#size = size
    return this.#rest.subarray(0, size)
  }

  #record(from: ByteReader): FrameRecord | undefined {
    const first = from.byte()
    if (first === undefined) return undefined
    const kind = kinds[first & ~moreBit]
    if (!kind) throw new Malformed('unknown record')
    const length = from.number()
    if (length === undefined) return undefined
    if (length > this.#maxRecord) throw new Malformed('record too large')
    this.#need = from.at + length
    const payload = from.bytes(length)
    if (payload) this.#need = 0
    return payload && { kind, more: first >= moreBit, payload }
  }
}

function payloadOf(message: Message): Uint8Array {
  if (message.encoded) return message.encoded
  const encoded =
    message.kind === 'close'
      ? closePayload(message.code, message.data as string)
      : typeof message.data === 'string'
        ? encodeText(message.data)
        : message.data
  message.encoded = encoded
  return encoded
}

function readMark(from: ByteReader): boolean {
  const first = from.byte()
  if (first !== undefined && first !== mark) throw new Malformed('not everwire')
  return first !== undefined
}

function writePosition(to: ByteWriter, position: Position): void {
  to.number(position.number)
  to.number(position.offset)
}

function readPosition(from: ByteReader): Position | undefined {
  const number = from.number()
  const offset = from.number()
  return number === undefined || offset === undefined ? undefined : { number, offset }
}
