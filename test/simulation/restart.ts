/** Many clients meet a server that was restarted: the pilots that ship, on one clock, and no connection anywhere. */
import type { CarrierLink } from '../../client/base/carrier.ts'
import { Network } from '../../client/base/network-memory.ts'
import type { Transport } from '../../client/base/types.ts'
import type { PilotShell } from '../../client/pilot/action.ts'
import { Pilot } from '../../client/pilot/pilot.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Session } from '../../shared/session.ts'
import { Random } from './world.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 60_000, maxBody: 1_048_576 }
/** So long an answer takes, also that of the proxy that has no server behind it. */
const roundTrip = 50

export interface Restart {
  readonly clients: number
  /** How long the server is away, in ms. */
  readonly away: number
  readonly seed: number
}

export interface Restarted {
  /** Requests and handshakes in each second, from the one on in which the server went. */
  readonly requests: readonly number[]
  /** For each client, how long after the server's return it was carried again, in ms. */
  readonly found: readonly number[]
}

/** A client: its carriers are numbers, and what is under way has a time to come back. */
class Client implements PilotShell {
  readonly session: Session
  readonly network = new Network('', undefined)
  readonly pilot: Pilot
  carriedAt = 0
  /** What was asked, and is answered in a round trip. */
  readonly #asked: { readonly link: CarrierLink; readonly at: number }[] = []
  #now = 0
  readonly #request: (at: number) => void
  readonly askToken = (): void => {}

  constructor(random: Random, request: (at: number) => void) {
    this.#request = request
    this.session = new Session({ ...defaultLimits, grace: 15_000 }, 0)
    this.network.quiet = welcome.heartbeat
    this.network.measured(roundTrip)
    const options = { patience: welcome.patience }
    const chance = () => random.next() / 2 ** 32
    this.pilot = new Pilot(this.session, this.network, transports, options, chance, () => false, 0)
  }

  /** When it is to be looked at again. */
  get next(): number {
    return Math.min(this.pilot.next, ...this.#asked.map(({ at }) => at))
  }

  /** It is `now`, and the server is there or not. */
  look(now: number, isUp: boolean): void {
    this.#now = now
    this.#drain()
    while ((this.#asked[0]?.at ?? now + 1) <= now) {
      const { link } = this.#asked.shift() as { link: CarrierLink }
      if (link.state === 'tried') {
        if (isUp) this.pilot.proven(link, this.pilot.welcome ? undefined : welcome, now)
        else this.pilot.lost(link, { is: 'status', status: 502, text: 'Bad Gateway' }, 'network', now)
      }
      this.#drain()
    }
    // An idle client is heard of now and then.
    const { on } = this.pilot.phase
    if (isUp && on) {
      this.pilot.heard(on, now)
      this.pilot.answered(on, now)
      this.#drain()
    }
  }

  /** The server is gone, and every connection with it. */
  cut(now: number): void {
    this.#now = now
    const { on } = this.pilot.phase
    if (on) this.pilot.lost(on, { is: 'ended', code: 1006, text: '' }, 'network', now)
    this.#drain()
  }

  #drain(): void {
    for (let action = this.pilot.poll(this.#now); action; action = this.pilot.poll(this.#now)) action(this)
  }

  dial(link: CarrierLink): void {
    this.#request(this.#now)
    this.#asked.push({ link, at: this.#now + roundTrip })
  }

  take(link: CarrierLink): void {
    this.session.attach(link, { number: 0, offset: 0 }, this.#now)
    link.standby = false
    link.sound = true
    this.carriedAt = this.#now
  }

  learn(transport: Transport, weight: number): void {
    if (weight) this.network.failed(transport, weight)
    else this.network.worked(transport)
  }

  expire(): void {
    this.session.handleTimeout(this.#now)
  }

  end(): void {}
  changed(): void {}
  giveUp(): void {}
  farewell(): void {}
  note(): void {}
}

/** All were carried for a minute when the server goes. They are no crowd before: each began at another time. */
export function restart({ clients, away, seed }: Restart): Restarted {
  const random = new Random(seed, 1)
  const gone = 60_000
  const end = gone + away + 20_000
  const requests = Array.from({ length: Math.ceil((end - gone) / 1000) }, () => 0)
  const found: number[] = []
  for (let i = 0; i < clients; i++) {
    const client = new Client(random, (at) => {
      const second = Math.floor((at - gone) / 1000)
      if (second >= 0) (requests[second] as number)++
    })
    client.look(0, true)
    client.look(roundTrip, true)
    client.look(gone - random.between(1, 5000), true)
    client.cut(gone + random.between(0, 100))
    for (let at = client.next; at < end; at = client.next) {
      const isUp = at >= gone + away
      client.look(at, isUp)
      if (isUp && client.pilot.phase.is === 'carried') break
    }
    found.push(client.carriedAt - gone - away)
  }
  return { requests, found }
}
