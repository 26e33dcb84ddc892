/**
 * Attaches everwire to another party's HTTP server. Our requests are taken before all other listeners, because some of them
 * answer every unknown upgrade with an error. All other requests are left alone.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { isUpgrade, type Refusal } from '../base/handshake.ts'
import { isWebSocketConnect } from '../base/http2-connection.ts'
import { markIn } from '../base/request.ts'
import { refuse } from '../base/responses.ts'

export interface AttachedHost {
  /** Whether the host is known to serve this path, although it takes requests only after the application. */
  isHere?(path: string): boolean
  /** Takes the request if it is the host's. Returns whether it did. */
  request?(request: IncomingMessage, response: ServerResponse): boolean
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean
  /** Takes a WebSocket over HTTP/2 if it is the host's. Returns whether it did. */
  connect?(request: IncomingMessage, response: ServerResponse, server: Server): boolean
}

/** As `ws` refuses a handshake. */
const wrongPath: Refusal = {
  status: 400,
  reason: 'No everwire server serves this path',
  headers: { Connection: 'close' },
}

const attached = new WeakMap<Server, Set<AttachedHost>>()

export function attach(server: Server, host: AttachedHost): () => void {
  const already = attached.get(server)
  const all = already ?? new Set<AttachedHost>()
  all.add(host)
  if (already === undefined) {
    attached.set(server, all)
    intercept(server, all)
    wakeHttp2(server)
  }
  return () => all.delete(host)
}

export function isAttached(server: Server, host: AttachedHost): boolean {
  return attached.get(server)?.has(host) ?? false
}

/** Whether another host serves this path. */
export function hasAttached(server: Server, path: string): boolean {
  for (const host of attached.get(server) ?? []) if (host.isHere?.(path)) return true
  return false
}

/** A server of HTTP/2 makes requests of its streams only from the first listener for `request` on, whether or not that one stays. */
function wakeHttp2(server: Server): void {
  // An application that takes streams answers them itself.
  if (!isHttp2(server) || server.listenerCount('stream') > 0) return
  server.on('request', none)
  server.off('request', none)
}

/** Node does not export the classes of its HTTP/2 servers; only these can change the settings of HTTP/2. */
export function isHttp2(server: Server): boolean {
  return 'updateSettings' in server
}

function none(): void {}

function intercept(server: Server, all: Set<AttachedHost>): void {
  const emit = server.emit
  server.emit = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'upgrade') {
      const [request, socket, head] = args as [IncomingMessage, Duplex, Buffer]
      for (const host of all) if (host.upgrade(request, socket, head)) return true
    } else if (event === 'request') {
      const [request, response] = args as [IncomingMessage, ServerResponse]
      // A request that was under way when the server closed would keep its connection, and so the server, for seconds.
      if (!server.listening && markIn(request) !== undefined) response.shouldKeepAlive = false
      for (const host of all) if (host.request?.(request, response)) return true
    } else if (event === 'connect') {
      // The second argument is a response for HTTP/2, and the connection for HTTP/1.
      const [request, response] = args as [IncomingMessage, ServerResponse]
      if (isWebSocketConnect(request))
        for (const host of all) if (host.connect?.(request, response, this)) return true
    }
    const heard = Reflect.apply(emit, this, [event, ...args]) as boolean
    if (!heard && event === 'request') {
      const [request, response] = args as [IncomingMessage, ServerResponse]
      // Without an answer the request would keep its connection for ever. That of a session comes when its server has closed.
      if (isUpgrade(request)) refuse(response, wrongPath)
      else if (markIn(request) !== undefined)
        refuse(response, { status: 404, reason: 'No everwire server serves this path' })
    }
    return heard
  } as Server['emit']
}
