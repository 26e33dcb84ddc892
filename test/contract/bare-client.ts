// As little of a client in front of a carrier as there can be, in Node and in a page: a session and what happens to it.
import { type Carrier, type CarrierHost, CarrierLink, type CarrierPilot } from '../../client/base/carrier.ts'
import { now } from '../../client/base/clock.ts'
import { Network } from '../../client/base/network-memory.ts'
import type { Transport } from '../../client/base/types.ts'
import type { Why } from '../../client/base/why.ts'
import { wordsOf } from '../../client/pilot/diary.ts'
import { ByteWriter } from '../../shared/bytes.ts'
import { Ask, idSize, keySize, writeRequestHead } from '../../shared/exchange.ts'
import type { Welcome } from '../../shared/frame.ts'
import { defaultLimits } from '../../shared/limits.ts'
import type { Position } from '../../shared/link.ts'
import { textMessage } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

export abstract class BareClient implements CarrierHost, CarrierPilot {
  readonly session: Session = new Session(defaultLimits, now())
  readonly protocols: readonly string[] = []
  readonly network: Network = new Network('', undefined)
  readonly soon = 2000
  readonly overdue = 1000
  readonly answerPatience: number
  paused = false
  welcome: Welcome | undefined
  used: CarrierLink | undefined
  /** What is to happen with a carrier when it is proven. */
  whenProven: 'take' | 'close' | 'later' = 'take'
  readonly links: CarrierLink[] = []
  readonly #transport: Transport
  readonly #id = crypto.getRandomValues(new Uint8Array(idSize))
  readonly #key = crypto.getRandomValues(new Uint8Array(keySize))

  constructor(transport: Transport, answerPatience: number) {
    this.#transport = transport
    this.answerPatience = answerPatience
  }

  /** Nobody decides here. */
  get pilot(): CarrierPilot {
    return this
  }

  protected abstract open(link: CarrierLink): Carrier
  abstract event(text: string): void
  abstract message(text: string): void

  begin(standby = false): CarrierLink {
    const link = new CarrierLink(this.#transport, this.links.length + 1, 50, standby, now())
    this.links.push(link)
    link.carrier = this.open(link)
    return link
  }

  send(...texts: readonly string[]): void {
    for (const text of texts) this.session.send(textMessage(text, encodeText(text).length))
    this.settle()
  }

  askToken(link: CarrierLink): void {
    this.event(`asked ${link.epoch}`)
    link.tokenOwed = 'a bare client'
    this.settle()
  }

  head(link: CarrierLink, ask: number, serial: number, quiet = 0): ByteWriter {
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask: ask | (this.welcome ? 0 : Ask.open) | (link.standby ? Ask.standby : 0),
      id: this.#id,
      key: this.#key,
      epoch: link.epoch,
      serial,
      quiet,
      life: 0,
      has: this.session.received,
      at: { number: link.sent, offset: link.sentOffset },
    })
    return to
  }

  proven(link: CarrierLink, welcome?: Welcome): void {
    this.welcome ??= welcome
    if (this.whenProven === 'take') {
      this.used = link
      link.carrier?.take()
      link.standby = false
    } else link.carrier?.close()
    this.event(`proven ${link.epoch}`)
  }

  attach(link: CarrierLink, has: Position): void {
    this.event(`attach ${link.epoch} ${this.session.attach(link, has, now())}`)
  }

  heard(): void {
    this.session.heard(now())
  }

  announced(): void {}

  answered(link: CarrierLink): void {
    link.asked = false
  }

  cut(): boolean {
    return false
  }

  refused(): void {}

  passed(): void {}

  sound(link: CarrierLink): void {
    link.sound = true
  }

  settle(): void {
    for (let event = this.session.event(); event; event = this.session.event()) {
      if (event.type === 'message') {
        this.message(typeof event.data === 'string' ? event.data : (decodeText(event.data) ?? 'no text'))
      } else if (event.type === 'close') this.event(`close ${event.code} ${event.reason}`.trim())
    }
    this.used?.carrier?.flush()
  }

  lost(link: CarrierLink, why: Why): void {
    this.session.detach(link, now())
    if (this.used === link) this.used = undefined
    this.event(`lost ${link.epoch} ${wordsOf(why)}`)
  }
}
