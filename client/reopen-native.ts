/** The entry `everwire/reopen` for React Native: the class whose sockets begin again. */

import type { DiaryEntry } from './base/types.ts'
import { WebSocket as Base, type WebSocketOptions as BaseOptions } from './native.ts'
import { checkReopen, reopeningOn, type WithReopen, watchOpen, wholeDiary } from './socket/reopen.ts'

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

export type { ReopenOptions } from './socket/reopen.ts'

/** The options of the class, with `reopen`. */
export interface WebSocketOptions extends BaseOptions, WithReopen {}

/** The class of `everwire`. After an end that neither application asked for, the same socket begins another session. */
export class WebSocket extends Base {
  protected static override readonly platform: typeof Base.platform = reopeningOn(Base.platform)

  /** Begins to connect. Throws a TypeError for an invalid option `reopen`, which it names. */
  constructor(
    ...args: [
      url: string | URL,
      protocols?: string | Iterable<string> | WebSocketOptions | undefined,
      options?: WebSocketOptions | undefined,
    ]
  ) {
    checkReopen(args[1], args[2])
    super(...(args as [string]))
    watchOpen(this)
  }

  /**
   * What happened to the connections so far, oldest first, those of earlier sessions too. A long list keeps its
   * first entries and the latest.
   */
  override get diary(): DiaryEntry[] {
    return wholeDiary(this, super.diary)
  }
}
