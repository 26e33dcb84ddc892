/** The WebSocketServer of `ws`, with clients over any transport. */
import type { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Welcome } from '../../shared/frame.ts'
import { parseHeaderLine } from '../admission/admission.ts'
import { Clients } from '../admission/clients.ts'
import { refuseHost } from '../admission/hosts.ts'
import {
  type ResolvedOptions,
  resolveOptions,
  type ServerOptions,
  type SocketClass,
} from '../admission/options.ts'
import { warnOnce } from '../admission/origins.ts'
import { Registry } from '../admission/registry.ts'
import type { ClusterCount, ClusterMember, TopicChange } from '../base/cluster.ts'
import { TypedEmitter } from '../base/emitter.ts'
import { isUpgrade, OwnRequest, type Refusal, showConnectAsUpgrade } from '../base/handshake.ts'
import { Http2Connection, isWebSocketConnect } from '../base/http2-connection.ts'
import { type MountedRequest, markIn, pathOf, plainUrl } from '../base/request.ts'
import { isOver, refuse } from '../base/responses.ts'
import { rethrow, safely } from '../base/turn.ts'
import { AnswerWatch } from '../base/unread.ts'
import { deadline } from '../base/wakeups.ts'
import {
  type CloseOptions,
  checkCloseOptions,
  checkDrainOptions,
  type DrainOptions,
} from '../ending/close-options.ts'
import { Closing } from '../ending/closing.ts'
import { Draining } from '../ending/draining.ts'
import type { SendData } from '../messages/data.ts'
import type { PublishOptions } from '../messages/topics.ts'
import { attach } from '../mount/attach.ts'
import { type Middleware, Mount, type Next } from '../mount/mount.ts'
import { StandIn, type StandInHost } from '../mount/stand-in.ts'
import { isBehindAnother, takeOver } from '../mount/takeover.ts'
import { Reports } from '../sockets/reports.ts'
import { type ClusterClients, joinRosters } from '../sockets/roster.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import type { Socket, UpgradeCallback } from '../sockets/socket.ts'
import type { ServerStats } from '../sockets/statistics.ts'
import { isOfStatusPage } from '../status/site.ts'
import { type Site, StatusPage } from '../status/status-page.ts'
import { clusterHostOf } from './cluster-host.ts'
import { addAnswerHeaders } from './completer.ts'
import { Diagnostics } from './diagnostics.ts'
import { type FetchOptions, limitOf } from './fetch-options.ts'
import { HttpEntry } from './http-entry.ts'
import { logIfAsked } from './log.ts'
import { isForPage, servePage } from './page.ts'
import { scriptName, serveScript } from './script.ts'
import type { InstanceOf, RequestClass, ServerEvents } from './server-events.ts'
import { WebSocketEntry } from './websocket-entry.ts'

/**
 * The types are those of the option `WebSocket` and of what your middleware makes of requests, as in `ws`:
 * `new WebSocketServer<typeof MySocket, typeof MyRequest>({ WebSocket: MySocket })`.
 */
export class WebSocketServer<
  Client extends SocketClass = typeof Socket,
  Request extends RequestClass = typeof IncomingMessage,
