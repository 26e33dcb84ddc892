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

export type Action =
  /** Open a carrier for this link. */
  | { readonly do: 'dial'; readonly link: CarrierLink; readonly purpose: CarrierEntry['purpose'] }
  /** The carrier of this link is the one in use now: the first opens the session. */
  | { readonly do: 'take'; readonly link: CarrierLink }
  | {
      readonly do: 'close'
      readonly link: CarrierLink
      readonly why: Why
      readonly by: Party
    }
  /** Time has come for what the session waits for. */
  | { readonly do: 'expire' }
  /** Tell the application that no carrier is in use. */
  | { readonly do: 'change' }
  /** End the session: no transport got through, for these reasons. */
  | { readonly do: 'give up'; readonly failed: ReadonlyMap<Transport, Why> }
  /** Tell the server, by a request of its own with this link, that the client is gone. */
  | { readonly do: 'farewell'; readonly link: CarrierLink }
  /** Remember how this transport fared; a weight of 0: well. */
  | { readonly do: 'learn'; readonly transport: Transport; readonly weight: number }
  /** Write the sign into the diary. */
  | { readonly do: 'note'; readonly sign: NetworkSignal['sign'] }

export type Party = NonNullable<CarrierEntry['by']>

/** Whether that means another network, on which what was open before is dead. */
export function hasMoved(sign: NetworkSignal['sign'] | undefined): boolean {
  return sign === 'online' || sign === 'network'
}
