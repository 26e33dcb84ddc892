/** One answer on its way: reads it from the server, and passes it to the client unchanged, or changed as by a middlebox. */
import { constants, createGzip, type Gzip } from 'node:zlib'
import { knownHeaders } from './headers.ts'
import { answerFraming, Body, type Head, header, readHead, writeHead } from './http.ts'

const statusLine = /^HTTP\/1\.[01] \d{3}/
const maxBuffered = 64 * 1024 * 1024

export interface AnswerWatcher {
  /** Called when the final head has come, before any of it is passed on. Returns whether to continue. */
  head(): boolean
  /** Passes bytes to the client. */
  pass(bytes: Buffer): void
  /** All of the answer has been passed on. */
  done(): void
  /** The answer is too large to keep. */
  overflow(): void
}

export interface AnswerChanges {
  readonly strip: boolean
  readonly gzip: boolean
  readonly buffer: boolean | number
}

export class Answer {
  /** Whether the server has sent all of it. */
  heard = false
  /** Whether the connection has become a WebSocket, or speaks another protocol. */
  switched = false
  /** The changes that were made to the answer. */
  readonly made: Set<keyof AnswerChanges> = new Set()
  readonly #method: string
  readonly #changes: AnswerChanges
  readonly #watcher: AnswerWatcher
  #partOfHead: Buffer = Buffer.alloc(0)
  #body: Body | undefined
  #gzip: Gzip | undefined
  #kept: Buffer[] | undefined
  #keptBytes = 0

  constructor(method: string, changes: AnswerChanges, watcher: AnswerWatcher) {
    this.#method = method
    this.#changes = changes
    this.#watcher = watcher
  }

  /** Takes the bytes that belong to this answer, and returns the rest. */
  take(bytes: Buffer): Buffer {
    let left = bytes
    while (left.length > 0 && !this.heard) {
      if (this.#body) left = this.#takeBody(this.#body, left)
      else {
        if (this.#partOfHead.length > 0) left = Buffer.concat([this.#partOfHead, left])
        const head = readHead(left, statusLine)
        this.#partOfHead = head === 'more' ? left : Buffer.alloc(0)
        if (head === 'more') return Buffer.alloc(0)
        if (head === 'foreign') this.#body = new Body({ kind: 'end' })
        else {
          left = left.subarray(head.raw.length)
          if (!this.#takeHead(head)) return Buffer.alloc(0)
        }
      }
    }
    return left
  }

  /** Tells the answer that the server's connection has ended. Returns whether that is the answer's end. */
  takeEnd(): boolean {
    if (this.heard) return true
    if (this.#body?.endsWithConnection) {
      this.#end()
      return true
    }
    // The answer was cut off: pass on what there is. The client will notice that it is incomplete.
    const rest = [...(this.#kept ?? []), this.#partOfHead]
    this.#kept = undefined
    for (const bytes of rest) if (bytes.length > 0) this.#watcher.pass(bytes)
    return false
  }

  /** Drops the rest of the answer. */
  drop(): void {
    this.#gzip?.destroy()
    this.#kept = undefined
  }

  /** Whether the server should wait before it sends more. */
  get full(): boolean {
    return this.#gzip?.writableNeedDrain ?? false
  }

  whenNotFull(run: () => void): void {
    this.#gzip?.once('drain', run)
  }

  #takeHead(head: Head): boolean {
    const status = Number(head.first.slice(9, 12))
    if (status < 200 && status !== 101) {
      this.#watcher.pass(head.raw)
      return true
    }
    if (!this.#watcher.head()) return false
    if (status === 101) {
      this.switched = true
      this.heard = true
      this.#watcher.pass(this.#strip(head))
      this.#watcher.done()
      return true
    }
    const body = new Body(answerFraming(head, status, this.#method))
    this.#body = body
    if (this.#changes.buffer && !body.done) {
      this.#kept = []
      this.made.add('buffer')
    }
    if (this.#changes.gzip && !body.done && header(head, 'content-encoding') === '' && status !== 206) {
      this.made.add('gzip')
      this.#gzip = this.#startGzip()
      this.#pass(gzipHead(head, this.#changes.strip ? this.#known(head) : head.headers))
    } else {
      this.#pass(this.#strip(head))
    }
    if (body.done) this.#end()
    return true
  }

  #takeBody(body: Body, bytes: Buffer): Buffer {
    const gzip = this.#gzip
    const taken = gzip ? body.take(bytes, (content) => void gzip.write(content)) : body.take(bytes)
    if (!gzip) this.#pass(bytes.subarray(0, taken))
    if (body.done) this.#end()
    return bytes.subarray(taken)
  }

  #end(): void {
    this.heard = true
    if (this.#gzip) this.#gzip.end()
    else this.#finish()
  }

  #finish(): void {
    const kept = this.#kept
    this.#kept = undefined
    if (kept) this.#watcher.pass(Buffer.concat(kept))
    this.#watcher.done()
  }

  #pass(bytes: Buffer): void {
    if (!this.#kept) {
      this.#watcher.pass(bytes)
      return
    }
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    const { buffer } = this.#changes
    if (typeof buffer === 'number' && this.#keptBytes >= buffer) {
      const all = Buffer.concat(this.#kept)
      this.#keptBytes = all.length % buffer
      const whole = all.length - this.#keptBytes
      this.#watcher.pass(all.subarray(0, whole))
      this.#kept = [all.subarray(whole)]
    } else if (this.#keptBytes > maxBuffered) this.#watcher.overflow()
  }

  #strip(head: Head): Buffer {
    if (!this.#changes.strip) return head.raw
    return writeHead(head.first, this.#known(head))
  }

  #known(head: Head): Head['headers'] {
    const headers = knownHeaders(head)
    if (headers.length < head.headers.length) this.made.add('strip')
    return headers
  }

  #startGzip(): Gzip {
    const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
    gzip.on('data', (bytes: Buffer) => this.#pass(chunk(bytes)))
    gzip.on('end', () => {
      this.#pass(Buffer.from('0\r\n\r\n'))
      this.#finish()
    })
    return gzip
  }
}

/** The head for a compressed answer, whose length is not known in advance. It still says if the connection closes after it. */
function gzipHead(head: Head, headers: Head['headers']): Buffer {
  const left = headers.filter(
    ([name]) =>
      !['content-length', 'transfer-encoding', 'keep-alive', 'connection'].includes(name.toLowerCase()),
  )
  const closes =
    header(head, 'connection').includes('close') ||
    (head.first.startsWith('HTTP/1.0') && !header(head, 'connection').includes('keep-alive')) ||
    (header(head, 'content-length') === '' && header(head, 'transfer-encoding') === '')
  return writeHead(head.first.replace(/^HTTP\/1\.0/, 'HTTP/1.1'), [
    ...left,
    ['Content-Encoding', 'gzip'],
    ['Transfer-Encoding', 'chunked'],
    ['Connection', closes ? 'close' : 'keep-alive'],
  ])
}

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}
