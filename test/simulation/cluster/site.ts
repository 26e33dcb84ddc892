/** Servers of one cluster behind a balancer that sends each request anywhere, their clients, and all that may happen to them. */
import type { Transport } from '../../../client/base/types.ts'
import { MemoryStore } from '../../../cluster/memory.ts'
import { Ask } from '../../../shared/exchange.ts'
import type { Connection } from '../connection.ts'
import { type Reader, Response } from '../exchange.ts'
import { type Listener, Network } from '../network.ts'
import type { Home } from '../path.ts'
import type { World } from '../world.ts'
import type { Clustered } from './load.ts'
import { NodeEnd, type NodeHost, type Shared } from './node-end.ts'
import { Visitor } from './side.ts'
import { Ledger } from './topics.ts'
import { Grid, type Wire } from './wire.ts'

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const choices: readonly (readonly Transport[])[] = [
  all,
  all,
  ['websocket', 'stream'],
  ['sse', 'polling'],
  ['websocket'],
  ['stream'],
  ['sse'],
  ['polling'],
]

/** How the balancer chooses: anywhere, by the name of the server in the URL, or always the same server while it is there. */
const waysToChoose = ['any', 'any', 'name', 'same'] as const
/** So long a balancer may send requests to a server that is no longer there and says nothing of it. */
const detection = 3_000

export class Site implements NodeHost {
  readonly world: World
  readonly clustered: Clustered
  readonly store: MemoryStore
  readonly grid: Grid
  readonly lease = 1_800
  readonly nodes: NodeEnd[] = []
  readonly visitors: Visitor[] = []
  readonly networks: Network[] = []
  /** How each client reaches the balancer. */
  readonly doors: Door[] = []
  readonly ledger: Ledger
  readonly shared: Shared
  readonly #choosing: (typeof waysToChoose)[number]
  /** Whether servers go on with sessions that others hand over: in most runs. */
  readonly #recovering: number
  mayGap = false
  lostAt = 0
  /** A command may have been lost, and with it a claim that nobody needs. */
  mayLeave = false
  /** The store is so slow, in ms. */
  slowness = 0
  /** Since when a machine without power is not known to be so. */
  readonly #darkSince = new Map<NodeEnd, number>()
  #started = 0

  constructor(clustered: Clustered) {
    const { world } = clustered
    const { random } = world
    this.world = world
    this.clustered = clustered
    this.grid = new Grid(world)
    this.ledger = new Ledger(world)
    this.store = new MemoryStore({
      now: () => world.now,
      later: (run) => void world.after(this.slowness + random.between(0, 3), run),
    })
    this.shared = {
      maxBuffered: 1_000_000,
      maxPayload: 90_000,
      maxBody: random.pick([4_000, 1024 * 1024]),
      patience: 30_000,
      heartbeat: random.pick([2_000, 15_000]),
    }
    this.#choosing = random.pick(waysToChoose)
    this.#recovering = random.chance(0.8) ? 1 : 0.6
    for (let i = random.between(2, 4); i > 0; i--) this.start()
  }

  /** Servers whose processes are there and are not about to end. */
  get living(): NodeEnd[] {
    return this.nodes.filter(({ isAlive, isDraining, isClosed }) => isAlive && !isDraining && !isClosed)
  }

