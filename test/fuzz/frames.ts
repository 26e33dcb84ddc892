/** WebSockets without a network: handshakes, frames and controls, of sessions, ordinary clients and probes. */
import { Caller } from './caller.ts'
import { Guest } from './guest.ts'
import { Violation } from './reading.ts'
import { Scene } from './scene.ts'
import { bodyBytes } from './words.ts'
import type { Batch, World } from './world.ts'

const guests = 4
const callers = 5

export class Frames implements Batch {
  readonly #world: World
  readonly #scene: Scene
  readonly #guests: Guest[]
  readonly #callers: Caller[] = []

  constructor(world: World) {
    this.#world = world
    this.#scene = new Scene(world, Scene.options(world))
    this.#guests = Array.from({ length: guests }, () => new Guest(world.random))
  }

  async run(): Promise<void> {
    const world = this.#world
    const { random } = world
    const caller = random.one(this.#callers)
    if (!caller || (this.#callers.length < callers && random.chance(15))) this.#dial()
    else caller.speak()
    await world.turn()
    this.#read()
    const what = random.below(40)
    if (what < 6) await this.#scene.act()
    else if (what < 10) await world.pass(random.one([1, 60, 250, 300, 1000]))
    else if (what === 10) await world.pass(random.one([5000, 16_000, 40_000]))
    else if (what === 11) this.#disturb()
    else if (what === 12) this.#exchange()
    if (what < 13) await world.turn()
    this.#read()
  }

  async finish(): Promise<void> {
    const { random } = this.#world
    for (const { line } of this.#callers) line.unstall()
    if (random.chance(50)) for (const socket of [...this.#scene.live]) socket.close(1001)
    await this.#world.turns(2)
    this.#read()
    for (const { line } of this.#callers) line.hangUp()
    await this.#scene.finish()
    this.#read()
    if (this.#callers.length > 0) throw new Violation('the connection of a WebSocket does not end')
  }

  #dial(): void {
    const { random } = this.#world
    const at = random.below(guests)
    const another = this.#guests[at]?.lost === true ? 60 : 3
    if (random.chance(another)) this.#guests[at] = new Guest(random)
    const kind = random.chance(12) ? 'plain' : random.chance(3) ? 'probe' : 'session'
    this.#callers.push(new Caller(this.#scene, this.#guests[at] as Guest, kind))
  }

  /** The same session over HTTP, beside. */
  #exchange(): void {
    const { random } = this.#world
    const guest = random.one(this.#guests)
    if (random.chance(50)) guest.renew()
    const bytes = bodyBytes(guest.ask(random))
    this.#world.say('body', bytes)
    const headers = { host: 'server.example' }
    this.#scene.ask({ method: 'POST', url: '/realtime?everwire=1', headers }, [bytes], true, false)
  }

  /** The network does something. */
  #disturb(): void {
    const { random } = this.#world
    const caller = random.one(this.#callers)
    if (!caller) return
    const what = random.below(4)
    if (what === 0) caller.line.destroy()
    else if (what === 1) caller.line.hangUp()
    else if (what === 2) caller.line.stall()
    else caller.line.unstall()
  }

  #read(): void {
    this.#scene.readAll()
    for (let i = this.#callers.length - 1; i >= 0; i--) {
      const caller = this.#callers[i] as Caller
      caller.read()
      if (caller.over) this.#callers.splice(i, 1)
    }
  }
}
