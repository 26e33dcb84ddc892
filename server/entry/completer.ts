/** The last step of a WebSocket handshake: the connection is given to `ws`, and the answer carries what it must beside. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { parseHeaderLine } from '../admission/admission.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import { internalError, refuseUpgrade } from '../base/handshake.ts'
import { rethrow } from '../base/turn.ts'
import { Wire } from '../base/wire.ts'
import { maxProbeMessage } from './diagnostics.ts'

/** What is at the other end; each has limits of its own. */
export type Kind = 'plain' | 'carrier' | 'probe'

/** Whom it tells. */
export interface CompleterHost {
  /** The answer is about to go; more may be added. */
  headers(headers: string[], request: IncomingMessage): void
  /** `ws` finds fault with the handshake. */
  refused(request: IncomingMessage, socket: Duplex, reason: string): void
}

/** A carrier's controls, and what escapes a message's U+0000, are not the application's. */
const carrierRoom = 1024

/** What the handshake's answer must say beside what `ws` writes. */
const answerHeaders = new WeakMap<IncomingMessage, string[]>()

export function addAnswerHeaders(request: IncomingMessage, headers: readonly string[]): void {
  answerHeaders.set(request, [...(answerHeaders.get(request) ?? []), ...headers])
}

/** The application could not say which headers the answer has; nothing has been written. */
class HeadersFault extends Error {}

export class Completer {
  readonly #servers: Record<Kind, ws.Server<typeof Wire>>
  readonly #options: ResolvedOptions

  constructor(options: ResolvedOptions, host: CompleterHost) {
    this.#options = options
    this.#servers = {
      plain: make(options, host),
      carrier: make(options, host),
      probe: make(options, host),
    }
  }

  /** Hands the connection over; the answer and what `done` sends at once leave in one write. */
  complete(
    kind: Kind,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    protocol: string,
    done: (webSocket: Wire) => void,
  ): void {
    if (protocol !== '') addAnswerHeaders(request, [`Sec-WebSocket-Protocol: ${protocol}`])
    const { maxPayload } = this.#options
    // 0 means any size.
    const most = {
      plain: maxPayload,
      carrier: maxPayload && maxPayload + carrierRoom,
      probe: maxProbeMessage,
    }
    this.#servers[kind].options.maxPayload = most[kind]
    socket.cork()
    try {
      this.#servers[kind].handleUpgrade(request, socket, head, (webSocket) => {
        // One that was taken over from the parser of requests has stood still until now. The application may pause it again.
        if (socket.isPaused()) socket.resume()
        done(webSocket)
      })
    } catch (error) {
      if (!(error instanceof HeadersFault)) throw error
      rethrow(error.cause)
      refuseUpgrade(socket, internalError)
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
    ...(closeTimeout !== undefined && { closeTimeout }),
    ...(maxFragments !== undefined && { maxFragments }),
    ...(maxBufferedChunks !== undefined && { maxBufferedChunks }),
    ...(maxPendingAutoPongs !== undefined && { maxPendingAutoPongs }),
  })
  server.on('headers', (headers, request) => {
    headers.push(...(answerHeaders.get(request) ?? []))
    answerHeaders.delete(request)
    try {
      host.headers(headers, request)
      // The first says that the protocol is switched.
      for (const line of headers.slice(1)) parseHeaderLine(line)
    } catch (cause) {
      throw new HeadersFault('headers', { cause })
    }
  })
  server.on('wsClientError', (error, socket, request) => {
    host.refused(request, socket, error.message)
  })
  return server
}
