/** Two ends and a network between them. */
import { Client } from './client.ts'
import type { End } from './end.ts'
import { Network } from './network.ts'
import { Server } from './server.ts'
import type { World } from './world.ts'

const closes = [
  [1000, ''],
  [1000, 'bye'],
  [1005, ''],
  [3000, 'x'.repeat(123)],
  [4999, 'é,漢字'],
] as const

export class Pair {
  readonly world: World
  readonly network: Network
  readonly client: Client
  readonly server: Server
  /** Something was done that may end the session with a loss. */
  mayLose = false

  constructor(world: World) {
    this.world = world
    const { random } = world
    const patience = 30_000
    const limits = {
      patience,
      pingInterval: 0,
      silence: 20_000,
      grace: 5_000,
      maxBuffered: random.pick([3_000, 8_000, 20_000]),
      maxPayload: 3_000,
      ackMessages: random.pick([2, 8, 64]),
      ackBytes: random.pick([500, 5_000, 128 * 1024]),
    }
    const budget = random.pick([256, 300, 500, 1200])
    this.network = new Network(world)
    this.client = new Client(world, this.network, limits, budget)
    this.server = new Server(world, { limits: { ...limits, pingInterval: 15_000 }, budget })
    this.network.server = this.server
    this.client.application.peer = this.server.application
    this.server.application.peer = this.client.application
  }

  get ends(): readonly [End & { restore(): void }, (End & { restore(): void }) | undefined] {
    return [this.client, this.server.end]
  }

  say(end: End | undefined, size: number): string | undefined {
    if (end?.session === undefined || end.gone) return undefined
    const result = end.application.send(end.session, size)
    if (result === 'full') this.world.count('send: full')
    end.touched()
    return result
  }

  close(end: End | undefined): void {
    if (end?.session === undefined || end.gone) return
    const [code, reason] = this.world.random.pick(closes)
    if (end.session.closing || end.session.over) return
    end.application.close(end.session, code, reason)
    if (end.application.peer.closedWith && !end.application.closed) this.world.count('closing: both at once')
    end.touched()
  }

  over(): boolean {
    const { end } = this.server
    return this.client.gone || !!this.client.session?.over || !!end?.gone || !!end?.session?.over
  }
}
