/**
 * Watches the carrier in use: when was it heard, and for how long has something that was sent waited for its answer? What
 * it finds is a doubt, not a verdict.
 */
import { ackDelay } from '../../shared/limits.ts'
import { never } from '../../shared/link.ts'
import type { Session } from '../../shared/session.ts'
import type { CarrierLink } from '../base/carrier.ts'
import type { Network } from '../base/network-memory.ts'

/** No answer is overdue sooner: machines pause. */
const leastMargin = 1000
/** With so much under way it may be slow rather than dead. */
const much = 65_536
/** What takes so much longer to connect than the one before it has waited behind something else. */
const queueing = 500

export class Vigil {
  /** The server does not acknowledge now, and says so. */
  paused = false
  readonly #session: Session
  readonly #network: Network
  #link: CarrierLink | undefined
  /** Since when an answer has been waited for. */
  #since = never
  /** What had been acknowledged then. */
  #number = 0
  #offset = 0
  /** What had been sent by then: what is sent later comes behind it, and does not put off its answer. */
  #bytes = 0
  /** What the carrier had not got rid of, when last looked at. */
  #buffered = 0
  /** For how long, while the carrier has not yet answered at all. */
  #firstMargin = 0

  constructor(session: Session, network: Network) {
    this.#session = session
    this.#network = network
  }

  /** How late something may be. */
  get margin(): number {
    return Math.max(leastMargin, 4 * (this.#network.roundTrip ?? 0) + ackDelay)
  }

  /** Another carrier is in use. */
  begin(link: CarrierLink, firstMargin: number): void {
    this.#link = link
    this.#since = never
    this.#firstMargin = firstMargin
    this.paused = false
  }

  /** It is asked because it is in doubt already. */
  doubted(link: CarrierLink): void {
    this.#since = never
    if (this.loaded(link)) this.#network.slower()
  }

  /**
   * Whether the line has so much to carry that this carrier may be slow rather than dead: then another one, that took `took`
   * ms to show that it goes both ways, was slow as well.
   */
  congested(link: CarrierLink, took: number): boolean {
    return this.loaded(link) && took > queueing + 4 * (link.provenAt - link.beganAt)
  }

  /** Whether much is on its way over it, either way: an answer may wait behind that. */
  loaded({ longBytes }: CarrierLink): boolean {
    return this.#bytes > much || longBytes > 0
  }

  answered(): void {
    this.#since = never
  }

  /** After each change: is anything waited for? Returns whether there was an answer since the last look. */
  look(link: CarrierLink, time: number): boolean {
    const { number, offset } = this.#session.acknowledged
    const progress = number !== this.#number || offset !== this.#offset
    this.#number = number
    this.#offset = offset
    const waits = link.asked || (number - link.sent || offset - link.sentOffset) < 0
    if (!waits || this.paused) this.#since = never
    else if (progress || this.#since === never) {
      this.#since = time
      this.#bytes = this.#sent(link)
      this.#buffered = link.carrier?.buffered ?? 0
    }
    return progress
  }

  /** When to look whether there is an answer. */
  get due(): number {
    const link = this.#link
    if (this.#since === never || !link) return never
    // What carries HTTP has gone both ways before it was in use.
    const mayWait = link.sound || link.transport !== 'websocket' || this.loaded(link)
    const margin = mayWait ? this.margin : this.#firstMargin
    const allowance = Math.floor(this.#bytes / this.#network.pace)
    return Math.max(this.#since, this.#session.heardAt - margin) + margin + allowance
  }

  #sent(link: CarrierLink): number {
    return this.#session.sentBytes + link.sentOffset
  }

  /** What gives reason to doubt, if anything. */
  doubtful(time: number): 'unanswered' | 'silent' | undefined {
    const buffered = this.#link?.carrier?.buffered ?? 0
    // What still leaves shows that the way is open, if it is more than what a dead connection takes too.
    if (buffered > much && buffered < this.#buffered) this.#since = time
    this.#buffered = buffered
    if (time >= this.due) return 'unanswered'
    const { heardAt, limits } = this.#session
    return time >= heardAt + limits.silence ? 'silent' : undefined
  }
}
