/**
 * The HTTP exchange: one form of request, one form of answer. Both begin with a head that says what has arrived and
 * where what follows has its place; then come records. So each can be lost, repeated or overtaken without harm.
 * The request's head is also what a WebSocket says in its handshake.
 */
import { ByteReader, ByteWriter, incomplete, Malformed } from './bytes.ts'
import { type Kind, kinds, type Piece } from './frame.ts'
import type { Position } from './link.ts'

/** The subprotocol by which a client that speaks of sessions is known; the one after it also carries a request head. */
export const subprotocol = 'everwire.1'
export const subprotocolWithHead: string = `${subprotocol}.`

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
  /** No session is meant: whether this way is open, for as many milliseconds as `life` says. */
  probe: 64,
} as const

/** What stands in the query of an event stream that is a probe, before its time; no ticket has a dot. */
export const probeMark = 'probe.'

export interface RequestHead {
  readonly ask: number
  /** Names the session. Public: it stands in logs and is the server socket's `id`. */
  readonly id: Uint8Array
  /** Proves that the session is one's own. Never in a URL, never in a log. */
  readonly key: Uint8Array
  readonly epoch: number
  /** Counts the held and the short requests of an epoch: a lower one was overtaken, an equal one repeated. */
  readonly serial: number
  /** The client wants to hear something at least this often, in ms, as the network cuts what is silent; 0: it does not matter. */
  readonly quiet: number
  /** A streamed answer is to end after so many ms, before the network cuts it; 0: it may go on. */
  readonly life: number
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

/** A control, a message or a part of one, as it stands in a body. */
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

/** Takes a body as it comes in, chunk by chunk, and gives out its head and then its records as soon as each is whole. */
export class BodyReader<Head> {
  head: Head | undefined
  #readHead: (from: ByteReader) => Head
  #maxRecord: number
  /** What has come of a record that is not whole yet; and how much there is when it is. */
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
    // Until a record is whole nothing is read twice, however small the chunks.
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

  /** Whether all that came was whole. */
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

/** What stands before a record's payload. */
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
