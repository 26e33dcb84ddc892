/**
 * Makes a WebSocket of a handshake that arrived as an ordinary request. Node hands a handshake to the application as a
 * request while nobody listens for `upgrade`, so it went through the application's middleware.
 */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { endConnection, showConnectAsUpgrade } from '../base/handshake.ts'
import { Http2Connection, refuseByAnswer } from '../base/http2-connection.ts'

/** Handshakes that came as `upgrade` and were sent through the application as requests, with the bytes that followed. */
const upgraded = new WeakMap<IncomingMessage, Buffer>()

const empty = Buffer.alloc(0)

export interface TakenOver {
  readonly socket: Duplex
  /** The bytes that the client sent after its handshake. */
  readonly head: Buffer
  /** Headers that the application's middleware set for the answer. */
  readonly headers: string[]
}

/** Node's servers set their parser as a property of their connections. */
type ParsedSocket = Socket & { readonly parser?: { remove?(): void } | null }
/** Node's servers also set themselves as a property of their connections. */
type ServedSocket = Socket & { readonly server?: Server }

/**
 * Whether an earlier request on this connection has not been answered yet, so that the connection cannot be taken. A response
 * to this very request does not count: a framework creates one to send the handshake through its routes.
 */
export function isBehindAnother(request: IncomingMessage, socket: Duplex): boolean {
  const { _httpMessage: underWay } = socket as { _httpMessage?: ServerResponse | null }
  return underWay != null && underWay.req !== request
}

/** Takes the connection from its response, and from the parser of requests if it has one. With HTTP/2 it takes the stream. */
export function takeOver(request: IncomingMessage, response: ServerResponse): TakenOver {
  const { socket } = request
  const headers = cookiesOf(response)
  if (request.httpVersionMajor >= 2) {
    response.emit('finish')
    return { socket: new Http2Connection(request, response), head: empty, headers }
  }
  const head = upgraded.get(request)
  upgraded.delete(request)
  response.statusCode = 101
  finish(response, socket)
  if (head === undefined) {
    // A listener for data makes Node's parser release the connection. Then Node's own listeners are not needed.
    socket.on('data', ignore)
    for (const event of ['data', 'end', 'drain', 'timeout', 'error']) {
      // Remove them one by one: removing all at once would leave a slow and large list.
      for (const listener of socket.listeners(event)) socket.off(event, listener as () => void)
    }
    socket.pause()
    // The parser is still running, and the server keeps the connection in its list until the parser is done.
    process.nextTick(freeParser, socket)
  }
  socket.setTimeout(0)
  return { socket, head: head ?? empty, headers }
}

/**
 * Finishes the response for Node's server and for loggers, which would otherwise keep it as long as the connection. After a response
 * Node's server sets a timer for the next request, which the connection would keep; here no request follows.
 */
function finish(response: ServerResponse, { server }: ServedSocket): void {
  if (!server) {
    response.emit('finish')
    return
  }
  const { keepAliveTimeout } = server
  server.keepAliveTimeout = 0
  try {
    response.emit('finish')
  } finally {
    server.keepAliveTimeout = keepAliveTimeout
  }
}

/** Frees the parser as Node does for an `upgrade`. Node's listener for the end of the connection can do it. */
function freeParser(socket: ParsedSocket): void {
  socket.parser?.remove?.()
  for (const listener of socket.listeners('close')) {
    if (listener.name !== 'bound socketOnClose') continue
    socket.off('close', listener as () => void)
    listener.call(socket)
  }
  // Without a parser, a new listener makes Node remove its own wrappers of `on`.
  socket.on('close', ignore).off('close', ignore)
}

/** Sends a handshake that came as `upgrade` through the application's middleware as a request. */
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
    // The application has answered, which means refused, unless the connection was taken over.
    if (upgraded.has(request)) endConnection(socket)
  })
  handle(request, response)
}

/** Sends a WebSocket over HTTP/2 through the application's middleware as a request, as Node does with a handshake of HTTP/1.1. */
export function connectAsRequest(
  request: IncomingMessage,
  response: ServerResponse,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  showConnectAsUpgrade(request)
  refuseByAnswer(request)
  handle(request, response)
}

function cookiesOf(response: ServerResponse): string[] {
  const cookies = response.getHeader('set-cookie')
  if (cookies === undefined) return []
  return (Array.isArray(cookies) ? cookies : [String(cookies)]).map((cookie) => `Set-Cookie: ${cookie}`)
}

function ignore(): void {}
