/**
 * The HTTP exchange: one form of request, and one form of answer. Each begins with a head; records follow. The head says what has
 * arrived, and the place of the first record. So a request or an answer may be lost, repeated or overtaken without harm.
 * The handshake of a WebSocket carries the same head as a request.
 */
import { ByteReader, ByteWriter, incomplete, Malformed } from './bytes.ts'
import { type Kind, kinds, type Piece } from './frame.ts'
import type { Position } from './link.ts'

/** The subprotocol that a client of this protocol offers. The second one begins like it, and carries a request head. */
export const subprotocol = 'everwire.1'
export const subprotocolWithHead: string = `${subprotocol}.`

/** The first byte of every request and answer. No text and no error page of a middlebox begins with it. */
export const mark = 0xe1

export const idSize = 12
export const keySize = 16

/** What a request asks for, as bits of its second byte. */
export const Ask = {
  /** The session may be made if it does not exist. */
  open: 1,
  /** The client only tries this carrier: the session stays on the carrier it has. */
  standby: 2,
  /** Answer when there is something to say. */
  hold: 4,
  /** Answer at once and go on writing. */
  stream: 8,
  /** An answer may have been lost: start again after what is acknowledged. */
  again: 16,
  /** Give out a ticket for an event stream. */
  ticket: 32,
  /** A probe without a session: the server streams for as many milliseconds as `life` says. */
  probe: 64,
} as const

/** Precedes the time in the query of an event stream that is a probe; no ticket has a dot. */
export const probeMark = 'probe.'

export interface RequestHead {
  readonly ask: number
  /** The name of the session. It is public: logs show it, and it is the `id` of the server's socket. */
  readonly id: Uint8Array
  /** The secret that proves that the session is the client's own. Never in a URL, never in a log. */
  readonly key: Uint8Array
  readonly epoch: number
  /** Counts the held and the short requests of an epoch: a lower one was overtaken, an equal one repeated. */
  readonly serial: number
  /** The client wants to hear something at least this often, in ms, because its network cuts silent connections; 0: no wish. */
  readonly quiet: number
  /** The server ends a streamed answer after so many ms, before the network cuts it; 0: no limit. */
  readonly life: number
  readonly has: Position
  /** The place of the first record. */
  readonly at: Position
}

/** What the server says of the session in an answer. */
export const Status = {
  ok: 0,
  /** A newer carrier has the session: this one is over. */
  superseded: 1,
  /** Unknown, expired, or somebody else's. These get the same answer, so that nobody learns which sessions exist. */
  unknown: 2,
} as const

export interface AnswerHead {
  readonly status: number
  readonly has: Position
  readonly at: Position
}

/** A record of a body: a control, a message, or a part of a message. */
export interface BodyRecord extends Piece {
  readonly kind: Kind
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
  to.number(head.quiet)
  to.number(head.life)
  writePosition(to, head.has)
  writePosition(to, head.at)
}

export function readRequestHead(from: ByteReader): RequestHead {
  readMark(from)
  return {
    ask: from.byte(),
    id: from.bytes(idSize),
    key: from.bytes(keySize),
    epoch: from.number(),
    serial: from.number(),
    quiet: from.number(),
    life: from.number(),
    has: readPosition(from),
    at: readPosition(from),
  }
}

export function writeAnswerHead(to: ByteWriter, head: AnswerHead): void {
  to.byte(mark)
  to.byte(head.status)
  writePosition(to, head.has)
  writePosition(to, head.at)
}

export function readAnswerHead(from: ByteReader): AnswerHead {
  readMark(from)
  return { status: from.byte(), has: readPosition(from), at: readPosition(from) }
}

export function writeRecord(to: ByteWriter, kind: Kind, payload: Uint8Array, more = false): void {
  to.byte(kinds.indexOf(kind) + (more ? moreBit : 0))
  to.number(payload.length)
  to.bytes(payload)
}

/** Reads a body chunk by chunk: its head, then each record as soon as it is whole. */
export class BodyReader<Head> {
  head: Head | undefined
  #readHead: (from: ByteReader) => Head
  #maxRecord: number
  /** The bytes of a record that is not whole yet, and the size at which it is whole. */
  #rest: ByteWriter = new ByteWriter(0)
  #need = 0

  constructor(readHead: (from: ByteReader) => Head, maxRecord: number) {
    this.#readHead = readHead
    this.#maxRecord = maxRecord
  }

  push(chunk: Uint8Array): BodyRecord[] {
    const records: BodyRecord[] = []
    let bytes = chunk
    if (this.#rest.size > 0) {
      this.#rest.bytes(chunk)
      bytes = this.#rest.whole()
    }
    // A record is parsed once it is whole, so tiny chunks do not cost more.
    if (bytes.length < this.#need) return records
    this.#need = 0
    const from = new ByteReader(bytes)
    let whole = 0
    try {
      this.head ??= this.#readHead(from)
      whole = from.at
      while (from.left > 0) {
        records.push(this.#record(from, whole))
        whole = from.at
      }
    } catch (error) {
      if (error !== incomplete) throw error
    }
    this.#rest = new ByteWriter(0)
    this.#rest.bytes(bytes.subarray(whole))
    return records
  }

  /** Whether the body ended behind a whole record. */
  get complete(): boolean {
    return this.head !== undefined && this.#rest.size === 0
  }

  #record(from: ByteReader, begin: number): BodyRecord {
    const { kind, more, length } = readRecordHead(from, this.#maxRecord)
    this.#need = from.at + length - begin
    const payload = from.bytes(length)
    this.#need = 0
    return { kind, more, payload }
  }
}

/** Reads the kind and the length that precede a record's payload. */
export function readRecordHead(
  from: ByteReader,
  maxRecord: number,
): { kind: Kind; more: boolean; length: number } {
  const first = from.byte()
  const kind = kinds[first & ~moreBit]
  const length = from.number()
  if (!kind || length > maxRecord) throw new Malformed()
  return { kind, more: first >= moreBit, length }
}

function readMark(from: ByteReader): void {
  if (from.byte() !== mark) throw new Malformed()
}

function writePosition(to: ByteWriter, position: Position): void {
  to.number(position.number)
  to.number(position.offset)
}

function readPosition(from: ByteReader): Position {
  return { number: from.number(), offset: from.number() }
}
