/** The arguments of the constructor in Node, with the options of `ws`, and their conversion for the class of browsers. */
import type { ClientRequest } from 'node:http'
import type { ZlibOptions } from 'node:zlib'
import { type Answered, askingHeaders, type WithHeaders } from '../base/asked-headers.ts'
import type { WebSocketOptions } from '../base/types.ts'
import { areProtocols, type WebSocket } from '../socket/websocket-class.ts'
import { checkOptions } from './node-check.ts'
import { pairUp, type Side } from './node-side.ts'
import { type ConnectionOptions, layWay } from './node-way.ts'

/** The options of permessage-deflate, as in `ws`. The server has the same. */
export interface PerMessageDeflateOptions {
  /** Whether the server compresses each message by itself, which needs less memory. Default: as the client offers. */
  readonly serverNoContextTakeover?: boolean | undefined
  /** Whether the client compresses each message by itself, which needs less memory. Default: as the client offers. */
  readonly clientNoContextTakeover?: boolean | undefined
  /** The size of the server's compression window, as a power of two from 8 to 15. Default: 15. */
  readonly serverMaxWindowBits?: number | undefined
  /** The size of the client's compression window, as a power of two from 8 to 15. Default: 15. */
  readonly clientMaxWindowBits?: number | undefined
  /** Smaller messages are not compressed, in bytes. Default: 1024. */
  readonly threshold?: number | undefined
  /** How many messages of all sockets zlib works on at a time; others wait. Default: 10. */
  readonly concurrencyLimit?: number | undefined
  /** Further options of zlib for what this end compresses. */
  readonly zlibDeflateOptions?:
    | (Omit<ZlibOptions, 'dictionary'> & { dictionary?: Buffer | Buffer[] | DataView | undefined })
    | undefined
  /** Further options of zlib for what this end decompresses. */
  readonly zlibInflateOptions?: ZlibOptions | undefined
}

/** The options of the constructor in Node, with those of `ws` and of TLS (`SecureContextOptions`). */
export interface NodeWebSocketOptions extends WebSocketOptions, WithHeaders, ConnectionOptions {
  /** The header `Origin`. */
  readonly origin?: string | undefined
  /** `name:password` for every request and handshake. Those in the URL, or a header `Authorization`, have precedence. */
  readonly auth?: string | undefined
  /** The name of `connectTimeout` in `ws`. If both are given, `connectTimeout` counts. */
  readonly handshakeTimeout?: number | undefined
  /** With false, the application answers the server's pings itself. Default: true. */
  readonly autoPong?: boolean | undefined

  // The following options are for the WebSocket transport.
  /** Compresses messages if the server agrees: true, or the options of `ws`. Default: false. */
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** Whether texts of the server are accepted without a check that they are UTF-8. Default: false. */
  readonly skipUTF8Validation?: boolean | undefined
  /** Follows redirects of the handshake; in a session only to the same host. Default: false. */
  readonly followRedirects?: boolean | undefined
  /** The largest number of redirects. Default: 10. */
  readonly maxRedirects?: number | undefined
  /**
   * May change the headers of each handshake. Must end the request: `request.end()`. If it throws, the attempt to
   * connect fails.
   */
  readonly finishRequest?: ((request: ClientRequest, socket: WebSocket) => void) | undefined
  /** The version of the handshake: 13, or the older 8. Default: 13. */
  readonly protocolVersion?: number | undefined
  /** Fills the buffer with the mask of a frame. Default: random bytes. */
  readonly generateMask?: ((mask: Buffer) => void) | undefined
  /** The largest number of fragments of a message on a WebSocket. 0: any number. Default: 131,072. */
  readonly maxFragments?: number | undefined
  /** The largest number of chunks of a WebSocket that may wait to be read. 0: any number. Default: 1,048,576. */
  readonly maxBufferedChunks?: number | undefined
  /**
   * With `session: false`: how long to wait for the server's close, in ms. Default: 30 000. A session waits for
   * `patience`.
   */
  readonly closeTimeout?: number | undefined
  /** Accepted for code written for `ws`; each event has a task of its own. */
  readonly allowSynchronousEvents?: boolean | undefined
}

/** The options of `send` in Node, as in `ws`. */
export interface SendOptions {
  /** Whether to send the data as binary. Default: false for a string, true for other data. */
  readonly binary?: boolean | undefined
  /** False for all pieces of a message except the last. A session sends the message when it is complete. */
  readonly fin?: boolean | undefined
  /**
   * Whether to compress the message. Only with `session: false`; a session decides by `perMessageDeflate`.
   * Default: true.
   */
  readonly compress?: boolean | undefined
  /** Whether to mask the frame. Only with `session: false`. Default: true. */
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

/** Makes a URL that browsers accept, and the way to its server. Throws for an invalid one, in the words of `ws`. */
function standIn(
  url: string,
  side: Side,
  options: Answered<NodeWebSocketOptions> & {
    remember?: boolean | undefined
    transports?: WebSocketOptions['transports']
  },
): string {
  if (!URL.canParse(url)) return url
  const { protocol, pathname, search, href } = new URL(url)
  if (!schemes.includes(protocol))
    throw fault(`The URL's protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"`)
  if (protocol === 'ws+unix:' && !pathname) throw fault("The URL's pathname is empty")
  if (href.includes('#')) throw fault('The URL contains a fragment identifier')
  if (protocol !== 'ws+unix:') {
    layWay(options, url)
    return url
  }
  side.address = href
  options.remember = false
  // Nothing on the way to a Unix socket blocks WebSockets.
  options.transports ??= ['websocket']
  const [file, ...path] = `${pathname}${search}`.split(':')
  const inside = `ws://localhost${path.join(':') || '/'}`
  layWay(options, inside, file)
  return inside
}

function isIterable(value: unknown): boolean {
  return Object(value) === value && !!(value as Partial<Iterable<unknown>>)[Symbol.iterator]
}

function fault(message: string): DOMException {
  return new DOMException(message, 'SyntaxError')
}