  start(): NodeEnd {
    const number = ++this.#started
    const process = this.clustered.pool.take(this.grid, 500_000 + number * 7_919)
    const recovers = this.world.random.chance(this.#recovering)
    const node = new NodeEnd(this, process, number, recovers, this.shared)
    this.nodes.push(node)
    return node
  }

  visit(): Visitor {
    const { world, visitors } = this
    const { random } = world
    const seat = visitors.length
    const network = new Network(world)
    const visitor = new Visitor(
      this.clustered,
      network,
      {
        transports: random.pick(choices),
        remember: false,
        maxBuffered: this.shared.maxBuffered,
        maxPayload: this.shared.maxPayload,
      },
      seat,
    )
    const door = new Door(this, network, seat)
    network.server = door
    this.doors.push(door)
    visitor.most = 3_000
    visitors.push(visitor)
    this.networks.push(network)
    return visitor
  }

  /** What the balancer would do with this request. Undefined: there is nobody. */
  choose(seat: number, url: string): NodeEnd | undefined {
    const { random } = this.world
    const there = this.nodes.filter((node) => this.#isListed(node))
    if (there.length === 0) return undefined
    if (this.#choosing === 'name') {
      const named = /everwire=1\.(web\d+)-/.exec(url)?.[1]
      const node = there.find(({ name }) => name === named)
      if (node) return node
    }
    if (this.#choosing === 'same') return there[seat % there.length]
    return random.pick(there)
  }

  #isListed(node: NodeEnd): boolean {
    const { world } = this
    const since = this.#darkSince.get(node)
    if (since !== undefined) return world.now < since + world.random.between(0, detection)
    if (!node.isAlive || node.isClosed) return false
    // A health check sees it a little later.
    return node.isReady || world.random.chance(0.1)
  }

  // ---- what may happen ----

  /** Whoever is served by this server, or is on the way between two, may be lost. */
  excuse(node: NodeEnd): void {
    for (const visitor of this.visitors)
      if (visitor.sides.length === 0 || visitor.sides.some((side) => side.isMoving || side.node === node))
        visitor.excuse()
  }

  excuseAll(): void {
    for (const visitor of this.visitors) visitor.excuse()
  }

  /** What is under way between two servers may be lost. */
  excuseMoving(): void {
    for (const visitor of this.visitors) if (visitor.sides.some(({ isMoving }) => isMoving)) visitor.excuse()
  }

  /** The store loses something. A server that starts later does not know of it. */
  loses(): void {
    for (const { sides } of this.visitors)
      for (const side of sides) side.metLoss = side.isMoving || side.node.drainedAt > 0
    this.lostAt = this.world.now
  }

  /** A server that is drained ends: what the store could not be given is lost with it. */
  excuseParked(node: NodeEnd): void {
    for (const visitor of this.visitors)
      for (const side of visitor.sides) {
        // It came back to where it was, because the store could not be asked: it is closed with 1012.
        if (side.node === node && visitor.mayEnd) side.failed = visitor.failed = true
        const owner = side.isMoving ? this.store.owner(side.id) : 'waiting'
        // A replica that took over may never have known the session: then only its last server has it.
        const isOnlyHere = owner === 'nobody' && side.node === node
        const isGiven = typeof owner === 'object' && owner.node.startsWith(`${node.name}-`)
        if (!isOnlyHere && !isGiven) continue
        // It was given the session, and did not go on with it: the store has it for the next one.
        if (side.node !== node) this.world.count('session: given to a server that ends')
        else visitor.excuse()
      }
  }

  /** Commands to the store may be lost from now on. */
  troubleStore(): void {
    this.mayGap = this.mayLeave = true
  }

  kill(node: NodeEnd, isDark: boolean): void {
    const { world } = this
    world.count(isDark ? 'accident: a machine without power' : 'accident: killed')
    this.mayLeave = true
    for (const visitor of this.visitors) {
      const isIts = visitor.sides.some((side) => side.node === node)
      const [only] = visitor.sides
      const isSure = visitor.sides.length === 1 && only?.node === node && only.isServed && visitor.opened > 0
      if (
        isSure &&
        only.isOpen &&
        visitor.isOpen &&
        !only.closedWith &&
        !visitor.closedWith &&
        !visitor.mayEnd
      ) {
        visitor.fate = 'must end'
        visitor.since = world.now
      } else if (isIts || visitor.sides.length !== 1 || only?.isMoving) visitor.excuse()
    }
    node.isAlive = false
    node.isDark = isDark
    const { memory } = node.engine
    node.process.kill()
    // What it has written is still read.
    world.after(world.random.between(0, 20), () => void memory.close())
    if (isDark) this.#darkSince.set(node, world.now)
    for (const network of this.networks) {
      for (const connection of [...network.connections])
        if (connection.home === node.process) {
          if (isDark) connection.up.silent = connection.down.silent = true
          else connection.break()
        }
      for (const response of [...network.responses])
        if (response.home === node.process) {
          if (isDark) response.silence()
          else response.cut()
        }
    }
    const server = this.grid.at(`${node.host}:7000`)
    if (server) server.isDark = isDark
    for (const wire of this.grid.wiresOf(node.process)) {
      if (isDark) {
        wire.blackout = true
        for (const { up, down } of wire.connections) up.silent = down.silent = true
      } else wire.cut()
    }
  }

  wire(one: NodeEnd, other: NodeEnd): Wire {
    return this.grid.wire(one.process, other.process)
  }

  /** Everything is whole from now on. */
  heal(): void {
    const { store } = this
    for (const network of this.networks) network.heal()
    for (const node of this.nodes) {
      if (!node.isAlive) continue
      node.process.wake()
      node.engine.slowness = node.engine.answerSlowness = 0
      node.engine.memory.heal()
    }
    for (const one of this.nodes)
      for (const wire of this.grid.wiresOf(one.process)) if (one.isAlive) wire.heal()
    for (const node of this.nodes)
      if (node.isDark) for (const wire of this.grid.wiresOf(node.process)) wire.blackout = true
    this.slowness = 0
    if (store.isDown) store.up()
    for (const { isAlive, engine } of this.nodes) if (isAlive) engine.memory.mend()
  }
}

const nobody: Reader = {
  over: false,
  from: undefined,
  begin: () => {},
  chunk: () => {},
  end: () => {},
  fail: () => {},
}

/** The balancer, as one client reaches it. */
class Door implements Listener {
  readonly #site: Site
  readonly #network: Network
  readonly #seat: number
  #opening: { readonly url: string; readonly body: Uint8Array } | undefined

  constructor(site: Site, network: Network, seat: number) {
    this.#site = site
    this.#network = network
    this.#seat = seat
  }

  /** A request that was to open the session comes once more, anywhere; nobody reads the answer. */
  again(): boolean {
    const opening = this.#opening
    if (!opening) return false
    this.#site.world.count('exchange: an old request comes again')
    this.request(opening.url, Buffer.from(opening.body), (request, home) => {
      const response = new Response(this.#network, nobody, request, Number.POSITIVE_INFINITY, 0, home)
      this.#network.responses.add(response)
      return response
    })
    return true
  }

  upgrade(connection: Connection, protocols: readonly string[]): void {
    const node = this.#site.choose(this.#seat, '')
    if (!node) {
      connection.break()
      return
    }
    connection.home = node.process
    if (node.isDark) connection.up.silent = connection.down.silent = true
    else node.process.enter(() => node.upgrade(connection, protocols, this.#seat))
  }

  request(
    url: string,
    body: Uint8Array | undefined,
    responseTo: (request: { readonly socket: object }, home?: Home) => Response,
  ): void {
    const node = this.#site.choose(this.#seat, url)
    if (body && ((body[1] ?? 0) & Ask.open) !== 0) this.#opening ??= { url, body: Uint8Array.from(body) }
    if (node) {
      const path = url.slice(url.indexOf('/?'))
      node.request(path, body, this.#seat, (request) => {
        const response = responseTo(request, node.process)
        if (node.isDark) response.silence()
        return response
      })
    } else {
      const response = responseTo({ socket: {} })
      response.writeHead(502, {})
      response.end('Bad Gateway')
    }
  }
}
