/** What the client needs from its runtime. The entries of the browser, Node and React Native each provide it. */
import type { CarrierLink } from '../base/carrier.ts'
import type { Answer, NativeSocket, PageWatcher, PostInit } from '../base/natives.ts'
import type { Store } from '../base/network-memory.ts'
import type { CloseEventInit, DiaryEntry, WebSocketOptions } from '../base/types.ts'
import type { Requests } from '../carriers/http.ts'
import type { Connector } from '../pilot/connector.ts'
import type { Diary } from '../pilot/diary.ts'

/** Stands in a connector's place between two sessions of one socket. Its names are not shortened, because another file makes it. */
export interface Pause {
  readonly diary: Pick<Diary, 'entries'>
  readonly transport: null
  close(): void
}

/** Takes a slot, or none if none is free. `giveBack` and `inTheWay`: see `Requests`. */
type TakeSlot = NonNullable<Requests['slot']>

export interface Platform {
  /** Whether the present task belongs to the message of a native WebSocket alone. Asked once for each message. */
  readonly ownTasks: boolean
  /** Throws if this page may not connect to the URL. */
  readonly permit?: (url: string) => void
  /** The URL that a relative URL is relative to. */
  base(): string | undefined
  /** `link`: the link of a session that the WebSocket is to carry, if there is one. */
  webSocket(url: string, protocols: string[], options: WebSocketOptions, link?: CarrierLink): NativeSocket
  /** Opens an event stream. */
  listen(url: string, signal: AbortSignal, options: WebSocketOptions): Answer | Promise<Answer>
  post(url: string, init: PostInit, options: WebSocketOptions): Promise<Answer>
  /** Calls `run` in a task of its own, after the tasks that were requested before. */
  task(run: () => void): void
  /** Calls `run` once the events that wait have had their turns. Absent: requests leave at the end of each turn. */
  readonly later?: (run: () => void) => void
  closeEvent(init: CloseEventInit): Event
  /** `messageEvent` and `errorEvent` exist if the runtime's events have more members than the standard's. */
  messageEvent?(received: string | Uint8Array, socket: { readonly binaryType: string }, origin: string): Event
  errorEvent?(reason: string, options: WebSocketOptions): Event
  /**
   * Decides at the end of a session whether the socket begins another, and returns a pause if so. `go(true)` begins it;
   * `go(false)` ends the socket for good.
   */
  readonly reopen?: (
    socket: { readonly readyState: number; readonly diary: DiaryEntry[] },
    close: CloseEventInit,
    options: WebSocketOptions,
    go: (wanted: boolean) => void,
  ) => Pause | undefined
  /** A subclass of Connector for a runtime whose sockets can do more than a browser's. */
  readonly Connector?: typeof Connector
  /** Storage for what the client learns about a network; throws if storage is forbidden. */
  store(): Store | undefined
  /** How a carrier takes a slot to keep a connection to this URL busy; absent, or undefined, if connections are not scarce. */
  readonly slot?: (url: string, remember: boolean, options: WebSocketOptions) => TakeSlot | undefined
  /** Tells `watcher` what happens to the page. */
  readonly watch?: ((watcher: PageWatcher) => void) | undefined
}
