/** The option `proxy`: which forward proxy is meant, and connections through it to a server (the method CONNECT). */
import { type Agent, type ClientRequest, type ClientRequestArgs, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import {
  BlockList,
  connect as connectTCP,
  isIP,
  type LookupFunction,
  type Socket,
  type TcpSocketConnectOpts,
} from 'node:net'
import { unescape as decoded } from 'node:querystring'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTLS } from 'node:tls'
import type { Headers } from '../base/asked-headers.ts'

export interface ForwardProxy {
  /** `http:` or `https:`: the scheme of the connection to the proxy itself. */
  readonly protocol: string
  readonly host: string
  readonly port: number
  /** For messages: never with a password. */
  readonly name: string
  /** The headers that each request to the proxy needs: none, or the name and the password. */
  readonly headers: Headers
}

/** The proxy that the option means for this server; undefined if the connection is to be direct. Throws for an invalid one. */
export function proxyFor(
  option: string | URL,
  server: URL,
  env: NodeJS.ProcessEnv,
): ForwardProxy | undefined {
  if (option !== 'environment') return parsed(option, 'The option "proxy"')
  const [named, address] = fromEnvironment(server, env)
  return address ? parsed(address, `The environment variable ${named}`) : undefined
}

/** The first variable that is set counts, in the order of curl: one that is empty means no proxy. */
function fromEnvironment(server: URL, env: NodeJS.ProcessEnv): [name: string, address: string | undefined] {
  const scheme = /^(wss|https):$/.test(server.protocol) ? 'https' : 'http'
  const names = [`${scheme}_proxy`, 'all_proxy'].flatMap((name) => [name, name.toUpperCase()])
  const name = names.find((one) => env[one] !== undefined) ?? ''
  const port = server.port || (scheme === 'https' ? '443' : '80')
  return [name, isExcepted(server.hostname, port, env.no_proxy ?? env.NO_PROXY ?? '') ? undefined : env[name]]
}

/** Whether `NO_PROXY` names this host: by `*`, by its name or address, by a domain or a network that it belongs to; perhaps only one port of it. */
function isExcepted(hostname: string, port: string, list: string): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === '*') return true
      const [, name = '', only] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
      const domain = name.replace(/^\*?\.|\.$/g, '')
      const host = hostname.replace(/^\[|[\].]$/g, '')
      const same = host === domain.replace(/^\[|\]$/g, '') || host.endsWith(`.${domain}`)
      return domain !== '' && (same || isWithin(host, domain)) && (only === undefined || only === port)
    })
}

/** Whether an address belongs to a network such as `10.0.0.0/8`. */
function isWithin(host: string, network: string): boolean {
  const [, address = '', size = ''] = /^(.+)\/(\d+)$/.exec(network) ?? []
  const version = isIP(address)
  if (!version || isIP(host) !== version || Number(size) > (version === 4 ? 32 : 128)) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(address, Number(size), family)
  return list.check(host, family)
}

function parsed(given: string | URL, source: string): ForwardProxy {
  const text = String(given)
  const whole = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  // The address may have a password, so no message quotes it.
  if (!url?.hostname || !/^https?:$/.test(url.protocol))
    throw new TypeError(`${source} must be a URL of a proxy, with "http:" or "https:"`)
  const { protocol, hostname, username, password } = url
  const port = Number(url.port || (protocol === 'https:' ? 443 : 80))
  const basic = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')
  return {
    protocol,
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    name: `${hostname}:${port}`,
    headers: username || password ? { 'Proxy-Authorization': `Basic ${basic}` } : {},
  }
}

/** The options with which Node asks an agent for a connection, as far as they matter here. */
interface Wanted extends ClientRequestArgs {
  readonly ca?: ConnectionOptions['ca']
  readonly rejectUnauthorized?: boolean
  readonly localAddress?: string
  readonly family?: number
  readonly lookup?: LookupFunction
  /** Whether TLS begins inside of the tunnel. */
  readonly secure?: boolean
  /** Aborts when nobody wants the connection any more. A request cannot say that before it has one. */
  readonly unwanted?: AbortSignal
}