> extends TypedEmitter<ServerEvents<InstanceOf<Client>, InstanceType<Request>>> {
  /** The options in use; later changes have an effect. */
  readonly options: ResolvedOptions
  /** Undefined with `clientTracking: false`, as in `ws`. */
  declare readonly clients: Set<InstanceOf<Client>>
  /** A middleware for `app.use`, or for any request listener. It also takes WebSocket handshakes. */
  readonly middleware: Middleware
  /** The path of the option `path`; named as in `ws`. */
  declare readonly path: string

  readonly #registry: Registry
  readonly #reports: Reports = new Reports(this)
  readonly #clients: Clients
  readonly #answers: AnswerWatch
  readonly #webSocketEntry: WebSocketEntry
  readonly #diagnostics: Diagnostics
  readonly #httpEntry: HttpEntry
  readonly #mount: Mount
  /** Shows a new client to the application. */
  readonly #connected: UpgradeCallback = (socket, request) =>
    void this.#events.emit('connection', socket, request)
  #server: Server | undefined
  #owned = false
  /** The connections of our own HTTP server. */
  readonly #connections = new Set<Duplex>()
  #release: (() => void) | undefined
  /** The sets of hosts of `attachFallbacks` that this server is in. */
  readonly #standInHosts = new Set<Set<StandInHost>>()
  /** Handshakes whose path was looked at below the mount: they get the whole URL afterwards. */
  readonly #mounted = new WeakSet<IncomingMessage>()
  #state: 'running' | 'closing' | 'closed' = 'running'
  #closing: Closing | undefined
  #draining: Draining | undefined
  #stopping = false
  #stopped = false
  #status: StatusPage<Middleware> | undefined
  readonly #cluster: ClusterMember | undefined
  /** Only on the server of a status page's sockets: the files of the page. */
  #site: Site | undefined

  /**
   * Throws for an option that is unknown or invalid; the message names it. `callback` is called when the server of
   * the option `port` listens.
   */
  constructor(options: ServerOptions = {}, callback?: () => void) {
    super()
    logIfAsked()
    this.options = resolveOptions(options)
    if (options.origins === undefined) warnOnce(this.options)
    if (this.options.path !== undefined) this.path = this.options.path
    const registry = new Registry(this.options)
    this.#registry = registry
    const diagnostics = new Diagnostics(this.options)
    this.#diagnostics = diagnostics
    const clients = this.#receive()
    this.#clients = clients
    this.#cluster = this.options.cluster?.join(
      clusterHostOf({
        options: this.options,
        registry,
        clients,
        handle: (request, response, mark) => this.#httpEntry.handle(request, response, mark),
        upgrade: (request, socket, head) =>
          this.#webSocketEntry.handle(request, socket, head, this.#connected),
        tellState: (state) => void this.#events.emit('cluster', state),
        tellGap: (topic) => void this.#events.emit('gap', topic),
        tellTopic: (change) => this.#tellTopic(change),
        tellError: (error) => void this.#events.emit('error', error),
      }),
    )
    if (this.#cluster) clients.topics.join(this.#cluster)
    if (clients.keeper) registry.doubt = () => this.#cluster?.doubt()
    this.#watchTopics()
    if (clients.all) this.clients = clients.all as Set<EventEmitter> as typeof this.clients
    const { memory } = clients
    const reports = this.#reports
    this.#answers = new AnswerWatch(this.options, memory, (request, refusal) =>
      reports.refused(request, refusal),
    )
    this.#webSocketEntry = new WebSocketEntry({
      options: this.options,
      registry,
      diagnostics,
      clients,
      reports,
      cluster: this.#cluster,
      shouldHandle: (request) => this.#mounted.has(request) || this.shouldHandle(request),
      welcome: (socket) => this.#welcome(socket),
      headers: (headers, request) => this.#events.emit('headers', headers, request),
      refused: (error, socket, request) => this.#events.emit('wsClientError', error, socket, request),
    })
    this.#httpEntry = new HttpEntry({
      options: this.options,
      registry,
      resumes: clients.resumes,
      diagnostics,
      answers: this.#answers,
      memory,
      reports,
      cluster: this.#cluster,
      admit: (head, offered, request, response, show = this.#connected, isWanted) =>
        clients.admit(head, offered, request, show, isWanted, response),
      restore: (head, state, request, show = this.#connected) =>
        clients.restore(head, state, request, show, true),
      announce: (socket) => clients.announce(socket),
      welcome: (socket) => JSON.stringify({ got: socket.session.received.number, ...this.#welcome(socket) }),
    })
    this.#mount = new Mount(this.options.path, (request, response, next) =>
      this.#serve(request, response, next),
    )
    this.middleware = this.#mount.middleware
    if (this.options.port !== undefined) this.#listen(callback)
    else if (this.options.server) this.#share(this.options.server)
    else this.#mount.watch()
  }

  /** The address on which the HTTP server listens. */
  address(): AddressInfo | string | null {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode')
    return this.#state === 'running' ? (this.#server?.address() ?? null) : null
  }

  /** Whether this server serves the path of the request, by the option `path`. */
  shouldHandle(request: IncomingMessage): boolean {
    const { path } = this.options
    return path === undefined || pathOf(request.url ?? '') === path || pathOf(plainUrl(request)) === path
  }

  /**
   * Completes a WebSocket handshake of an `upgrade` event. `callback` gets the socket of a new client, but is not called when a
   * client resumes its session.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, callback: UpgradeCallback): void {
    WebSocketEntry.begin(socket)
    if (socket instanceof Http2Connection) this.#answers.over(socket.response)
    const upgraded =
      socket instanceof StandIn
        ? this.#openBehind(socket, request, callback)
        : this.#webSocketEntry.handle(request, socket, head, callback)
    upgraded.catch(rethrow)
  }

  /** Takes a request if it is one of the HTTP transports. Returns whether it took it. */
  handleRequest(request: IncomingMessage, response: ServerResponse): boolean {
    const mark = markIn(request)
    if (mark === undefined || !this.#takes(request)) return false
    this.#httpEntry.handle(request, response, mark).catch(rethrow)
    return true
  }

  /** The bytes that are now buffered for all clients together; limited by the option `maxMemory`. */
  get memory(): number {
    return this.#clients.memory.used
  }

  /**
   * What the server has done since it was made, and what is there now: sessions by state and by transport, ends by reason,
   * refusals by status, messages and bytes. For a status page, a log or alerts. A call looks at each session once.
   */
  stats(): ServerStats {
    const stats = this.#clients.stats()
    return this.#cluster ? { ...stats, cluster: this.#cluster.stats() } : stats
  }

  /**
   * A middleware that serves a page with the numbers of `stats()`, live, and the diaries of clients that ended or had trouble.
   * It asks nobody who they are: mount it behind your own guard, `app.use('/status', requireAdmin, realtime.statusPage)`.
   * From its first use on, the server takes a sample every five seconds. See docs/STATUS.md.
   */
  get statusPage(): Middleware {
    if (!this.#status) {
      this.#status = new StatusPage<Middleware>(
        this,
        (options, site) => {
          const own = new WebSocketServer(options)
          own.#site = site
          own.#reports.isSilent = true
          return own
        },
        () => this.#cluster?.view(),
      )
      if (this.#state !== 'running') this.#status.close(() => this.#maybeClosed())
    }
    return this.#status.middleware
  }

  /** Sends a message to all subscribers of the topic. Returns their number. */
  publish(topic: string, data: SendData, options?: PublishOptions): number {
    return this.#clients.topics.publish(topic, data, options)
  }

  /** Sends a message to all clients. Returns their number. */
  broadcast(data: SendData, options?: PublishOptions): number {
    return this.#clients.broadcast(data, options)
  }

  /** The subscribers of the topic: the set itself, so its `size` costs nothing. */
  subscribers(topic: string): ReadonlySet<InstanceOf<Client>> {
    return this.#clients.topics.of(topic) as ReadonlySet<unknown> as ReadonlySet<InstanceOf<Client>>
  }

  /**
   * How many subscribers the topic has on all servers of the cluster; without a topic, how many clients there are. Every server is
   * asked anew, and has a second to answer. Rejects while the others cannot be reached.
   */
  async count(topic?: string): Promise<ClusterCount> {
    if (this.#cluster) return this.#cluster.count(topic)
    return { count: this.#clients.count(topic), nodes: 1, missing: 0 }
  }

  /**
   * Who the subscribers of the topic are on all servers of the cluster; without a topic, all clients. A list of copies: their `data`
   * as it is now. At most `limit` (1,000), and at most 1 MiB of each server. Every server is asked anew, and has a second to answer.
   * Rejects while the others cannot be reached.
   */
  async fetch(topic?: string, options: FetchOptions = {}): Promise<ClusterClients> {
    const limit = limitOf(options)
    const { rosters, missing } = (await this.#cluster?.rosters(topic, limit)) ?? {
      rosters: [{ node: '', written: this.#clients.roster(topic, limit) }],
      missing: [],
    }
    return joinRosters(rosters, limit, missing)
  }

  /** Closes all subscribers of the topic, as `close(code, reason)` of each does. Returns their number. */
  disconnect(topic: string, code?: number, reason?: string | Buffer): number {
    return this.#clients.topics.disconnect(topic, code, reason)
  }

  /**
   * The same as `disconnect`, and resolves with how many were closed on all servers of the cluster. A server that does not answer
   * within a second is missing in the sum. Rejects while the others cannot be reached: they close theirs when they can be.
   */
  async disconnectAndCount(topic: string, code?: number, reason?: string | Buffer): Promise<ClusterCount> {
    const told = this.#clients.topics.disconnectCounted(topic, code, reason)
    if (this.#cluster && 'number' in told) return this.#cluster.closed(topic, told.number)
    return { count: 'closed' in told ? told.closed : 0, nodes: 1, missing: 0 }
  }

  /** Whether the server takes new clients, for a health check: once it listens and has joined its cluster, until `close` or `drain`. */
  get ready(): boolean {
    const isJoined = this.#cluster?.ready !== false && !this.#draining
    return this.#state === 'running' && this.#server?.listening !== false && isJoined
  }

  /**
   * For a deploy in a cluster. From now on the server opens no new sessions, and it hands its sessions over to other
   * servers, spread over the time `within`. With the option `recover` these sessions go on there, and their clients
   * have no event; all other clients are closed with 1012. Resolves when each session is handed over or closed; then
   * call `close`.
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    checkDrainOptions(options)
    if (this.#state !== 'running') return
    this.#draining ??= new Draining(
      {
        clients: this.#clients,
        registry: this.#registry,
        cluster: this.#cluster,
        recover: () => this.options.recover,
      },
      options,
    )
    await this.#draining.done
  }

  /** Admits no new clients. Present clients stay, and `close` is emitted when the last one has gone. */
  close(callback?: (error?: Error) => void): void
  /**
   * For a deploy. From now on the server admits no new clients, and it closes its clients, spread over the time
   * `within`. Resolves when all have ended; those left at the end of the time are terminated. Then no client of
   * everwire keeps the HTTP server or the process.
   */
  close(options: CloseOptions): Promise<void>
  close(how?: ((error?: Error) => void) | CloseOptions): Promise<void> | undefined {
    if (typeof how === 'object' && how !== null) return this.#closeInOrder(how)
    this.#close(how)
    return undefined
  }

  #close(callback: ((error?: Error) => void) | undefined): void {
    if (this.#state === 'closed') {
      if (callback) this.once('close', () => callback(new Error('The server is not running')))
      process.nextTick(() => this.emit('close'))
      return
    }
    if (callback) this.once('close', () => callback())
    if (this.#state === 'closing') return
    this.#state = 'closing'
    this.#diagnostics.close()
    this.#status?.close(() => this.#maybeClosed())
    process.nextTick(() => this.#maybeClosed())
    if (!this.#owned) this.#stopped = true
    else if (!this.#anySessions) this.#stopListening()
  }

  #closeInOrder(options: CloseOptions): Promise<void> {
    checkCloseOptions(options)
    if (this.#state === 'closed') return Promise.resolve()
    if (!this.#closing) {
      this.#answers.closing = true
      this.#closing = new Closing(this.#clients, options, () => this.#cut())
      if (this.#state === 'running') this.#close(undefined)
    }
    return this.#closing.done
  }

  /** The time to close is over: ends everything that everwire holds open, and leaves the application's requests alone. */
  #cut(): void {
    this.#clients.cut()
    this.#webSocketEntry.cut()
    this.#answers.cut()
    for (const connection of this.#connections) connection.destroy()
  }

  /** This server, with the classes that its sockets and requests have if the application has none of its own. */
  get #events(): TypedEmitter<ServerEvents> {
    return this as EventEmitter as TypedEmitter<ServerEvents>
  }

  // ---- ways in ----

  #listen(callback: (() => void) | undefined): void {
    const server = createServer({ IncomingMessage: OwnRequest }, (request, response) =>
      this.#serve(request, response, undefined),
    )
    this.#server = server
    this.#owned = true
    server.on('upgrade', (request, socket, head) => {
      this.handleUpgrade(request, socket, head, this.#connected)
    })
    server.on('connection', (connection) => {
      if (this.#answers.isCut) connection.destroy()
      this.#connections.add(connection)
      connection.once('close', () => this.#connections.delete(connection))
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
        if (!this.#takes(request)) return false
        this.handleUpgrade(request, socket, head, this.#connected)
        return true
      },
      request: (request, response) => {
        const marked = isUpgrade(request) || markIn(request) !== undefined
        const ours = (marked && this.#takes(request)) || this.#isScript(request)
        if (ours) this.#serve(request, response, undefined)
        return ours
      },
      connect: (request, response) => {
        if (!this.#takes(request)) return false
        this.#serve(request, response, undefined)
        return true
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

  /** Serves a request that reached the mount. */
  #serve(request: MountedRequest, response: ServerResponse, next: Next | undefined): void {
    if (isWebSocketConnect(request)) showConnectAsUpgrade(request)
    if (isUpgrade(request)) {
      if (this.#takes(request)) this.#takeOver(request, response)
      else if (next) next()
      else this.#refuse(response, { status: 400, reason: 'The everwire server does not serve this path' })
      return
    }
    if (this.handleRequest(request, response)) return
    const serve = this.#site?.(request, response, () => serveScript(request, response))
    if (serve) this.#serveFile(request, response, serve)
    else if (this.#isScript(request)) this.#serveFile(request, response, () => serveScript(request, response))
    else if (isForPage(request, this.options.path, next === undefined))
      this.#serveFile(request, response, () => servePage(response))
    else if (next) next()
    else {
      const headers = { Upgrade: 'websocket', Connection: 'Upgrade, close', 'Sec-WebSocket-Version': '13, 8' }
      this.#refuse(response, { status: 426, reason: 'Upgrade Required', headers })
    }
  }

  /** Whether a session's request or a handshake is for this server: for its path, and not for the socket of its status page. */
  #takes(request: IncomingMessage): boolean {
    return this.shouldHandle(request) && !(this.#status && isOfStatusPage(request))
  }

  /** Serves what is no session's: the browser's file, or the page for people. */
  #serveFile(request: MountedRequest, response: ServerResponse, serve: () => void): void {
    this.#answers.over(response)
    const refusal = refuseHost(request, this.options)
    if (refusal) refuse(response, refusal)
    else serve()
  }

  #takeOver(request: MountedRequest, response: ServerResponse): void {
    if (isOver(response)) return
    if (isBehindAnother(request, request.socket)) {
      const reason = 'Send the handshake after the answers to earlier requests on this connection'
      this.#refuse(response, { status: 400, reason, headers: { Connection: 'close' } })
      return
    }
    const { socket, head, headers } = takeOver(request, response)
    addAnswerHeaders(request, headers)
    request.url = plainUrl(request)
    this.#mounted.add(request)
    this.handleUpgrade(request, socket, head, this.#connected)
  }

  /** Refuses a request. Like any answer, the refusal must be read in time. */
  #refuse(response: ServerResponse, refusal: Refusal): void {
    this.#answers.over(response)
    refuse(response, refusal)
  }

  #isScript(request: MountedRequest): boolean {
    if (!this.options.serveClient) return false
    const path = pathOf(request.url ?? '')
    return path === `${this.options.path ?? ''}/${scriptName}` || path === `/${scriptName}`
  }

  /** Opens a session over HTTP for a request that `attachFallbacks` showed to a listener as an upgrade. */
  async #openBehind(standIn: StandIn, request: MountedRequest, callback: UpgradeCallback): Promise<void> {
    const response = standIn.takenBy(this.#httpEntry)
    this.#standInHosts.add(standIn.hosts)
    if (!this.shouldHandle(request)) {
      this.#refuse(response, { status: 400, reason: 'The everwire server does not serve this path' })
      return
    }
    await this.#httpEntry.handle(request, response, standIn.mark, (client, asked) => {
      standIn.lastAs(client)
      callback(client, asked)
    })
  }

  #addHeaders(request: IncomingMessage, response: ServerResponse): void {
    if (this.listenerCount('headers') === 0 || isOver(response)) return
    const headers: string[] = []
    this.#events.emit('headers', headers, request)
    const parsed = headers.map(parseHeaderLine)
    // A listener may have answered.
    if (isOver(response)) return
    for (const [name, value] of parsed) response.appendHeader(name, value)
  }

  /** Watches topics as long as somebody listens. */
  #watchTopics(): void {
    const events = this as EventEmitter
    const watch = (isWatched: boolean): void => {
      if (this.#cluster) this.#cluster.watchTopics(isWatched)
      else this.#clients.topics.watcher = isWatched ? (change) => this.#tellTopic(change) : undefined
    }
    events.on('newListener', (name) => {
      if (name === 'topic') watch(true)
    })
    events.on('removeListener', (name) => {
      if (name === 'topic' && this.listenerCount('topic') === 0) watch(false)
    })
  }

  #tellTopic(change: TopicChange): void {
    safely(() => this.#events.emit('topic', change))
  }

  #welcome(socket: SessionSocket): Omit<Welcome, 'got' | 'start'> {
    const { heartbeat, patience, maxBody } = this.options
    const node = this.#cluster?.name
    return { protocol: socket.protocol, heartbeat, patience, maxBody, ...(node !== undefined && { node }) }
  }

  // ---- clients and the end ----

  #receive(): Clients {
    return new Clients({
      options: this.options,
      registry: this.#registry,
      reports: this.#reports,
      isRunning: () => this.#state === 'running' && !this.#draining,
      addHeaders: (request, response) => this.#addHeaders(request, response),
      gone: () => {
        if (this.#state === 'closing') process.nextTick(() => this.#maybeClosed())
      },
      forgotten: ({ id }) => this.#cluster?.ended(id),
      mayOpen: (id) => this.#cluster?.has(id) !== false,
      store: (changes) => (this.#cluster as ClusterMember).store(changes),
    })
  }

  /** Whether clients with a session still need to reach us. In a close in order, also those that only confirm their end. */
  get #anySessions(): boolean {
    return this.#closing ? this.#clients.anyLeft : this.#clients.anySessions
  }

  /** Closes our HTTP server. Connections need not stay open for clients to confirm their end or to send other requests. */
  #stopListening(): void {
    const server = this.#server
    if (this.#stopping || !server) return
    this.#stopping = true
    for (const socket of this.#registry.sockets) socket.dismiss()
    this.#cluster?.stopPassing()
    Object.assign(server, { keepAliveTimeout: 1, keepAliveTimeoutBuffer: 0 })
    // A client that asks again and again would keep its connection.
    this.#answers.closing = true
    // Node no longer looks for requests that do not become complete.
    const late = deadline(server.headersTimeout, () => server.closeAllConnections())
    server.close(() => {
      clearTimeout(late)
      this.#stopped = true
      this.#maybeClosed()
    })
  }

  #maybeClosed(): void {
    if (this.#state !== 'closing') return
    // Clients with a session still need to reach us, because each request may come over a new connection.
    if (!this.#stopped && !this.#anySessions) this.#stopListening()
    if (!this.#stopped || this.#clients.any || (this.#closing && this.#clients.anyLeft)) return
    if (this.#status?.isClosed === false) return
    this.#state = 'closed'
    this.#release?.()
    for (const hosts of this.#standInHosts) hosts.delete(this.#httpEntry)
    this.#mount.close()
    if (this.#cluster) this.#cluster.close().then(() => this.#closed(), rethrow)
    else this.#closed()
  }

  #closed(): void {
    this.#closing?.finish()
    this.emit('close')
  }
}
