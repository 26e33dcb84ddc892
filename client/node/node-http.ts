/** One HTTP exchange over `node:http`: it follows no redirect and repeats nothing, because the session does that. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline, type Readable } from 'node:stream'
import { createUnzip } from 'node:zlib'
import type { Headers } from '../base/asked-headers.ts'
import type { Answer } from '../base/natives.ts'
import { EventDecoder } from './event-decoder.ts'
import { proxyFailed } from './node-proxy.ts'
import type { Way } from './node-way.ts'

export interface Ask {
  readonly url: string
  readonly headers: Headers
  /** Makes it a POST. */
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
  /** The answer is an event stream: reading it gives the decoded data of its events. */
  readonly events?: boolean
}

/**
 * The part of an AbortController and its signal that exchanges and tunnels need. Making one of Node's takes a seventh of the time of
 * a whole exchange.
 */
export class NodeAbort {
  aborted = false
  readonly #told = [] as (() => void)[]

  get signal(): this {
    return this
  }

  throwIfAborted(): void {
    if (this.aborted) throw new Error('aborted')
  }

  addEventListener(_type: 'abort', tell: () => void): void {
    this.#told.push(tell)
  }

  removeEventListener(_type: 'abort', tell: () => void): void {
    const at = this.#told.indexOf(tell)
    if (at >= 0) this.#told.splice(at, 1)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    for (const tell of this.#told.splice(0)) tell()
  }
}

/** Resolves when the head of the answer is there. */
export function exchange(way: Way, { url, headers, body, signal, events }: Ask): Promise<NodeAnswer> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const { host, port, forHTTP: agent, asked, connection } = way
    const options = {
      ...connection,
      host,
      port,
      agent,
      method: body ? 'POST' : 'GET',
      path: way.target(url),
      headers: body ? { ...headers, 'Content-Length': String(body.length) } : headers,
      unwanted: signal,
    }
    const request = (way.secure ? httpsRequest : httpRequest)(options)
    const abort = (): void => {
      // Does nothing once the answer has ended: the connection may be another exchange's by then.
      request.destroy()
      // Without a connection Node reports nothing.
      reject(new Error('aborted'))
    }
    signal?.addEventListener('abort', abort, { once: true })
    request.on('error', (error) => reject(asked ? proxyFailed(asked, error) : error))
    request.on('response', (response: IncomingMessage) =>
      resolve(new NodeAnswer(response, url, events ? new EventDecoder() : undefined)),
    )
    request.end(body)
  })
}

/** The bytes of an answer as they come. Reads from the network only as much as is asked for. */
export class NodeAnswer implements Answer {
  readonly url: string
  readonly #response: IncomingMessage
  /** Where its bytes are read: the response, or what unpacks it. */
  #source: Readable
  /** Wakes the read that waits. */
  #wake: (() => void) | undefined
  #failure: Error | undefined
  readonly #decoder: EventDecoder | undefined

  constructor(response: IncomingMessage, url: string, decoder: EventDecoder | undefined) {
    this.#response = this.#source = response
    this.url = url
    this.#decoder = decoder
  }

  get status(): number {
    return this.#response.statusCode ?? 0
  }

  get statusText(): string {
    return this.#response.statusMessage ?? ''
  }

  get headers(): { get(name: string): string | null } {
    return { get: (name) => this.#response.headers[name]?.toString() ?? null }
  }

  get body(): this {
    return this
  }

  /** Reads it to its end, so that the connection can be used again. */
  discard(): void {
    this.#response.resume().on('error', () => {})
  }

  getReader(): this {
    const { 'content-encoding': encoding = 'identity' } = this.#response.headers
    if (/^(gzip|deflate)$/.test(encoding)) this.#source = pipeline(this.#response, createUnzip(), () => {})
    else if (encoding !== 'identity') this.#failure = new Error(`The answer is encoded: ${encoding}`)
    const wake = (): void => this.#wake?.()
    this.#source
      .on('readable', wake)
      .on('end', wake)
      .on('error', (error) => {
        this.#failure ??= error
      })
      .on('close', wake)
    return this
  }

  async read(): Promise<{ value?: Uint8Array; done: boolean }> {
    const source = this.#source
    for (;;) {
      if (this.#failure) throw this.#failure
      const chunk: Buffer | null = source.read()
      const value = chunk && this.#decoder ? this.#decoder.push(chunk) : chunk
      if (value?.length) return { value, done: false }
      if (source.readableEnded) return { done: true }
      if (source.closed) throw new Error('aborted')
      if (!chunk)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}
