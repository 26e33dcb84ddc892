/** The answers on a connection, read as RFC 9112 has them: heads that parse, and bodies as long as they say. */
import { Violation } from './reading.ts'

export interface HttpHead {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
}

/** The answers on one connection, in their order. */
export class HttpReader {
  head: HttpHead | undefined
  /** How many answers are whole. */
  answers = 0
  #rest: Buffer = Buffer.alloc(0)
  #left: number | 'chunked' | 'open' = 0
  readonly #told: {
    head(head: HttpHead): void
    body(bytes: Buffer): void
    end(): void
  }

  constructor(told: { head(head: HttpHead): void; body(bytes: Buffer): void; end(): void }) {
    this.#told = told
  }

  /** Returns what comes behind an answer that ends HTTP on this connection. */
  push(bytes: Buffer): Buffer | undefined {
    let all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes
    this.#rest = all.subarray(all.length)
    for (;;) {
      if (this.head === undefined) {
        const end = all.indexOf('\r\n\r\n')
        if (end < 0) break
        this.head = readHttpHead(all.toString('latin1', 0, end))
        all = all.subarray(end + 4)
        if (this.head.status === 101) {
          this.#told.head(this.head)
          return all
        }
        this.#left = bodyLength(this.head)
        this.#told.head(this.head)
      }
      const used = this.#readBody(all)
      if (used === undefined) break
      all = all.subarray(used)
      if (this.head !== undefined) break
    }
    this.#rest = all
    return undefined
  }

  /** The connection is at its end: whether everything on it was whole. */
  get whole(): boolean {
    return (this.head === undefined && this.#rest.length === 0) || this.#left === 'open'
  }

  #readBody(all: Buffer): number | undefined {
    const left = this.#left
    if (left === 'open') {
      this.#told.body(all)
      return all.length
    }
    if (left === 'chunked') return this.#readChunk(all)
    const part = all.subarray(0, left)
    if (part.length > 0) this.#told.body(part)
    this.#left = left - part.length
    if (this.#left === 0) this.#finish()
    return part.length
  }

  #readChunk(all: Buffer): number | undefined {
    const end = all.indexOf('\r\n')
    if (end < 0) return undefined
    const line = all.toString('latin1', 0, end)
    if (!/^[\da-f]{1,8}$/i.test(line))
      throw new Violation(`a chunk begins with ${JSON.stringify(line.slice(0, 40))}`)
    const size = Number.parseInt(line, 16)
    if (all.length < end + 2 + size + 2) return undefined
    if (size > 0) this.#told.body(all.subarray(end + 2, end + 2 + size))
    else this.#finish()
    // What is left may be another chunk: the caller comes again.
    return size > 0 ? this.#next(all, end + 2 + size + 2) : end + 4
  }

  #next(all: Buffer, from: number): number {
    const more = this.#readChunk(all.subarray(from))
    return from + (more ?? 0)
  }

  #finish(): void {
    this.head = undefined
    this.answers++
    this.#told.end()
  }
}

function bodyLength({ status, headers }: HttpHead): number | 'chunked' | 'open' {
  if (status === 204 || status === 304 || status < 200) return 0
  if (headers.get('transfer-encoding') === 'chunked') return 'chunked'
  const length = headers.get('content-length')
  if (length === undefined) return 'open'
  if (!/^\d+$/.test(length)) throw new Violation(`a Content-Length of ${length}`)
  return Number(length)
}

const statusLine = /^HTTP\/1\.[01] (\d{3}) [\t\x20-\x7e\x80-\xff]*$/
const headerLine = /^([!#$%&'*+.^_`|~\w-]+): ?([\t\x20-\x7e\x80-\xff]*)$/

function readHttpHead(text: string): HttpHead {
  const [first = '', ...lines] = text.split('\r\n')
  const match = statusLine.exec(first)
  if (!match) throw new Violation(`an answer begins with ${JSON.stringify(first.slice(0, 80))}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const header = headerLine.exec(line)
    if (!header) throw new Violation(`an answer has the header ${JSON.stringify(line.slice(0, 80))}`)
    headers.set((header[1] as string).toLowerCase(), header[2] as string)
  }
  return { status: Number(match[1]), headers }
}
