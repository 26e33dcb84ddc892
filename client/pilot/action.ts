/** The phases of the pilot, and the actions that it wants done. */
import type { CarrierLink } from '../base/carrier.ts'
import type { CarrierEntry, NetworkSignal, Transport } from '../base/types.ts'
import type { Why } from '../base/why.ts'

export type Phase =
  /** No carrier was proven yet. */
  | { readonly is: 'opening'; readonly on?: undefined; readonly sign?: undefined }
  | { readonly is: 'carried'; readonly on: CarrierLink; readonly sign?: undefined }
  /** The carrier in use may be dead, because of this sign: others are tried beside it until it answers. */
  | { readonly is: 'doubted'; readonly on: CarrierLink; readonly sign: NetworkSignal['sign'] }
  /** Nothing carries the session; patience runs. */
  | { readonly is: 'alone'; readonly on?: undefined; readonly sign?: undefined }
  /** The page is in the back/forward cache; its carriers are closed, and patience does not run. */
  | { readonly is: 'away'; readonly on: CarrierLink | undefined; readonly sign?: undefined }
  | { readonly is: 'over'; readonly on?: undefined; readonly sign?: undefined }

/** One thing that the pilot wants done, by the shell that it is handed to. */
export type Action = (shell: PilotShell) => void

export interface PilotShell {
  /** Ask the application for a token, and call `tokenCame` with the result. */
  askToken(): void
  /** Open a carrier for this link. */
  dial(link: CarrierLink, purpose: CarrierEntry['purpose']): void
  /** The carrier of this link is the one in use now: the first opens the session. */
  take(link: CarrierLink): void
  /** Close the carrier of this link. */
  end(link: CarrierLink, by: Party, why: Why): void
  /** The session's deadline has come. */
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

/** Whether the sign means another network, on which earlier connections are dead. */
export function hasMoved(sign: NetworkSignal['sign'] | undefined): boolean {
  return sign === 'online' || sign === 'network'
}
