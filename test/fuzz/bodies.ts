/** The bodies of exchanges, of sessions that live, on a server without a network. */
import { Ask, Guest } from './guest.ts'
import { Violation } from './reading.ts'
import { type Exchange, Scene } from './scene.ts'
import { bodyBytes, type Spec, twist } from './words.ts'
import type { Batch, World } from './world.ts'

const guests = 5

/** An exchange that is followed until it is over. */
interface Followed {
  readonly exchange: Exchange
  readonly guest: Guest
  taken: number
}

export class Bodies implements Batch {
  readonly #world: World
  readonly #scene: Scene
  readonly #guests: Guest[]
  readonly #followed = new Set<Followed>()

  constructor(world: World) {
    this.#world = world
    this.#scene = new Scene(world, Scene.options(world))
    this.#guests = Array.from({ length: guests }, () => new Guest(world.random))
  }

  async run(): Promise<void> {
    const world = this.#world
    const { random } = world
    const guest = this.#guest()
    let due: Exchange | undefined
    if (guest.ticket !== '' && random.chance(20)) this.#listen(guest)
    else due = this.#post(guest)
    await world.turn()
    this.#read()
    for (let i = 0; due && !due.over && !due.line.destroyed; i++) {
      if (i === 20) throw new Violation('a short exchange is not answered')
      await world.turn()
      this.#read()
    }
    const what = random.below(40)
    if (what < 6) await this.#scene.act()
    else if (what < 10) await world.pass(random.one([1, 60, 110, 300, 1000]))
    else if (what === 10) await world.pass(random.one([5000, 16_000, 40_000]))
    else if (what === 11) this.#disturb()
    if (what < 12) await world.turn()
    this.#read()
  }

  finish(): Promise<void> {
    return this.#scene.finish()
  }

  /** One of a few; now and then another takes its place. */
  #guest(): Guest {
    const { random } = this.#world
    const at = random.below(guests)
    const another = this.#guests[at]?.lost === true ? 60 : 3
    if (random.chance(another)) this.#guests[at] = new Guest(random)
    return this.#guests[at] as Guest
  }

  /** Returns the exchange if it is to be answered at once. */
  #post(guest: Guest): Exchange | undefined {
    const world = this.#world
    const { random } = world
    const spec = guest.ask(random)
    const bytes = this.#bytes(spec)
    world.say('body', bytes)
    const whole = !random.chance(2)
    const url = `/realtime?everwire=${random.chance(1) ? '0' : '1'}`
    const method = random.chance(1) ? random.one(['GET', 'PUT', 'OPTIONS']) : 'POST'
    const headers: Record<string, string> = { host: 'server.example' }
    if (random.chance(2))
      headers.origin = random.one(['http://server.example', 'http://other.example', 'null'])
    const parsed = whole && random.chance(20)
    const exchange = this.#scene.ask({ method, url, headers }, cutUp(world, bytes), whole, parsed)
    this.#followed.add({ exchange, guest, taken: 0 })
    const stalls = random.chance(2)
    if (stalls) exchange.line.stall()
    const mayWait = bytes.length > 1 && ((bytes[1] as number) & (Ask.hold | Ask.standby)) !== 0
    return whole && !mayWait && !stalls ? exchange : undefined
  }

  #bytes(spec: Spec): Buffer {
    const { random } = this.#world
    const how = random.below(20)
    if (how < 12) {
      this.#world.count('valid body')
      return bodyBytes(spec)
    }
    if (how < 17) {
      for (let i = 1 + random.below(2); i > 0; i--) twist(random, spec)
      return bodyBytes(spec, random)
    }
    if (how < 19) return random.mutated(bodyBytes(spec))
    return random.chance(80) ? random.mutated(bodyBytes(spec, random)) : random.bytes(200)
  }

  #listen(guest: Guest): void {
    const world = this.#world
    const { random } = world
    const mark = random.one([
      guest.ticket,
      guest.ticket,
      guest.ticket.slice(0, -1),
      `probe.${random.one(['0', '500', '-1', '1e9', 'x', ''])}`,
    ])
    world.say('event stream', Buffer.from(mark))
    const asked = { method: 'GET', url: `/realtime?everwire=${mark}`, headers: { host: 'server.example' } }
    const exchange = this.#scene.ask(asked, [], true, false)
    this.#followed.add({ exchange, guest, taken: 0 })
    world.count('event stream')
  }

  /** The network does something. */
  #disturb(): void {
    const { random } = this.#world
    const followed = random.one([...this.#followed])
    if (!followed) return
    if (random.chance(50)) this.#scene.cut(followed.exchange)
    else followed.exchange.line.unstall()
  }

  #read(): void {
    this.#scene.readAll()
    for (const one of this.#followed) {
      const { exchange, guest } = one
      const { body } = exchange
      if (body.status !== undefined && (body.records.length > one.taken || one.taken === 0))
        one.taken = Math.max(guest.heed(body, one.taken), one.taken)
      if (exchange.over || exchange.line.destroyed) this.#followed.delete(one)
    }
  }
}

/** As the pieces come that a network makes of it. */
export function cutUp({ random }: World, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  let rest = bytes
  if (random.chance(20)) {
    for (let i = 1 + random.below(4); i > 0 && rest.length > 1; i--) {
      const at = 1 + random.below(rest.length - 1)
      pieces.push(rest.subarray(0, at))
      rest = rest.subarray(at)
    }
  }
  if (rest.length > 0) pieces.push(rest)
  return pieces
}
