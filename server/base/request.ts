/** The parts of a request that are everwire's: the mark in its query, and its body. */
import type { IncomingMessage } from 'node:http'
import { constants, type Http2ServerRequest } from 'node:http2'
import type { Refusal } from './handshake.ts'
import type { Memory, Weighed } from './memory.ts'
import { deadline } from './wakeups.ts'

/** Frameworks keep the URL from before the mount removed its prefix. */
export type MountedRequest = IncomingMessage & {
  originalUrl?: string
  body?: unknown
  rawBody?: unknown
}

const markOf = /([?&])everwire=([^&]*)(&|$)/

/** The value of `everwire=` in the query. */
export function markIn(request: IncomingMessage): string | undefined {
  const url = request.url ?? ''
  const mark = url.includes('everwire=') ? markOf.exec(url)?.[2] : undefined
  // For balancers the name of a node follows.
  return mark?.startsWith('1.') ? '1' : mark
}

/** The URL that the application gave to its client. */
export function plainUrl(request: MountedRequest): string {
  const url = request.originalUrl ?? request.url ?? '/'
  return url.replace(markOf, (_, before: string, _value, after: string) => (after === '&' ? before : ''))
}

/** The target of a request may be a whole URL: RFC 9112, 3.2.2. */
const schemeAndHost = /^https?:\/\/[^/]*/i

export function pathOf(url: string): string {
  const query = url.indexOf('?')
  const target = query < 0 ? url : url.slice(0, query)
  const before = target[0] === '/' ? null : schemeAndHost.exec(target)
  return before ? target.slice(before[0].length) || '/' : target
}

export const defaultBodyTimeout = 60_000

/** The largest body, and the longest time that it may take. */
export interface BodyLimits {
  readonly maxBody: number
  readonly bodyTimeout: number
}

/** Why there is no complete body. `taken`: a body parser read it and did not keep the bytes. `gone`: the client left or was too slow. */
export type NoBody = 'too large' | 'too many pieces' | 'taken' | 'gone'

/** The answer if there is no complete body; undefined if nobody is there to read it. */
export function refusalOf(why: NoBody, { maxBody }: BodyLimits): Refusal | undefined {
  if (why === 'gone') return undefined
  if (why === 'too large') return { status: 413, reason: `The body is larger than ${maxBody} bytes` }
  if (why === 'too many pieces') return { status: 413, reason: 'The body has too many small pieces' }
  return {
    status: 400,
    reason:
      'A body parser ran before everwire and did not keep the bytes of the body: move realtime.middleware before it',
  }
}

/** Bodies that were read before it was known whose request it is. */
const readBefore = new WeakMap<IncomingMessage, Buffer>()

/** Keeps the body for the one that calls `readBody` next. */
export function keepBody(request: IncomingMessage, body: Buffer): void {
  readBefore.set(request, body)
}

/** Reads the complete body, or takes its bytes from a body parser that ran before. */
export function readBody(
  request: MountedRequest,
  limits: BodyLimits,
  memory?: Memory,
): Promise<Buffer | NoBody> {
  const kept = readBefore.get(request)
  // The request may be held for long, and need not keep its body.
  readBefore.delete(request)
  for (const parsed of [kept, request.rawBody, request.body]) {
    if (parsed instanceof Uint8Array) {
      const bytes = Buffer.from(parsed.buffer, parsed.byteOffset, parsed.length)
      return Promise.resolve(bytes.length > limits.maxBody ? 'too large' : bytes)
    }
  }
  if (request.readableEnded) return Promise.resolve('taken')
  if (request.destroyed) return Promise.resolve('gone')
  return new Promise((resolve) => {
    new Reading(request, limits, resolve, memory)
  })
}

/** The number of pieces that any body may have. */
const freePieces = 4_096
/** One more piece is allowed for this many bytes of the largest body. Packets of a slow line have ten times as many bytes. */
const bytesPerPiece = 64
/** The rest of a refused body is discarded, so that its client reads the answer: at most this many times the limits. */
const thrownAway = { bytes: 16, pieces: 2 }
const leastRoom = 1_024

