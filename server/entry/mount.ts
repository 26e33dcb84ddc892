/**
 * `app.use('/realtime', realtime.middleware)`: a middleware that also gets WebSocket handshakes, because they go through the
 * application like every request. Without another listener for `upgrade` on the HTTP server Node brings them by itself;
 * with one, they are taken before it, as soon as it is known where the middleware is mounted.
 *
 * Express says where that is when it mounts. Elsewhere a request has to show it, and anybody can send one to any address: if a
 * mark in the URL were enough, a stranger could make us take the upgrades of another library. So a request teaches the mount
 * only once it has turned out to be everwire's own: it found a session or was let in as a new one, or it is an event stream
 * whose ticket is valid, or a WebSocket that was let in. Probes teach nothing, because everybody's are answered.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type MountedRequest, markIn, pathOf } from '../base/request.ts'
import { type AttachedHost, attach, isAttached } from './attach.ts'
import { StandIn } from './stand-in.ts'
import { asRequest } from './takeover.ts'

export type Next = (error?: unknown) => void
export type Middleware = (request: IncomingMessage, response: ServerResponse, next?: Next) => void

/** As much of an Express application as is needed to know where one is mounted. */
interface Application {
  readonly parent?: Application
  readonly mountpath?: string | string[]
}

/** Express treats what has these as a sub-application, and tells it where it is mounted. */
interface SubApplication extends Application {
  handle: Middleware
  set(): void
  emit(event: string, parent: Application): void
}

const maxSeen = 64

/** What a request will have shown once it is understood. */
const lessons = new WeakMap<IncomingMessage, () => void>()

/** The request was everwire's own: the mount that it came through may rely on what it showed. */
export function understood(request: IncomingMessage): void {
  lessons.get(request)?.()
  lessons.delete(request)
}

/** What of mounts can be seen when a connection comes in, before its first request. */
const mounts = new Set<WeakRef<Mount>>()

export class Mount {
  readonly middleware: Middleware
  /** Where applications have it; they may themselves be mounted later. */
  readonly #places: { readonly application: Application; readonly path: string }[] = []
  /** Where requests have found it lately: in a router, or below a parameter, that can be anywhere. */
  readonly #seen = new Set<string>()
  readonly #attached: AttachedHost
  readonly #path: string | undefined
  readonly #detach = new Set<() => void>()

  /** `path`: the only one that is taken, below the mount or as it stands; any if it is undefined. */
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
    }
    const middleware: Middleware = (request, response, next) => {
      this.#look(request)
      handle(request, response, next)
    }
    const emit = (event: string, parent: Application): void => {
      if (event === 'mount') this.#mounted(sub.mountpath, parent)
    }
    const sub: SubApplication = Object.assign(middleware, { handle: middleware, set: () => {}, emit })
    this.middleware = middleware
  }

  /** A connection came in on a server that others take upgrades from: is it one whose application we are part of? */
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

  /** A request may show where the middleware is, however deep in routers. */
  #look(request: MountedRequest): void {
    const server = serverOf(request.socket)
    if (server === undefined) return
    this.#attach(server)
    if (markIn(request) === undefined && request.headers.upgrade === undefined) return
    const full = pathOf(request.originalUrl ?? request.url ?? '')
    const rest = pathOf(request.url ?? '')
    const mounted = request.originalUrl !== undefined
    const prefix = mounted ? normal(rest === '/' ? full : full.slice(0, full.length - rest.length)) : ''
    // At the root there may be others, too: what is shown is this address alone.
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

let listening = false

function listen(): void {
  if (listening) return
  listening = true
  subscribe('net.server.socket', (message) => {
    const server = serverOf((message as { socket: Socket }).socket)
    if (server === undefined || server.listenerCount('upgrade') === 0) return
    for (const reference of mounts) {
      const mount = reference.deref()
      if (mount) mount.adopt(server)
      else mounts.delete(reference)
    }
  })
}

/** Node's HTTP servers put themselves on their connections. */
function serverOf(socket: Socket): Server | undefined {
  return (socket as Socket & { server?: Server }).server
}

function rootOf(application: Application): Application {
  return application.parent ? rootOf(application.parent) : application
}

/** Where `path` of this application is for the outside. */
function prefixesOf(application: Application, path: string): string[] {
  if (application.parent === undefined) return [normal(path)]
  const own = [application.mountpath].flat().filter((one) => typeof one === 'string')
  return own.flatMap((one) => prefixesOf(application.parent as Application, `${one}/${path}`))
}

function normal(path: string): string {
  return path.replace(/\/+/g, '/').replace(/\/$/, '')
}
