/** Who this client is to the server: the name of its session, the key to it, and the numbers of its carriers. */
import { ByteWriter } from '../../shared/bytes.ts'
import { CloseCode } from '../../shared/codes.ts'
import { idSize, keySize, writeRecord, writeRequestHead } from '../../shared/exchange.ts'
import { ackDelay, ackDelayByRequest } from '../../shared/limits.ts'
import { endPayload } from '../../shared/message.ts'
import type { Session } from '../../shared/session.ts'
import { encodeText } from '../../shared/text.ts'
import { CarrierLink } from '../base/carrier.ts'
import type { Network } from '../base/network-memory.ts'
import type { Transport } from '../base/types.ts'

export class Identity {
  readonly #id = crypto.getRandomValues(new Uint8Array(idSize))
  readonly #key = crypto.getRandomValues(new Uint8Array(keySize))
  readonly #session: Session
  readonly #network: Network
  #epoch = 0

  constructor(session: Session, network: Network) {
    this.#session = session
    this.#network = network
  }

  attempt(transport: Transport, standby: boolean): CarrierLink {
    return new CarrierLink(
      transport,
      ++this.#epoch,
      transport === 'websocket' ? ackDelay : ackDelayByRequest,
      standby,
    )
  }

  /** How a request begins. */
  head(link: CarrierLink, ask: number, serial: number, quiet: number): ByteWriter {
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask,
      id: this.#id,
      key: this.#key,
      epoch: link.epoch,
      serial,
      quiet: Math.floor(quiet),
      life: this.#network.life,
      has: this.#session.received,
      at: { number: link.sent, offset: link.sentOffset },
    })
    return to
  }

  /** A request that says that this client is gone: a new carrier that brings nothing else, and does not ask to be let in. */
  farewell(): Uint8Array<ArrayBuffer> {
    const body = this.head(this.attempt('polling', false), 0, 1, 0)
    writeRecord(body, 'abort', encodeText(endPayload(CloseCode.goingAway, '')))
    return body.whole()
  }
}