/** Smaller ones are not counted: they are hardly more than their request. */
const worthCounting = 1_024

class Reading implements Weighed {
  readonly #request: MountedRequest
  readonly #limits: BodyLimits
  readonly #maxPieces: number
  readonly #resolve: (body: Buffer | NoBody) => void
  readonly #deadline: NodeJS.Timeout | undefined
  readonly #memory: Memory | undefined
  #counted = 0
  #size = 0
  #pieces = 0
  /** The bytes so far, at the start of one growing buffer. Undefined after a refusal. */
  #bytes: Buffer | undefined = none

  constructor(
    request: MountedRequest,
    limits: BodyLimits,
    resolve: (body: Buffer | NoBody) => void,
    memory: Memory | undefined,
  ) {
    this.#memory = memory
    this.#request = request
    this.#limits = limits
    this.#maxPieces = freePieces + limits.maxBody / bytesPerPiece
    this.#resolve = resolve
    this.#deadline = deadline(limits.bodyTimeout, () => this.#endConnection())
    request.on('data', this.#take).on('end', this.#end).on('close', this.#close)
  }

  readonly #take = (piece: Buffer): void => {
    const before = this.#size
    this.#size += piece.length
    this.#pieces++
    if (this.#size > this.#limits.maxBody) this.#refuse('too large')
    else if (this.#pieces > this.#maxPieces) this.#refuse('too many pieces')
    else if (this.#bytes) {
      this.#bytes = appended(this.#bytes, before, piece, this.#most)
      // Most have come as a whole by now, and are read in this moment.
      if (this.#size < this.#most) this.#count(this.#bytes.length)
    }
  }

  get weight(): number {
    return this.#counted
  }

  overload(): void {
    this.#endConnection()
  }

  #count(bytes: number): void {
    const counted = bytes > worthCounting ? bytes : 0
    if (counted === this.#counted || !this.#memory) return
    if (this.#counted === 0) this.#memory.readsBody(this)
    if (counted === 0) this.#memory.bodyRead(this)
    this.#memory.add(counted - this.#counted)
    this.#counted = counted
  }

  readonly #end = (): void => {
    this.#stop()
    if (this.#bytes) this.#resolve(this.#bytes.subarray(0, this.#size))
    this.#bytes = undefined
  }

  readonly #close = (): void => {
    this.#stop()
    this.#resolve('gone')
    this.#bytes = undefined
  }

  /** The largest size that this body can reach. */
  get #most(): number {
    const { maxBody } = this.#limits
    return Math.min(Number(this.#request.headers['content-length'] ?? maxBody) || maxBody, maxBody)
  }

  #refuse(why: NoBody): void {
    this.#bytes = undefined
    this.#count(0)
    this.#resolve(why)
    const tooMuch = this.#size > this.#limits.maxBody * thrownAway.bytes
    if (tooMuch || this.#pieces > this.#maxPieces * thrownAway.pieces) this.#endConnection()
  }

  /** Stops reading. The exchange may be held for long and need not keep its body. */
  #stop(): void {
    this.#count(0)
    clearTimeout(this.#deadline)
    this.#request.off('data', this.#take).off('end', this.#end).off('close', this.#close)
  }

  /** Ends the connection without an answer: a client that still sends would not read it. */
  #endConnection(): void {
    this.#close()
    const { stream } = this.#request as MountedRequest & Partial<Http2ServerRequest>
    if (stream) stream.close(constants.NGHTTP2_CANCEL)
    else this.#request.socket.destroy()
  }
}

/** Returns a buffer with `size` bytes of `bytes` and then `piece`. */
function appended(bytes: Buffer, size: number, piece: Buffer, most: number): Buffer {
  // Most bodies come in one piece. It is copied only if it would keep a much larger buffer alive.
  if (size === 0 && piece.length * 2 >= piece.buffer.byteLength) return piece
  const needed = size + piece.length
  let to = bytes
  if (needed > bytes.length) {
    to = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(most, Math.max(needed * 2, leastRoom))))
    bytes.copy(to, 0, 0, size)
  }
  piece.copy(to, size)
  return to
}

const none = Buffer.alloc(0)
