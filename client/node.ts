/** The entry for Node: `ws` for WebSocket, `eventsource` for event streams, the global fetch for the rest. */
import type { Agent } from 'node:http'
import { EventSource } from 'eventsource'
import { WebSocket as Native } from 'ws'
import type { Answer, NativeEventSource, NativeSocket, Platform } from './platform.ts'
import type { CloseEventInit, WebSocketOptions } from './types.ts'
import { WebSocket as Base } from './websocket.ts'

export type {
  CarrierEntry,
  CloseEntry,
  CloseEvent,
  DiaryEntry,
  Lesson,
  RaceDelay,
  Sign,
  Transport,
  WebSocketEventMap,
} from './types.ts'

/** The options that a browser has no need of, or no right to. */
export interface NodeWebSocketOptions extends WebSocketOptions {
  /** Headers of every request and handshake, as `Cookie` or `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>
  /** For the WebSocket transport: the agent that makes its connection. */
  readonly agent?: Agent
  /** For the WebSocket transport: false takes a server whose certificate cannot be verified. */
  readonly rejectUnauthorized?: boolean
  /** For the HTTP transports: the `dispatcher` of undici, where proxies and certificates are set. */
  readonly dispatcher?: unknown
}

export type { NodeWebSocketOptions as WebSocketOptions }

class CloseEventOfNode extends Event implements CloseEventInit {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor({ code, reason, wasClean }: CloseEventInit) {
    super('close')
    this.code = code
    this.reason = reason
    this.wasClean = wasClean
  }
}

/** `bufferedAmount` is payload alone, and all that was sent in this turn, whatever the system has taken of it already. */
class Counting extends Native {
  override bufferedAmount = 0

  override send(data: string | Uint8Array): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength
    this.bufferedAmount += size
    super.send(data, () => {
      this.bufferedAmount -= size
    })
  }
}

const platform: Platform = {
  // `ws` hands out all messages of a chunk in one turn.
  ownTasks: false,
  // As `ws`.
  quietLoss: true,
  base: () => undefined,
  webSocket(url, protocols, options: NodeWebSocketOptions) {
    const { headers, agent, rejectUnauthorized, maxPayload } = options
    const socket = new Counting(url, protocols, {
      perMessageDeflate: false,
      ...(headers && { headers }),
      ...(agent && { agent }),
      ...(maxPayload && { maxPayload }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    })
    return socket as unknown as NativeSocket
  },
  eventSource(url, { headers, dispatcher }: NodeWebSocketOptions) {
    const source = new EventSource(url, {
      fetch: (address, init) => {
        const all = {
          ...init,
          // A redirect leads to somebody else, who is not to have these headers.
          redirect: 'manual',
          headers: { ...init.headers, ...headers },
          ...(dispatcher ? { dispatcher } : {}),
        }
        return fetch(address, all as RequestInit)
      },
    })
    return source as unknown as NativeEventSource
  },
  async post(url, { body, signal }, { headers, dispatcher }: NodeWebSocketOptions): Promise<Answer> {
    const init = {
      method: 'POST',
      redirect: 'manual',
      body,
      signal,
      ...(headers && { headers }),
      ...(dispatcher ? { dispatcher } : {}),
    }
    // A connection whose answer has just ended can be used again only then.
    await new Promise(setImmediate)
    try {
      return (await fetch(url, init as RequestInit)) as Answer
    } catch (error) {
      // What it was stands below what it says: "fetch failed".
      const { message, cause } = error as Error & { readonly cause?: { readonly code?: string } }
      throw new Error(cause?.code ?? message)
    }
  },
  task: setImmediate,
  closeEvent: (init) => new CloseEventOfNode(init),
  store: () => undefined,
}

export class WebSocket extends Base {
  protected static override readonly platform: Platform = platform

  constructor(
    ...args: [
      url: string | URL,
      protocols?: string | Iterable<string> | NodeWebSocketOptions,
      options?: NodeWebSocketOptions,
    ]
  ) {
    super(...args)
  }
}
