/**
 * A client that speaks docs/PROTOCOL.md, and does nothing by itself: the test says what is asked, carried and
 * acknowledged, in order or out of it. It only keeps the books: what it has of the server's messages, and what the
 * server has of its own.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import { WebSocket as PlainWebSocket } from 'ws'
import { ByteWriter } from '../../shared/bytes.ts'
import {
  type AnswerHead,
  Ask,
  BodyReader,
  type BodyRecord,
  idSize,
  keySize,
  type RequestHead,
  readAnswerHead,
  subprotocol,
  writeRecord,
  writeRequestHead,
} from '../../shared/exchange.ts'
import type { Kind, Welcome } from '../../shared/frame.ts'
import type { Position } from '../../shared/link.ts'
import { endPayload, readEnd } from '../../shared/message.ts'
import { type Control, decodeControl, encodeControl } from './controls.ts'
import { fetchAll, type HttpAnswer, type HttpOptions, open } from './http.ts'
import { Queue } from './queue.ts'

/** What a record says, and what a test writes to have one. */
export interface Piece {
  readonly kind: Kind
  readonly payload: Uint8Array
  readonly more?: boolean
}

export interface Close {
  readonly code: number
  readonly reason: string
}

/** A message of the server's, as the application on this side would see it. */
export type Received = string | Buffer | Close

export interface Answer extends HttpAnswer {
  /** Absent where the body is none of this protocol. */
  readonly head: AnswerHead | undefined
  readonly records: readonly BodyRecord[]
}

export const text = (data: string, more = false): Piece => piece('text', Buffer.from(data), more)
export const binary = (data: Uint8Array, more = false): Piece => piece('binary', data, more)
export const close = (code = 1005, reason = ''): Piece =>
  piece('close', Buffer.from(endPayload(code, reason)))
export const ping = (data = ''): Piece => piece('ping', Buffer.from(data))
export const pong = (data = ''): Piece => piece('pong', Buffer.from(data))
export const hello = (...protocols: readonly string[]): Piece =>
  piece('hello', Buffer.from(JSON.stringify({ protocols })))

export function piece(kind: Kind, payload: Uint8Array, more = false): Piece {
  return { kind, payload, more }
}

export function bodyOf(head: RequestHead, records: readonly Piece[] = []): Buffer {
  const to = new ByteWriter()
  writeRequestHead(to, head)
  for (const { kind, payload, more } of records) writeRecord(to, kind, payload, more)
  return Buffer.from(to.whole())
}

/** The application's URL with everwire's mark in its query. */
export function marked(url: string, mark = '1'): string {
  return `${url}${url.includes('?') ? '&' : '?'}everwire=${mark}`
}

export class RawClient {
  readonly id: Uint8Array = randomBytes(idSize)
  readonly key: Uint8Array = randomBytes(keySize)
  epoch = 1
  shortSerial = 0
  heldSerial = 0
  /** How far it has the server's messages, and how far the server said that it has this client's. */
  has: Position = { number: 0, offset: 0 }
  at: Position = { number: 0, offset: 0 }
  /** Every message of the server's once and in order, whatever carried it. */
  readonly received: Received[] = []
  readonly arrived: Queue<Received> = new Queue()
  welcome: Welcome | undefined
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  #pieces: Buffer[] = []

