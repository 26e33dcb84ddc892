/** What the pilot is in the middle of, and what it wants done. */
import type { CarrierLink } from '../base/carrier.ts'
import type { CarrierEntry, NetworkSignal, Transport } from '../base/types.ts'
import type { Why } from '../base/why.ts'

export type Phase =
  /** No carrier was proven yet. */
  | { readonly is: 'opening'; readonly on?: undefined; readonly sign?: undefined }
  | { readonly is: 'carried'; readonly on: CarrierLink; readonly sign?: undefined }
  /** The carrier in use may be dead, as this sign says: others are tried beside it until it answers. */
  | { readonly is: 'doubted'; readonly on: CarrierLink; readonly sign: NetworkSignal['sign'] }
  /** Nothing carries the session; patience runs. */
  | { readonly is: 'alone'; readonly on?: undefined; readonly sign?: undefined }
  /** The page is in the back/forward cache; what carried it is closed, and patience does not run. */
  | { readonly is: 'away'; readonly on: CarrierLink | undefined; readonly sign?: undefined }
  | { readonly is: 'over'; readonly on?: undefined; readonly sign?: undefined }

/** One thing that the pilot wants done, by the shell that it is handed to. */
export type Action = (shell: PilotShell) => void

export interface PilotShell {
  /** Ask the application for a token, and say what came of it. */
  askToken(): void
  /** Open a carrier for this link. */
  dial(link: CarrierLink, purpose: CarrierEntry['purpose']): void
  /** The carrier of this link is the one in use now: the first opens the session. */
  take(link: CarrierLink): void
  /** Close the carrier of this link. */
  end(link: CarrierLink, by: Party, why: Why): void
  /** Time has come for what the session waits for. */
  expire(): void
  /** Tell the application that no carrier is in use. */
  changed(): void
  /** End the session: no transport got through, or there is no token, for these reasons. */
  giveUp(failed: ReadonlyMap<Transport | 'token', Why>): void
  /** Tell the server, by a request of its own with this link, that the client is gone. */
  farewell(link: CarrierLink): void
  /** Remember how this transport fared; a weight of 0: well. */
  learn(transport: Transport, weight: number): void
  /** Write the sign into the diary. */
  note(sign: NetworkSignal['sign']): void
}

export type Party = NonNullable<CarrierEntry['by']>

/** Whether that means another network, on which what was open before is dead. */
export function hasMoved(sign: NetworkSignal['sign'] | undefined): boolean {
  return sign === 'online' || sign === 'network'
}
