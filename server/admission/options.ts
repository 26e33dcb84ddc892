/** What a WebSocketServer may be told; the names of `ws` where `ws` has one. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders, Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { ZlibOptions } from 'node:zlib'
import type { Limits } from '../../shared/limits.ts'
import { defaultHeartbeat, defaultLimits, defaultMaxBody, leastMaxBody } from '../../shared/limits.ts'
import { defaultBodyTimeout } from '../base/request.ts'
import type { HttpCompressionOptions } from '../carriers/compression.ts'
import type { RateLimit } from '../sockets/rate.ts'
import { Socket } from '../sockets/socket.ts'
import { compileTrust, type TrustProxy } from './address.ts'
import { checkHosts } from './hosts.ts'
import * as check from './option-checks.ts'
import { checkOrigins, type Origins } from './origins.ts'

export interface ClientInfo {
  readonly origin: string | undefined
  /** Whether the client came over TLS, as far as that can be known: see the option `trustProxy`. */
  readonly secure: boolean
  readonly req: IncomingMessage
  /**
   * The client's address, as the option `trustProxy` lets it be known; empty if nobody knows it. For an application's own limit:
   * `done(false, 429, 'Slow down', { 'Retry-After': '5' })`. Always there; the type is for code that was written for `ws`.
   */
  readonly address?: string
}

export type VerifyClientCallback = (
  ok: boolean,
  code?: number,
  reason?: string,
  headers?: OutgoingHttpHeaders,
) => void

/** With one parameter it returns whether, or a promise of that; with two it calls back. */
export type VerifyClient = {
  // A method's parameters may be annotated more narrowly: code written for `ws` says that there is an origin.
  // biome-ignore lint/suspicious/noConfusingVoidType: one type for both forms, so that their parameters need no types.
  verify(info: ClientInfo, callback: VerifyClientCallback): boolean | Promise<boolean> | void
}['verify']

export interface PerMessageDeflateOptions {
  serverNoContextTakeover?: boolean | undefined
  clientNoContextTakeover?: boolean | undefined
  serverMaxWindowBits?: number | undefined
  clientMaxWindowBits?: number | undefined
  zlibDeflateOptions?:
    | (Omit<ZlibOptions, 'dictionary'> & { dictionary?: Buffer | Buffer[] | DataView | undefined })
    | undefined
  zlibInflateOptions?: ZlibOptions | undefined
  threshold?: number | undefined
  concurrencyLimit?: number | undefined
}

export interface ServerOptions {
  // ---- as in ws ----
  /** Listen here with an HTTP server of its own. */
  port?: number | undefined
  host?: string | undefined
  backlog?: number | undefined
  /** Share an HTTP server: requests and upgrades for `path` are taken, all others left alone. */
  server?: Server | SecureServer | undefined
  /** Attach to nothing: use `middleware`, or `handleUpgrade` and `handleRequest`. */
  noServer?: boolean | undefined
  /** Take only this path; by default any. */
  path?: string | undefined
  /** Whether a client is let in. Asked once for each session, whatever carries it. */
  verifyClient?: VerifyClient | undefined
  /** Chooses one of the subprotocols that the client offers, or none (`false`). By default the first. */
  handleProtocols?: (protocols: Set<string>, request: IncomingMessage) => string | false
  /** The largest message a client may send, in bytes. Default 100 MiB. */
  maxPayload?: number | undefined
  /** Compression of WebSocket messages. Default off. */
  perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** Keep `clients`. Default true. */
  clientTracking?: boolean | undefined
  /** Answer pings; of a session those with a payload, as others may be the session's own. Default true. */
  autoPong?: boolean | undefined
  allowSynchronousEvents?: boolean | undefined
  skipUTF8Validation?: boolean | undefined
  /** So long after the application's `close()` its client is terminated, whatever that client does, in milliseconds. Default 30,000; of a session not longer than its patience. */
  closeTimeout?: number | undefined
  /** Of how many pieces a message on a WebSocket may be. */
  maxFragments?: number | undefined
  /** How many pieces of data of one WebSocket may wait to be read. */
  maxBufferedChunks?: number | undefined
  /** How many answers to pings may wait to be written into one WebSocket. Default 60. */
  maxPendingAutoPongs?: number | undefined

  /** A class of yours for the sockets. It extends `Socket`, and hands what it is made with on to that. */
  WebSocket?: SocketClass | undefined