  /** `url`: that of the application, with http: or https:. */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.url = url
    this.headers = headers
  }

  head(over: Partial<RequestHead> = {}): RequestHead {
    const { id, key, epoch, has, at } = this
    return { ask: 0, id, key, epoch, serial: 0, quiet: 0, life: 0, has, at, ...over }
  }

  /** The next carrier. */
  renew(): void {
    this.epoch++
    this.shortSerial = 0
    this.heldSerial = 0
  }

  // ---- exchanges ----

  /** A first exchange; `protocols` are the application's. */
  open(
    protocols: readonly string[] = [],
    over: Partial<RequestHead> = {},
    options?: HttpOptions,
  ): Promise<Answer> {
    return this.send([hello(...protocols)], { ask: Ask.open, ...over }, options)
  }

  /** A short exchange. */
  send(
    records: readonly Piece[] = [],
    over: Partial<RequestHead> = {},
    options?: HttpOptions,
  ): Promise<Answer> {
    return this.post(bodyOf(this.head({ serial: ++this.shortSerial, ...over }), records), options)
  }

  /** A held exchange that is answered whole. */
  poll(over: Partial<RequestHead> = {}, options?: HttpOptions): Promise<Answer> {
    return this.post(bodyOf(this.head({ serial: ++this.heldSerial, ask: Ask.hold, ...over })), options)
  }

  /** A body as it is. What the answer brings is entered in the books. */
  async post(body: Uint8Array, options: HttpOptions = {}): Promise<Answer> {
    const answer = await postRaw(this.url, body, {
      ...options,
      headers: { ...this.headers, ...options.headers },
    })
    if (answer.head?.status === 0) this.take(answer.head, answer.records)
    return answer
  }

  /** A held exchange that is written on. */
  async stream(over: Partial<RequestHead> = {}): Promise<RawStream> {
    const ask = Ask.hold | Ask.stream
    const body = bodyOf(this.head({ serial: ++this.heldSerial, ask, ...over }))
    const response = await open(marked(this.url), { method: 'POST', headers: this.headers, body })
    return new RawStream(this, response)
  }

  /** The ticket for an event stream. */
  async ticket(over: Partial<RequestHead> = {}): Promise<string> {
    const { records } = await this.send([], { ask: Ask.ticket, ...over })
    return Buffer.from(records.find(({ kind }) => kind === 'ticket')?.payload ?? []).toString()
  }

  async eventStream(ticket: string): Promise<RawStream> {
    return new RawStream(this, await open(marked(this.url, ticket), { headers: this.headers }))
  }

  /** Enters what a body brought: what it has had is skipped, what comes too early is not taken. */
  take(head: Pick<AnswerHead, 'has' | 'at'>, records: readonly BodyRecord[]): void {
    this.at = head.has
    const place = { ...head.at }
    for (const record of records) this.takeRecord(place, record)
  }

  takeRecord(place: { number: number; offset: number }, record: BodyRecord): void {
    const { kind, payload, more } = record
    if (kind === 'welcome') this.welcome = JSON.parse(Buffer.from(payload).toString()) as Welcome
    if (kind !== 'text' && kind !== 'binary' && kind !== 'close') return
    const { number, offset } = place
    if (more) place.offset += payload.length
    else Object.assign(place, { number: number + 1, offset: 0 })
    const skip = this.has.offset - offset
    if (number !== this.has.number || skip < 0 || skip > payload.length) return
    this.#pieces.push(Buffer.from(payload.subarray(skip)))
    this.has = { number: place.number, offset: place.offset }
    if (more) return
    const whole = Buffer.concat(this.#pieces)
    this.#pieces = []
    if (kind === 'close') {
      this.#deliver(readEnd(whole.toString()))
    } else this.#deliver(kind === 'text' ? whole.toString() : whole)
  }

  /** The same for a message that came whole, over a WebSocket, as number `number`. */
  takeWhole(number: number, message: Received): void {
    if (number !== this.has.number + 1) return
    this.#pieces = []
    this.has = { number, offset: 0 }
    this.#deliver(message)
  }

  #deliver(message: Received): void {
    this.received.push(message)
    this.arrived.push(message)
  }

  // ---- WebSockets ----

  /** The subprotocol that carries the head. */
  token(over: Partial<RequestHead> = {}): string {
    return `${subprotocol}.${bodyOf(this.head({ at: { number: 0, offset: 0 }, ...over })).toString('base64url')}`
  }

  webSocket(
    over: Partial<RequestHead> = {},
    protocols: readonly string[] = [],
    headers: Readonly<Record<string, string>> = {},
  ): RawWebSocket {
    const offered = [...protocols, subprotocol, this.token(over)]
    return new RawWebSocket(this, offered, { ...this.headers, ...headers })
  }

  /** One that has opened a new session. */
  async openWebSocket(protocols: readonly string[] = []): Promise<RawWebSocket> {
    const webSocket = this.webSocket({ ask: Ask.open }, protocols)
    await webSocket.next('welcome')
    return webSocket
  }
}

export async function postRaw(url: string, body: Uint8Array, options: HttpOptions = {}): Promise<Answer> {
  const answer = await fetchAll(marked(url), { method: 'POST', body, ...options })
  if (answer.status !== 200 || answer.body[0] !== 0xe1) return { ...answer, head: undefined, records: [] }
  const reader = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
  const records = reader.push(answer.body)
  return { ...answer, head: reader.head, records }
}

/** An answer that goes on: records one by one, as they come. */
export class RawStream {
  readonly response: IncomingMessage
  readonly records: Queue<BodyRecord> = new Queue()
  head: AnswerHead | undefined
  /** Resolves when it is over, however it ended: whether as it should. */
  readonly ended: Promise<boolean>
  readonly #client: RawClient
  readonly #reader: BodyReader<AnswerHead> = new BodyReader(readAnswerHead, Number.POSITIVE_INFINITY)
  #place = { number: 0, offset: 0 }
  #events = ''
  /** Of an answer that was whole from the start. */
  readonly #chunks: Buffer[] = []

