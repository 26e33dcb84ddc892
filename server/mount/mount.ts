/**
 * `app.use('/realtime', realtime.middleware)`: a middleware that also gets WebSocket handshakes, because they go through the
 * application like every request. Node does that by itself if the HTTP server has no listener for `upgrade`. If there is
 * one, the mount takes its handshakes before that listener, as soon as it knows its own path.
 *
 * Express tells the path when it mounts. Elsewhere the mount learns it from a request, but anybody can send a request to any
 * path: if a mark in the URL were enough, a stranger could make us take the upgrades of another library. So only a request
 * that proved to be everwire's own counts: it found a session or opened a new one, or it is an event stream with a valid
 * ticket, or an admitted WebSocket. Probes do not count, because everybody's probes are answered.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { type MountedRequest, markIn, pathOf } from '../base/request.ts'
import { type AttachedHost, attach, isAttached, isHttp2 } from './attach.ts'
import { StandIn } from './stand-in.ts'
import { asRequest, connectAsRequest } from './takeover.ts'

export type Next = (error?: unknown) => void
/** A request listener for `app.use`, or for any server: requests that are not everwire's go to `next`. */
export type Middleware = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  next?: Next,
) => void

/** The part of an Express application that tells where it is mounted. */
interface Application {
  readonly parent?: Application
  readonly mountpath?: string | string[]
}

/** Express takes a function with these members for a sub-application, and tells it where it is mounted. */
interface SubApplication extends Application {
  handle: Middleware
  set(): void
  emit(event: string, parent: Application): void
}

const maxSeen = 64

/** For each request what the mount learns if the request proves to be everwire's own. */
const lessons = new WeakMap<IncomingMessage, () => void>()

/** Tells the mount that this request was everwire's own, so that the mount remembers its path. */
export function understood(request: IncomingMessage): void {
  lessons.get(request)?.()
  lessons.delete(request)
}

/** All mounts, for new connections: a mount must attach before the first request of a connection. */
const mounts = new Set<WeakRef<Mount>>()

export class Mount {
  readonly middleware: Middleware
  /** The applications that have mounted the middleware, and where. They may be mounted themselves later. */
  readonly #places: { readonly application: Application; readonly path: string }[] = []
  /** The paths of recent requests, for a middleware in a router or below a parameter. */
  readonly #seen = new Set<string>()
  readonly #attached: AttachedHost
  readonly #path: string | undefined
  readonly #detach = new Set<() => void>()

