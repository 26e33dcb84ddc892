/** The options of a WebSocketServer; named as in `ws` where `ws` has the option. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders, Server } from 'node:http'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import type { Server as SecureServer } from 'node:https'
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { ZlibOptions } from 'node:zlib'
import type { Limits } from '../../shared/limits.ts'
import { defaultHeartbeat, defaultLimits, defaultMaxBody, leastMaxBody } from '../../shared/limits.ts'
import type { Cluster } from '../base/cluster.ts'
import { defaultBodyTimeout } from '../base/request.ts'
import { defaultAnswerTimeout } from '../base/wakeups.ts'
import type { HttpCompressionOptions } from '../carriers/compression.ts'
import type { RateLimit } from '../sockets/rate.ts'
import { Socket } from '../sockets/socket.ts'
import { compileTrust, type TrustProxy } from './address.ts'
import { checkHosts } from './hosts.ts'
import * as check from './option-checks.ts'
import { checkOrigins, type Origins } from './origins.ts'

/** What `verifyClient` is told about a new client. */
export interface ClientInfo {
  /** The header `Origin` of the request; undefined for clients that are no pages. */
  readonly origin: string | undefined
  /** Whether the client came over TLS, as far as the server knows: see the option `trustProxy`. */
  readonly secure: boolean
  /**
   * The request that opens the session: its cookies and other headers say who asks. It looks like a handshake on
   * every transport.
   */
  readonly req: IncomingMessage
  /**
   * The client's address, as far as the option `trustProxy` lets the server know it; else empty. For your own limits:
   * `done(false, 429, 'Slow down', { 'Retry-After': '5' })`. Always set; optional only for code written for `ws`.
   */
  readonly address?: string
  /** Who the client says it is: its option `token`. Undefined if it has none, as ordinary WebSocket clients have. */
  readonly token?: string | undefined
  /** Whether this is another connection of a session that is open already: only with the option `verifyResume`. */
  readonly resuming?: boolean
}

/**
 * Called with the decision. For a refusal `code`, `reason` and `headers` are the answer: by default 401 and its
 * usual words.
 */
export type VerifyClientCallback = (
  ok: boolean,
  code?: number,
  reason?: string,
  headers?: OutgoingHttpHeaders,
) => void

/** With one parameter it returns the decision, or a promise of it. With two parameters it calls `callback`. */
export type VerifyClient = {
  // A method, because its parameters may be annotated more narrowly: code written for `ws` declares `origin` as set.
  // biome-ignore lint/suspicious/noConfusingVoidType: one type for both forms, so that their parameters need no types.
  verify(info: ClientInfo, callback: VerifyClientCallback): boolean | Promise<boolean> | void
}['verify']

/** The options of `ws` for permessage-deflate. The client in Node has the same. */
export interface PerMessageDeflateOptions {
  /** Whether the server compresses each message by itself, which needs less memory. Default: as the client offers. */
  serverNoContextTakeover?: boolean | undefined
  /**
   * Whether the client must compress each message by itself, which needs less memory. Default: as the client
   * offers.
   */
  clientNoContextTakeover?: boolean | undefined
  /**
   * The size of the server's compression window, as a power of two from 8 to 15. Default: as the client offers,
   * else 15.
   */
  serverMaxWindowBits?: number | undefined
  /**
   * The size of the client's compression window, as a power of two from 8 to 15. Default: as the client offers,
   * else 15.
   */
  clientMaxWindowBits?: number | undefined
  /** Further options of zlib for what the server compresses. */
  zlibDeflateOptions?:
    | (Omit<ZlibOptions, 'dictionary'> & { dictionary?: Buffer | Buffer[] | DataView | undefined })
    | undefined
  /** Further options of zlib for what the server decompresses. */
  zlibInflateOptions?: ZlibOptions | undefined
  /** Smaller messages are not compressed, in bytes. Default: 1024. */
  threshold?: number | undefined
  /** How many messages of all sockets zlib works on at a time; others wait. Default: 10. */
  concurrencyLimit?: number | undefined
}

