/** Writes and reads numbers and bytes. A number is LEB128: seven bits in a byte, the lowest first. */

/** A peer sent bytes that nobody can read. A carrier catches this and answers with a status or a close code. */
export class Malformed extends Error {}

/**
 * Bytes that no SharedArrayBuffer holds: `Uint8Array<ArrayBuffer>`, by a name that TypeScript before 5.7 accepts in our declarations,
 * too. There `Uint8Array` is not generic.
 */
export type OwnBytes = ReturnType<Uint8Array['slice']>

export class ByteWriter {
  #buffer: OwnBytes
  /** The bytes written so far. */
  size = 0

  /** `buffer`: memory for so many bytes. V8 has 64 bytes at hand, and asks the system for more. */
  constructor(expected = 64, buffer: OwnBytes = new Uint8Array(expected)) {
    this.#buffer = buffer
  }

  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.size++] = value
  }

  number(value: number): void {
    while (value >= 0x80) {
      this.byte((value % 0x80) | 0x80)
      value = Math.floor(value / 0x80)
    }
    this.byte(value)
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length)
    this.#buffer.set(value, this.size)
    this.size += value.length
  }

  /** All that was written. */
  whole(): OwnBytes {
    return this.#buffer.subarray(0, this.size)
  }

  #room(bytes: number): void {
    const size = this.size + bytes
    if (size <= this.#buffer.length) return
    // Twice as large, so that many small pieces are not copied again for each.
    const grown = new Uint8Array(Math.max(this.size * 2, size))
    grown.set(this.whole())
    this.#buffer = grown
  }
}

/** Thrown at the end of the bytes, where a number or a record is not whole. */
export const incomplete: Malformed = new Malformed()

export class ByteReader {
  #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.at
  }

  byte(): number {
    if (this.left < 1) throw incomplete
    return this.#bytes[this.at++] as number
  }

  number(): number {
    let value = 0
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * unit
      if (value > Number.MAX_SAFE_INTEGER || unit > 2 ** 49) throw new Malformed()
      if (byte < 0x80) return value
    }
  }

  bytes(length: number): Uint8Array {
    if (this.left < length) throw incomplete
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }
}
