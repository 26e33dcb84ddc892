/** A server of the cluster, with its application, without sockets: the balancer brings handshakes and requests. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MemoryStore } from '../../../cluster/memory.ts'
import type { Connection } from '../connection.ts'
import type * as nodeSide from '../everwire-node.ts'
import type { Response } from '../exchange.ts'
import { Request, Socket } from '../server-end.ts'
import type { World } from '../world.ts'
import { NodeEngine } from './engine.ts'
import type { Process } from './process.ts'
import { type Serving, type SessionSocket, Side, topics, type Visitor } from './side.ts'

/** A server that joins is not told of a loss, either. */
const joining = 50

/** What a server of a cluster is made of. */
interface Code {
  readonly WebSocketServer: typeof nodeSide.WebSocketServer
  readonly clusterOf: typeof nodeSide.clusterOf
  readonly defaultLimits: typeof nodeSide.defaultLimits
}

type Server = InstanceType<typeof nodeSide.WebSocketServer>

/** What it needs of the run. */
export interface NodeHost {
  readonly world: World
  readonly store: MemoryStore
  readonly lease: number
  readonly visitors: readonly Visitor[]
  /** A gap may be told without a reason to be looked for. */
  readonly mayGap: boolean
  /** When the store lost something. */
  readonly lostAt: number
}

/** The options that all servers of a run share. */
export interface Shared {
  readonly maxBuffered: number
  readonly maxPayload: number
  readonly maxBody: number
  readonly patience: number
  readonly heartbeat: number
}

export class NodeEnd implements Serving {
  readonly name: string
  readonly process: Process
  readonly engine: NodeEngine
  readonly realtime: Server
  readonly recovers: boolean
  readonly host: string
  readonly #site: NodeHost
  readonly #since: number
  /** Since when the store knows that it listens to a topic. */
  readonly #listens = new Map<string, number>()
  /** The process is there. */
  isAlive = true
  /** Its machine is without power: nobody is told that it is gone. */
  isDark = false
  /** It is, or was, about to end in order. */
  isDraining = false
  drainedAt = 0
  isClosed = false

  constructor(site: NodeHost, process: Process, number: number, recovers: boolean, shared: Shared) {
    this.#site = site
    this.#since = site.world.now
    this.process = process
    this.name = `web${number}`
    this.host = `10.0.0.${number}`
    this.recovers = recovers
    const { store, lease } = site
    this.engine = new NodeEngine(process, store.engine(), {
      listens: (topic) => this.#listensTo(topic),
      listensNoMore: (topic) => this.#listens.delete(topicOf(topic)),
    })
    const { WebSocketServer, clusterOf, defaultLimits }: Code = process.code
    this.realtime = new WebSocketServer({
      noServer: true,
      origins: 'same',
      serveClient: false,
      maxMemory: 1e9,
      ...shared,
      recover: recovers,
      cluster: clusterOf(() => this.engine, {
        ...defaultLimits,
        lease,
        listen: { host: this.host, port: 7000 },
        relay: false,
        atStart: 'wait',
        name: this.name,
      }),
    })
    this.realtime.on('connection', (socket, request) =>
      this.#serve(
        socket as unknown as SessionSocket,
        (request as unknown as { headers: Record<string, string> }).headers['x-client'] ?? '',
      ),
    )
    this.realtime.on('gap', (topic) => this.#gap(topic))
    this.realtime.on('close', () => {
      this.isClosed = true
    })
  }

  /** What it published may be lost with it. */
  get hasEnded(): boolean {
    return !this.isAlive || this.isClosed
  }

  get isReady(): boolean {
    return this.isAlive && this.realtime.ready
  }

  #listensTo(name: string): void {
    const topic = topicOf(name)
    const { now } = this.#site.world
    this.#listens.set(topic, now)
    for (const { side } of this.#site.visitors)
      if (side?.node === this && side.topics.has(topic) && side.topics.get(topic) === undefined)
        side.topics.set(topic, now)
  }

  #gap(topic: string | undefined): void {
    const { world } = this.#site
    if (!this.isAlive) return
    world.count('topics: gap')
    if (!this.#site.mayGap) world.fail(`${this.name}: a gap in ${topic} without a reason`)
    const sockets = topic === undefined ? this.realtime.clients : this.realtime.subscribers(topic)
    for (const socket of sockets as Iterable<SessionSocket>) socket.send(`#gap ${topic ?? ''}:${world.now}`)
  }

  // ---- the application ----