/** The options of a WebSocketServer: those of `ws`, and everwire's own. All have defaults. */
export interface ServerOptions {
  // ---- as in ws ----
  /** Listens on this port with an HTTP server of its own. */
  port?: number | undefined
  /** The address to listen on, with `port`. Default: all addresses. */
  host?: string | undefined
  /** How many connections may wait to be accepted, with `port`. Default: 511, as in Node. */
  backlog?: number | undefined
  /** Shares an HTTP server: takes the requests and upgrades for `path`, and leaves all others alone. It may be one of `node:http2`. */
  server?: Server | SecureServer | Http2Server | Http2SecureServer | undefined
  /** Attaches to no server: use `middleware`, or `handleUpgrade` and `handleRequest`. */
  noServer?: boolean | undefined
  /** Takes only this path. Default: any path. */
  path?: string | undefined
  /** Decides whether a client may connect. Called once for each session, whatever its transports; see `verifyResume`. */
  verifyClient?: VerifyClient | undefined
  /** Chooses one of the subprotocols that the client offers, or none (`false`). Default: the first. */
  handleProtocols?: (protocols: Set<string>, request: IncomingMessage) => string | false
  /** The largest message that a client may send, in bytes. Default 100 MiB. */
  maxPayload?: number | undefined
  /** Compression of WebSocket messages. Default: off. */
  perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** Whether the server keeps `clients`. Default true. */
  clientTracking?: boolean | undefined
  /** Whether the server answers pings. Empty pings of a session are answered in any case, because its client sends them itself. Default true. */
  autoPong?: boolean | undefined
  /** Whether several messages of an ordinary client may be delivered in one turn, as in `ws`. Default: true. */
  allowSynchronousEvents?: boolean | undefined
  /**
   * Whether texts of ordinary clients are accepted without a check that they are UTF-8. Only for clients that are
   * trusted. Default: false.
   */
  skipUTF8Validation?: boolean | undefined
  /**
   * The time after `close()` at which the server terminates the client, in milliseconds, whatever the client does.
   * Default 30,000; for a session at most `patience`.
   */
  closeTimeout?: number | undefined
  /** The largest number of fragments of a message on a WebSocket. 0: any number. Default: 131,072. */
  maxFragments?: number | undefined
  /** The largest number of chunks of one WebSocket that may wait to be read. 0: any number. Default: 1,048,576. */
  maxBufferedChunks?: number | undefined
  /** The largest number of automatic pongs that may wait to be written to one WebSocket. Default 60. */
  maxPendingAutoPongs?: number | undefined

  /** Your own class for the sockets. It must extend `Socket` and pass its arguments to `super()`. */
  WebSocket?: SocketClass | undefined

