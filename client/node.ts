/** The entry for Node: `ws` for WebSocket, `node:http` for the rest. */
import type { Answered } from './base/asked-headers.ts'
import { abortWith, type NativeSocket } from './base/natives.ts'
import { NodeCloseEvent, NodeErrorEvent, NodeMessageEvent } from './node/event-classes.ts'
import { NodeConnector } from './node/node-connector.ts'
import { type Ask, exchange, NodeAbort, type NodeAnswer } from './node/node-http.ts'
import { NodeNative } from './node/node-native.ts'
import type { NodeWebSocketOptions } from './node/node-options.ts'
import { sideOf } from './node/node-side.ts'
import { slotsOn } from './node/node-slots.ts'
import { NodeWebSocket } from './node/node-socket.ts'
import { takeTurn, task } from './node/node-tasks.ts'
import { wayOf } from './node/node-way.ts'
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

/** The longest time in ms that a farewell may take. Until then its connection keeps the process; the timer does not. */
const farewellPatience = 10_000

const platform: Platform = {
  // `ws` delivers all messages of a chunk in one turn: only the first has the turn for itself.
  get ownTasks() {
    return takeTurn()
  },
  base: () => undefined,
  webSocket(url, protocols, options, link) {
    try {
      return new NodeNative(url, protocols, options, link) as unknown as NativeSocket
    } catch (error) {
      const side = sideOf(options)
      if (side) side.failure ??= error as Error
      throw error
    }
  },
  listen: (url, signal, options) => made({ url, signal, events: true }, options),
  async post(url, { body, signal }, options) {
    const answer = await made({ url, body, signal: signal ?? AbortSignal.timeout(farewellPatience) }, options)
    // Nobody reads the answer to a farewell.
    if (!signal) answer.discard()
    return answer
  },
  task,
  later: setImmediate,
  closeEvent: (init) => new NodeCloseEvent(init),
  messageEvent(received, socket, origin) {
    const event = new NodeMessageEvent(received, socket.binaryType, origin)
    NodeWebSocket.received(socket, received, event)
    return event
  },
  errorEvent: (reason, options) => new NodeErrorEvent(reason, sideOf(options)),
  Connector: NodeConnector,
  store: () => undefined,
  slot: (url, _remember, options) => slotsOn(wayOf(options as Answered<NodeWebSocketOptions>, url)),
}

async function made(ask: Omit<Ask, 'headers'>, options: Answered<NodeWebSocketOptions>): Promise<NodeAnswer> {
  const way = wayOf(options, ask.url)
  const headers = way.headers(options, ask.events ? 'text/event-stream' : '*/*')
  try {
    return await exchange(way, { ...ask, headers })
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string }
    const side = sideOf(options)
    if (side && !ask.signal?.aborted) side.failure ??= error as Error
    throw new Error(code ?? message)
  }
}

abortWith(NodeAbort as unknown as typeof AbortController)
Object.defineProperty(NodeWebSocket, 'platform', { value: platform })

export { NodeWebSocket as WebSocket }