  // ---- beyond ws ----
  /**
   * The pages that may connect, on every transport. Default `'same'`: those of this host, and of its scheme where that is known.
   * A list is all that may come: the own pages, too, only with `'same'` in it. A function says yes with `true` alone; it may be asynchronous.
   */
  origins?: Origins | undefined
  /** The hosts that may be asked for, with their port or with any; others are answered with 403. Default: any. */
  hosts?: readonly string[] | undefined
  /**
   * Which proxies are believed about the client's address, the host and the scheme (`X-Forwarded-For`, `-Host`, `-Proto`): `true` for all, a number
   * of hops, addresses and subnets, `'loopback'`, `'linklocal'`, `'uniquelocal'`, or a function. They must overwrite what a
   * client says. By default as the setting `trust proxy` of the Express application that a request came through says; otherwise none is.
   */
  trustProxy?: TrustProxy | undefined
  /** How long a session lives without a connection, in milliseconds. Default 30,000. */
  patience?: number | undefined
  /** How often the server is heard, in milliseconds; also how long it holds a long-poll. Default 15,000. */
  heartbeat?: number | undefined
  /** What may wait for one client, in bytes, before its session is ended with 1013. Default 64 MiB. */
  maxBuffered?: number | undefined
  /** The largest request body taken, in bytes. Default 1 MiB. Messages may be larger: they come in pieces. */
  maxBody?: number | undefined
  /** How many clients there may be; more are answered with 503. Default 200,000. */
  maxClients?: number | undefined
  /** How many clients there may be from one address (of IPv6: from one network of 64 bits); more are answered with 429. Default 10,000. */
  maxClientsPerAddress?: number | undefined
  /** What may be buffered for all clients together, in bytes; beyond it the largest of them end with 1013. Default: a quarter of the memory that the process may use, at most half of V8's heap, at least 256 MiB. */
  maxMemory?: number | undefined
  /** How many messages a client may send; one that sends more is ended with 1008. Default: any number. */
  rateLimit?: RateLimit | undefined
  /** How long the decision about a new client may take, in milliseconds; then it is refused with 503. 0: as long as it takes. Default 10,000. */
  handshakeTimeout?: number | undefined
  /** So long after its head the body of a request must have come, in milliseconds; then its connection is ended. 0: at any time. Default 60,000. */
  bodyTimeout?: number | undefined
  /** How long a session is kept that was opened over HTTP and never seen again, in milliseconds. Default: as long as its patience, and 10,000 while there are more than 1,000 of them. */
  openTimeout?: number | undefined
  /** How long an answer may wait for its client to read it, in milliseconds; then its connection is ended. Default 60,000. */
  answerTimeout?: number | undefined
  /** Serve the browser's file as `everwire.js` below the mount. Default true. */
  serveClient?: boolean | undefined
  /** Compression of the answers of HTTP transports, for clients that take gzip. Default off. */
  httpCompression?: boolean | HttpCompressionOptions | undefined
  /** Answer `everwire doctor`: probes, which make no client. Default true. */
  diagnostics?: boolean | undefined
}

/** As wide as the types of `ws` have it; what it must be is said when a server is made. */
export type SocketClass = new (...args: never[]) => EventEmitter

/** The options with their defaults; `server.options` of `ws`, and as there, what is changed later counts. */
export type ResolvedOptions = Omit<ServerOptions, 'WebSocket'> & {
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
}

const leastMemory = 256 * 1024 * 1024

/** Small messages live in V8's heap. */
const heapLimit = getHeapStatistics().heap_size_limit

/** What the machine has, or what the process may have of it. */
function availableMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
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
    maxMemory: Math.max(leastMemory, Math.min(availableMemory() / 4, heapLimit / 2)),
    handshakeTimeout: 10_000,
    bodyTimeout: defaultBodyTimeout,
    closeTimeout: 30_000,
    answerTimeout: 60_000,
    serveClient: true,
    diagnostics: true,
    ...(said as object),
  }
  const places = [options.port != null, !!options.server, !!options.noServer].filter(Boolean)
  if (places.length > 1) {
    throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified')
  }
  // As in `ws` that is any.
  if (options.path === '') options.path = undefined
  // A middleware needs no place to be.
  if (places.length === 0) options.noServer = true
  const { WebSocket } = said
  if (WebSocket && WebSocket !== Socket && !(WebSocket.prototype instanceof Socket)) {
    throw new TypeError(
      'The option "WebSocket" must be a class that extends Socket of everwire/server. A class that extends the client\'s WebSocket does not work',
    )
  }
  // The client is told them, as JSON.
  for (const name of ['maxBody', 'patience', 'heartbeat'] as const) {
    if (options[name] === Number.POSITIVE_INFINITY)
      throw new RangeError(`The option "${name}" must be finite`)
  }
  if (options.maxBody < leastMaxBody)
    throw new RangeError(`The option "maxBody" must be at least ${leastMaxBody} bytes`)
  if (options.heartbeat < 100) throw new RangeError('The option "heartbeat" must be at least 100 ms')
  return options
}

/** `last`: what all sessions share until somebody changes the options. */
export function limitsOf(options: ResolvedOptions, last: Limits | undefined): Limits {
  const { patience, heartbeat, maxBuffered, closeTimeout } = options
  // As in `ws`, 0 means that a message may be of any size.
  const maxPayload = options.maxPayload || Number.POSITIVE_INFINITY
  const same =
    last?.patience === patience &&
    last.pingInterval === heartbeat &&
    last.maxBuffered === maxBuffered &&
    last.closeTimeout === Math.min(closeTimeout, patience) &&
    last.maxPayload === maxPayload
  if (same) return last
  return {
    ...defaultLimits,
    patience,
    pingInterval: heartbeat,
    silence: heartbeat * 2,
    maxBuffered,
    maxPayload,
    // As with `ws`, what waits to be sent does not prolong it.
    closeTimeout: Math.min(closeTimeout, patience),
  }
}
