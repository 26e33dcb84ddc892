// The carriers in a page, with as little of a client before them as there can be: a session and a record of what happens.
import { WebSocket } from '../../client/browser.ts'
import { Attempt, type Client } from '../../client/carrier.ts'
import { readEvents } from '../../client/carriers/events.ts'
import { HttpCarrier } from '../../client/carriers/http.ts'
import { WebSocketCarrier } from '../../client/carriers/websocket.ts'
import { now } from '../../client/clock.ts'
import type { Platform } from '../../client/platform.ts'
import type { Transport } from '../../client/types.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import type { Welcome } from '../../shared/control.ts'
import { Ask, writeRequestHead } from '../../shared/exchange.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { textMessage } from '../../shared/message.ts'
import { type Position, Session } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

class Inside extends WebSocket {
  static get platformOfPage(): Platform {
    return Inside.platform
  }
}

export class PageClient implements Client {
  readonly session: Session = new Session(defaultLimits, now())
  readonly protocols: readonly string[] = []
  readonly answerPatience = 5000
  readonly events: string[] = []
  readonly messages: string[] = []
  welcome: Welcome | undefined
  used: Attempt | undefined
  readonly links: Attempt[] = []
  readonly #url: string
  readonly #transport: Transport
  readonly #id = crypto.getRandomValues(new Uint8Array(12))
  readonly #key = crypto.getRandomValues(new Uint8Array(16))

  constructor(transport: Transport, url: string) {
    this.#transport = transport
    this.#url = url
  }

  begin(standby: boolean): void {
    const platform = Inside.platformOfPage
    const link = new Attempt(this.#transport, this.links.length + 1, 50, standby)
    this.links.push(link)
    const http = `${this.#url.replace('ws', 'http')}?everwire=`
    link.carrier =
      this.#transport === 'websocket'
        ? new WebSocketCarrier(this, link, (offers) => platform.webSocket(this.#url, offers, {}))
        : new HttpCarrier(this, link, {
            post: (init) => platform.post(`${http}1`, init, {}),
            listen: (ticket, signal) => readEvents(platform.eventSource(http + ticket, {}), signal),
          })
  }

  send(texts: readonly string[]): void {
    for (const text of texts) this.session.send(textMessage(text, encodeText(text).length))
    this.settle()
  }

  head(link: Attempt, ask: number, serial: number): ByteWriter {
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask: ask | (this.welcome ? 0 : Ask.open) | (link.standby ? Ask.standby : 0),
      id: this.#id,
      key: this.#key,
      epoch: link.epoch,
      serial,
      has: this.session.received,
      at: { number: link.sent, offset: link.sentOffset },
    })
    return to
  }

  proven(link: Attempt, welcome?: Welcome): void {
    this.welcome ??= welcome
    this.used = link
    link.carrier?.take()
    link.standby = false
    this.events.push(`proven ${link.epoch}`)
  }

  attach(link: Attempt, has: Position): void {
    this.events.push(`attach ${link.epoch} ${this.session.attach(link, has, now())}`)
  }

  settle(): void {
    for (let event = this.session.event(); event; event = this.session.event()) {
      if (event.type === 'message') {
        this.messages.push(
          typeof event.data === 'string' ? event.data : (decodeText(event.data) ?? 'no text'),
        )
      } else if (event.type === 'close') this.events.push(`close ${event.code} ${event.reason}`)
    }
    this.used?.carrier?.flush()
  }

  lost(link: Attempt, why: string): void {
    this.session.detach(link, now())
    if (this.used === link) this.used = undefined
    this.events.push(`lost ${link.epoch} ${why}`)
  }
}