  /** `path`: the only path that is taken, below the mount or as it is; undefined takes any path. */
  constructor(
    path: string | undefined,
    handle: (request: MountedRequest, response: ServerResponse, next: Next | undefined) => void,
  ) {
    this.#path = path
    this.#attached = {
      isHere: (at) => this.#isHere(at),
      upgrade: (request, socket, head) => {
        const server = serverOf(request.socket)
        if (server === undefined || socket instanceof StandIn || !this.#isHere(pathOf(request.url ?? '')))
          return false
        asRequest(request, socket, head, (...args) => server.emit('request', ...args))
        return true
      },
      connect: (request, response, server) => {
        if (!this.#isHere(pathOf(request.url ?? ''))) return false
        connectAsRequest(request, response, (...args) => server.emit('request', ...args))
        return true
      },
    }
    const middleware: Middleware = (given, response, next) => {
      // A request of HTTP/2 has all members that are used here.
      const request = given as MountedRequest
      this.#look(request)
      handle(request, response as ServerResponse, next)
    }
    const emit = (event: string, parent: Application): void => {
      if (event === 'mount') this.#mounted(sub.mountpath, parent)
    }
    const sub: SubApplication = Object.assign(middleware, { handle: middleware, set: () => {}, emit })
    this.middleware = middleware
  }

  /** Attaches to a server with other listeners for `upgrade`, if the mount belongs to the server's application. */
  adopt(server: Server): void {
    if (isAttached(server, this.#attached)) return
    const listeners = server.listeners('request') as unknown[]
    for (const { application } of this.#places) {
      if (listeners.includes(rootOf(application))) {
        this.#attach(server)
        return
      }
    }
  }

  /** From now on sees new connections: their servers need to be known before the first handshake over HTTP/2. */
  watch(): void {
    listen()
  }

  close(): void {
    for (const detach of this.#detach) detach()
    this.#detach.clear()
  }

  #mounted(path: string | string[] | undefined, parent: Application): void {
    for (const one of [path].flat()) {
      if (typeof one === 'string') this.#places.push({ application: parent, path: one })
    }
    mounts.add(new WeakRef(this))
    listen()
  }

  /** Learns from a request where the middleware is, in any depth of routers. */
  #look(request: MountedRequest): void {
    const server = serverOf(request.socket)
    if (server === undefined) return
    this.#attach(server)
    if (markIn(request) === undefined && request.headers.upgrade === undefined) return
    const full = pathOf(request.originalUrl ?? request.url ?? '')
    const rest = pathOf(request.url ?? '')
    const mounted = request.originalUrl !== undefined
    const prefix = mounted ? normal(rest === '/' ? full : full.slice(0, full.length - rest.length)) : ''
    // Without a prefix the path may be shared with others, so the mount learns only this address.
    const shown = prefix === '' ? full : prefix
    if (this.#seen.has(shown)) this.#see(shown)
    else lessons.set(request, () => this.#see(shown))
  }

  #see(prefix: string): void {
    this.#seen.delete(prefix)
    this.#seen.add(prefix)
    if (this.#seen.size <= maxSeen) return
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest)
      return
    }
  }

  #attach(server: Server): void {
    if (!isAttached(server, this.#attached)) this.#detach.add(attach(server, this.#attached))
  }

  #isHere(path: string): boolean {
    if (path === this.#path) return true
    const places = this.#places.flatMap(({ application, path: below }) => prefixesOf(application, below))
    for (const prefix of [...places, ...this.#seen]) {
      if (this.#path !== undefined) {
        if (path === prefix + this.#path) return true
      } else if (prefix === '' || path === prefix || path.startsWith(`${prefix}/`)) return true
    }
    return false
  }
}

/**
 * Node hands a handshake of HTTP/1.1 to the application as a request while nobody listens for `upgrade`. It answers a WebSocket over
 * HTTP/2 with 405 while nobody listens for `connect`; with this host the application gets it in the same way.
 */
const asNodeDoes: AttachedHost = {
  upgrade: () => false,
  connect(request, response, server) {
    if (server.listenerCount('connect') > 0) return false
    connectAsRequest(request, response, (...args) => server.emit('request', ...args))
    return true
  },
}

let listening = false

function listen(): void {
  if (listening) return
  listening = true
  subscribe('net.server.socket', (message) => {
    const server = serverOf((message as { socket: Socket }).socket)
    if (server === undefined) return
    if (isHttp2(server) && !isAttached(server, asNodeDoes)) attach(server, asNodeDoes)
    if (server.listenerCount('upgrade') === 0) return
    for (const reference of mounts) {
      const mount = reference.deref()
      if (mount) mount.adopt(server)
      else mounts.delete(reference)
    }
  })
}

/** Node's HTTP servers set themselves as a property of their connections. */
function serverOf(socket: Socket): Server | undefined {
  return (socket as Socket & { server?: Server }).server
}

function rootOf(application: Application): Application {
  return application.parent ? rootOf(application.parent) : application
}

/** The full paths that lead to `path` of this application. */
function prefixesOf(application: Application, path: string): string[] {
  if (application.parent === undefined) return [normal(path)]
  const own = [application.mountpath].flat().filter((one) => typeof one === 'string')
  return own.flatMap((one) => prefixesOf(application.parent as Application, `${one}/${path}`))
}

function normal(path: string): string {
  return path.replace(/\/+/g, '/').replace(/\/$/, '')
}
