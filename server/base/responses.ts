/**
 * Node's response, of HTTP/1 or HTTP/2, whatever has become of it. Middleware with a time limit may have answered, and the client
 * may have gone: that is a normal case. Then these functions do nothing, and none of them throws.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import type { Writable } from 'node:stream'
import { type Refusal, refusalAsHttp } from './handshake.ts'

const claimed: unique symbol = Symbol('claimed')
type Claimable = ServerResponse & { [claimed]?: true }

/** HTTP/2 has no such headers, and Node throws where one is set (RFC 9113, 8.2.2). */
const ofConnection = /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings)$/i

/** The answer is given, or promised by `claim`, or nobody is there to get it. */
export function isOver(response: ServerResponse): boolean {
  if (response.headersSent || response.destroyed || claimed in response) return true
  const stream = streamOf(response)
  // A response that waits behind another one of its connection does not hear that the connection is gone.
  return stream ? stream.destroyed || stream.closed : response.req?.socket?.destroyed === true
}

/** The answer is under way and will be given by `writeHead`, after `unclaim`. */
export function claim(response: ServerResponse): void {
  ;(response as Claimable)[claimed] = true
}

export function unclaim(response: ServerResponse): void {
  delete (response as Claimable)[claimed]
}

/** Gives an answer its head. Returns false if the answer is given or gone: then it takes no body either. */
export function writeHead(
  response: ServerResponse,
  status: number,
  headers: Readonly<OutgoingHttpHeaders>,
): boolean {
  if (isOver(response)) return false
  response.writeHead(status, streamOf(response) ? withoutConnection(headers) : headers)
  return true
}

/** Says no, with the reason as the body. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const { headers, body } = refusalAsHttp(refusal)
  if (writeHead(response, refusal.status, { ...headers, 'Cache-Control': 'no-store', ...refusal.headers })) {
    response.end(body)
  }
}

/** Writes on, if what it writes to has not been ended: by us, by the application, or with its connection. */
export function writeOn(out: Writable, data: string | Uint8Array): void {
  if (!out.writableEnded && !out.destroyed && !streamOf(out)?.destroyed) out.write(data)
}

/** Whether 'drain' is to be waited for. A response of HTTP/2 does not say it itself. */
export function needsDrain(out: Writable): boolean {
  return out.writableNeedDrain ?? streamOf(out)?.writableNeedDrain ?? false
}

/** The stream of a response of HTTP/2. */
function streamOf(out: Writable | ServerResponse): ServerHttp2Stream | undefined {
  return (out as Writable & Partial<Http2ServerResponse>).stream
}

function withoutConnection(headers: Readonly<OutgoingHttpHeaders>): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.test(name)))
}
