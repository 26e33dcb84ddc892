/**
 * WebSockets over HTTP/2 (RFC 8441): a CONNECT with `:protocol` on one stream. The request is shown as a handshake of HTTP/1.1,
 * and its stream as the connection of that handshake, so that everything that takes WebSockets takes these too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  type Http2ServerRequest,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { maxAnswer, readAnswer } from './answer-text.ts'
import { ConnectionLike } from './connection-like.ts'
import { rethrow } from './turn.ts'
import { answerGiven } from './unread.ts'

/** A write is handed to HTTP/2 in parts of about this size (a frame has as much), because nothing tells how much of a part has gone. */
const partSize = 16 * 1024

/** Whether a client asks for a WebSocket over HTTP/2, and the request has not been shown as a handshake yet. */
export function isWebSocketConnect({ method, headers, httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor >= 2 && method === 'CONNECT' && headers[':protocol'] === 'websocket'
}

/** For a handshake that the application answers as a request: the client would take a WebSocket with status 200 for open. */
export function refuseByAnswer(request: IncomingMessage): void {
  const stream = streamOf(request)
  const respond = stream.respond
  stream.respond = (given, options) => {
    const headers = { ...(given as OutgoingHttpHeaders | undefined) }
    headers[':status'] = refusalStatus(Number(headers[':status'] ?? 200))
    return Reflect.apply(respond, stream, [headers, options])
  }
}

/** In HTTP/1.1 only 101 accepts a handshake; in HTTP/2 each status below 300 does. */
function refusalStatus(status: number): number {
  return status < 300 ? 400 : status
}

function streamOf(request: IncomingMessage): ServerHttp2Stream {
  return (request as IncomingMessage & Pick<Http2ServerRequest, 'stream'>).stream
}

/**
 * The stream of a WebSocket over HTTP/2, as the connection of a handshake. The answer of HTTP/1.1 that is written to it becomes the
 * stream's answer; after a 101 everything goes through. It ends with its stream as a connection ends that was lost.
 */
export class Http2Connection extends ConnectionLike {
  /** The response by which `AnswerWatch` watches the answer. */
  readonly response: ServerResponse
  readonly #stream: ServerHttp2Stream
  #state: 'waiting' | 'open' | 'refused' = 'waiting'
  /** The answer so far, as latin1. */
  #written = ''
  #isRead = false
  /** The bytes that the client sent. */
  bytesRead = 0
  /** The bytes that the network has not taken. */
  #queued = 0

  constructor(request: IncomingMessage, response: ServerResponse) {
    super(request.socket)
    this.response = response
    const stream = streamOf(request)
    // The application's turn to answer is over.
    if (Object.hasOwn(stream, 'respond')) Reflect.deleteProperty(stream, 'respond')
    this.#stream = stream
    // Node's request listens for the stream's errors; each is followed by its end.
    stream.once('aborted', () => this.destroy())
    stream.once('close', () => this.destroy())
    if (stream.destroyed || stream.closed) this.destroy()
  }

  /** As on Node's connections: the carrier sees by it that the client is still reading a long message. */
  get _handle(): { readonly writeQueueSize: number } {
    return { writeQueueSize: this.#queued }
  }

  override _read(): void {
    if (this.#isRead) {
      this.#stream.resume()
      return
    }
    this.#isRead = true
    this.#stream
      .on('data', (chunk: Buffer) => {
        this.bytesRead += chunk.length
        if (!this.push(chunk)) this.#stream.pause()
      })
      .once('end', () => this.push(null))
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send([chunk], done)
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: () => void): void {
    if (this.#state === 'waiting') this.#refuse()
    if (this.#state === 'refused' || !this.#stream.writable) done()
    else
      this.#stream.end(() => {
        done()
        // The client may send nothing more, and Firefox does not end its side.
        this.#stream.close(constants.NGHTTP2_NO_ERROR)
      })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const stream = this.#stream
    if (this.#state === 'waiting' && this.#written !== '') this.#refuse()
    // An answer that was given may still be read.
    const isOver = this.#state === 'refused' || (stream.writableFinished && stream.readableEnded)
    // Node keeps a stream that its client has reset until all its data are read, and nobody reads them any more.
    if (!isOver && stream.closed) stream.destroy()
    else if (!isOver) stream.close(constants.NGHTTP2_CANCEL)
    done(error)
  }

  #send(chunks: readonly Buffer[], done: Done): void {
    const parts = chunks.map((chunk) => this.#afterAnswer(chunk)).flatMap(partsOf)
    for (const { length } of parts) this.#queued += length
    this.#sendParts(parts, 0, done)
  }

  /** Sends parts of about `partSize` bytes together, from the one with index `at` on, and the next ones when these have gone. */
  #sendParts(parts: readonly Buffer[], at: number, done: Done): void {
    if (at >= parts.length) {
      done()
      return
    }
    const stream = this.#stream
    let size = 0
    let next = at
    stream.cork()
    while (next < parts.length && size < partSize) {
      const part = parts[next++] as Buffer
      size += part.length
      const isLast = next === parts.length || size >= partSize
      stream.write(part, isLast ? sent.bind(this) : undefined)
    }
    stream.uncork()

    function sent(this: Http2Connection, error?: Error | null): void {
      this.#queued -= size
      if (error) done(error)
      else this.#sendParts(parts, next, done)
    }
  }

  /** Takes the head of the answer out of the written bytes. Returns the rest, which belongs to the WebSocket. */
  #afterAnswer(chunk: Buffer): Buffer {
    if (this.#state !== 'waiting') return chunk
    if (this.#written.length < maxAnswer) this.#written += chunk.toString('latin1')
    const end = this.#written.indexOf('\r\n\r\n')
    if (end < 0 || !/^HTTP\/1\.\d 101 /.test(this.#written)) return none
    const rest = Buffer.from(this.#written.slice(end + 4), 'latin1')
    this.#state = 'open'
    this.#respond(200, this.#written)
    this.#written = ''
    return rest
  }

  #refuse(): void {
    this.#state = 'refused'
    const body = this.#respond(undefined, this.#written)
    answerGiven(this.response, body)
  }

  /** Gives the answer in the text, with this status if it is given. Returns the size of its body. */
  #respond(status: number | undefined, text: string): number {
    const stream = this.#stream
    if (stream.headersSent || stream.destroyed || stream.closed) return 0
    const answer = readAnswer(text)
    if (!answer) {
      stream.close(constants.NGHTTP2_CANCEL)
      return 0
    }
    const headers: Record<string, number | string | string[]> = {
      ':status': status ?? refusalStatus(answer.status),
    }
    for (const [name, value] of answer.headers) {
      const key = name.toLowerCase()
      if (notOfHttp2.test(key)) continue
      const before = headers[key]
      headers[key] = before === undefined ? value : [before].flat().map(String).concat(value)
    }
    try {
      stream.respond(headers)
      if (status === undefined) stream.end(answer.body)
    } catch (error) {
      // The application's header cannot be sent over HTTP/2.
      rethrow(error)
      if (!stream.headersSent) stream.respond({ ':status': 500 }, { endStream: true })
    }
    return answer.body.length
  }
}

type Done = (error?: Error | null) => void

/** RFC 8441, 5: an answer over HTTP/2 has none of these. Node throws for headers of a connection. */
const notOfHttp2 = /^(sec-websocket-accept|proxy-connection|http2-settings|te)$/

const none = Buffer.alloc(0)

function partsOf(chunk: Buffer): Buffer[] {
  if (chunk.length === 0) return []
  if (chunk.length <= partSize) return [chunk]
  const parts: Buffer[] = []
  for (let at = 0; at < chunk.length; at += partSize) parts.push(chunk.subarray(at, at + partSize))
  return parts
}
