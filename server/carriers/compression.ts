/** Compression of the answers of the HTTP transports, for clients that take gzip: whole ones, and streams piece by piece. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { constants, createGzip, gzip, type ZlibOptions } from 'node:zlib'
import { claim, unclaim, writeHead } from '../base/responses.ts'
import { type Answered, answerGiven } from '../base/unread.ts'

/** Those of zlib. By default `level` is 1, `memLevel` 6 and `windowBits` 13: a stream costs tens of kilobytes, not hundreds. */
export interface HttpCompressionOptions extends ZlibOptions {
  /** Answers of fewer bytes are left as they are; a stream is compressed from its beginning. Default 1024. */
  threshold?: number
}

const defaults: ZlibOptions = { level: 1, memLevel: 6, windowBits: 13 }
const defaultThreshold = 1024
const gzipAccepted = /(?:^|,)\s*(?:gzip|\*)\s*(?:$|,|;(?!\s*q=0(?:\.0*)?\s*(?:$|,)))/i

const compression: unique symbol = Symbol('compression')
type Marked = ServerResponse & { [compression]?: HttpCompressionOptions }

/** The answers to this request may be compressed, if the server does so and the client understands it. */
export function allowCompression(
  request: IncomingMessage,
  response: ServerResponse,
  wanted: boolean | HttpCompressionOptions | undefined,
): void {
  if (wanted && gzipAccepted.test(request.headers['accept-encoding'] ?? ''))
    (response as Marked)[compression] = wanted === true ? {} : wanted
}

/** Sends a whole answer, compressed where that makes it smaller. `of`: where it counts while nobody reads it. */
export function sendWhole(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  of?: Answered,
): void {
  const options = (response as Marked)[compression]
  if (!options || body.length < (options.threshold ?? defaultThreshold)) {
    give(response, headers, body, of)
    return
  }
  claim(response)
  gzip(body, { ...defaults, ...options }, (error, packed) => {
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
  if (!writeHead(response, 200, { ...headers, 'Content-Length': body.length })) return
  response.end(body)
  answerGiven(response, body.length, of)
}

/** Begins an answer that goes on, and is not over yet. What is written to what it returns is on its way at once. */
export function startStream(response: ServerResponse, headers: Readonly<Record<string, string>>): Writable {
  const options = (response as Marked)[compression]
  if (!options) {
    writeHead(response, 200, headers)
    return response
  }
  writeHead(response, 200, { ...headers, 'Content-Encoding': 'gzip' })
  const packer = createGzip({ ...defaults, ...options, flush: constants.Z_SYNC_FLUSH })
  packer.pipe(response)
  // What is written after the end of the connection, or of an answer that the application has ended, is lost with it.
  packer.on('error', ignore)
  response.on('error', ignore)
  response.on('close', () => packer.destroy())
  return packer
}

function ignore(): void {}
