/**
 * The bytes of docs/PROTOCOL.md, read and written from that document alone: nothing here comes from `shared/`, so that a
 * mistake made there is not made here too.
 */

/** The kinds of section 2.4. */
export const kinds = {
  text: 1,
  binary: 2,
  close: 3,
  ping: 4,
  pong: 5,
  abort: 6,
  welcome: 7,
  hello: 8,
  ticket: 9,
  pause: 10,
  ack: 11,
  take: 12,
  hear: 13,
  long: 14,
  superseded: 15,
  token: 16,
} as const

export type KindName = keyof typeof kinds

export function nameOf(kind: number): string {
  return Object.entries(kinds).find(([, number]) => number === kind)?.[0] ?? `kind ${kind}`
}

/** *(number, offset)*: all messages up to `number`, and `offset` bytes of the next one. */
export type Position = readonly [number: number, offset: number]

/** The bits of `ask`. */
const bits = { open: 1, standby: 2, hold: 4, stream: 8, again: 16, ticket: 32, probe: 64 } as const

export type Ask = keyof typeof bits

export interface RequestHead {
  readonly ask?: readonly Ask[]
  readonly id: Uint8Array
  readonly key: Uint8Array
  readonly epoch?: number
  readonly serial?: number
  readonly quiet?: number
  readonly life?: number
  readonly has?: Position
  readonly at?: Position
}

export interface WireRecord {
  readonly kind: number
  readonly data: Uint8Array
  /** The message goes on in the next record. */
  readonly more?: boolean
}

export interface AnswerHead {
  readonly status: number
  readonly has: Position
  readonly at: Position
}

const magic = 0xe1

/** LEB128: seven bits a byte, lowest first, the top bit set on all but the last. */
function leb(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}

export function writeHead(head: RequestHead): Buffer {
  const { ask = [], id, key, epoch = 1, serial = 0, quiet = 0, life = 0, has = [0, 0], at = [0, 0] } = head
  const flags = ask.reduce((sum, name) => sum | bits[name], 0)
  const numbers = [epoch, serial, quiet, life, ...has, ...at].flatMap(leb)
  return Buffer.concat([Buffer.from([magic, flags]), id, key, Buffer.from(numbers)])
}

export function writeRecord({ kind, data, more = false }: WireRecord): Buffer {
  return Buffer.concat([Buffer.from([kind + (more ? 128 : 0), ...leb(data.length)]), data])
}

export function writeBody(head: RequestHead, records: readonly WireRecord[] = []): Buffer {
  return Buffer.concat([writeHead(head), ...records.map(writeRecord)])
}

/** A record with a text as its payload. */
export function record(name: KindName, payload: string | Uint8Array = '', more = false): WireRecord {
  return { kind: kinds[name], data: typeof payload === 'string' ? Buffer.from(payload) : payload, more }
}

/** Reads an answer's body as it comes: the head, then records. */
export class AnswerReader {
  readonly records: WireRecord[] = []
  head: AnswerHead | undefined
  #rest: Buffer = Buffer.alloc(0)

  /** Returns what is wrong with the body, if something is. */
  push(chunk: Uint8Array): string | undefined {
    this.#rest = Buffer.concat([this.#rest, chunk])
    if (!this.head) {
      if (this.#rest.length > 0 && this.#rest[0] !== magic)
        return `a body that begins with the byte ${hex(this.#rest[0] ?? 0)}`
      const numbers = numbersAt(this.#rest, 2, 4)
      if (!numbers) return
      const [hasNumber = 0, hasOffset = 0, atNumber = 0, atOffset = 0] = numbers.values
      this.head = {
        status: this.#rest[1] ?? 0,
        has: [hasNumber, hasOffset],
        at: [atNumber, atOffset],
      }
      this.#rest = this.#rest.subarray(numbers.end)
    }
    for (;;) {
      const length = numbersAt(this.#rest, 1, 1)
      if (!length) return
      const end = length.end + (length.values[0] ?? 0)
      if (this.#rest.length < end) return
      const first = this.#rest[0] ?? 0
      this.records.push({
        kind: first & 127,
        more: first >= 128,
        data: this.#rest.subarray(length.end, end),
      })
      this.#rest = this.#rest.subarray(end)
    }
  }

  /** Bytes that are not a whole record yet. */
  get unfinished(): number {
    return this.#rest.length
  }
}

function numbersAt(
  bytes: Buffer,
  from: number,
  count: number,
): { values: number[]; end: number } | undefined {
  const values: number[] = []
  let at = from
  while (values.length < count) {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) return undefined
      value += (byte & 127) * factor
      factor *= 128
      if (byte < 128) break
    }
    values.push(value)
  }
  return { values, end: at }
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}
