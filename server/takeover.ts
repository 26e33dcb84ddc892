/**
 * A WebSocket handshake that arrives as an ordinary request, which is what Node makes of it while nobody listens for
 * `upgrade`: it has gone through the application's middleware like any other, and becomes a WebSocket at its end.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Requests that were upgrades to Node, and were sent through the application as requests; with the bytes that followed. */
const upgraded = new WeakMap<IncomingMessage, Buffer>()

const empty = Buffer.alloc(0)

export interface TakenOver {
  readonly socket: Duplex
  /** What the client sent behind its handshake. */
  readonly head: Buffer
  /** Headers that the application's middleware wants in the answer. */
  readonly headers: string[]
}

/** Parts the connection from its response, and from the parser of requests if it still has one. */
export function takeOver(request: IncomingMessage, response: ServerResponse): TakenOver {
  const { socket } = request
  const head = upgraded.get(request)
  upgraded.delete(request)
  response.detachSocket(socket)
  // Whoever waits for the end of the response (a logger, say) learns it with the end of the connection.
  socket.once('close', () => response.emit('close'))
  if (head === undefined) {
    // Listening for data makes Node's parser let go of the connection; then its own listeners have nothing to do.
    socket.on('data', ignore)
    for (const event of ['data', 'end', 'drain', 'timeout', 'error']) socket.removeAllListeners(event)
    socket.pause()
  }
  socket.setTimeout(0)
  return { socket, head: head ?? empty, headers: cookiesOf(response) }
}

/** Sends what Node took for an upgrade through the application's middleware, as a request. */
export function asRequest(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  upgraded.set(request, head)
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  socket.on('error', ignore)
  response.once('finish', () => {
    response.detachSocket(request.socket)
    socket.end()
  })
  handle(request, response)
}

function cookiesOf(response: ServerResponse): string[] {
  const cookies = response.getHeader('set-cookie')
  if (cookies === undefined) return []
  return (Array.isArray(cookies) ? cookies : [String(cookies)]).map((cookie) => `Set-Cookie: ${cookie}`)
}

function ignore(): void {}
