/**
 * Functions for Node's responses of HTTP/1 and HTTP/2. Middleware with a time limit may already have answered, and the client
 * may have gone, which is normal: then these functions do nothing. None of them throws.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Writable } from 'node:stream'
import { type Refusal, refusalAsHttp } from './handshake.ts'
import { answerGiven, answerRefused, isGone, isLast } from './unread.ts'

const claimed: unique symbol = Symbol('claimed')
type Claimable = ServerResponse & { [claimed]?: true }

/** HTTP/2 has no such headers, and Node throws if one is set (RFC 9113, 8.2.2). */
const ofConnection = /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings)$/i

/** Whether the answer was given, is promised by `claim`, or has nobody to read it. */
export function isOver(response: ServerResponse): boolean {
  return response.headersSent || response.destroyed || claimed in response || isGone(response)
}

/** Reserves the answer for `writeHead`, after `unclaim`. */
export function claim(response: ServerResponse): void {
  ;(response as Claimable)[claimed] = true
}

export function unclaim(response: ServerResponse): void {
  delete (response as Claimable)[claimed]
}

/** Writes the head of an answer. Returns false if the answer was given or nobody is there: then no body may follow. */
export function writeHead(
  response: ServerResponse,
  status: number,
  headers: Readonly<OutgoingHttpHeaders>,
): boolean {
  if (isOver(response)) return false
  if (isLast(response)) response.shouldKeepAlive = false
  response.writeHead(status, streamOf(response) ? withoutConnection(headers) : headers)
  return true
}

/** Refuses, with the reason as the body. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const { headers, body } = refusalAsHttp(refusal)
  const all = { ...headers, 'Cache-Control': 'no-store', ...refusal.headers }
  if (!writeHead(response, refusal.status, all)) return
  response.end(body)
  answerGiven(response, body.length)
  answerRefused(response, refusal)
}

/** Writes, unless we, the application or the end of the connection have ended `out`. */
export function writeOn(out: Writable, data: string | Uint8Array): void {
  if (!out.writableEnded && !out.destroyed && !streamOf(out)?.destroyed) out.write(data)
}

/** Ends an answer that was begun. While the server is closing, its connection ends with it. */
export function endOn(out: Writable, response: ServerResponse): void {
  if (isLast(response)) {
    // Node has announced a connection that is kept.
    const { socket } = response
    response.once('finish', () => socket?.destroySoon())
  }
  out.end()
}

/** Whether to wait for 'drain'. A response of HTTP/2 does not tell, but its stream does. */
export function needsDrain(out: Writable): boolean {
  return out.writableNeedDrain ?? streamOf(out)?.writableNeedDrain ?? false
}

/** The stream below a response of HTTP/2. */
function streamOf(out: Writable | ServerResponse): ServerHttp2Stream | undefined {
  return (out as Writable & Partial<Http2ServerResponse>).stream
}

function withoutConnection(headers: Readonly<OutgoingHttpHeaders>): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.test(name)))
}
