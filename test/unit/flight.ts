/** A pilot in the hands of a test. */
import type { CarrierLink } from '../../client/base/carrier.ts'
import { Network } from '../../client/base/network-memory.ts'
import type { NetworkSignal, Transport } from '../../client/base/types.ts'
import type { Why } from '../../client/base/why.ts'
import type { Party, PilotShell } from '../../client/pilot/action.ts'
import type { PilotOptions } from '../../client/pilot/deadlines.ts'
import { wordsOf } from '../../client/pilot/diary.ts'
import { Pilot } from '../../client/pilot/pilot.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { textMessage } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'

const welcome = {
  got: 0,
  start: 0,
  protocol: '',
  heartbeat: 15_000,
  patience: 30_000,
  maxBody: 65_536,
}
export const refused: Why = { is: 'refused', text: '' }

/** A pilot, and a shell that does at once what it says; time passes only when it is told to. */
export class Flight implements PilotShell {
  now = 0
  offline = false
  readonly network = new Network('', undefined)
  readonly session = new Session({ ...defaultLimits, grace: 15_000 }, 0)
  readonly pilot: Pilot
  readonly links: CarrierLink[] = []
  done: string[] = []

  constructor(
    transports: readonly Transport[] = ['websocket', 'polling'],
    options: PilotOptions = {},
    random = () => 1,
  ) {
    this.network.quiet = welcome.heartbeat
    const isOffline = () => this.offline
    this.pilot = new Pilot(this.session, this.network, transports, options, random, isOffline, 0)
    this.drain()
  }

  drain(): void {
    for (let action = this.pilot.poll(this.now); action; action = this.pilot.poll(this.now)) action(this)
  }

  // ---- what the pilot wants done: it is done, and written down in words ----

  askToken(): void {
    this.done.push('ask for a token')
  }

  dial(link: CarrierLink, purpose: string): void {
    link.carrier = { buffered: 0, take() {}, flush() {}, close() {} }
    this.links.push(link)
    const words = ['dial', link.transport, link.epoch, purpose, ...(link.standby ? ['standby'] : [])]
    this.done.push(words.join(' '))
  }

  take(link: CarrierLink): void {
    this.session.attach(link, { number: 0, offset: 0 }, this.now)
    link.standby = false
    this.done.push(`take ${link.epoch}`)
  }

  end(link: CarrierLink, by: Party, why: Why): void {
    this.done.push(`close ${link.epoch}: ${wordsOf(why)}, by the ${by}`)
  }

  expire(): void {
    this.session.handleTimeout(this.now)
    this.done.push('expire')
  }

  changed(): void {
    this.done.push('change')
  }

  giveUp(failed: ReadonlyMap<Transport | 'token', Why>): void {
    this.session.abort(1006, '', this.now)
    this.done.push(`give up ${[...failed].map(([name, why]) => `${name}: ${wordsOf(why)}`).join('; ')}`)
  }

  farewell(link: CarrierLink): void {
    this.done.push(`farewell ${link.epoch}`)
  }

  learn(transport: Transport, weight: number): void {
    if (weight) this.network.failed(transport, weight)
    else this.network.worked(transport)
    this.done.push(`learn ${transport} ${weight}`)
  }

  note(sign: NetworkSignal['sign']): void {
    this.done.push(`note ${sign}`)
  }

  // ---- what happens ----

  /** So much time passes, and the pilot looks whenever it said that it would. */
  pass(ms: number): void {
    const end = this.now + ms
    for (let at = this.pilot.next; at <= end; at = this.pilot.next) {
      this.now = Math.max(this.now, at)
      this.drain()
    }
    this.now = end
    this.drain()
  }

  /** The attempt with this number. */
  link(epoch: number): CarrierLink {
    return this.links[epoch - 1] as CarrierLink
  }

  proven(epoch: number): void {
    this.pilot.proven(this.link(epoch), this.pilot.welcome ? undefined : welcome, this.now)
    this.drain()
  }

  lost(epoch: number, why: Why = refused): void {
    this.pilot.lost(this.link(epoch), why, 'network', this.now)
    this.drain()
  }

  sign(sign: Parameters<Pilot['sign']>[0]): void {
    this.pilot.sign(sign, this.now)
    this.drain()
  }

  heard(epoch: number): void {
    this.pilot.heard(this.link(epoch), this.now)
    this.drain()
  }

  answered(epoch: number): void {
    this.heard(epoch)
    this.pilot.answered(this.link(epoch), this.now)
    this.drain()
  }

  /** The server announces a message of so many bytes, and says no more. */
  announced(epoch: number, bytes: number): void {
    this.heard(epoch)
    this.link(epoch).longBytes = bytes
    this.pilot.announced(this.link(epoch), this.now)
    this.drain()
  }

  /** The application says who it is, or why not. */
  token(why?: Why): void {
    this.pilot.tokenCame(why, this.now)
    this.drain()
  }

  /** Sends a message of so many bytes over the carrier in use. */
  send(size: number): void {
    this.session.send(textMessage('x'.repeat(size), size))
    const { link } = this.session
    while (link && this.session.poll(link));
    this.drain()
  }
}
