/** `ws`'s WebSocketServer, whose clients may come over any transport. */
import { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { subprotocol, type Welcome } from '../shared/control.ts'
import { Ask, type RequestHead } from '../shared/exchange.ts'
import type { Limits } from '../shared/limits.ts'
import { choose, verify } from './admission.ts'
import { attach } from './attach.ts'
import { wakeAt } from './clock.ts'
import { addAnswerHeaders, Completer } from './completer.ts'
import type { Data, SendOptions } from './data.ts'
import { Diagnostics } from './diagnostics.ts'
import { Exchanges, refuse, type Sessions } from './exchanges.ts'
import {
  checkHandshake,
  type Handshake,
  isUpgrade,
  type Refusal,
  readHandshake,
  refuseUpgrade,
  showOffered,
} from './handshake.ts'
import { type Middleware, Mount, type Next } from './mount.ts'
import { limitsOf, type ResolvedOptions, resolveOptions, type ServerOptions } from './options.ts'
import { refuseOrigin, warnOnce } from './origins.ts'
import { PlainSocket } from './plain-socket.ts'
import { idOf, Registry } from './registry.ts'
import { type MountedRequest, markIn, pathOf, plainUrl } from './request.ts'
import { scriptName, serveScript } from './script.ts'
import { type Home, SessionSocket } from './session-socket.ts'
import { type Socket, shownFor } from './socket.ts'
import { type House, StandIn } from './stand-in.ts'
import { takeOver } from './takeover.ts'
import { Topics } from './topics.ts'
import { rethrow } from './turn.ts'
import { WebSocketCarrier } from './websocket-carrier.ts'

export interface ServerEvents {
  connection: [socket: Socket, request: IncomingMessage]
  headers: [headers: string[], request: IncomingMessage]
  listening: []
  error: [error: Error]
  close: []
  wsClientError: [error: Error, socket: Duplex, request: IncomingMessage]
}

export type UpgradeCallback = (socket: Socket, request: IncomingMessage) => void

/** A session that the application has not seen yet, and how it will. */
interface Unannounced {
  readonly request: MountedRequest
  readonly callback: UpgradeCallback
}

export class WebSocketServer extends EventEmitter<ServerEvents> {
  /** The options in use; what is changed here counts from then on. */
  readonly options: ResolvedOptions
  /** Undefined with `clientTracking: false`, as in `ws`. */
  declare readonly clients: Set<Socket>
  /** For `app.use`, or for any handler of requests: also takes WebSocket handshakes. */
  readonly middleware: Middleware
  /** The name of the path without a `path` option, in `ws`'s manner. */
  declare readonly path: string

  #limits: Limits | undefined
  readonly #topics = new Topics()
  readonly #registry: Registry
  readonly #unannounced = new Map<SessionSocket, Unannounced>()
  readonly #home: Home = {
    options: () => this.options,
    ended: (socket) => this.#gone(socket),
    forgotten: (socket) => {
      this.#registry.delete(socket)
      this.#unannounced.delete(socket)
    },
  }
  /** Shows a new client to the application. */
  readonly #connected: UpgradeCallback = (socket, request) => this.emit('connection', socket, request)
  readonly #completer: Completer
  readonly #diagnostics: Diagnostics
  readonly #exchanges: Exchanges
  readonly #mount: Mount
  #server: Server | undefined
  #owned = false
  #release: (() => void) | undefined
  /** Where this is one of those that are asked for sessions over HTTP. */
  readonly #among = new Set<Set<House>>()
  #state: 'running' | 'closing' | 'closed' = 'running'
  #stopping = false
  #stopped = false
  #openSessions = 0
  #open = 0

  constructor(options: ServerOptions = {}, callback?: () => void) {
    super()
    this.options = resolveOptions(options)
    if (options.origins === undefined) warnOnce(this.options)
    if (this.options.path !== undefined) this.path = this.options.path
    if (this.options.clientTracking) this.clients = new Set()
    this.#registry = new Registry(this.options)
    this.#completer = new Completer(this.options, {
      headers: (headers, request) => this.emit('headers', headers, request),
      refused: (request, socket, reason) => this.#refuseHandshake(request, socket, { status: 400, reason }),
    })
    this.#diagnostics = new Diagnostics(this.options)
    const sessions: Sessions = {
      options: this.options,
      registry: this.#registry,
      diagnostics: this.#diagnostics,
      admit: (head, offered, request, response, show = this.#connected) =>
        this.#admit(head, offered, request, show, response),
      announce: (socket) => this.#announce(socket),
      welcome: (socket) => JSON.stringify({ got: socket.session.received.number, ...this.#welcome(socket) }),
    }
    this.#exchanges = new Exchanges(sessions)
    this.#mount = new Mount(this.options.path, (request, response, next) =>
      this.#serve(request, response, next),
    )
    this.middleware = this.#mount.middleware
    if (this.options.port !== undefined) this.#listen(callback)
    else if (this.options.server) this.#share(this.options.server)
  }

  /** Where the HTTP server listens. */
  address(): AddressInfo | string | null {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode')
    return this.#state === 'running' ? (this.#server?.address() ?? null) : null
  }

  /** Whether a request is for this server: by the option `path`. */
  shouldHandle(request: IncomingMessage): boolean {
    const { path } = this.options
    return path === undefined || pathOf(request.url ?? '') === path || pathOf(plainUrl(request)) === path
  }

  /**
   * Completes a WebSocket handshake that `upgrade` brought. `callback` gets the socket of a new client; one that
   * resumes its session is no new client.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, callback: UpgradeCallback): void {
    if (upgrading.has(socket)) {
      throw new Error(
        'server.handleUpgrade() was called more than once with the same socket, possibly due to a misconfiguration',
      )
    }
    upgrading.add(socket)
    const upgraded =
      socket instanceof StandIn
        ? this.#openBehind(socket, request, callback)
        : this.#upgrade(request, socket, head, callback)
    upgraded.catch(rethrow)
  }

  /** Takes a request of the HTTP transports, and returns whether it is one. */
  handleRequest(request: IncomingMessage, response: ServerResponse): boolean {
    const mark = markIn(request)
    if (mark === undefined || !this.shouldHandle(request)) return false
    this.#exchanges.handle(request, response, mark).catch(rethrow)
    return true
  }

  /** To all who subscribed to the topic. Returns how many they are. */
  publish(topic: string, data: Data, options?: SendOptions): number {
    return this.#topics.publish(topic, data, options)
  }

  /** Lets no new client in; those there are stay, and `close` is emitted when the last has gone. */
  close(callback?: (error?: Error) => void): void {
    if (this.#state === 'closed') {
      if (callback) this.once('close', () => callback(new Error('The server is not running')))
      process.nextTick(() => this.emit('close'))
      return
    }
    if (callback) this.once('close', () => callback())
    if (this.#state === 'closing') return
    this.#state = 'closing'
    this.#diagnostics.close()
    process.nextTick(() => this.#maybeClosed())
    if (!this.#owned) this.#stopped = true
    else if (!this.#hasSessions) this.#stopListening()
  }

  // ---- ways in ----

  #listen(callback: (() => void) | undefined): void {
    const server = createServer((request, response) => this.#serve(request, response, undefined))
    this.#server = server
    this.#owned = true
    server.on('upgrade', (request, socket, head) => {
      this.handleUpgrade(request, socket, head, this.#connected)
    })
    server.on('listening', () => this.emit('listening'))
    server.on('error', (error) => this.emit('error', error))
    const { port, host, backlog } = this.options
    server.listen({ port, host, backlog }, callback)
  }

  #share(server: Server): void {
    this.#server = server
    const detach = attach(server, {
      upgrade: (request, socket, head) => {
        if (!this.shouldHandle(request)) return false
        this.handleUpgrade(request, socket, head, this.#connected)
        return true
      },
      request: (request, response) => {
        const marked = isUpgrade(request) || markIn(request) !== undefined
        const ours = (marked && this.shouldHandle(request)) || this.#isScript(request)
        if (ours) this.#serve(request, response, undefined)
        return ours
      },
    })
    const listening = (): void => {
      this.emit('listening')
    }
    const failed = (error: Error): void => {
      this.emit('error', error)
    }
    server.on('listening', listening)
    server.on('error', failed)
    this.#release = () => {
      detach()
      server.off('listening', listening)
      server.off('error', failed)
    }
  }

  /** Any request that reached the mount. */
  #serve(request: MountedRequest, response: ServerResponse, next: Next | undefined): void {
    if (isUpgrade(request)) {
      if (this.shouldHandle(request)) this.#takeOver(request, response)
      else if (next) next()
      else refuse(response, { status: 400, reason: 'Nothing is here' })
    } else if (this.handleRequest(request, response)) return
    else if (this.#isScript(request)) serveScript(request, response)
    else if (next) next()
    else {
      const headers = { Upgrade: 'websocket', Connection: 'Upgrade, close', 'Sec-WebSocket-Version': '13, 8' }
      refuse(response, { status: 426, reason: 'Upgrade Required', headers })
    }
  }

  #takeOver(request: MountedRequest, response: ServerResponse): void {
    const { socket, head, headers } = takeOver(request, response)
    addAnswerHeaders(request, headers)
    request.url = plainUrl(request)
    this.handleUpgrade(request, socket, head, this.#connected)
  }

  #isScript(request: MountedRequest): boolean {
    if (!this.options.serveClient) return false
    const path = pathOf(request.url ?? '')
    return path === `${this.options.path ?? ''}/${scriptName}` || path === `/${scriptName}`
  }

  // ---- handshakes ----

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
  ): Promise<void> {
    // Until `ws` has it, an error of the connection is nobody's.
    socket.on('error', ignore)
    if (!this.shouldHandle(request)) {
      refuseUpgrade(socket, { status: 400, reason: 'Nothing is here' })
      return
    }
    const handshake = checkHandshake(request) ?? readHandshake(request)
    if ('reason' in handshake) {
      this.#refuseHandshake(request, socket, handshake)
      return
    }
    const refusal = refuseOrigin(request, this.options)
    if (refusal) refuseUpgrade(socket, refusal)
    else if (handshake.head)
      await this.#upgradeSession(request, socket, head, callback, { ...handshake, head: handshake.head })
    else await this.#upgradePlain(request, socket, head, callback, handshake)
  }

  /** The opening of a session over HTTP, which somebody else's listener was shown as an upgrade. */
  async #openBehind(standIn: StandIn, request: MountedRequest, callback: UpgradeCallback): Promise<void> {
    const response = standIn.takenBy(this.#exchanges)
    this.#among.add(standIn.houses)
    if (!this.shouldHandle(request)) {
      refuse(response, { status: 400, reason: 'Nothing is here' })
      return
    }
    const handled = this.#exchanges.handle(request, response, standIn.mark, (client, asked) => {
      standIn.lastAs(client)
      callback(client, asked)
    })
    // It has been read, and need not be kept for as long as the request is held.
    delete request.rawBody
    await handled
  }

  async #upgradePlain(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
    { offered }: Handshake,
  ): Promise<void> {
    const decided = await this.#decide(request, offered)
    const protocol = this.#full() ?? decided
    if (typeof protocol !== 'string') {
      refuseUpgrade(socket, protocol)
      return
    }
    this.#complete('plain', request, socket, head, protocol, (webSocket) => {
      const { maxBuffered } = this.options
      const client = new PlainSocket(webSocket, socket, protocol, maxBuffered, this.#topics, this.#home)
      this.#show(client, request, callback)
      client.flush()
    })
  }

  async #upgradeSession(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
    { offered, head: session }: Handshake & { head: RequestHead },
  ): Promise<void> {
    if (this.#diagnostics.takes(session)) {
      const probe = this.#diagnostics.webSocket(session)
      if ('reason' in probe) refuseUpgrade(socket, probe)
      else this.#complete('probe', request, socket, head, subprotocol, probe)
      return
    }
    let found = await this.#registry.find(session)
    if (found === 'unknown' && (session.ask & Ask.open) !== 0) {
      const refusal = await this.#registry.open(session, () =>
        this.#admit(session, offered, request, callback),
      )
      if (refusal) {
        refuseUpgrade(socket, refusal)
        return
      }
      found = await this.#registry.find(session)
    }
    const client = found
    // One that was not offered would end the handshake; the welcome says it, and ends the session instead.
    const offers = client !== 'unknown' && offered.has(client.protocol)
    const protocol = offers ? client.protocol : subprotocol
    this.#complete('carrier', request, socket, head, protocol, (webSocket) => {
      if (client === 'unknown') {
        WebSocketCarrier.refuse(webSocket, 'unknown session')
        return
      }
      const carrier = new WebSocketCarrier(client, webSocket, socket, session)
      const standby = (session.ask & Ask.standby) !== 0
      if (!carrier.begin(this.#welcome(client), session.has, standby)) return
      this.#announce(client)
      client.settle()
      client.flush()
    })
  }

  #complete(...[kind, request, socket, head, protocol, done]: Parameters<Completer['complete']>): void {
    socket.off('error', ignore)
    upgrading.delete(socket)
    this.#completer.complete(kind, request, socket, head, protocol, done)
  }

  #refuseHandshake(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    if (this.listenerCount('wsClientError') === 0) refuseUpgrade(socket, refusal)
    else this.emit('wsClientError', new Error(refusal.reason), socket, request)
  }

  /** Decides about a new session, once, and makes it. */
  async #admit(
    head: RequestHead,
    offered: Set<string>,
    request: MountedRequest,
    callback: UpgradeCallback,
    response?: ServerResponse,
  ): Promise<Refusal | undefined> {
    if (response) {
      request.url = plainUrl(request)
      showOffered(request, offered)
    }
    const decided = await this.#decide(request, offered, response)
    const protocol = this.#full() ?? decided
    if (typeof protocol !== 'string') return protocol
    this.#limits = limitsOf(this.options, this.#limits)
    const socket = new SessionSocket(idOf(head), protocol, this.#limits, this.#topics, this.#home)
    this.#registry.add(head, socket)
    this.#unannounced.set(socket, { request, callback })
    wakeAt(socket, socket.session.nextTimeout())
    return undefined
  }

  #announce(socket: SessionSocket): void {
    const unannounced = this.#unannounced.get(socket)
    if (unannounced === undefined) return
    this.#unannounced.delete(socket)
    socket.announce()
    this.#show(socket, unannounced.request, unannounced.callback)
  }

  #show(socket: PlainSocket | SessionSocket, request: IncomingMessage, callback: UpgradeCallback): void {
    const { WebSocket } = this.options as ServerOptions
    try {
      if (WebSocket) new WebSocket(socket as never)
    } catch (error) {
      socket.terminate()
      throw error
    }
    this.#came(socket)
    callback(shownFor(socket), request)
  }

  /** Whether a new client is let in; if so, the subprotocol for it. */
  async #decide(
    request: IncomingMessage,
    offered: Set<string>,
    response?: ServerResponse,
  ): Promise<Refusal | string> {
    try {
      const refusal = this.#full() ?? (await verify(this.options, request))
      if (refusal) return refusal
      if (response) this.#addHeaders(request, response)
      return choose(this.options, offered, request)
    } catch (error) {
      // The client is not left hanging.
      rethrow(error)
      return { status: 500, reason: 'Internal Server Error' }
    }
  }

  /** Asked before and after: any number of clients may be under verification at the same time. */
  #full(): Refusal | undefined {
    if (this.#state !== 'running') return { status: 503, reason: 'The server is closing' }
    if (this.#open + this.#unannounced.size < this.options.maxClients) return undefined
    return { status: 503, reason: 'Too many clients' }
  }

  #addHeaders(request: IncomingMessage, response: ServerResponse): void {
    if (this.listenerCount('headers') === 0) return
    const headers: string[] = []
    this.emit('headers', headers, request)
    for (const header of headers) {
      const colon = header.indexOf(':')
      if (colon > 0) response.appendHeader(header.slice(0, colon), header.slice(colon + 1).trim())
    }
  }

  #welcome(socket: SessionSocket): Omit<Welcome, 'got' | 'start'> {
    const { heartbeat, patience, maxBody } = this.options
    return { protocol: socket.protocol, heartbeat, patience, maxBody }
  }

  // ---- clients ----

  #came(socket: Socket): void {
    this.#open++
    if (socket instanceof SessionSocket) this.#openSessions++
    this.clients?.add(shownFor(socket))
  }

  #gone(socket: Socket): void {
    this.#open--
    if (socket instanceof SessionSocket) this.#openSessions--
    this.clients?.delete(shownFor(socket))
    if (this.#state === 'closing') process.nextTick(() => this.#maybeClosed())
  }

  /** Who may go on needs to reach us: each request may come over a new connection. */
  get #hasSessions(): boolean {
    return this.clients !== undefined && this.#openSessions > 0
  }

  /** Our HTTP server waits for its last connection: not for clients to confirm their end, or to ask for something else. */
  #stopListening(): void {
    const server = this.#server
    if (this.#stopping || !server) return
    this.#stopping = true
    for (const socket of this.#registry.sockets) socket.dismiss()
    Object.assign(server, { keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 })
    server.close(() => {
      this.#stopped = true
      this.#maybeClosed()
    })
  }

  #maybeClosed(): void {
    if (this.#state !== 'closing') return
    if (!this.#stopped && !this.#hasSessions) this.#stopListening()
    if (!this.#stopped || (this.clients && this.#open > 0)) return
    this.#state = 'closed'
    this.#release?.()
    for (const houses of this.#among) houses.delete(this.#exchanges)
    this.#mount.close()
    this.emit('close')
  }
}

/** Connections whose handshake is being decided about. */
const upgrading = new WeakSet<Duplex>()

function ignore(): void {}
