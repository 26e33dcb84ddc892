/** The entry for browsers and their workers. Uses nothing but globals. */
import { watchPage } from './page.ts'
import type { NativeEventSource, NativeSocket, Platform } from './platform.ts'
import { slotTo } from './slots.ts'
import type { CloseEventInit } from './types.ts'
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
  WebSocketOptions,
} from './types.ts'

/** The browser's own, from before a page puts ours in its place. */
const NativeWebSocket = globalThis.WebSocket

const tasks: (() => void)[] = []
let channel: MessageChannel | undefined

const platform: Platform = {
  ownTasks: true,
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
  webSocket: (url, protocols) => new NativeWebSocket(url, protocols) as unknown as NativeSocket,
  eventSource: (url) => new EventSource(url, { withCredentials: true }) as unknown as NativeEventSource,
  // A redirect leads to somebody else: a login page, or a host that has no business with what resumes a session.
  post: (url, init) =>
    fetch(url, { ...init, method: 'POST', cache: 'no-store', credentials: 'include', redirect: 'manual' }),
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

export class WebSocket extends Base {
  protected static override readonly platform: Platform = platform

  static {
    // Its name is part of its face, also where names are made short.
    Object.defineProperty(WebSocket, 'name', { value: 'WebSocket', configurable: true })
  }
}