  #serve(socket: SessionSocket, client: string): void {
    const visitor = this.#site.visitors[Number(client)]
    if (!this.isAlive || !visitor) return
    if (socket.recovered) this.#recovered(visitor, socket)
    else this.#opened(visitor, socket)
    if (!visitor.closedWith && this.#site.world.random.chance(0.3)) visitor.side?.say(20)
  }

  #opened(visitor: Visitor, socket: SessionSocket): void {
    const { world, store } = this.#site
    const others = visitor.sides.filter(({ isServed }) => isServed)
    const owner = store.owner(socket.id)
    if (others.length > 0) {
      world.count('session: two applications for a moment')
      // A request that was to open the session comes again, before the owner has claimed it once more: a known limit.
      const isClaimed = world.now > this.#site.lostAt + this.#site.lease
      if (!isClaimed) visitor.excuse()
      if (!visitor.mayEnd) world.fail(`client ${visitor.seat}: opened at two servers`)
      // The others learn it with their next beat, also if this is the one that is late.
      const owners = [this, ...others.map(({ node }) => node)].map((node) => node.member)
      if (typeof owner !== 'object' || !owners.includes(owner.node))
        world.fail(`client ${visitor.seat}: opened at servers that do not own it`)
    } else if (visitor.sides.length > 0 && !visitor.mayEnd) {
      world.fail(`client ${visitor.seat}: opened once more`)
    }
    const side = new Side(visitor, this, socket)
    visitor.add(side)
    socket.data = { client: visitor.seat, since: new Date(0) }
    for (const topic of topics) {
      if (!world.random.chance(0.6)) continue
      socket.subscribe(topic)
      side.topics.set(topic, this.#listens.has(topic) ? world.now : undefined)
    }
  }

  #recovered(visitor: Visitor, socket: SessionSocket): void {
    const { world, store } = this.#site
    world.count('session: recovered')
    world.log(`client ${visitor.seat}: goes on at ${this.name}`)
    const side = visitor.sides.find(({ id, isMoving }) => id === socket.id && isMoving)
    if (!side) {
      world.fail(`client ${visitor.seat}: recovered at ${this.name}, and nobody had handed it over`)
      return
    }
    const owner = store.owner(socket.id)
    if (!visitor.mayEnd && (typeof owner !== 'object' || owner.node !== this.member))
      world.fail(`client ${visitor.seat}: recovered at a server that does not own it`)
    if ((socket.data as { client?: number })?.client !== visitor.seat)
      world.fail(`client ${visitor.seat}: recovered without its data`)
    const had = [...side.topics.keys()].sort().join()
    if ([...socket.topics].sort().join() !== had)
      world.fail(`client ${visitor.seat}: recovered with other topics than ${had}`)
    // A known limit: a server that joined after the loss cannot tell who arrives of it.
    if (side.metLoss && this.#since > this.#site.lostAt - joining)
      for (const topic of side.topics.keys()) side.topics.set(topic, world.now)
    side.metLoss = false
    side.serve(this, socket)
  }

  /** Its name in the cluster. */
  get member(): string {
    return this.realtime.stats().cluster?.node ?? ''
  }

  // ---- what the network brings ----

  /** A request reaches the server that has its session. */
  #countLocal(client: number): void {
    const side = this.#site.visitors[client]?.side
    if (side?.node === this && side.isServed) this.#site.world.count('route: local')
  }

  upgrade(connection: Connection, protocols: readonly string[], client: number): void {
    this.#countLocal(client)
    const { line } = connection
    const request = new Request(line, 'GET', `/?client=${client}`, {
      host: 'server.example',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': protocols.join(', '),
      'x-client': `${client}`,
    })
    this.realtime.handleUpgrade(
      request as unknown as IncomingMessage,
      line as unknown as Duplex,
      Buffer.alloc(0),
      (socket) => this.realtime.emit('connection', socket, request as unknown as IncomingMessage),
    )
  }

  request(
    url: string,
    body: Uint8Array | undefined,
    client: number,
    responseTo: (request: { readonly socket: object }) => Response,
  ): void {
    const request = new Request(new Socket(), body ? 'POST' : 'GET', url, {
      host: 'server.example',
      'x-client': `${client}`,
    })
    if (body) request.rawBody = body
    const response = responseTo(request)
    this.#countLocal(client)
    this.process.enter(() => {
      if (response.destroyed) return
      this.realtime.handleRequest(
        request as unknown as IncomingMessage,
        response as unknown as ServerResponse,
      )
    })
  }
}

/** The topic in the words of the application. */
function topicOf(name: string): string {
  return name === 'everyone' ? '' : name.slice('topic:'.length)
}
