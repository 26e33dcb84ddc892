/** Who this client is to the server: the name of its session, and the key to it. */
import { ByteWriter, type OwnBytes } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import { idSize, keySize, writeRecord, writeRequestHead } from '../../shared/exchange.ts'
import { endPayload } from '../../shared/message.ts'
import type { Session } from '../../shared/session.ts'
import { encodeText } from '../../shared/text.ts'
import type { CarrierLink } from '../base/carrier.ts'
import type { Network } from '../base/network-memory.ts'

/** Begins a request in the name of this client. */
export type Head = (link: CarrierLink, ask: number, serial: number, quiet: number) => ByteWriter

/** Makes the id and the key of a new session. */
export function makeIdentity(session: Session, network: Network): Head {
  const id = crypto.getRandomValues(new Uint8Array(idSize))
  const key = crypto.getRandomValues(new Uint8Array(keySize))
  return (link, ask, serial, quiet) => {
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask,
      id,
      key,
      epoch: link.epoch,
      serial,
      quiet: Math.floor(quiet),
      life: network.life,
      has: session.received,
      at: link.place,
    })
    return to
  }
}

/** A request that says that this client is gone: the first of a new carrier, without `open` and without messages. */
export function farewell(head: Head, link: CarrierLink): OwnBytes {
  const body = head(link, 0, 1, 0)
  writeRecord(body, 'abort', encodeText(endPayload(CloseCode.goingAway, '')))
  return body.whole()
}
