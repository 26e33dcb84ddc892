/** Compression of the answers of HTTP transports, for clients that accept gzip: of whole answers and of streams. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { constants, createGzip, gzip, type ZlibOptions } from 'node:zlib'
import { claim, unclaim, writeHead } from '../base/responses.ts'
import { type Answered, answerGiven } from '../base/unread.ts'

/** The options of zlib. Defaults: `level` 1, `memLevel` 6, `windowBits` 13, so that a stream costs only tens of kilobytes. */
export interface HttpCompressionOptions extends ZlibOptions {
  /** Smaller answers are not compressed, in bytes; a stream is compressed from its beginning. Default 1024. */
  threshold?: number
}

const defaults: ZlibOptions = { level: 1, memLevel: 6, windowBits: 13 }
const defaultThreshold = 1024
/** While answers of so many bytes wait for zlib, others go out as they are: a client can ask faster than zlib packs. */
const mostPacking = 8 * 1024 * 1024
let packing = 0
const gzipAccepted = /(?:^|,)\s*(?:gzip|\*)\s*(?:$|,|;(?!\s*q=0(?:\.0*)?\s*(?:$|,)))/i

const compression: unique symbol = Symbol('compression')
type Marked = ServerResponse & { [compression]?: HttpCompressionOptions }

/** Allows compression of the answer to this request, if the server compresses and the client accepts gzip. */
export function allowCompression(
  request: IncomingMessage,
  response: ServerResponse,
  wanted: boolean | HttpCompressionOptions | undefined,
): void {
  if (wanted && gzipAccepted.test(request.headers['accept-encoding'] ?? ''))
    (response as Marked)[compression] = wanted === true ? {} : wanted
}

/** Sends a whole answer, compressed if that makes it smaller. `of`: the session that counts it while it is unread. */
export function sendWhole(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  of?: Answered,
): void {
  const options = (response as Marked)[compression]
  const isSmall = body.length < (options?.threshold ?? defaultThreshold)
  if (!options || isSmall || packing + body.length > mostPacking) {
    give(response, headers, body, of)
    return
  }
  claim(response)
  packing += body.length
  gzip(body, { ...defaults, ...options }, (error, packed) => {
    packing -= body.length
    unclaim(response)
    const smaller = !error && packed.length < body.length
    give(
      response,
      smaller ? { ...headers, 'Content-Encoding': 'gzip' } : headers,
      smaller ? packed : body,
      of,
    )
  })
}

function give(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  of: Answered | undefined,
): void {
  // The copied headers come last: V8 makes a hidden class of its own for each object that begins with a copy and has more properties.
  if (!writeHead(response, 200, { 'Content-Length': body.length, ...headers })) return
  response.end(body)
  answerGiven(response, body.length, of)
}

/** Begins a streamed answer. Data written to the returned stream is sent at once. */
export function startStream(response: ServerResponse, headers: Readonly<Record<string, string>>): Writable {
  const options = (response as Marked)[compression]
  if (!options) {
    writeHead(response, 200, headers)
    return response
  }
  writeHead(response, 200, { ...headers, 'Content-Encoding': 'gzip' })
  const packer = createGzip({ ...defaults, ...options, flush: constants.Z_SYNC_FLUSH })
  packer.pipe(response)
  // Data written after the end of the connection, or of an answer that the application ended, is lost with it.
  packer.on('error', ignore)
  response.on('error', ignore)
  response.on('close', () => packer.destroy())
  return packer
}

function ignore(): void {}
