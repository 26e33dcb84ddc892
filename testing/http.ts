/** HTTP/1.1 as bytes: finds where heads and bodies begin and end, without a copy and without changing a byte. */

export interface Head {
  /** The request line or the status line. */
  readonly first: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The head as it came. */
  readonly raw: Buffer
}

export type Framing =
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' | 'end' }

const endOfHead = Buffer.from('\r\n\r\n')
const tokenStart = /^[!#$%&'*+.^_`|~\w-]/
const maxHead = 128 * 1024

/** `'more'`: the head is not complete yet. `'foreign'`: this is not HTTP. */
export function readHead(bytes: Buffer, firstLine: RegExp): Head | 'more' | 'foreign' {
  const line = bytes.indexOf('\r\n')
  const first = bytes.toString('latin1', 0, line < 0 ? 1 : line)
  if (line < 0 ? !tokenStart.test(first) : !firstLine.test(first)) return 'foreign'
  const end = bytes.indexOf(endOfHead)
  if (end < 0) return bytes.length > maxHead ? 'foreign' : 'more'
  const lines = bytes.toString('latin1', line + 2, Math.max(line + 2, end)).split('\r\n')
  const headers = lines
    .filter((text) => text !== '')
    .map((text) => {
      const colon = text.indexOf(':')
      return [text.slice(0, colon), text.slice(colon + 1).trim()] as const
    })
  return { first, headers, raw: bytes.subarray(0, end + endOfHead.length) }
}

export function writeHead(first: string, headers: Head['headers']): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${first}\r\n${lines.join('')}\r\n`, 'latin1')
}

/** All values of a header, in lower case and joined with commas; `''` if there is none. */
export function header(head: Head, name: string): string {
  return head.headers
    .filter(([other]) => other.toLowerCase() === name)
    .map(([, value]) => value.toLowerCase())
    .join(',')
}

export function requestFraming(head: Head): Framing {
  return framing(head) ?? { kind: 'length', length: 0 }
}

export function answerFraming(head: Head, status: number, method: string): Framing {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { kind: 'length', length: 0 }
  return framing(head) ?? { kind: 'end' }
}

function framing(head: Head): Framing | undefined {
  if (header(head, 'transfer-encoding').includes('chunked')) return { kind: 'chunked' }
  const length = header(head, 'content-length')
  return length === '' ? undefined : { kind: 'length', length: Number.parseInt(length, 10) || 0 }
}

/** Finds the end of a body, and its content. */
export class Body {
  /** Whether all of the body has come. */
  done: boolean
  /** Bytes of content so far, without the framing of chunks. */
  size = 0
  readonly #framing: Framing
  /** Bytes up to the end of the body or chunk; then a line follows. */
  #left: number
  #part: 'content' | 'size' | 'after chunk' | 'trailer' = 'content'
  #line = ''

  constructor(framing: Framing) {
    this.#framing = framing
    this.#left = framing.kind === 'length' ? framing.length : 0
    this.done = framing.kind === 'length' && framing.length === 0
    if (framing.kind === 'chunked') this.#part = 'size'
    if (framing.kind === 'end') this.#left = Number.POSITIVE_INFINITY
  }

  /** Whether the end of the connection is the end of the body. */
  get endsWithConnection(): boolean {
    return this.#framing.kind === 'end'
  }

  /** Takes the bytes that belong to this body, and calls `content` with the content in them. Returns their number. */
  take(bytes: Buffer, content?: (bytes: Buffer) => void): number {
    let at = 0
    while (at < bytes.length && !this.done) {
      at = this.#part === 'content' ? this.#takeContent(bytes, at, content) : this.#takeLine(bytes, at)
    }
    return at
  }

  #takeContent(bytes: Buffer, from: number, content: ((bytes: Buffer) => void) | undefined): number {
    const part = bytes.subarray(from, from + Math.min(this.#left, bytes.length - from))
    this.#left -= part.length
    this.size += part.length
    content?.(part)
    if (this.#left === 0) {
      if (this.#framing.kind === 'chunked') this.#part = 'after chunk'
      else this.done = true
    }
    return from + part.length
  }

  /** Reads a line before, between or after chunks. */
  #takeLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(10, from)
    const upTo = end < 0 ? bytes.length : end + 1
    this.#line += bytes.toString('latin1', from, upTo)
    if (end < 0) return upTo
    const line = this.#line.trim()
    this.#line = ''
    if (this.#part === 'trailer') this.done = line === ''
    else if (this.#part === 'after chunk') this.#part = 'size'
    else {
      // After a line that cannot be read, pass everything on unchanged until the end.
      const size = /^[0-9a-f]+/i.test(line) ? Number.parseInt(line, 16) : Number.POSITIVE_INFINITY
      this.#left = size
      this.#part = size === 0 ? 'trailer' : 'content'
    }
    return upTo
  }
}
