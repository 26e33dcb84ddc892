/** The stand-in for a connection that a library gets in an `upgrade` event when an HTTP request is behind it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import { Duplex } from 'node:stream'
import { parseHeaderLine } from '../admission/admission.ts'
import type { BodyLimits } from '../base/request.ts'
import { isOver, refuse } from '../base/responses.ts'
import type { Socket } from '../sockets/socket.ts'

/** A WebSocketServer that may have the session of a request. */
export interface StandInHost extends BodyLimits {
  /** Whether the request belongs to a session of this server. */
  holds(mark: string, body: Uint8Array): Promise<boolean>
  handle(request: IncomingMessage, response: ServerResponse, mark: string): Promise<void>
}

/** No refusal is longer than this. */
const maxWritten = 65_536

/** Headers that belong to the connection, so that Node's response sets them itself. */
const ofConnection = /^(connection|content-length|keep-alive|transfer-encoding|upgrade)$/i

/** A listener that refuses writes an HTTP answer to the stand-in and ends it. The text becomes the answer to the request. */
export class StandIn extends Duplex {
  readonly mark: string
  /** The servers that are asked for a session before a listener is called. */
  readonly hosts: Set<StandInHost>
  readonly #connection: Connection & { readonly encrypted?: boolean }
  readonly #response: ServerResponse
  #state: 'waiting' | 'taken' | 'lasting' | 'answered' = 'waiting'
  #written = ''

  constructor(request: IncomingMessage, response: ServerResponse, mark: string, hosts: Set<StandInHost>) {
    super()
    this.mark = mark
    this.#connection = request.socket
    this.#response = response
    this.hosts = hosts
    response.once('close', () => {
      if (this.#state !== 'lasting') this.destroy()
    })
  }

  /** A server takes the request, and will answer it. */
  takenBy(host: StandInHost): ServerResponse {
    this.#state = 'taken'
    this.hosts.add(host)
    return this.#response
  }

  /** A client was admitted: the stand-in lives as long as that client. */
  lastAs(client: Socket): void {
    this.#state = 'lasting'
    client.once('close', () => this.destroy())
  }

  // ---- what libraries ask of a connection ----

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#connection.remotePort
  }

  get encrypted(): boolean {
    return this.#connection.encrypted === true
  }

  /** 0 until a server takes it: libraries read bytesWritten to see whether the upgrade was answered. */
  get bytesWritten(): number {
    return this.#state === 'waiting' ? this.#written.length : 1
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  // ---- the stream ----

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#written.length < maxWritten) this.#written += chunk.toString('latin1')
    done()
    // A server that is not ours has accepted the handshake.
    if (/^HTTP\/1\.1 101 .*\r\n\r\n/s.test(this.#written)) this.destroy()
  }

  override _final(done: () => void): void {
    done()
    this.destroy()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#state === 'waiting') this.#answer()
    done(error)
  }

  #answer(): void {
    this.#state = 'answered'
    const response = this.#response
    const [head = '', body = ''] = this.#written.split(/\r\n\r\n(.*)/s, 2)
    const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1] ?? 0)
    if (status === 0 || isOver(response)) {
      response.destroy()
      return
    }
    if (status < 200) {
      refuse(response, { status: 426, reason: 'This address accepts only WebSockets' })
      return
    }
    response.statusCode = status
    for (const [name, value] of head.split('\r\n').slice(1).flatMap(headerIn)) {
      response.appendHeader(name, value)
    }
    const whole = /\r\ntransfer-encoding: *chunked/i.test(head) ? unchunked(body) : body
    response.end(Buffer.from(whole, 'latin1'))
  }
}

/** The header in a line. Empty for a header of the connection, or for an invalid line. */
function headerIn(line: string): (readonly [name: string, value: string])[] {
  try {
    const header = parseHeaderLine(line)
    return ofConnection.test(header[0]) ? [] : [header]
  } catch {
    return []
  }
}

/** Removes the lengths of chunks from a body. */
function unchunked(body: string): string {
  let whole = ''
  for (let rest = body; rest !== ''; ) {
    const [line = '', size = ''] = /^([0-9a-f]{1,6})[^\n]*\n/i.exec(rest) ?? []
    const length = Number.parseInt(size || '0', 16)
    if (length === 0) break
    whole += rest.slice(line.length, line.length + length)
    rest = rest.slice(line.length + length + 2)
  }
  return whole
}
