/** What the client in Node can do beyond browsers: pings, pauses, and callbacks of `send`. */

import { ByteReader } from '../../shared/bytes.ts'
import { readRequestHead } from '../../shared/exchange.ts'
import type { Control, Welcome } from '../../shared/frame.ts'
import type { Limits } from '../../shared/limits.ts'
import type { Attached, Link, Position, SessionEvent } from '../../shared/link.ts'
import type { Message } from '../../shared/message.ts'
import { PortableSession } from '../../shared/snapshot.ts'
import type { CarrierLink } from '../base/carrier.ts'
import { now } from '../base/clock.ts'
import type { Transport } from '../base/types.ts'
import { Connector } from '../pilot/connector.ts'
import { blobUnread } from './node-errors.ts'
import { isLogging, LoggedDiary } from './node-log.ts'
import type { NodeWebSocketOptions } from './node-options.ts'
import { nativeOf, type SendCallback, type SessionSide, type Side, sideOf } from './node-side.ts'
import { takeTurn } from './node-tasks.ts'

/** While more bytes than this wait for the network, callbacks of `send` wait, too. */
const highWater = 64 * 1024

interface Sent {
  /** Its place among all messages that the application sent. */
  readonly place: number
  readonly done: SendCallback
  /** Its number in the session, once it has one. */
  number: number
}

class NodeSession extends PortableSession {
  /** The application takes no messages. */
  paused = false
  /** The application has called `terminate()`: it is told of nothing but the end. */
  deaf = false
  /** Whether the application's pings are answered here. An empty one may be the session's own. */
  autoPong = true
  pinged: ((payload: string) => void) | undefined
  /** The server was told over this WebSocket that the application has paused. Over HTTP each request says it. */
  #said = false
  /** The server must still be told that the application has paused, or goes on. */
  #owed = false

  pause(paused: boolean): void {
    this.paused = paused
    this.#owed = this.link !== undefined
  }

  override attach(link: Link, has: Position, now: number): Attached {
    const attached = super.attach(link, has, now)
    this.#said = false
    this.#owed = this.paused
    return attached
  }

  override pingArrived(link: Link, payload: string, now: number): void {
    const owed = link.pongOwed
    super.pingArrived(link, payload, now)
    if (!this.autoPong && payload) link.pongOwed = owed
  }

  override event(): SessionEvent | undefined {
    let event = this.paused && !this.deaf ? undefined : super.event()
    while (this.deaf && event && event.type !== 'close') event = super.event()
    if (event?.type === 'ping') this.pinged?.(event.payload)
    return event
  }

  override wants(link: Link, acks?: boolean): boolean {
    return (this.#owed && link === this.link) || super.wants(link, acks)
  }

  override pollControl(link: Link, acks = true): Control | undefined {
    const frame = super.pollControl(link, acks)
    if (frame || link !== this.link) return frame
    const { paused } = this
    this.#owed = false
    const byRequest = (link as CarrierLink).transport !== ('websocket' satisfies Transport)
    // A request without a pause means that the application takes messages.
    if (byRequest && !paused) this.#said = false
    if (this.#said === paused) {
      if (byRequest) this.#said = false
      return undefined
    }
    this.#said = paused
    return { kind: 'pause', payload: paused ? '1' : '0' }
  }
}

export class NodeConnector extends Connector implements SessionSide {
  declare readonly session: NodeSession
  readonly #side: Side | undefined
  /** How many messages the application has sent, and how many of them have reached the session. */
  #submitted = 0
  #handed = 0
  #sent: Sent[] = []
  /** The carrier of the session when the application was last told of one. */
  #carriedBy: Transport | null = null
  /** How many empty pings of the application have no pong yet. The session's own pings look the same. */
  #emptyPings = 0

  constructor(...args: ConstructorParameters<typeof Connector>) {
    const side = sideOf(args[2])
    if (side) side.failure = undefined
    super(...args)
    this.session.pinged = (payload) => this.#tell('ping', payload)
    const options: NodeWebSocketOptions = args[2]
    this.session.autoPong = options.autoPong ?? true
    this.#side = side
    if (side) {
      side.connector = this
      side.begun?.()
    }
  }

  protected override makeSession(limits: Limits): NodeSession {
    // The diary is replaced here, because it is still empty.
    if (isLogging) Object.assign(this, { diary: new LoggedDiary(() => idOf(this)) })
    return new NodeSession(limits, now())
  }

