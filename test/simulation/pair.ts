/** Two ends and a network between them. */
import type { Transport, WebSocketOptions } from '../../client/base/types.ts'
import { ClientEnd } from './client-end.ts'
import type { Connection } from './connection.ts'
import type { Everwire } from './load.ts'
import { Network } from './network.ts'
import { ServerEnd } from './server-end.ts'
import { clockOffset, type World } from './world.ts'

const closes = [
  [1000, ''],
  [1000, 'bye'],
  [1005, ''],
  [3000, 'x'.repeat(123)],
  [4999, 'é,漢字'],
] as const

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
/** The transports of a client; with one alone there is nothing to fall back to but the same. */
const choices: readonly (readonly Transport[])[] = [
  all,
  all,
  all,
  ['websocket', 'stream'],
  ['websocket', 'polling'],
  ['websocket', 'sse'],
  ['stream', 'polling'],
  ['sse', 'polling'],
  ['websocket'],
  ['stream'],
  ['sse'],
  ['polling'],
]

export type End = ClientEnd | ServerEnd

export class Pair {
  readonly world: World
  readonly network: Network
  readonly transports: readonly Transport[]
  readonly client: ClientEnd
  readonly server: ServerEnd
  readonly ends: readonly [ClientEnd, ServerEnd]
  /** Something was done that may end the session with a loss. */
  mayLose = false

  constructor(everwire: Everwire) {
    const { world } = everwire
    this.world = world
    const { random } = world
    const maxBuffered = random.pick([8_000, 40_000, 1_000_000])
    const maxPayload = 90_000
    const maxBody = random.pick([300, 4_000, 65_536, 1024 * 1024])
    this.network = new Network(world)
    this.server = new ServerEnd(everwire, {
      maxBuffered,
      maxPayload,
      patience: 30_000,
      heartbeat: random.pick([2_000, 15_000]),
      maxBody,
    })
    this.network.server = this.server
    this.world.offline = false
    this.transports = random.pick(choices)
    this.#blockSome()
    const options: WebSocketOptions = {
      transports: this.transports,
      remember: false,
      maxBuffered,
      maxPayload,
      ...(random.chance(0.2) && { raceDelay: random.pick([0, 50, 1000]) }),
    }
    this.client = new ClientEnd(everwire, this.network, options)
    this.client.most = maxBody * 12
    this.ends = [this.client, this.server]
    this.client.peer = this.server
    this.server.peer = this.client
  }

  /** The network of the beginning, which is hardly ever the best. */
  #blockSome(): void {
    const { network, transports } = this
    const { random } = this.world
    if (random.chance(0.15) && transports.length > 1 && transports[0] === 'websocket')
      network.noWebSockets = true
    else if (random.chance(0.1) && transports.includes('websocket'))
      network.httpFault = random.pick(['error page', 'portal', 'redirect'])
    if (random.chance(0.1)) network.roughness = 0.2
    if (random.chance(0.1)) network.limit = network.largestBody = random.pick([1_500, 5_000])
    if (random.chance(0.1) && transports.includes('polling'))
      network.holdsBack = random.pick(['all', 'what follows'])
  }

  say(end: End, size: number, evenIfFull = false): void {
    end.say(size, evenIfFull)
  }

  close(end: End): void {
    const [code, reason] = this.world.random.pick(closes)
    const { closedWith } = end
    end.close(code, reason)
    if (!closedWith && end.closedWith && end.peer.closedWith && !end.closed)
      this.world.count('closing: both at once')
  }

  /** Asked after each task, as what follows. */
  over(): boolean {
    const { client, server } = this
    return !!client.closed || !!server.closed || !!client.session?.over || !!server.session?.over
  }

  get isQuiet(): boolean {
    return this.client.isQuiet && this.server.isQuiet
  }

  /** What carries the session at both ends, and is whole as far as anybody could know. */
  get healthy(): boolean {
    const { session } = this.client
    const { socket } = this.server
    const epoch = session?.link?.epoch
    if (epoch === undefined || socket?.carrier?.link.epoch !== epoch) return false
    // An end may not have noticed yet that nothing gets through, and its patience runs from when it heard something last.
    const { lightSince } = this.network
    if ((session?.heardAt ?? 0) < lightSince || socket.session.heardAt < lightSince + clockOffset)
      return false
    if (this.client.socket.transport !== 'websocket') return true
    const connection = this.connection
    return !!connection && !connection.up.silent && !connection.down.silent
  }

  /** The connection that the client sends on, if that is a WebSocket. */
  get connection(): Connection | undefined {
    const epoch = this.client.session?.link?.epoch
    for (const connection of this.network.connections) {
      if (connection.native.epoch === epoch && !connection.cut) return connection
    }
    return undefined
  }

  cutAll(): void {
    for (const connection of [...this.network.connections]) connection.break()
    for (const response of [...this.network.responses]) response.cut()
  }

  silenceAll(): void {
    for (const { up, down } of this.network.connections) up.silent = down.silent = true
  }
}
