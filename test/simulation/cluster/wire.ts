/** The network of the servers: a wire between each two machines, and who listens where. */
import type { Connection, Line } from '../connection.ts'
import type { Response } from '../exchange.ts'
import type { Home, Path } from '../path.ts'
import type { Request } from '../server-end.ts'
import type { World } from '../world.ts'

/** A process on a machine of this network. */
export interface Machine extends Home {
  readonly world: World
  readonly grid: Grid
  readonly isAlive: boolean
  nextTick(run: () => void): void
  after(delay: number, run: () => void): { run: (() => void) | undefined }
}

/** Where a server listens for the others. */
export interface Listening {
  readonly process: Machine
  readonly isListening: boolean
  /** Its machine is without power. */
  isDark: boolean
  request(request: Request, response: Response): void
  upgrade(request: Request, line: Line): void
}

interface End {
  readonly target: Listening | undefined
  /** A connection that is kept, with nothing on it. */
  readonly isIdle: boolean
  /** The network, or the other end, has ended it. */
  lost(): void
}

/** Between two machines. */
export class Wire implements Path {
  readonly world: World
  /** Nothing gets through, and nobody is told. */
  blackout = false
  /** Nobody is let through, and is told so. */
  refuses = false
  /** Everything is so much slower, in ms. */
  slowness = 0
  readonly room = 1000
  readonly holdsBack = 'nothing'
  readonly life = 0
  readonly cutsSilence = 0
  readonly pace: number = Number.POSITIVE_INFINITY
  readonly connections: Set<Connection> = new Set()
  readonly responses: Set<Response> = new Set()
  /** What ends with the wire: handshakes that wait for their answers, and connections. */
  readonly ends: Set<End> = new Set()
  /** What was sent while nothing gets through: TCP sends it again. */
  #held: (() => void)[] = []

  constructor(world: World) {
    this.world = world
  }

  delay(): number {
    return this.slowness + this.world.random.between(0, 3)
  }

  heal(): void {
    this.blackout = this.refuses = false
    this.slowness = 0
    for (const send of this.#held.splice(0)) this.world.after(this.delay(), send)
  }

  /** Sends something that arrives late at worst. */
  send(run: () => void): void {
    this.world.after(this.delay(), () => {
      if (this.blackout) this.#held.push(run)
      else run()
    })
  }

  /** All that is under way ends, and both sides hear of it. */
  cut(): void {
    for (const connection of [...this.connections]) connection.break()
    for (const response of [...this.responses]) response.cut()
    for (const end of [...this.ends]) end.lost()
  }
}

/** The network of the servers. */
export class Grid {
  readonly world: World
  /** Nothing is wrong any more that could make a server refuse another one. */
  mustTrust = false
  readonly #servers = new Map<string, Listening>()
  readonly #wires = new Map<Machine, Map<Machine, Wire>>()
  /** Where there is no machine, nobody says so. */
  readonly #nowhere: Wire

  constructor(world: World) {
    this.world = world
    this.#nowhere = new Wire(world)
  }

  wire(one: Machine, other: Machine | undefined): Wire {
    if (!other) return this.#nowhere
    const known = this.#wires.get(one)?.get(other)
    if (known) return known
    const made = new Wire(this.world)
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const ends = this.#wires.get(from) ?? new Map<Machine, Wire>()
      this.#wires.set(from, ends.set(to, made))
    }
    return made
  }

  wiresOf(process: Machine): Wire[] {
    return [...(this.#wires.get(process)?.values() ?? [])]
  }

  at(address: string): Listening | undefined {
    return this.#servers.get(address)
  }

  open(address: string, server: Listening): void {
    this.#servers.set(address, server)
  }

  /** Counts what another server answers to what was passed on, before it is read. */
  answered(status: number, isRefused: boolean): void {
    const { world } = this
    if (isRefused && this.mustTrust) world.fail('a server refuses what another one of its cluster passes on')
    world.count(isRefused ? 'pass: forged' : status === 421 ? 'pass: 421 not here' : `pass: ${status}`)
  }

  /** Counts what is passed on. `proof`: the header that says whose it is. */
  passes(proof: string | undefined): void {
    const [said = ''] = `${proof}`.split('.')
    if (Buffer.from(said, 'base64url').includes('adopt')) this.world.count('pass: for it to go on')
  }
}

/** Whether somebody takes connections there. */
export function isThere(target: Listening | undefined): target is Listening {
  return !!target?.isListening && target.process.isAlive
}
