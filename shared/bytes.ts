/** Numbers and strings of bytes, written and read. A number is LEB128: seven bits a byte, lowest first. */

/** What a peer sent cannot be read: its fault, told to it by a status or a close code, never thrown past a carrier. */
export class Malformed extends Error {}

/** Payloads up to this size are copied into the body; larger ones stand in it as parts of their own. */
const copied = 4096

export class ByteWriter {
  #parts: Uint8Array<ArrayBuffer>[] = []
  #buffer: Uint8Array<ArrayBuffer>
  #from = 0
  #at = 0
  /** Bytes written so far. */
  size = 0

  constructor(expected = 512) {
    this.#buffer = new Uint8Array(expected)
  }

  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.#at++] = value
    this.size++
  }

  number(value: number): void {
    this.#room(8)
    const from = this.#at
    while (value >= 0x80) {
      this.#buffer[this.#at++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    this.#buffer[this.#at++] = value
    this.size += this.#at - from
  }

  bytes(value: Uint8Array): void {
    this.size += value.length
    if (value.length <= copied) {
      this.#room(value.length)
      this.#buffer.set(value, this.#at)
      this.#at += value.length
      return
    }
    if (this.#at > this.#from) this.#parts.push(this.#buffer.subarray(this.#from, this.#at))
    this.#from = this.#at
    this.#parts.push(value as Uint8Array<ArrayBuffer>)
  }

  /** What was written, in as few parts as copying nothing large allows. */
  parts(): Uint8Array<ArrayBuffer>[] {
    if (this.#at > this.#from) this.#parts.push(this.#buffer.subarray(this.#from, this.#at))
    this.#from = this.#at
    return this.#parts
  }

  /** What was written, in one piece. */
  whole(): Uint8Array<ArrayBuffer> {
    const parts = this.parts()
    return parts.length === 1 && parts[0] ? parts[0] : concat(parts)
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at - this.#from + bytes))
    grown.set(this.#buffer.subarray(this.#from, this.#at))
    this.#at -= this.#from
    this.#from = 0
    this.#buffer = grown
  }
}

/** Reads what has come so far; `undefined` means that the rest has not come yet. */
export class ByteReader {
  #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.at
  }

  byte(): number | undefined {
    return this.#bytes[this.at++]
  }

  number(): number | undefined {
    let value = 0
    let unit = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      if (byte === undefined) return undefined
      value += (byte & 0x7f) * unit
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new Malformed('number too large')
        return value
      }
      unit *= 0x80
    }
    throw new Malformed('number too long')
  }

  bytes(length: number): Uint8Array | undefined {
    if (this.left < length) return undefined
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.at)
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let size = 0
  for (const part of parts) size += part.length
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
