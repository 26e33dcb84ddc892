/** How a client in Node reaches its server: the options for connections make one way for all transports. */
import { Agent, type ClientRequest, type ClientRequestArgs } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { unescape as decoded } from 'node:querystring'
import type { SecureContextOptions, ConnectionOptions as TLSOptions } from 'node:tls'
import type { Headers } from '../base/asked-headers.ts'
import { defaultConnectTimeout } from '../pilot/deadlines.ts'
import { type AskedAgent, endingAt, type ForwardProxy, isSecure, proxyFor, tunnelled } from './node-proxy.ts'

/** The options for the connections of all transports, with those of TLS (`SecureContextOptions`). */
export interface ConnectionOptions extends SecureContextOptions {
  /**
   * The forward proxy to connect through: a URL as `http://name:password@proxy.example:3128`, or `'environment'` for what the
   * variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name. Default: none, whatever these variables say.
   */
  readonly proxy?: string | URL | undefined
  /** The agent that makes the connections. For HTTP it should have `keepAlive: true`. Default: one of everwire's. */
  readonly agent?: Agent | undefined
  /** With false, servers with an invalid certificate are accepted. Default: true. */
  readonly rejectUnauthorized?: boolean | undefined
  /** The host name that the server's certificate must be for. Default: that of the URL. */
  readonly servername?: string | undefined
  /** Checks the server's certificate, as in `tls.connect`: what it returns, if anything, is the error. */
  readonly checkServerIdentity?: TLSOptions['checkServerIdentity']
  /** The local address from which connections are made. */
  readonly localAddress?: string | undefined
  /** The version of IP: 4 or 6. Default: either. */
  readonly family?: number | undefined
  /** Resolves the host name. Default: `dns.lookup`. */
  readonly lookup?: LookupFunction | undefined
  /** Makes the connections instead of `node:net` or `node:tls`. */
  readonly createConnection?: ((options: never, done?: never) => unknown) | undefined
}

/** The options that a way depends on. Headers that are a function have been asked. */
interface WayOptions extends ConnectionOptions {
  readonly headers?: Headers | undefined
  readonly auth?: string | undefined
  readonly connectTimeout?: number | undefined
  readonly followRedirects?: boolean | undefined
}

/** Free connections are closed after this time in ms, before the server closes them, perhaps while a request is on its way. */
const restOfConnection = 4000
/** The names of options that do not concern connections: everwire's, those of the handshake, and those that `ws` overrides. */
const others: ReadonlySet<string> = new Set(
  `session transports patience raceDelay reconnectionDelay connectTimeout maxBuffered maxPayload remember token reopen
  headers auth proxy agent autoPong perMessageDeflate skipUTF8Validation followRedirects maxRedirects
  finishRequest protocolVersion generateMask maxFragments maxBufferedChunks closeTimeout allowSynchronousEvents keepAlive
  socketPath hostname protocol timeout host path port defaultPort method signal onProgress duration`.split(
    /\s+/,
  ),
)

export class Way {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** The scheme and host that precede the path in URLs of this server. */
  readonly #origin: string
  /** A name and a password of the URL. */
  readonly #credentials: string
  /** The agent for the WebSocket's handshake; undefined if `ws` needs none. */
  readonly forWebSocket: Agent | undefined
  readonly forHTTP: Agent
  /** The options for connections, which each request hands to its agent. */
  readonly connection: object
  /** The proxy that is asked for whole URLs of `http:`. */
  readonly asked: ForwardProxy | undefined
  /** The latest headers of the application, and the request headers made of them, by the value of `Accept`. */
  #given: object | undefined
  readonly #made = new Map<string, Headers>()

  /** `unix`: the path of the server's Unix socket. Throws if the options contradict each other. */
  constructor(url: string, options: WayOptions, unix?: string) {
    const server = new URL(url)
    const { hostname, port, username, password } = server
    this.secure = /^(wss|https):$/.test(server.protocol)
    this.host = hostname.replace(/^\[|\]$/g, '')
    this.port = Number(port || (this.secure ? 443 : 80))
    this.#credentials = username || password ? `${decoded(username)}:${decoded(password)}` : ''
    this.#origin = `${this.secure ? 'https' : 'http'}://${server.host}`
    checkWay(options, this.secure, unix !== undefined)

    const { agent, proxy: asked, createConnection, connectTimeout = defaultConnectTimeout } = options
    const { followRedirects } = options
    const given = Object.entries(options).filter(([name, value]) => value !== undefined && !others.has(name))
    this.connection = {
      // Otherwise Node takes the name from a header "Host" of the application.
      ...(this.secure && { servername: isIP(this.host) ? '' : this.host }),
      ...Object.fromEntries(given),
      ...(unix !== undefined && { socketPath: unix }),
    }
    const own = (secure = this.secure): Agent => {
      const made = new (secure ? SecureAgent : Agent)({ keepAlive: true, timeout: restOfConnection })
      // All connections of this agent have the same options, so their names need not list them.
      return Object.assign(made, { getName: nameOf, ...(createConnection && { createConnection }) })
    }
    const proxy = asked === undefined ? undefined : proxyFor(asked, server, process.env)
    if (proxy) {
      this.forWebSocket = tunnelled(own(true), proxy, connectTimeout)
      if (!this.secure) this.asked = proxy
      this.forHTTP = this.secure ? this.forWebSocket : endingAt(proxy, own())
    } else {
      this.forWebSocket = agent && followRedirects ? forRedirects(agent, this.secure) : agent
      const isPlain = given.length === 0 && unix === undefined
      this.forHTTP = agent ?? (isPlain ? sharedAgent(this.secure, own) : own())
    }
  }

