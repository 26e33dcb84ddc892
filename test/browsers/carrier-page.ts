// The carriers in a page.

import type { Carrier, CarrierLink } from '../../client/base/carrier.ts'
import type { Transport } from '../../client/base/types.ts'
import { WebSocket } from '../../client/browser.ts'
import { HttpCarrier } from '../../client/carriers/http.ts'
import { WebSocketCarrier } from '../../client/carriers/websocket.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { BareClient } from '../contract/bare-client.ts'

class Inside extends WebSocket {
  static get platformOfPage(): Platform {
    return Inside.platform
  }
}

export class PageClient extends BareClient {
  readonly events: string[] = []
  readonly messages: string[] = []
  readonly #url: string

  constructor(transport: Transport, url: string) {
    super(transport, 5000)
    this.#url = url
  }

  protected override open(link: CarrierLink): Carrier {
    const platform = Inside.platformOfPage
    const http = `${this.#url.replace('ws', 'http')}?everwire=`
    return link.transport === 'websocket'
      ? new WebSocketCarrier(this, link, (offers) => platform.webSocket(this.#url, offers, {}))
      : new HttpCarrier(this, link, {
          post: (init) => platform.post(`${http}1`, init, {}),
          listen: (ticket, signal) => platform.listen(http + ticket, signal, {}),
        })
  }

  override event(text: string): void {
    this.events.push(text)
  }

  override message(text: string): void {
    this.messages.push(text)
  }
}
