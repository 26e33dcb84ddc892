/** A network between one client and one server: ordered connections that can be cut or fall silent, and HTTP exchanges that
 * can be lost, repeated, delayed and cut at any byte. */
import type { World } from './world.ts'

/** One end of a connection. */
export interface Socket {
  received(data: string | Uint8Array): void
  /** The connection is gone; nothing follows. */
  closed(): void
  /** There is room again. */
  drained(): void
}

/** One direction of a connection. */
class Pipe {
  to: Socket | undefined
  from: Socket | undefined
  /** What is put in never comes out. */
  silent = false
  inFlight = 0
  last = 0
}

export class Connection {
  readonly up = new Pipe()
  readonly down = new Pipe()
  readonly #network: Network
  /** What the network takes before the sender must wait. */
  readonly #room: number
  cut = false

  constructor(network: Network, room: number) {
    this.#network = network
    this.#room = room
  }

  join(client: Socket, server: Socket): void {
    this.up.from = client
    this.down.to = client
    this.up.to = server
    this.down.from = server
  }

  hasRoom(pipe: Pipe): boolean {
    return pipe.inFlight < this.#room
  }

  send(pipe: Pipe, data: string | Uint8Array): void {
    pipe.inFlight++
    this.#deliver(pipe, () => {
      const full = !this.hasRoom(pipe)
      pipe.inFlight--
      pipe.to?.received(data)
      if (full) pipe.from?.drained()
    })
  }

  /** One end has closed: what it said before still arrives. It hears nothing any more. */
  close(pipe: Pipe): void {
    const back = pipe === this.up ? this.down : this.up
    back.to = undefined
    this.#deliver(pipe, () => {
      this.cut = true
      pipe.to?.closed()
    })
  }

  /** The network breaks it: what is under way is lost. An end to which nothing comes any more does not notice. */
  break(): void {
    if (this.cut) return
    this.cut = true
    const { world } = this.#network
    for (const pipe of [this.up, this.down]) {
      if (pipe.silent || this.#network.blackout) continue
      world.after(world.random.between(0, 50), () => pipe.to?.closed())
    }
  }

  #deliver(pipe: Pipe, action: () => void): void {
    if (this.#network.blackout) pipe.silent = true
    if (pipe.silent || this.cut) return
    const { world } = this.#network
    pipe.last = Math.max(pipe.last, world.now + this.#network.delay())
    world.after(pipe.last - world.now, () => {
      if (this.#network.blackout) pipe.silent = true
      else if (!pipe.silent && !this.cut) action()
    })
  }
}

/** What the server does with a connection or a request. */
export interface Listener {
  connection(connection: Connection, head: Uint8Array): Socket
  request(body: Uint8Array, response: Response): void
}

/** What a client hears of its request: chunks, then one end. */
export interface Requester {
  chunk(bytes: Uint8Array): void
  ended(): void
  failed(): void
}

export type Fate = 'lose request' | 'lose answer' | 'cut answer' | 'repeat' | 'late request' | 'late answer'

/** One exchange as the network sees it. */
export class Exchange {
  requester: Requester | undefined
  /** Of the answers to a repeated request, the one that came first. */
  answer: Response | undefined
  constructor(requester: Requester) {
    this.requester = requester
  }

  /** The client lost interest. */
  abandon(): void {
    this.requester = undefined
  }
}

/** The server's end of an exchange. */
export class Response {
  /** Told when the client or the network has ended what was not finished. */
  onClose: (() => void) | undefined
  onDrain: (() => void) | undefined
  readonly #network: Network
  readonly #exchange: Exchange
  #last: number
  #inFlight = 0
  /** Bytes after which the network cuts it. */
  #left: number
  #ended = false
  #silent = false

  constructor(network: Network, exchange: Exchange, left: number, lateness: number) {
    this.#network = network
    this.#exchange = exchange
    this.#left = left
    this.#last = network.world.now + lateness
  }

  get needsDrain(): boolean {
    return this.#inFlight > 4
  }

  write(bytes: Uint8Array): void {
    const { random } = this.#network.world
    let at = 0
    while (at < bytes.length && this.#left > 0) {
      const size = random.chance(0.5) ? bytes.length - at : random.between(1, bytes.length - at)
      const end = at + Math.min(size, this.#left)
      const chunk = bytes.subarray(at, end)
      this.#left -= end - at
      at = end
      this.#inFlight++
      this.#deliver((to) => to.chunk(chunk))
    }
    if (this.#left <= 0) this.break()
  }

  end(): void {
    if (this.#ended) return
    this.#deliver((to) => {
      this.#exchange.requester = undefined
      to.ended()
    })
    this.#ended = true
  }

  /** Cut by the network or the server: the client sees a failure, the server that it is closed. */
  break(): void {
    if (this.#ended) return
    this.#deliver((to) => {
      this.#exchange.requester = undefined
      to.failed()
    })
    this.#ended = true
    const { onClose } = this
    this.onClose = undefined
    if (onClose) this.#network.world.after(0, onClose)
  }

  #deliver(action: (to: Requester) => void): void {
    const { world } = this.#network
    this.#last = Math.max(this.#last, world.now + this.#network.delay())
    world.after(this.#last - world.now, () => {
      // What follows a gap is not heard either.
      if (this.#network.blackout) this.#silent = true
      if (this.#silent) return
      const full = this.needsDrain
      if (this.#inFlight > 0) this.#inFlight--
      const exchange = this.#exchange
      exchange.answer ??= this
      const to = exchange.answer === this ? exchange.requester : undefined
      if (to !== undefined) action(to)
      else if (!this.#ended) {
        // Nobody is there any more; the server notices when it writes, or a while after.
        this.#ended = true
        this.onClose?.()
      }
      if (full && !this.needsDrain) this.onDrain?.()
    })
  }
}

export class Network {
  readonly world: World
  server!: Listener
  /** Nothing gets through in either direction. */
  blackout = false
  /** WebSocket handshakes fail, as behind a proxy that does not know them. */
  noWebSockets = false
  /** Exchanges get these fates, one after the other … */
  fates: Fate[] = []
  /** … and otherwise one of them with this probability. */
  roughness = 0
  readonly #latency: number
  readonly #jitter: number
  readonly connections: Connection[] = []
  readonly responses = new Set<Response>()

  constructor(world: World) {
    this.world = world
    this.#latency = world.random.between(1, 60)
    this.#jitter = world.random.between(0, 40)
  }

  delay(): number {
    return this.#latency + this.world.random.between(0, this.#jitter)
  }

  connect(head: Uint8Array, client: Socket, opened: (connection: Connection) => void): void {
    const { world } = this
    world.after(this.delay() * 2, () => {
      if (this.blackout) return
      if (this.noWebSockets) {
        client.closed()
        return
      }
      const connection = new Connection(this, world.random.pick([2, 4, 16, 1000]))
      this.connections.push(connection)
      // The client knows the connection before the server says the first word on it.
      opened(connection)
      const server = this.server.connection(connection, head)
      connection.join(client, server)
    })
  }

  request(body: Uint8Array, requester: Requester): Exchange {
    const { world } = this
    const { random } = world
    const exchange = new Exchange(requester)
    const fate = this.fates.shift() ?? (random.chance(this.roughness) ? random.pick(fates) : undefined)
    if (fate) world.count(`exchange: ${fate}`)
    if (fate === 'lose request') {
      if (random.chance(0.5)) world.after(this.delay() * 2, () => this.#fail(exchange))
      return exchange
    }
    const left =
      fate === 'lose answer' ? 0 : fate === 'cut answer' ? random.between(1, 300) : Number.POSITIVE_INFINITY
    const lateness = fate === 'late answer' ? random.between(100, 2500) : 0
    this.#arrive(exchange, body, fate === 'late request' ? random.between(100, 4000) : 0, left, lateness)
    // A middlebox says the same again; whichever answer comes first is the one.
    if (fate === 'repeat') this.#arrive(exchange, body, random.between(0, 300), left, lateness)
    return exchange
  }

  #arrive(exchange: Exchange, body: Uint8Array, late: number, left: number, lateness: number): void {
    this.world.after(this.delay() + late, () => {
      if (this.blackout) return
      const response = new Response(this, exchange, left, lateness)
      this.responses.add(response)
      this.server.request(body.slice(), response)
      if (left === 0) response.break()
    })
  }

  #fail(exchange: Exchange): void {
    const { requester } = exchange
    exchange.requester = undefined
    if (!this.blackout) requester?.failed()
  }
}

const fates: readonly Fate[] = [
  'lose request',
  'lose answer',
  'cut answer',
  'repeat',
  'late request',
  'late answer',
]