  // ---- beyond ws ----
  /**
   * The pages that may connect, on every transport. Default `'same'`: pages of this host, and of its scheme where that is known.
   * A list must name all of them: your own pages only with `'same'` in it. A function allows with `true` alone; it may be asynchronous.
   */
  origins?: Origins | undefined
  /**
   * With true or a close code, `verifyClient` also decides about each later connection of a session, with `resuming: true`; over
   * HTTP a connection is a series of exchanges. A refusal ends the session with this code (true: 1008) and the status in the reason.
   * A refusal with 429 or from 500 on is no end: the client comes again. In a cluster a server that goes on with the session of
   * another one asks before it emits `connection`. Default false.
   */
  verifyResume?: boolean | number | undefined
  /**
   * The hosts that a request may name (`Host`), with one port or with any; the server answers all other requests with
   * 403. Default: any host.
   */
  hosts?: readonly string[] | undefined
  /**
   * The proxies whose headers `X-Forwarded-For`, `-Host` and `-Proto` the server believes: `true` for all, a number
   * of hops, addresses and subnets, `'loopback'`, `'linklocal'`, `'uniquelocal'`, or a function. A proxy must
   * overwrite these headers, whatever the client sends. Default: the setting `trust proxy` of the request's Express
   * application, else none.
   */
  trustProxy?: TrustProxy | undefined
  /** How long a session lives without a connection, in milliseconds. Default 30,000. */
  patience?: number | undefined
  /** The server sends something at least this often, in milliseconds; it also holds a long-poll for this long. Default 15,000. */
  heartbeat?: number | undefined
  /** How many bytes may wait for one client; with more its session ends with 1013. Default 64 MiB. */
  maxBuffered?: number | undefined
  /** The largest request body, in bytes. Default 1 MiB. Messages may be larger, because clients send them in pieces. */
  maxBody?: number | undefined
  /** The largest number of clients; more are answered with 503. Default 200,000. */
  maxClients?: number | undefined
  /** The largest number of clients from one address (IPv6: from one /64 network); more are answered with 429. Default 10,000. */
  maxClientsPerAddress?: number | undefined
  /**
   * How many bytes the server may buffer for all clients together; with more, the clients that use most of it end
   * with 1013. Default: a quarter of the memory that the process may use, at most half of V8's heap, at least 256
   * MiB.
   */
  maxMemory?: number | undefined
  /** How many messages a client may send; a client that sends more ends with 1008. Default: any number. */
  rateLimit?: RateLimit | undefined
  /** How long a decision on a new client may take, in milliseconds; then the client is refused with 503. 0: any time. Default 10,000. */
  handshakeTimeout?: number | undefined
  /** How long a request's body may take after its head, in milliseconds; then the connection ends. 0: any time. Default 60,000. */
  bodyTimeout?: number | undefined
  /**
   * How long the server keeps a session that was opened over HTTP and whose client has not come again, in
   * milliseconds. Default: `patience`, but 10,000 while there are more than 1,000 such sessions.
   */
  openTimeout?: number | undefined
  /** How long an answer may wait until its client reads it, in milliseconds; then the connection ends. Default 60,000. */
  answerTimeout?: number | undefined
  /** Whether the server serves the browser's file as `everwire.js` below its path. Default true. */
  serveClient?: boolean | undefined
  /** Compression of the answers of HTTP transports, for clients that accept gzip. Default: off. */
  httpCompression?: boolean | HttpCompressionOptions | undefined
  /** Whether the server answers the probes of `everwire doctor`, which make no session. Default true. */
  diagnostics?: boolean | undefined
  /** What `realtime.statusPage` shows. */
  statusPage?: StatusPageOptions | undefined
  /**
   * Whether `drain` may hand sessions over to other servers of the cluster. There the application gets `connection`,
   * and `socket.recovered` is true. If this is a function, the server calls it before it hands a session over, and
   * waits for its promise: the application may finish there what it is doing for this client. `structuredClone` must
   * take the value of `socket.data`. Default false: `drain` closes the clients with 1012.
   */
  recover?: boolean | ((socket: Socket) => void | Promise<void>) | undefined
  /**
   * Whether another server of the cluster goes on with the sessions of this one if its process dies. What that needs is stored in the
   * cluster at the end of each turn, and only then leaves for the client; `socket.data` must be such as `structuredClone` takes. Needs
   * `cluster` and `recover`, on all servers. Default false: such sessions end.
   */
  durable?: boolean | undefined
  /**
   * In a cluster: what comes along if another server answers the request, for example `(request) => ({ user: request.user })`. Its
   * properties stand on the request there, for `verifyClient` with `verifyResume`, and for `connection` of a session that was handed
   * over. Plain data, at most 4 KiB as JSON. Default: nothing of what middleware has put on the request.
   */
  carry?: ((request: IncomingMessage) => object | undefined) | undefined
  /** Joins this server to others: `redisCluster()` of `everwire/redis`. Default: the server is alone. */
  cluster?: Cluster | undefined
}

/** What the status page shows. */
export interface StatusPageOptions {
  /** Whether the page shows the addresses of clients, as far as `trustProxy` lets the server know them. Default false. */
  addresses?: boolean | undefined
}

/** As wide as the type in `ws`. The server checks the class when it is constructed. */
export type SocketClass = new (...args: never[]) => EventEmitter

/** The options with their defaults, as `server.options` of `ws`. As in `ws`, later changes have an effect. */
export type ResolvedOptions = Omit<ServerOptions, 'WebSocket' | 'server'> & {
  /** As the type in `ws` has it; it may also be a server of HTTP/2. */
  server?: Server | SecureServer | undefined
} & {
  [Name in Defaulted]-?: Exclude<ServerOptions[Name], undefined>
}

type Defaulted =
  | 'maxPayload'
  | 'perMessageDeflate'
  | 'clientTracking'
  | 'origins'
  | 'patience'
  | 'heartbeat'
  | 'maxBuffered'
  | 'maxBody'
  | 'maxClients'
  | 'maxClientsPerAddress'
  | 'maxMemory'
  | 'handshakeTimeout'
  | 'bodyTimeout'
  | 'closeTimeout'
  | 'answerTimeout'
  | 'serveClient'
  | 'diagnostics'

const checksOfWs = {
  port: check.port,
  host: check.string,
  backlog: check.number,
  server: check.httpServer,
  noServer: check.boolean,
  path: check.string,
  verifyClient: check.callable,
  handleProtocols: check.callable,
  maxPayload: check.number,
  perMessageDeflate: check.perMessageDeflate,
  clientTracking: check.boolean,
  autoPong: check.boolean,
  allowSynchronousEvents: check.boolean,
  skipUTF8Validation: check.boolean,
  closeTimeout: check.number,
  maxFragments: check.number,
  maxBufferedChunks: check.number,
  maxPendingAutoPongs: check.number,
  WebSocket: check.callable,
}

