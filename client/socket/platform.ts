/** What the client needs from its runtime. The entries of the browser, Node and React Native each provide it. */
import type { CarrierLink } from '../base/carrier.ts'
import type { Answer, NativeEventSource, NativeSocket, PageWatcher, PostInit } from '../base/natives.ts'
import type { Store } from '../base/network-memory.ts'
import type { CloseEventInit, WebSocketOptions } from '../base/types.ts'
import type { Connector } from '../pilot/connector.ts'

export interface Platform {
  /** Whether each message of a native WebSocket arrives in a task of its own. */
  readonly ownTasks: boolean
  /** Throws if this page may not connect to the URL. */
  readonly permit?: (url: string) => void
  /** The URL that a relative URL is relative to. */
  base(): string | undefined
  /** `link`: the link of a session that the WebSocket is to carry, if there is one. */
  webSocket(url: string, protocols: string[], options: WebSocketOptions, link?: CarrierLink): NativeSocket
  eventSource(url: string, options: WebSocketOptions): NativeEventSource
  post(url: string, init: PostInit, options: WebSocketOptions): Promise<Answer>
  /** Calls `run` in a task of its own, after the tasks that were requested before. */
  task(run: () => void): void
  closeEvent(init: CloseEventInit): Event
  /** `messageEvent` and `errorEvent` exist if the runtime's events have more than the standard's. */
  messageEvent?(received: string | Uint8Array, socket: { readonly binaryType: string }, origin: string): Event
  errorEvent?(reason: string, options: WebSocketOptions): Event
  /** A Connector with more abilities than in browsers. */
  readonly Connector?: typeof Connector
  /** Storage for what the client learns about a network; throws if storage is forbidden. */
  store(): Store | undefined
  /** Takes a slot to keep a connection to this URL busy, or none if none is free; absent if connections are not scarce. */
  readonly slot?:
    | ((url: string, remember: boolean, giveBack: () => void) => Promise<(() => void) | undefined>)
    | undefined
  /** Tells `watcher` what happens to the page until its session is done. */
  readonly watch?: ((watcher: PageWatcher) => void) | undefined
}
