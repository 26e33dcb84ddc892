/** What the client needs of the runtime it is in. The browser's and Node's entries each bring one. */
import type { CarrierLink } from '../base/carrier.ts'
import type { Answer, NativeEventSource, NativeSocket, PageWatcher, PostInit } from '../base/natives.ts'
import type { Store } from '../base/network-memory.ts'
import type { CloseEventInit, WebSocketOptions } from '../base/types.ts'
import type { Connector } from '../pilot/connector.ts'

export interface Platform {
  /** Whether each message of a native WebSocket comes in a task of its own. */
  readonly ownTasks: boolean
  /** Throws if a page like this one may not ask for such an address. */
  readonly permit?: (url: string) => void
  /** What a relative URL is relative to. */
  base(): string | undefined
  /** `link`: the attempt that it is to carry, if it is for a session. */
  webSocket(url: string, protocols: string[], options: WebSocketOptions, link?: CarrierLink): NativeSocket
  eventSource(url: string, options: WebSocketOptions): NativeEventSource
  post(url: string, init: PostInit, options: WebSocketOptions): Promise<Answer>
  /** Runs it in a task of its own, after those that were asked for before. */
  task(run: () => void): void
  closeEvent(init: CloseEventInit): Event
  /** These two where events are to tell more than the standard's do. */
  messageEvent?(received: string | Uint8Array, socket: { readonly binaryType: string }, origin: string): Event
  errorEvent?(reason: string, options: WebSocketOptions): Event
  /** One that can do more than browsers may. */
  readonly Connector?: typeof Connector
  /** Where it can keep what was learnt; throws where that is forbidden. */
  store(): Store | undefined
  /** Leave to keep a connection to this address busy, or none for now; absent where connections are not scarce. */
  readonly slot?:
    | ((url: string, remember: boolean, giveBack: () => void) => Promise<(() => void) | undefined>)
    | undefined
  /** Tells what happens to the page, until it is told that nobody listens any more. */
  readonly watch?: ((watcher: PageWatcher) => void) | undefined
}
