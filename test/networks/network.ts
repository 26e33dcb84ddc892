/** What a network is to those who are sent through it. */
import type { Transport } from '../../client/node.ts'
import type { Faults, HostileNetwork } from '../../testing/index.ts'
import type { ProxySetup } from '../support/proxies.ts'
import type { Party, Talk, TalkOptions } from './talk.ts'

export interface Network {
  readonly name: string
  /** What it does, in a sentence. */
  readonly does: string
  /** A real proxy before the server, and what it is told. */
  readonly proxy?: ProxySetup
  /** What is wrong from the beginning; a round trip takes 50 ms if nothing else is said. */
  readonly faults?: Partial<Faults>
  /** What happens while both ends talk; otherwise they talk until each has heard a hundred messages. */
  readonly during?: (scene: Scene) => Promise<void>
  readonly talk?: TalkOptions
  /** Decides what happens by chance, where no other seed is asked for. Default: 1. */
  readonly seed?: number
  /** It takes some seconds longer than others do. */
  readonly longer?: number
  /** Nobody is told that nothing gets through: those who ask now and then may take this many seconds to see it. */
  readonly unnoticed?: number
  /** A WebSocket that is the only transport allowed does not get through here, though `limits.uses` names it. */
  readonly stopsWebSocket?: boolean
  /** What everwire must keep here, beside losing, repeating, mixing up and showing nothing at all. */
  readonly limits: NetworkLimits
}

export interface NetworkLimits {
  /** From the client's construction to the first answer, in milliseconds. */
  readonly first: number
  /** The longest time without an arrival while the other end talks, in milliseconds. */
  readonly gap: number
  readonly because: string
  /** The transports that may carry it. */
  readonly uses: readonly string[]
  /** The one that carries it in the end, where that matters. */
  readonly ends?: string
}

/** What the course of a network is written in. */
export interface Scene {
  readonly net: HostileNetwork
  readonly client: Party
  /** The server's end. It is here: unlike a page it can be asked while it waits for something else. */
  readonly server: Pick<Talk, 'movedTo'>
  /** Goes on until each end has heard so many more messages. */
  exchange(count: number): Promise<void>
  /** Neither end says anything for so many milliseconds, or until that. */
  silence(until: number | Promise<unknown>): Promise<void>
  /** It stays as it is for so long. */
  lasting(milliseconds: number): Promise<void>
}

/** Whether a client gets through here that may use this transport only. */
export function carriesAlone({ during, stopsWebSocket, limits }: Network, transport: Transport): boolean {
  const { uses, ends = transport } = limits
  if (!uses.includes(transport) || (transport === 'websocket' && stopsWebSocket)) return false
  // What happens there waits for another transport.
  return during === undefined || ends === transport
}