  override proven(link: CarrierLink, welcome?: Welcome): void {
    if (this.#side && welcome) {
      const sent = this.protocols.length ? 'an invalid subprotocol' : 'a subprotocol but none was requested'
      this.#side.badProtocol = `Server sent ${welcome.protocol ? sent : 'no subprotocol'}`
    }
    super.proven(link, welcome)
  }

  override take(link: CarrierLink): void {
    // Of the event `open`. A message that came with the welcome is told in another turn.
    takeTurn()
    super.take(link)
    this.#carriedBy = link.transport
  }

  override changed(): void {
    this.#carriedBy = null
    super.changed()
  }

  /** Until the application is told of the end, which may wait for a pause, that which carried the session then. */
  override get transport(): Transport | null {
    return this.session.over ? this.#carriedBy : super.transport
  }

  override close(code: number, reason: string): void {
    super.close(this.#side?.closeCode ?? code, reason)
  }

  /** The extensions of the present WebSocket. */
  get extensions(): string {
    return (this.session.link && nativeOf(this.session.link)?.extensions) ?? ''
  }

  ping(payload: string): void {
    if (payload === '') this.#emptyPings++
    this.session.ping(payload)
    this.settle()
  }

  pong(payload: string): void {
    this.session.pong(payload)
    this.settle()
  }

  ponged(payload: string): void {
    if (payload === '' && this.#emptyPings-- <= 0) this.#emptyPings = 0
    else this.#tell('pong', payload)
  }

  get isPaused(): boolean {
    return this.session.paused
  }

  get isTerminated(): boolean {
    return this.session.deaf
  }

  terminate(): void {
    this.session.deaf = true
    this.fail('')
  }

  pause(paused: boolean): void {
    if (this.session.paused === paused) return
    this.session.pause(paused)
    this.settle()
  }

  submitting(done: SendCallback | undefined): void {
    const place = ++this.#submitted
    if (done) this.#sent.push({ place, done, number: 0 })
  }

  holding(done: SendCallback | undefined): void {
    if (done) this.#sent.push({ place: this.#submitted + 1, done, number: 0 })
  }

  withdraw(): void {
    if (this.#sent.at(-1)?.place === this.#submitted--) this.#sent.pop()
  }

  override send(message: Message): boolean {
    const place = ++this.#handed
    if (this.#sent.length === 0) return super.send(message)
    const taken = super.send(message)
    // From the end of the list: a server that acknowledges nothing can make it long.
    for (let at = this.#sent.length - 1; at >= 0; at--) {
      const one = this.#sent[at] as Sent
      if (one.place < place) break
      if (one.place === place) one.number = taken ? this.session.lastNumber : Number.POSITIVE_INFINITY
    }
    this.called()
    return taken
  }

  override settle(ownTask?: boolean, time?: number): void {
    super.settle(ownTask, time)
    // Only the server must still learn that the session is over: that does not keep the process.
    if (this.session.over) this.timer?.unref()
    this.called()
  }

  called(): void {
    // `settle` calls this while the connector is still being constructed.
    if (!(#sent in this) || this.#sent.length === 0) return
    const { over } = this.session
    const reached = this.#reached
    for (let one = this.#sent[0]; one; one = this.#sent[0]) {
      const gone = one.number > 0 && one.number <= reached
      if (!gone && !over) return
      this.#sent.shift()
      process.nextTick(
        one.done,
        gone ? undefined : new Error(one.number ? 'The connection is closed' : blobUnread),
      )
    }
  }

  /** The number of the last message whose callback of `send` may run. */
  get #reached(): number {
    const { link, unsentBytes, acknowledged, lastNumber, over } = this.session
    const { buffered } = this
    if (!link) return acknowledged.number
    const native = nativeOf(link)
    // The messages that the WebSocket has taken go out, even if the server's close has come before.
    if (native) return over && !this.session.deaf ? link.sent : Math.max(native.written, acknowledged.number)
    if (buffered - unsentBytes > highWater) return acknowledged.number
    // The next request takes all waiting messages. A caller that sends one message after the other must not wait for a round trip each time.
    return buffered <= highWater && !over ? lastNumber : link.sent
  }

  #tell(type: 'ping' | 'pong', payload: string): void {
    // In a task of its own, behind those of the messages that came before.
    setImmediate(() => this.#side?.emit?.(type, Buffer.from(payload, 'latin1')))
  }
}

/** The id of the session, as the server names it. Not a method, because the diary begins before the private members exist. */
function idOf(connector: Connector): string {
  const head = connector.head({ epoch: 0, place: { number: 0, offset: 0 } } as CarrierLink, 0, 0, 0)
  return Buffer.from(readRequestHead(new ByteReader(head.whole())).id).toString('base64url')
}
