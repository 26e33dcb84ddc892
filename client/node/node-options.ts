/** The arguments of the constructor in Node, with the options of `ws`, and their conversion for the class of browsers. */
import type { Agent, ClientRequest } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { ZlibOptions } from 'node:zlib'
import { askingHeaders, type WithHeaders } from '../base/asked-headers.ts'
import type { WebSocketOptions } from '../base/types.ts'
import { areProtocols, type WebSocket } from '../socket/websocket-class.ts'
import { checkOptions } from './node-check.ts'
import { pairUp, type Side } from './node-side.ts'

/** The options of permessage-deflate, as in `ws`. The server has the same. */
export interface PerMessageDeflateOptions {
  readonly serverNoContextTakeover?: boolean | undefined
  readonly clientNoContextTakeover?: boolean | undefined
  readonly serverMaxWindowBits?: number | undefined
  readonly clientMaxWindowBits?: number | undefined
  /** Smaller messages are not compressed. */
  readonly threshold?: number | undefined
  readonly concurrencyLimit?: number | undefined
  readonly zlibDeflateOptions?:
    | (Omit<ZlibOptions, 'dictionary'> & { dictionary?: Buffer | Buffer[] | DataView | undefined })
    | undefined
  readonly zlibInflateOptions?: ZlibOptions | undefined
}

/** Options that browsers do not need or do not allow. */
export interface NodeWebSocketOptions extends WebSocketOptions, WithHeaders, SecureContextOptions {
  /** The header `Origin`. */
  readonly origin?: string | undefined
  /** `name:password` for every request and handshake. Those in the URL, or a header `Authorization`, have precedence. */
  readonly auth?: string | undefined
  /** The name of `connectTimeout` in `ws`. */
  readonly handshakeTimeout?: number | undefined
  /** The `dispatcher` of undici for the HTTP transports, for example for proxies and certificates. */
  readonly dispatcher?: unknown
  /** With false, the application answers the server's pings itself. Default: true. */
  readonly autoPong?: boolean | undefined

  // The following options, and those for certificates, are for the WebSocket transport.
  /** Compresses messages if the server agrees: true, or the options of `ws`. Default: false. */
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** The agent that makes the WebSocket's connection. */
  readonly agent?: Agent | undefined
  /** With false, servers with an invalid certificate are accepted. Default: true. */
  readonly rejectUnauthorized?: boolean | undefined
  readonly localAddress?: string | undefined
  readonly family?: number | undefined
  readonly lookup?: LookupFunction | undefined
  readonly skipUTF8Validation?: boolean | undefined
  /** Follows redirects of the handshake; in a session only to the same host. Default: false. */
  readonly followRedirects?: boolean | undefined
  /** The largest number of redirects. Default: 10. */
  readonly maxRedirects?: number | undefined
  /** May change the headers of each handshake. Must end the request: `request.end()`. */
  readonly finishRequest?: ((request: ClientRequest, socket: WebSocket) => void) | undefined
  /** The version of the protocol: 13, or the older 8. */
  readonly protocolVersion?: number | undefined
  /** Makes the connection instead of `node:net` or `node:tls`. */
  readonly createConnection?: ((options: never, done?: never) => unknown) | undefined
  readonly generateMask?: ((mask: Buffer) => void) | undefined
  readonly maxFragments?: number | undefined
  readonly maxBufferedChunks?: number | undefined
  /** With `session: false`: how long to wait for the server's close, in ms. A session waits for `patience`. */
  readonly closeTimeout?: number | undefined
  /** Accepted for code written for `ws`; each event has a task of its own. */
  readonly allowSynchronousEvents?: boolean | undefined
}

export interface SendOptions {
  /** Whether to send the data as binary. Default: false for a string, true for other data. */
  readonly binary?: boolean | undefined
  /** False for all pieces of a message except the last. A session sends the message when it is complete. */
  readonly fin?: boolean | undefined
  /** Only with `session: false`; a session decides by `perMessageDeflate`. */
  readonly compress?: boolean | undefined
  /** Only with `session: false`. */
  readonly mask?: boolean | undefined
}

type Given = readonly [unknown?, unknown?, unknown?]

const schemes = ['ws:', 'wss:', 'http:', 'https:', 'ws+unix:']
const versions: readonly unknown[] = [8, 13]

/** Makes the options of one socket, by which its parts find each other. They may be given instead of the protocols. */
export function prepared(args: Given, side: Side, asInWs: boolean): [unknown?, unknown?, WebSocketOptions?] {
  if (args.length === 0) return []
  const [first, second, third] = args
  // WebIDL: convert the arguments in their order before any of them is checked.
  const url = `${first as string}`
  const text = asInWs || isIterable(second) || second === undefined ? '' : `${second as string}`
  const isOptions = asInWs ? Object(second) === second && !Array.isArray(second) : text === '[object Object]'
  const all = ((isOptions ? second : third) ?? {}) as NodeWebSocketOptions & { protocols?: unknown }
  checkOptions(all)
  const { handshakeTimeout, origin, protocols = [], ...given } = all
  const list = isOptions || second === undefined ? protocols : text || second
  const offered = Array.from((isIterable(list) ? list : [list]) as Iterable<unknown>, (name) =>
    asInWs ? name : `${name as string}`,
  ) as string[]
  if (offered.some((name) => typeof name !== 'string') || !areProtocols(offered))
    throw fault('An invalid or duplicated subprotocol was specified')
  const { protocolVersion = 13 } = given
  if (!versions.includes(protocolVersion))
    throw new RangeError(`Unsupported protocol version: ${protocolVersion} (supported versions: 8, 13)`)
  const originHeader = protocolVersion === 8 ? 'Sec-WebSocket-Origin' : 'Origin'
  const always = origin === undefined ? {} : { [originHeader]: origin }
  const options = askingHeaders(
    {
      perMessageDeflate: asInWs,
      ...(handshakeTimeout !== undefined && { connectTimeout: handshakeTimeout }),
      ...given,
      // In `ws`, 0 means no limit.
      ...(given.maxPayload === 0 && { maxPayload: Number.POSITIVE_INFINITY }),
    },
    always,
  )
  pairUp(options, side)
  return [standIn(url, side, options), offered, options]
}

/** Makes a URL that browsers accept. Throws for an invalid one, in the words of `ws`. */
function standIn(
  url: string,
  side: Side,
  options: {
    transports?: WebSocketOptions['transports']
    remember?: boolean | undefined
    dispatcher?: unknown
  },
): string {
  if (!URL.canParse(url)) return url
  const { protocol, pathname, search, href } = new URL(url)
  if (!schemes.includes(protocol))
    throw fault(`The URL's protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"`)
  if (protocol === 'ws+unix:' && !pathname) throw fault("The URL's pathname is empty")
  if (href.includes('#')) throw fault('The URL contains a fragment identifier')
  if (protocol !== 'ws+unix:') return url
  side.address = href
  // fetch() cannot reach a Unix socket without a dispatcher.
  if (!options.dispatcher) options.transports = ['websocket']
  options.remember = false
  const path = `${pathname}${search}`
  const colon = path.indexOf(':')
  return `ws://localhost${colon < 0 ? '/' : path.slice(colon + 1)}`
}

function isIterable(value: unknown): boolean {
  return Object(value) === value && !!(value as Partial<Iterable<unknown>>)[Symbol.iterator]
}

function fault(message: string): DOMException {
  return new DOMException(message, 'SyntaxError')
}
