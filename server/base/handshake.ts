/** The WebSocket handshake of RFC 6455, section 4.2, before `ws` completes it, and the refusal of a wrong one. */
import { randomFillSync } from 'node:crypto'
import { IncomingMessage, type OutgoingHttpHeaders, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { ByteReader, Malformed } from '../../shared/bytes.ts'
import {
  type RequestHead,
  readRecordHead,
  readRequestHead,
  subprotocol,
  subprotocolWithHead,
} from '../../shared/exchange.ts'
import { maxToken } from '../../shared/limits.ts'
import { decodeText } from '../../shared/text.ts'
import { showToken } from './token.ts'
import { deadline, defaultAnswerTimeout } from './wakeups.ts'

/** Why a client is refused: the status, the reason as the body, and headers. */
export interface Refusal {
  readonly status: number
  readonly reason: string
  readonly headers?: Readonly<OutgoingHttpHeaders>
}

export interface Handshake {
  /** The subprotocols that the application offers. */
  readonly offered: Set<string>
  /** The session's head; an ordinary WebSocket client sends none. */
  readonly head: RequestHead | undefined
  /** The header as it came. */
  readonly protocols: string
}

const token = /^[!#$%&'*+\-.0-9A-Z^_`|a-z~]+$/
const key = /^[+/0-9A-Za-z]{22}==$/

export function isUpgrade(request: IncomingMessage): boolean {
  const { upgrade, connection = '' } = request.headers
  return upgrade !== undefined && !offersHttp2(request) && /\bupgrade\b/i.test(connection)
}

/** Some clients offer HTTP/2 (`h2c`) with their first request, as Java's does; it is still an ordinary request. */
function offersHttp2({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'h2c'
}

/**
 * A request of our own HTTP server. That server listens for `upgrade`, so Node would also take an offer of HTTP/2 for an upgrade, and
 * would leave the body unread.
 */
export class OwnRequest extends IncomingMessage {
  #upgrades = false

  get upgrade(): boolean {
    return this.#upgrades && !offersHttp2(this)
  }

  set upgrade(upgrades: boolean | null) {
    // Node's constructor sets it, too, before there is a place for it.
    if (#upgrades in this) this.#upgrades = upgrades === true
  }
}

/** RFC 6455, 4.2.1: what a client's opening handshake must have. */
export function checkHandshake(request: IncomingMessage): Refusal | undefined {
  const { headers } = request
  if (request.method !== 'GET') {
    return { status: 405, reason: 'Invalid HTTP method', headers: { Allow: 'GET' } }
  }
  if (request.httpVersionMajor < 1 || (request.httpVersionMajor === 1 && request.httpVersionMinor < 1)) {
    return { status: 400, reason: 'A WebSocket handshake needs HTTP/1.1 or later' }
  }
  if (headers.upgrade?.toLowerCase() !== 'websocket') return { status: 400, reason: 'Invalid Upgrade header' }
  if (!key.test(headers['sec-websocket-key'] ?? '')) {
    return { status: 400, reason: 'Missing or invalid Sec-WebSocket-Key header' }
  }
  if (!/^(13|8)$/.test(headers['sec-websocket-version'] ?? '')) {
    // RFC 6455, 4.2.2; `ws` says 400.
    return {
      status: 426,
      reason: 'Missing or invalid Sec-WebSocket-Version header',
      headers: { 'Sec-WebSocket-Version': '13, 8', Upgrade: 'websocket', Connection: 'Upgrade, close' },
    }
  }
  return undefined
}

/** Reads the offered subprotocols, and the head of a session among them. */
export function readHandshake(request: IncomingMessage): Handshake | Refusal {
  const offered = new Set<string>()
  const all = new Set<string>()
  let head: RequestHead | undefined
  const header = request.headers['sec-websocket-protocol']
  if (header === undefined) return { offered, head, protocols: '' }
  for (const part of header.split(',')) {
    const name = part.trim()
    if (!token.test(name) || all.has(name)) {
      return { status: 400, reason: 'Invalid Sec-WebSocket-Protocol header' }
    }
    all.add(name)
    if (name.startsWith(subprotocolWithHead)) {
      const another = head !== undefined
      const read = readHead(name.slice(subprotocolWithHead.length))
      if (read === undefined || another) return { status: 400, reason: 'Malformed everwire handshake' }
      head = read.head
      showToken(request, read.token)
    } else if (name !== subprotocol) offered.add(name)
  }
  showOffered(request, offered)
  return { offered, head, protocols: header }
}

/** Puts the offered subprotocols into the header where the application looks for them, without the key of the session. */
function showOffered(request: IncomingMessage, offered: Set<string>): void {
  setHeaders(request, [offeredIn(offered)])
}

/** Makes the request that opens a session over HTTP look like a handshake, as it does over a WebSocket. */
export function showAsUpgrade(request: IncomingMessage, offered: Set<string>): void {
  if (isUpgrade(request)) {
    showOffered(request, offered)
    return
  }
  request.method = 'GET'
  setHeaders(request, [...ofBody, ['sec-websocket-version', '13'], ...upgradeHeaders(), offeredIn(offered)])
}

/** Makes a request for a WebSocket over HTTP/2 look like a handshake of HTTP/1.1. */
export function showConnectAsUpgrade(request: IncomingMessage): void {
  const { ':authority': authority, host } = request.headers
  const changes: Header[] = [[':method', 'GET'], [':protocol'], ...upgradeHeaders()]
  if (host === undefined && typeof authority === 'string') changes.push(['host', authority])
  setHeaders(request, changes)
}

/** A header with its value; without a value it is taken away. */
type Header = readonly [name: string, value?: string | undefined]

const ofBody: readonly Header[] = [['content-length'], ['content-type'], ['transfer-encoding']]

function offeredIn(offered: Set<string>): Header {
  return ['Sec-WebSocket-Protocol', offered.size === 0 ? undefined : [...offered].join(', ')]
}

/** RFC 6455, 4.2.1: the headers of a handshake that HTTP/2 and the HTTP transports do not need. */
function upgradeHeaders(): readonly Header[] {
  return [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
    ['sec-websocket-key', nextKey()],
  ]
}

/** Random bytes for the keys of many handshakes: the operating system is asked once for all. */
const keys = Buffer.alloc(16 * 256)
let keysUsed = keys.length

function nextKey(): string {
  if (keysUsed === keys.length) {
    randomFillSync(keys)
    keysUsed = 0
  }
  keysUsed += 16
  return keys.toString('base64', keysUsed - 16, keysUsed)
}

/** Changes the request as if the client had sent these headers. The names differ. */
function setHeaders({ headers, rawHeaders }: IncomingMessage, changes: readonly Header[]): void {
  const changed = new Set(changes.map(([name]) => name.toLowerCase()))
  let kept = 0
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i] as string, rawHeaders[i + 1] as string]
    if (changed.has(name.toLowerCase())) continue
    rawHeaders[kept++] = name
    rawHeaders[kept++] = value
  }
  rawHeaders.length = kept
  for (const [name, value] of changes) {
    const key = name.toLowerCase()
    if (value === undefined) {
      delete headers[key]
      continue
    }
    // Nothing is deleted first: V8 would make a dictionary of the headers.
    headers[key] = value
    rawHeaders.push(name, value)
  }
}

/** Whether this can be the name of a subprotocol in a header. */
export function isToken(name: unknown): name is string {
  return typeof name === 'string' && token.test(name)
}

/** Tells the client only that the application failed; the exception goes to the application. */
export const internalError: Refusal = { status: 500, reason: 'Internal Server Error' }

/** The server takes no new clients. After a deploy another server answers soon. */
export const closing: Refusal = {
  status: 503,
  reason: 'The server is closing',
  headers: { 'Retry-After': '1' },
}

/** Statuses whose answers have no body in HTTP. */
const bodiless = new Set([204, 205, 304])

/** The body of a refusal and its headers, which the refusal's own headers override. */
export function refusalAsHttp({ status, reason, headers: own = {} }: Refusal): {
  headers: OutgoingHttpHeaders
  body: string
} {
  if (bodiless.has(status)) return { headers: {}, body: '' }
  const headers: OutgoingHttpHeaders = { 'Content-Length': Buffer.byteLength(reason) }
  const isTyped = Object.keys(own).some((name) => name.toLowerCase() === 'content-type')
  if (!isTyped) headers['Content-Type'] = 'text/plain; charset=utf-8'
  return { headers, body: reason }
}

/** Refuses on a connection that has no response object, and ends it. `within`: the time to read the answer. */
export function refuseUpgrade(socket: Duplex, refusal: Refusal, within?: number): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { headers, body } = refusalAsHttp(refusal)
  const all: OutgoingHttpHeaders = { Connection: 'close', ...headers, ...refusal.headers }
  const lines = Object.entries(all).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`))
  endConnection(
    socket,
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${body}`,
    within,
  )
}

/**
 * Writes the last bytes to a connection that the server no longer reads, and ends it even if the client keeps its side open, or does
 * not read them `within` a time.
 */
export function endConnection(
  socket: Duplex,
  last?: string | Uint8Array,
  within: number = defaultAnswerTimeout,
): void {
  const timer = deadline(within, () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
  socket.once('finish', () => socket.destroy())
  socket.on('error', () => {})
  socket.end(last)
}

/** The head, and after it the client's token, if it has one. */
function readHead(text: string): { head: RequestHead; token: string | undefined } | undefined {
  try {
    const from = new ByteReader(Buffer.from(text, 'base64url'))
    const head = readRequestHead(from)
    if (from.left === 0) return { head, token: undefined }
    const { kind, length } = readRecordHead(from, maxToken)
    const token = decodeText(from.bytes(length))
    return kind === 'token' && from.left === 0 && token !== undefined ? { head, token } : undefined
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}