/** What Node calls of an agent. */
export interface AskedAgent extends Agent {
  addRequest(request: ClientRequest, options: ClientRequestArgs): void
}

export function isSecure({ protocol }: ClientRequest): boolean {
  return protocol === 'https:'
}

type Done = (error: Error | null, socket: Duplex) => void

/**
 * Lets an agent of https make its connections through the proxy. For URLs with TLS it begins TLS with the server inside of them: after
 * a redirect of a WebSocket, the scheme may be another one.
 */
export function tunnelled(agent: Agent, proxy: ForwardProxy, patience: number): Agent {
  const { addRequest, createConnection } = agent as AskedAgent
  Object.assign(agent, {
    // With a protocol of its own, the agent would be refused for URLs of the other one.
    protocol: undefined,
    addRequest: (request: ClientRequest, options: ClientRequestArgs) =>
      addRequest.call(agent, request, { ...options, secure: isSecure(request) } as Wanted),
  })
  agent.createConnection = (options: Wanted, done) => {
    tunnel(options, proxy, patience, (error, socket) => {
      let made: Duplex | null | undefined = socket
      try {
        if (!error && options.secure) made = createConnection.call(agent, { ...options, socket } as Wanted)
      } catch (wrong) {
        // An invalid option of TLS throws. Report it here, because this runs in a listener of the connection to the proxy.
        socket.destroy()
        error = wrong as Error
      }
      ;(done as Done)(error, made as Duplex)
    })
    return undefined
  }
  return agent
}

/** Lets an agent make connections that end at the proxy, which is then asked for whole URLs. */
export function endingAt(proxy: ForwardProxy, agent: Agent): Agent {
  const { host, port } = proxy
  agent.createConnection = (options) => {
    const way = { ...options, host, port, servername: isIP(host) ? '' : host } as ConnectionOptions &
      TcpSocketConnectOpts
    return proxy.protocol === 'https:' ? connectTLS(way) : connectTCP(way)
  }
  return agent
}

function tunnel(
  { host, port, unwanted, ca, rejectUnauthorized, localAddress, family, lookup }: Wanted,
  proxy: ForwardProxy,
  patience: number,
  done: Done,
): void {
  const server = `${host?.includes(':') ? `[${host}]` : host}:${port}`
  const ask = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
    host: proxy.host,
    port: proxy.port,
    agent: false,
    method: 'CONNECT',
    path: server,
    headers: { Host: server, Connection: 'keep-alive', ...proxy.headers },
    ...(ca !== undefined && { ca }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    ...(localAddress !== undefined && { localAddress }),
    ...(family !== undefined && { family }),
    ...(lookup !== undefined && { lookup }),
  })
  const failed = (error: Error): void => (done as (error: Error) => void)(error)
  const cancel = (): void => void ask.destroy(new Error('no answer'))
  const limit = setTimeout(cancel, Math.min(patience, 2 ** 31 - 1))
  const over = (): void => {
    clearTimeout(limit)
    unwanted?.removeEventListener('abort', cancel)
  }
  if (unwanted?.aborted) cancel()
  unwanted?.addEventListener('abort', cancel)
  ask.once('connect', ({ statusCode, statusMessage }, socket: Socket) => {
    over()
    // Any status of success: RFC 9110, section 9.3.6.
    if (statusCode && statusCode >= 200 && statusCode < 300) {
      socket.setNoDelay(true)
      done(null, socket)
      return
    }
    socket.destroy()
    const hint = statusCode === 407 ? ': it wants another name and password in its URL' : ''
    failed(new ProxyError(`The proxy ${proxy.name} answered ${statusCode} ${statusMessage}${hint}`))
  })
  ask.once('error', (error) => {
    over()
    failed(proxyFailed(proxy, error))
  })
  ask.end()
}

/** The proxy failed, whatever the code of the cause says: the server was not reached. */
export class ProxyError extends Error {}

export function proxyFailed({ name }: ForwardProxy, cause: Error & { readonly code?: string }): ProxyError {
  return new ProxyError(`The connection to the proxy ${name} failed: ${cause.code ?? cause.message}`, {
    cause,
  })
}
