/** The last step of a WebSocket handshake: gives the connection to `ws` and adds headers to its answer. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { parseHeaderLine } from '../admission/admission.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import { internalError, type Refusal } from '../base/handshake.ts'
import { rethrow } from '../base/turn.ts'
import { longestDelay } from '../base/wakeups.ts'
import { Wire } from '../base/wire.ts'
import { maxProbeMessage } from './diagnostics.ts'

/** What the WebSocket is for; each kind has its own limits. */
export type Kind = 'plain' | 'carrier' | 'probe'

/** What a Completer needs from its server. */
export interface CompleterHost {
  /** The answer is about to be sent; listeners may add headers. Returns whether there are listeners. */
  headers(headers: string[], request: IncomingMessage): boolean
  /** A WebSocket of any kind is open. */
  opened(webSocket: Wire): void
  /** `ws` finds the handshake wrong. */
  wrong(request: IncomingMessage, socket: Duplex, reason: string): void
  refuse(request: IncomingMessage, socket: Duplex, refusal: Refusal): void
}

/** Room for the controls of a carrier and for the escape of a leading U+0000, which are not the application's. */
const carrierRoom = 1024

/** The headers of the answer in addition to those of `ws`. */
const answerHeaders = new WeakMap<IncomingMessage, readonly string[]>()

/** The subprotocol of the answer that `ws` is making: it makes one at a time. */
let chosen = ''

export function addAnswerHeaders(request: IncomingMessage, headers: readonly string[]): void {
  if (headers.length > 0) answerHeaders.set(request, headers)
}

/** The listener for the answer's headers threw; nothing has been written yet. */
class HeadersFault extends Error {}

export class Completer {
  readonly #servers: Record<Kind, ws.Server<typeof Wire>>
  readonly #options: ResolvedOptions
  readonly #host: CompleterHost

  constructor(options: ResolvedOptions, host: CompleterHost) {
    this.#options = options
    this.#host = host
    this.#servers = {
      plain: make(options, host),
      carrier: make(options, host),
      probe: make(options, host),
    }
  }

  /** Gives the connection to `ws`. The answer and the messages that `done` sends leave in one write. */
  complete(
    kind: Kind,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    protocol: string,
    done: (webSocket: Wire) => void,
  ): void {
    const { maxPayload } = this.#options
    const host = this.#host
    const server = this.#servers[kind]
    // 0 allows any size.
    const most = kind === 'carrier' ? maxPayload && maxPayload + carrierRoom : maxPayload
    server.options.maxPayload = kind === 'probe' ? maxProbeMessage : most
    socket.cork()
    chosen = protocol
    try {
      server.handleUpgrade(request, socket, head, (webSocket) => {
        // A connection taken from the parser of requests was paused until now. The application may pause it again.
        if (socket.isPaused()) socket.resume()
        host.opened(webSocket)
        done(webSocket)
      })
    } catch (error) {
      if (!(error instanceof HeadersFault)) throw error
      rethrow(error.cause)
      host.refuse(request, socket, internalError)
    } finally {
      socket.uncork()
    }
  }
}

function make(options: ResolvedOptions, host: CompleterHost): ws.Server<typeof Wire> {
  const { perMessageDeflate, autoPong, allowSynchronousEvents, skipUTF8Validation } = options
  const { closeTimeout, maxFragments, maxBufferedChunks, maxPendingAutoPongs } = options
  const server = new ws.WebSocketServer({
    noServer: true,
    WebSocket: Wire,
    clientTracking: false,
    perMessageDeflate: perMessageDeflate as boolean | ws.PerMessageDeflateOptions,
    autoPong: autoPong ?? true,
    allowSynchronousEvents: allowSynchronousEvents ?? true,
    skipUTF8Validation: skipUTF8Validation ?? false,
    handleProtocols: () => false,
    ...(closeTimeout !== undefined && { closeTimeout: Math.min(closeTimeout, longestDelay) }),
    ...(maxFragments !== undefined && { maxFragments }),
    ...(maxBufferedChunks !== undefined && { maxBufferedChunks }),
    ...(maxPendingAutoPongs !== undefined && { maxPendingAutoPongs }),
  })
  server.on('headers', (headers, request) => {
    headers.push(...(answerHeaders.get(request) ?? []))
    if (chosen !== '') headers.push(`Sec-WebSocket-Protocol: ${chosen}`)
    try {
      const before = headers.slice()
      if (!host.headers(headers, request)) return
      // Check only lines that a listener has added or changed; the first line is the status line.
      for (const [at, line] of headers.entries()) if (at > 0 && line !== before[at]) parseHeaderLine(line)
    } catch (cause) {
      throw new HeadersFault('headers', { cause })
    }
  })
  server.on('wsClientError', (error, socket, request) => {
    try {
      host.wrong(request, socket, error.message)
    } catch (thrown) {
      // Answer the client even though the application failed.
      rethrow(thrown)
      host.refuse(request, socket, internalError)
    }
  })
  return server
}
