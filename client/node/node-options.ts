/** What the constructor is given in Node: `ws`'s options beside ours, and made into what the class of browsers takes. */
import type { Agent, ClientRequest } from 'node:http'
import type { LookupFunction } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { WebSocketOptions } from '../base/types.ts'
import { areProtocols, type WebSocket } from '../socket/websocket-class.ts'
import { checkOptions } from './node-check.ts'
import { pairUp, type Side } from './node-side.ts'

/** As `ws` has them: what may be negotiated of permessage-deflate, and how it is done here. */
export interface ClientDeflateOptions {
  readonly serverNoContextTakeover?: boolean | undefined
  readonly clientNoContextTakeover?: boolean | undefined
  readonly serverMaxWindowBits?: number | undefined
  readonly clientMaxWindowBits?: boolean | number | undefined
  /** Smaller messages are sent as they are. */
  readonly threshold?: number | undefined
  readonly concurrencyLimit?: number | undefined
  readonly zlibDeflateOptions?: object | undefined
  readonly zlibInflateOptions?: object | undefined
}

/** The options that a browser has no need of, or no right to. */
export interface NodeWebSocketOptions extends WebSocketOptions, SecureContextOptions {
  /** Headers of every request and handshake, as `Cookie` or `Authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The header `Origin`. */
  readonly origin?: string | undefined
  /** `name:password` of every request and handshake; those in the URL, and a header `Authorization`, count more. */
  readonly auth?: string | undefined
  /** `ws`'s name for `connectTimeout`. */
  readonly handshakeTimeout?: number | undefined
  /** For the HTTP transports: the `dispatcher` of undici, where proxies and certificates are set. */
  readonly dispatcher?: unknown
  /** False leaves the answers to the server's pings to the application. Default: true. */
  readonly autoPong?: boolean | undefined

  // These, and those about certificates, are for the WebSocket transport.
  /** Compresses messages, if the server takes part: true, or `ws`'s options. Default: false. */
  readonly perMessageDeflate?: boolean | ClientDeflateOptions | undefined
  /** The agent that makes its connection. */
  readonly agent?: Agent | undefined
  /** False takes a server whose certificate cannot be verified. */
  readonly rejectUnauthorized?: boolean | undefined
  readonly localAddress?: string | undefined
  readonly family?: number | undefined
  readonly lookup?: LookupFunction | undefined
  readonly skipUTF8Validation?: boolean | undefined
  /** Follows redirects of the handshake; with a session, to the same host only. Default: false. */
  readonly followRedirects?: boolean | undefined
  /** Default: 10. */
  readonly maxRedirects?: number | undefined
  /** May change the headers of each handshake, and has to end the request: `request.end()`. */
  finishRequest?(request: ClientRequest, socket: WebSocket): void
  /** 13, or the older 8. */
  readonly protocolVersion?: number | undefined
  /** Makes the connection, in place of `node:net` or `node:tls`. */
  readonly createConnection?: ((options: never, done?: never) => unknown) | undefined
  readonly generateMask?: ((mask: Buffer) => void) | undefined
  readonly maxFragments?: number | undefined
  readonly maxBufferedChunks?: number | undefined
  /** How long the server's goodbye is waited for with `session: false`, in ms; a session waits for its patience. */
  readonly closeTimeout?: number | undefined
  /** Taken from code written for `ws`: each event has a task of its own. */
  readonly allowSynchronousEvents?: boolean | undefined
}

export interface SendOptions {
  /** Whether to send it as binary; by default, whether it is other than a string. */
  readonly binary?: boolean | undefined
  /** False for all but the last piece of a message that is sent in pieces; a session sends it when it is whole. */
  readonly fin?: boolean | undefined
  /** With `session: false`; a session leaves it to `perMessageDeflate`. */
  readonly compress?: boolean | undefined
  /** With `session: false`. */
  readonly mask?: boolean | undefined
}

type Given = readonly [unknown?, unknown?, unknown?]

const schemes = ['ws:', 'wss:', 'http:', 'https:', 'ws+unix:']
const versions: readonly unknown[] = [8, 13]

/** Options of its own for each socket, by which its parts find each other. They may stand where the protocols are. */
export function prepared(args: Given, side: Side, asInWs: boolean): [unknown?, unknown?, WebSocketOptions?] {
  if (args.length === 0) return []
  const [first, second, third] = args
  // WebIDL: the arguments are converted in their order, before any of them is looked at.
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
  const options = {
    perMessageDeflate: asInWs,
    ...(handshakeTimeout !== undefined && { connectTimeout: handshakeTimeout }),
    ...given,
    // In `ws` that is no limit.
    ...(given.maxPayload === 0 && { maxPayload: Number.POSITIVE_INFINITY }),
    ...(origin !== undefined && {
      headers: {
        ...given.headers,
        [protocolVersion === 8 ? 'Sec-WebSocket-Origin' : 'Origin']: origin,
      },
    }),
  }
  pairUp(options, side)
  return [standIn(url, side, options), offered, options]
}

/** The URL as browsers know URLs. What is wrong with it is said as `ws` says it. */
function standIn(
  url: string,
  side: Side,
  options: { transports?: WebSocketOptions['transports']; remember?: boolean; dispatcher?: unknown },
): string {
  if (!URL.canParse(url)) return url
  const { protocol, pathname, search, href } = new URL(url)
  if (!schemes.includes(protocol))
    throw fault(`The URL's protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"`)
  if (protocol === 'ws+unix:' && !pathname) throw fault("The URL's pathname is empty")
  if (href.includes('#')) throw fault('The URL contains a fragment identifier')
  if (protocol !== 'ws+unix:') return url
  side.address = href
  // fetch finds no such place, unless it is given one that does.
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