  constructor(client: RawClient, response: IncomingMessage) {
    this.#client = client
    this.response = response
    onTestFinished(() => void response.destroy())
    const isEvents = response.headers['content-type'] === 'text/event-stream'
    response.on('data', (chunk: Buffer) => {
      if (response.headers['content-length'] !== undefined) this.#chunks.push(chunk)
      if (response.statusCode === 200) this.#read(isEvents ? this.#fromEvents(chunk) : chunk)
    })
    response.on('error', () => {})
    this.ended = new Promise((resolve) => {
      response.once('close', () => resolve(response.complete))
    })
  }

  /** The next record of this kind. */
  async next(kind: Kind): Promise<Buffer> {
    for (;;) {
      const record = await this.records.next()
      if (record.kind === kind) return Buffer.from(record.payload)
    }
  }

  /** All that it was, once it is over: of one that was refused, the refusal. */
  async whole(): Promise<HttpAnswer> {
    await this.ended
    const { statusCode = 0, headers, rawHeaders } = this.response
    return { status: statusCode, headers, rawHeaders, body: Buffer.concat(this.#chunks) }
  }

  /** As when the network goes away. */
  async cut(): Promise<void> {
    this.response.destroy()
    await this.ended
  }

  #read(bytes: Uint8Array): void {
    const begun = this.head !== undefined
    const records = this.#reader.push(Uint8Array.from(bytes))
    this.head = this.#reader.head
    if (!begun && this.head) {
      this.#client.at = this.head.has
      this.#place = { ...this.head.at }
    }
    for (const record of records) {
      this.#client.takeRecord(this.#place, record)
      this.records.push(record)
    }
  }

  #fromEvents(chunk: Buffer): Buffer {
    this.#events += chunk.toString()
    const events = this.#events.split('\n\n')
    this.#events = events.pop() ?? ''
    return Buffer.concat(events.map((event) => Buffer.from(event.replace(/^data: /, ''), 'base64')))
  }
}

export type Said = Control | { readonly kind: 'message'; readonly data: string | Buffer }

/** A WebSocket carrier. */
export class RawWebSocket {
  readonly socket: PlainWebSocket
  readonly said: Queue<Said> = new Queue()
  readonly closed: Promise<Close>
  #number = 0

  constructor(client: RawClient, protocols: readonly string[], headers: Readonly<Record<string, string>>) {
    const socket = new PlainWebSocket(client.url.replace(/^http/, 'ws'), [...protocols], {
      headers,
      rejectUnauthorized: false,
      perMessageDeflate: false,
    })
    this.socket = socket
    onTestFinished(() => socket.terminate())
    socket.on('error', () => {})
    socket.on('message', (data: Buffer, isBinary) => this.#received(client, data, isBinary))
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  /** The next that is of this kind. */
  async next<Kind extends Said['kind']>(kind: Kind): Promise<Extract<Said, { kind: Kind }>> {
    for (;;) {
      const said = await this.said.next()
      if (said.kind === kind) return said as Extract<Said, { kind: Kind }>
    }
  }

  async opened(): Promise<this> {
    if (this.socket.readyState === PlainWebSocket.CONNECTING) await once(this.socket, 'open')
    return this
  }

  /** A message of the application's. */
  send(data: string | Uint8Array): void {
    this.socket.send(typeof data === 'string' && data.startsWith('\0') ? `\0${data}` : data)
  }

  say(control: Control): void {
    this.socket.send(encodeControl(control))
  }

  /** As when the network goes away. */
  async cut(): Promise<void> {
    this.socket.terminate()
    await this.closed
  }

  #received(client: RawClient, data: Buffer, isBinary: boolean): void {
    const isControl = !isBinary && data[0] === 0 && data[1] !== 0
    const said: Said | undefined = isControl
      ? decodeControl(data.toString())
      : { kind: 'message', data: isBinary ? data : data.toString().replace(/^\0/, '') }
    if (said === undefined)
      throw new Error(`The server said what is no control: ${JSON.stringify(data.toString())}`)
    if (said.kind === 'welcome') {
      client.welcome = said
      client.at = { number: said.got, offset: 0 }
      this.#number = said.start ?? 0
    } else if (said.kind === 'message') client.takeWhole(++this.#number, said.data)
    else if (said.kind === 'close') client.takeWhole(++this.#number, { code: said.code, reason: said.reason })
    this.said.push(said)
  }
}