  /** The target in the first line of a request for this URL. */
  target(url: string): string {
    const path = url.slice(url.indexOf('/', url.indexOf('//') + 2))
    return this.asked ? this.#origin + path : path
  }

  /** The headers of requests for answers of this type. An object, because agents and tracing read and copy it as one. */
  headers({ headers = {}, auth }: WayOptions, accept: string): Headers {
    if (this.#given !== headers) this.#made.clear()
    this.#given = headers
    const known = this.#made.get(accept)
    if (known) return known
    const credentials = this.#credentials || auth
    const named = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
    const own = Object.entries({
      Host: this.#origin.slice(this.#origin.indexOf('//') + 2),
      // Firewalls refuse requests that lack one of these.
      'User-Agent': 'node',
      Accept: accept,
      // Compression would delay pieces of a stream.
      'Accept-Encoding': 'identity',
      ...(credentials && { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
    }).filter(([name]) => !named.has(name.toLowerCase()))
    const made = { ...Object.fromEntries(own), ...headers, ...this.asked?.headers }
    this.#made.set(accept, made)
    return made
  }
}

const ways = new WeakMap<object, Way>()

/** Makes the way of these options, in which their sockets find it. */
export function layWay(options: WayOptions, url: string, unix?: string): Way {
  const way = new Way(url, options, unix)
  ways.set(options, way)
  return way
}

export function wayOf(options: WayOptions, url: string): Way {
  return ways.get(options) ?? layWay(options, url)
}

/** Connections of sockets without special options are shared. */
const shared = new Map<boolean, Agent>()

function sharedAgent(secure: boolean, make: () => Agent): Agent {
  const agent = shared.get(secure) ?? make()
  shared.set(secure, agent)
  return agent
}

/** An agent that fails a request to a redirect's URL with the other scheme. With the agent itself Node would throw into the event loop. */
function forRedirects(agent: Agent, secure: boolean): Agent {
  const failing = new Agent()
  failing.createConnection = (_options, done) =>
    void process.nextTick(
      done as (error: Error) => void,
      new Error('The option "agent" is not for the URL of this redirect'),
    )
  return {
    addRequest(request: ClientRequest, options: ClientRequestArgs) {
      ;((isSecure(request) === secure ? agent : failing) as AskedAgent).addRequest(request, options)
    },
  } as AskedAgent
}

function nameOf({ host, port }: { host?: string; port?: number }): string {
  return `${host}:${port}`
}

/** Refuses an option that only some of the transports would respect: the others would go around a proxy. */
function checkWay(options: object, isSecure: boolean, isUnix: boolean): void {
  const { proxy, agent, createConnection, dispatcher } = options as ConnectionOptions & {
    dispatcher?: unknown
  }
  if (dispatcher !== undefined)
    throw new TypeError(
      'The option "dispatcher" is only for fetch, which is not used: "proxy", "ca" and "agent" are for all transports',
    )
  if (proxy !== undefined) {
    if (typeof proxy !== 'string' && !(proxy instanceof URL))
      throw new TypeError(`The option "proxy" must be a URL or 'environment'`)
    const other = agent ? 'agent' : createConnection ? 'createConnection' : undefined
    if (other) throw new TypeError(`The options "proxy" and "${other}" exclude each other`)
    if (isUnix) throw new TypeError('The option "proxy" is not for a Unix socket')
  }
  // An agent of another class may be for both schemes.
  if (isSecure && agent && Object.getPrototypeOf(agent) === Agent.prototype)
    throw new TypeError('The option "agent" is an http.Agent: a URL with TLS needs an https.Agent')
  if (!isSecure && agent instanceof SecureAgent)
    throw new TypeError('The option "agent" is an https.Agent: a URL without TLS needs an http.Agent')
}