const checks: Record<keyof ServerOptions, check.Check> = {
  ...checksOfWs,
  origins: checkOrigins,
  verifyResume: check.closeCode,
  hosts: checkHosts,
  trustProxy: compileTrust,
  patience: check.number,
  heartbeat: check.number,
  maxBuffered: check.number,
  maxBody: check.number,
  maxClients: check.number,
  maxClientsPerAddress: check.number,
  maxMemory: check.number,
  rateLimit: check.rateLimit,
  handshakeTimeout: check.number,
  bodyTimeout: check.number,
  openTimeout: check.number,
  answerTimeout: check.number,
  serveClient: check.boolean,
  httpCompression: check.httpCompression,
  diagnostics: check.boolean,
  statusPage: check.statusPage,
  recover: check.recover,
  durable: check.boolean,
  carry: check.callable,
  cluster: check.cluster,
}

const leastMemory = 256 * 1024 * 1024

/** Small messages live in V8's heap. */
const heapLimit = getHeapStatistics().heap_size_limit

/** The memory of the machine, or the part that the process may use. */
function availableMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

/** The bytes for all clients together, where the application says nothing. */
export function defaultMaxMemory(): number {
  return Math.max(leastMemory, Math.min(availableMemory() / 4, heapLimit / 2))
}

export function resolveOptions(given: ServerOptions): ResolvedOptions {
  const said = check.checkOptions(given, checks, checksOfWs)
  const options: ResolvedOptions = {
    maxPayload: defaultLimits.maxPayload,
    perMessageDeflate: false,
    clientTracking: true,
    origins: 'same',
    patience: defaultLimits.patience,
    heartbeat: defaultHeartbeat,
    maxBuffered: defaultLimits.maxBuffered,
    maxBody: defaultMaxBody,
    maxClients: 200_000,
    maxClientsPerAddress: 10_000,
    maxMemory: defaultMaxMemory(),
    handshakeTimeout: 10_000,
    bodyTimeout: defaultBodyTimeout,
    closeTimeout: 30_000,
    answerTimeout: defaultAnswerTimeout,
    serveClient: true,
    diagnostics: true,
    ...(said as object),
  }
  const places = [options.port != null, !!options.server, !!options.noServer].filter(Boolean)
  if (places.length > 1) {
    throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified')
  }
  // As in `ws`, an empty path means any path.
  if (options.path === '') options.path = undefined
  // A middleware needs neither a port nor a server.
  if (places.length === 0) options.noServer = true
  const { WebSocket } = said
  if (WebSocket && WebSocket !== Socket && !(WebSocket.prototype instanceof Socket)) {
    throw new TypeError(
      'The option "WebSocket" must be a class that extends Socket of everwire/server. A class that extends the client\'s WebSocket does not work',
    )
  }
  if (options.durable && !options.cluster)
    throw new TypeError('The option "durable" needs the option "cluster"')
  if (options.durable && !options.recover)
    throw new TypeError('The option "durable" needs the option "recover"')
  // The welcome tells them to the client as JSON, which has no Infinity.
  for (const name of ['maxBody', 'patience', 'heartbeat'] as const) {
    if (options[name] === Number.POSITIVE_INFINITY)
      throw new RangeError(`The option "${name}" must be finite`)
  }
  if (options.maxBody < leastMaxBody)
    throw new RangeError(`The option "maxBody" must be at least ${leastMaxBody} bytes`)
  if (options.heartbeat < 100) throw new RangeError('The option "heartbeat" must be at least 100 ms')
  return options
}

/** Returns `last`, which all sessions share, until the options are changed. */
export function limitsOf(options: ResolvedOptions, last: Limits | undefined): Limits {
  const { patience, heartbeat, maxBuffered, closeTimeout } = options
  // As in `ws`, 0 allows messages of any size.
  const maxPayload = options.maxPayload || Number.POSITIVE_INFINITY
  const same =
    last?.patience === patience &&
    last.pingInterval === heartbeat &&
    last.maxBuffered === maxBuffered &&
    last.closeTimeout === Math.min(closeTimeout, patience) &&
    last.maxPayload === maxPayload
  if (same) return last
  return {
    // As in `ws`, data that waits to be sent does not prolong this time.
    closeTimeout: Math.min(closeTimeout, patience),
    ...defaultLimits,
    patience,
    pingInterval: heartbeat,
    silence: heartbeat * 2,
    maxBuffered,
    maxPayload,
  }
}
