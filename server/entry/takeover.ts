/**
 * A WebSocket handshake that arrives as an ordinary request, which is what Node makes of it while nobody listens for
 * `upgrade`: it has gone through the application's middleware like any other, and becomes a WebSocket at its end.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
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

/** Node's servers put their parser on their connections. */
type ParsedSocket = Socket & { readonly parser?: { remove?(): void } | null }

/**
 * Whether a request before this one on its connection is not answered yet: then the connection is not to be had. An answer to
 * this very request is its framework's, which has made one to send the handshake through its routes.
 */
export function isBehindAnother(request: IncomingMessage, socket: Duplex): boolean {
  const { _httpMessage: underWay } = socket as { _httpMessage?: ServerResponse | null }
  return underWay != null && underWay.req !== request
}

/** Parts the connection from its response, and from the parser of requests if it still has one. */
export function takeOver(request: IncomingMessage, response: ServerResponse): TakenOver {
  const { socket } = request
  const headers = cookiesOf(response)
  const head = upgraded.get(request)
  upgraded.delete(request)
  // To Node's server and to loggers the response is finished: they need not keep it for as long as the connection lasts.
  response.statusCode = 101
  response.emit('finish')
  if (head === undefined) {
    // Listening for data makes Node's parser let go of the connection; then its own listeners have nothing to do.
    socket.on('data', ignore)
    for (const event of ['data', 'end', 'drain', 'timeout', 'error']) {
      // One by one: taken away all at once, they leave a slow and large list behind.
      for (const listener of socket.listeners(event)) socket.off(event, listener as () => void)
    }
    socket.pause()
    // The parser is still at work, and the server counts the connection among its idle ones until it is through.
    process.nextTick(freeParser, socket)
  }
  socket.setTimeout(0)
  return { socket, head: head ?? empty, headers }
}

/** As Node does when it gives a connection to `upgrade`; there it is the listener for the connection's end that can do it. */
function freeParser(socket: ParsedSocket): void {
  socket.parser?.remove?.()
  for (const listener of socket.listeners('close')) {
    if (listener.name !== 'bound socketOnClose') continue
    socket.off('close', listener as () => void)
    listener.call(socket)
  }
  // Without a parser, the next listener makes Node take its wrappers for listening away.
  socket.on('close', ignore).off('close', ignore)
}

/** Sends what Node took for an upgrade through the application's middleware, as a request. */
export function asRequest(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  if (isBehindAnother(request, request.socket)) {
    socket.destroy()
    return
  }
  upgraded.set(request, head)
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  socket.on('error', ignore)
  response.once('finish', () => {
    response.detachSocket(request.socket)
    // Answered by the application, that is to say refused; unless it has been taken over.
    if (upgraded.has(request)) socket.end()
  })
  handle(request, response)
}

function cookiesOf(response: ServerResponse): string[] {
  const cookies = response.getHeader('set-cookie')
  if (cookies === undefined) return []
  return (Array.isArray(cookies) ? cookies : [String(cookies)]).map((cookie) => `Set-Cookie: ${cookie}`)
}

function ignore(): void {}
