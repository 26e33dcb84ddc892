/** The stand-in for a connection that a library gets in an `upgrade` event when an HTTP request is behind it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { maxAnswer, readAnswer } from '../base/answer-text.ts'
import { ConnectionLike } from '../base/connection-like.ts'
import type { Memory } from '../base/memory.ts'
import type { BodyLimits } from '../base/request.ts'
import { isOver, refuse } from '../base/responses.ts'
import type { Socket } from '../sockets/socket.ts'

/** A WebSocketServer that may have the session of a request. */
export interface StandInHost extends BodyLimits {
  /** Counts the bodies that are read for it. */
  readonly memory: Memory
  /** Whether the request belongs to a session of this server. */
  holds(mark: string, body: Uint8Array): Promise<boolean>
  handle(request: IncomingMessage, response: ServerResponse, mark: string): Promise<void>
}

/** A listener that refuses writes an HTTP answer to the stand-in and ends it. The text becomes the answer to the request. */
export class StandIn extends ConnectionLike {
  readonly mark: string
  /** The servers that are asked for a session before a listener is called. */
  readonly hosts: Set<StandInHost>
  readonly #response: ServerResponse
  #state: 'waiting' | 'taken' | 'lasting' | 'answered' = 'waiting'
  #written = ''

  constructor(request: IncomingMessage, response: ServerResponse, mark: string, hosts: Set<StandInHost>) {
    super(request.socket)
    this.mark = mark
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

  /** 0 until a server takes it: libraries read bytesWritten to see whether the upgrade was answered. */
  get bytesWritten(): number {
    return this.#state === 'waiting' ? this.#written.length : 1
  }

  // ---- the stream ----

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#written.length < maxAnswer) this.#written += chunk.toString('latin1')
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
    const answer = readAnswer(this.#written)
    if (!answer || isOver(response)) {
      response.destroy()
      return
    }
    const { status, headers, body } = answer
    if (status < 200) {
      refuse(response, { status: 426, reason: 'This address accepts only WebSockets' })
      return
    }
    response.statusCode = status
    for (const [name, value] of headers) response.appendHeader(name, value)
    response.end(body)
  }
}
