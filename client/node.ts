/** The entry for Node: `ws` for WebSocket, `eventsource` for event streams, the global fetch for the rest. */
import { unescape as decoded } from 'node:querystring'
import { EventSource } from 'eventsource'
import type { Answered } from './base/asked-headers.ts'
import type { Answer, NativeEventSource, NativeSocket } from './base/natives.ts'
import type { CloseEventInit } from './base/types.ts'
import { NodeConnector } from './node/node-connector.ts'
import { NodeNative } from './node/node-native.ts'
import type { NodeWebSocketOptions } from './node/node-options.ts'
import { sideOf } from './node/node-side.ts'
import { NodeErrorEvent, NodeMessageEvent, NodeWebSocket } from './node/node-socket.ts'
import type { Platform } from './socket/platform.ts'

export type {
  CarrierEntry,
  CloseEntry,
  CloseEvent,
  DiaryEntry,
  NetworkFinding,
  NetworkSignal,
  RaceDelay,
  Status,
  Transport,
  WebSocketEventMap,
} from './base/types.ts'
export type { RawData } from './node/node-data.ts'
export type { WebSocketEvents } from './node/node-events.ts'
export type {
  NodeWebSocketOptions as WebSocketOptions,
  PerMessageDeflateOptions,
  SendOptions,
} from './node/node-options.ts'
export type { SendCallback } from './node/node-side.ts'

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

const platform: Platform = {
  // `ws` hands out all messages of a chunk in one turn.
  ownTasks: false,
  base: () => undefined,
  webSocket: (url, protocols, options, link) =>
    new NodeNative(url, protocols, options, link) as unknown as NativeSocket,
  eventSource(url, options: Answered<NodeWebSocketOptions>) {
    const { dispatcher } = options
    const { href, headers } = addressed(url, options)
    const source = new EventSource(href, {
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
    // It would ask again after 3 s, and keep the process until then, although it was closed in the listener for this error.
    source.addEventListener('error', () => setImmediate(() => source.close()))
    return source as unknown as NativeEventSource
  },
  async post(url, { body, signal }, options: Answered<NodeWebSocketOptions>): Promise<Answer> {
    const { dispatcher } = options
    const { href, headers } = addressed(url, options)
    const init = {
      method: 'POST',
      redirect: 'manual',
      body,
      signal,
      headers,
      ...(dispatcher ? { dispatcher } : {}),
    }
    // A connection whose answer has just ended can be used again only then.
    await new Promise(setImmediate)
    try {
      return (await fetch(href, init as RequestInit)) as Answer
    } catch (error) {
      // What it was stands below what it says: "fetch failed".
      const { message, cause } = error as Error & { readonly cause?: Error & { readonly code?: string } }
      const side = sideOf(options)
      if (side && !signal?.aborted) side.failure ??= cause?.code ? cause : (error as Error)
      throw new Error(cause?.code ?? message)
    }
  },
  task: setImmediate,
  closeEvent: (init) => new CloseEventOfNode(init),
  messageEvent(received, socket, origin) {
    const event = new NodeMessageEvent(received, socket.binaryType, origin)
    NodeWebSocket.received(socket, received, event)
    return event
  },
  errorEvent: (reason, options) => new NodeErrorEvent(reason, sideOf(options)),
  Connector: NodeConnector,
  store: () => undefined,
}

/** A name and a password stand in a header: fetch takes no URL with them. */
function addressed(url: string, { headers = {}, auth }: Answered<NodeWebSocketOptions>) {
  const parsed = new URL(url)
  const { username, password } = parsed
  const credentials = username || password ? `${decoded(username)}:${decoded(password)}` : auth
  parsed.username = parsed.password = ''
  const named = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  const Authorization = `Basic ${Buffer.from(credentials ?? '').toString('base64')}`
  return { href: parsed.href, headers: credentials && !named ? { ...headers, Authorization } : headers }
}

Object.defineProperty(NodeWebSocket, 'platform', { value: platform })

export { NodeWebSocket as WebSocket }
