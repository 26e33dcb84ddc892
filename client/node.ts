/** The entry for Node: `ws` for WebSocket, `eventsource` for event streams, the global fetch for the rest. */
import { EventSource } from 'eventsource'
import { type ClientOptions, WebSocket as Native } from 'ws'
import { NodeConnector, sideOf } from './node-connector.ts'
import type { NodeWebSocketOptions } from './node-socket.ts'
import { NodeErrorEvent, NodeMessageEvent, NodeWebSocket, wasClosed } from './node-socket.ts'
import type { Answer, NativeEventSource, NativeSocket, Platform } from './platform.ts'
import type { CloseEventInit } from './types.ts'

export type {
  NodeWebSocketOptions as WebSocketOptions,
  RawData,
  SendOptions,
  WebSocketEvents,
} from './node-socket.ts'
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
  written: (() => void) | undefined

  override send(data: string | Uint8Array): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength
    this.bufferedAmount += size
    super.send(data, () => {
      this.bufferedAmount -= size
      this.written?.()
    })
  }
}

const platform: Platform = {
  // `ws` hands out all messages of a chunk in one turn.
  ownTasks: false,
  base: () => undefined,
  webSocket(url, protocols, options: NodeWebSocketOptions) {
    // What is not ours is for `ws`, and for what makes its connection: certificates, lookups, proxies.
    const socket = new Counting(url, protocols, { ...options, perMessageDeflate: false } as ClientOptions)
    const side = sideOf(options)
    if (side) {
      socket.written = () => side.connector?.called()
      socket.on('error', (error: Error) => {
        // It is also said of what we have given up.
        if (error.message !== wasClosed) side.failure ??= error
      })
      if (options.session === false) {
        side.direct = socket
        for (const type of ['ping', 'pong'])
          socket.on(type, (data: Buffer) => setImmediate(() => side.emit?.(type, data)))
      }
      socket.on('upgrade', (response) => {
        if (!side.connector?.welcome) side.emit?.('upgrade', response)
      })
    }
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
  async post(url, { body, signal }, options: NodeWebSocketOptions): Promise<Answer> {
    const { headers, dispatcher } = options
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
      const { message, cause } = error as Error & { readonly cause?: Error & { readonly code?: string } }
      const side = sideOf(options)
      if (side && !signal.aborted) side.failure ??= cause?.code ? cause : (error as Error)
      throw new Error(cause?.code ?? message)
    }
  },
  task: setImmediate,
  closeEvent: (init) => new CloseEventOfNode(init),
  messageEvent(received, socket, origin) {
    NodeWebSocket.received(socket, received)
    return new NodeMessageEvent(received, socket.binaryType, origin)
  },
  errorEvent: (reason, options) => new NodeErrorEvent(reason, sideOf(options)?.failure),
  Connector: NodeConnector,
  store: () => undefined,
}

Object.defineProperty(NodeWebSocket, 'platform', { value: platform })

export { NodeWebSocket as WebSocket }
