/** The entry for browsers and their workers. Uses nothing but globals. */
import { Fifo } from '../shared/fifo.ts'
import type { NativeEventSource, NativeSocket } from './base/natives.ts'
import type { CloseEventInit } from './base/types.ts'
import { readEvents } from './carriers/events.ts'
import { explain, watchPage } from './page/page.ts'
import { slotTo } from './page/slots.ts'
import type { Platform } from './socket/platform.ts'
import { type WebSocket as Base, webSocketOn } from './socket/websocket-class.ts'

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
  WebSocketOptions,
} from './base/types.ts'

/** The browser's own, from before a page puts ours in its place. */
const NativeWebSocket = globalThis.WebSocket

const tasks = new Fifo<() => void>()
let channel: MessageChannel | undefined

const platform: Platform = {
  ownTasks: true,
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
  // A page of https: asks for ws:. Only the browser knows which of these count as mixed content.
  permit(url) {
    if (globalThis.origin?.[4] === 's' && url[2] === ':') new NativeWebSocket(url).close()
  },
  webSocket(url, protocols) {
    const socket = new NativeWebSocket(url, protocols)
    socket.addEventListener('error', (event) => explain(event, url))
    return socket as unknown as NativeSocket
  },
  listen: (url, signal) =>
    readEvents(new EventSource(url, { withCredentials: true }) as unknown as NativeEventSource, signal),
  // A redirect leads to a login page, or to a host that must not get the key of the session.
  // No referrer: a WebSocket's handshake has none.
  post: (url, init) =>
    fetch(url, {
      ...init,
      method: 'POST',
      credentials: 'include',
      redirect: 'manual',
      referrer: '',
    }).catch((error) => {
      throw explain(error, url)
    }),
  task(run) {
    if (!channel) {
      channel = new MessageChannel()
      channel.port1.onmessage = () => tasks.shift()?.()
    }
    tasks.push(run)
    channel.port2.postMessage(0)
  },
  closeEvent: (init: CloseEventInit) => new CloseEvent('close', init),
  store: () => globalThis.localStorage,
  slot: slotTo,
  watch: watchPage,
}

/**
 * The `WebSocket` of the browser, with a session that survives the loss of its connection and works over four
 * transports.
 */
export const WebSocket: typeof Base = webSocketOn(platform)
export type WebSocket = Base
