/** In the place of `node:http`, as far as servers of a cluster use it among themselves: requests and WebSockets that are passed on. */
import { createRequire } from 'node:module'
import { passedHeader } from '../../../cluster/signature.ts'
import { type Asker, Connection, type Line, type Onward } from '../connection.ts'
import { Emitter } from '../emitter.ts'
import { type Reader, Response } from '../exchange.ts'
import type { Arrived, Home, Path } from '../path.ts'
import { Request, Socket } from '../server-end.ts'
import { Chunks } from '../streams.ts'
import type { World } from '../world.ts'

const nothing = Buffer.alloc(0)

/** A process on a machine of this network. */
export interface Machine extends Home {
  readonly world: World
  readonly grid: Grid
  readonly isAlive: boolean
  nextTick(run: () => void): void
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
  readonly requests: Set<InnerRequest> = new Set()
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
    for (const request of [...this.requests]) request.lost()
  }
}

/** The network of the servers. */
export class Grid {
  readonly world: World
  /** Nothing is wrong any more that could make a server refuse another one. */
  mustTrust = false
  readonly #servers = new Map<string, InnerServer>()
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

  at(address: string): InnerServer | undefined {
    return this.#servers.get(address)
  }

  open(address: string, server: InnerServer): void {
    this.#servers.set(address, server)
  }
}

/** What it takes for an answer's head and body. */
class Answer extends Emitter {
  readonly statusCode: number
  readonly statusMessage = ''
  readonly headers: Record<string, string> = {}
  readonly rawHeaders: string[] = []
  complete = false
  #to: Response | undefined
  readonly #body: Chunks = new Chunks()

  constructor(status: number, headers: Readonly<Record<string, unknown>>) {
    super()
    this.statusCode = status
    for (const [name, value] of Object.entries(headers)) {
      this.headers[name.toLowerCase()] = `${value}`
      this.rawHeaders.push(name, `${value}`)
    }
  }

  pipe(to: Response): void {
    this.#to = to
  }

  resume(): void {}

  chunk(bytes: Uint8Array): void {
    if (this.#to) this.#to.write(bytes)
    else this.#body.give(bytes)
  }

  end(): void {
    this.complete = true
    this.#to?.end()
    this.#body.end()
    this.emit('close')
  }

  fail(error: Error): void {
    this.#body.fail(error)
    this.emit('error', error)
    this.emit('close')
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const { value } = await this.#body.read()
      if (value === undefined) return
      yield value as Uint8Array
    }
  }
}

/** The connection below a request. */
class Outgoing extends Emitter {
  connecting: boolean
  readonly #request: InnerRequest

  constructor(request: InnerRequest, connecting: boolean) {
    super()
    this.#request = request
    this.connecting = connecting
  }

  destroy(): void {
    this.#request.endConnection()
  }
}

interface Options {
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly agent: Agent | false
}

class Agent {
  /** Where it keeps how many connections that wait. */
  readonly free = new Map<string, number>()

  destroy(): void {
    this.free.clear()
  }
}

/** A request that a server makes of another one. */
export class InnerRequest extends Emitter {
  reusedSocket = false
  readonly socket: Outgoing
  readonly process: Machine
  readonly #options: Options
  readonly #wire: Wire
  readonly #address: string
  readonly #target: InnerServer | undefined
  readonly #responses: Response[] = []
  #answer: Answer | undefined
  #webSocket: Passed | undefined
  #isUpgraded = false
  #isAnswered = false
  /** For the process that asked; `over` is for the network. */
  #isOver = false
  #body: Uint8Array = nothing
  over = false

  constructor(process: Machine, options: Options) {
    super()
    this.process = process
    this.#options = options
    this.#address = `${options.host}:${options.port}`
    const { grid } = process
    this.#target = grid.at(this.#address)
    this.#wire = grid.wire(process, this.#target?.process)
    this.#wire.requests.add(this)
    const free = options.agent ? (options.agent.free.get(this.#address) ?? 0) : 0
    if (options.agent && free > 0) {
      options.agent.free.set(this.#address, free - 1)
      this.reusedSocket = true
    }
    const [said = ''] = `${options.headers[passedHeader]}`.split('.')
    if (Buffer.from(said, 'base64url').includes('adopt')) process.world.count('pass: for it to go on')
    this.socket = new Outgoing(this, !this.reusedSocket)
  }

  end(body: Uint8Array = nothing): void {
    this.#body = body
    this.process.nextTick(() => {
      this.emit('socket', this.socket)
      if (this.reusedSocket) this.#send()
      else this.#connect()
    })
  }

  destroy(error = new Error('socket hang up')): void {
    if (this.#isOver) return
    this.#isOver = true
    if (!this.over) {
      this.#finish()
      for (const response of this.#responses) response.abandoned()
      this.#webSocket?.destroy()
    }
    this.process.nextTick(() => this.#fail(error))
  }

  /** Its connection is ended here: after an upgrade the request does not own it any more. */
  endConnection(): void {
    this.#webSocket?.destroy()
    this.destroy()
  }

  /** The network, or the other end, has ended its connection. */
  lost(): void {
    if (this.over) return
    this.#finish()
    this.#enter(() => {
      this.#isOver = true
      this.#fail(new Error('ECONNRESET'))
    })
  }

  /** Something comes to the process that asked, which may have given it up before it heard of that. */
  #enter(run: () => void): void {
    this.process.enter(() => {
      if (!this.#isOver) run()
    })
  }

  #fail(error: Error): void {
    if (this.#isAnswered) this.#answer?.fail(error)
    else if (!this.#isUpgraded) this.emit('error', error)
  }

  #finish(): void {
    this.over = true
    this.#wire.requests.delete(this)
  }

  get #isThere(): boolean {
    return !!this.#target?.isListening && this.#target.process.isAlive
  }

  #connect(): void {
    const { world } = this.process
    const wire = this.#wire
    world.after(wire.delay() * 2, () => {
      // A machine without power says nothing.
      if (this.over || wire.blackout || this.#target?.isDark) return
      this.process.enter(() => {
        if (this.over) return
        if (wire.refuses || !this.#isThere) {
          world.count('pass: refused')
          this.lost()
          return
        }
        this.socket.connecting = false
        this.socket.emit('connect')
        this.#send()
      })
    })
  }

  #send(): void {
    if (this.over) return
    const { world } = this.process
    const wire = this.#wire
    // A connection that was kept may have ended just now.
    const isStale = this.reusedSocket && world.random.chance(0.02)
    wire.send(() => {
      if (this.#target?.isDark) return
      if (isStale || wire.refuses || !this.#isThere) {
        world.count('pass: a kept connection ended')
        this.lost()
        return
      }
      if (this.over) world.count('pass: arrives after it was given up')
      this.#target?.process.enter(() => this.#arrive(this.#target as InnerServer))
    })
  }

  /** At the other server. */
  #arrive(server: InnerServer): void {
    const { method, path, headers } = this.#options
    if (!server.isListening) {
      this.lost()
      return
    }
    if (headers.upgrade !== undefined) {
      if (this.over) return
      this.#webSocket = new Passed(this, this.process)
      const connection = new Connection<Passed>(this.#wire, this.#webSocket, 1)
      connection.home = server.process
      this.#webSocket.connection = connection
      this.#wire.connections.add(connection)
      server.emit(
        'upgrade',
        new Request(connection.line, method, path, { ...headers }),
        connection.line,
        nothing,
      )
      return
    }
    const request = new Request(new Socket(), method, path, { ...headers })
    request.rawBody = this.#body
    const response = new Response(
      this.#wire,
      new AnswerReader(this),
      request,
      Number.POSITIVE_INFINITY,
      0,
      server.process,
    )
    this.#wire.responses.add(response)
    this.#responses.push(response)
    if (this.over) response.abandoned()
    server.handler(request, response)
  }

  // ---- the answer, as the other server writes it ----

  begun(status: number, headers: Readonly<Record<string, unknown>>): void {
    if (this.over || this.#answer) return
    const answer = new Answer(status, headers)
    this.#answer = answer
    const isRefused = answer.headers[passedHeader] !== undefined
    if (isRefused && this.process.grid.mustTrust)
      this.process.world.fail('a server refuses what another one of its cluster passes on')
    this.process.world.count(
      isRefused ? 'pass: forged' : status === 421 ? 'pass: 421 not here' : `pass: ${status}`,
    )
    this.#enter(() => {
      this.#isAnswered = true
      this.emit('response', answer)
    })
  }

  read(bytes: Uint8Array): void {
    this.#enter(() => this.#answer?.chunk(bytes))
  }

  /** The whole answer has come. */
  finished(): void {
    const { agent } = this.#options
    if (this.over) return
    this.#finish()
    if (agent) agent.free.set(this.#address, (agent.free.get(this.#address) ?? 0) + 1)
    this.#enter(() => {
      this.#isOver = true
      this.#answer?.end()
    })
  }

  /** It became a WebSocket. */
  opened(webSocket: Passed, protocol: string): void {
    if (this.over) {
      webSocket.destroy()
      return
    }
    this.#finish()
    this.#isUpgraded = this.#isOver = true
    this.process.world.count('pass: WebSocket')
    this.emit('upgrade', new Answer(101, { 'Sec-WebSocket-Protocol': protocol }), webSocket, nothing)
  }
}

/** Reads the answer to a request. */
class AnswerReader implements Reader {
  readonly #request: InnerRequest
  from: Response | undefined

  constructor(request: InnerRequest) {
    this.#request = request
  }

  get over(): boolean {
    return this.#request.over
  }

  begin(status: number, _text: string, headers: Readonly<Record<string, unknown>>): void {
    this.#request.begun(status, headers)
  }

  chunk(bytes: Uint8Array): void {
    this.#request.read(bytes)
  }

  end(): void {
    this.#request.finished()
  }

  fail(): void {
    this.#request.lost()
  }
}

/** A WebSocket that is passed on: the end of the server that passes it. */
export class Passed extends Emitter implements Asker, Onward {
  readyState = 0
  readonly epoch = 0
  readonly writable = true
  connection!: Connection<Passed>
  readonly #request: InnerRequest
  readonly #process: Machine
  #line: Line | undefined

  constructor(request: InnerRequest, process: Machine) {
    super()
    this.#request = request
    this.#process = process
  }

  // ---- for the server that passes it on ----

  write(): boolean {
    return true
  }

  pipe(line: Line): void {
    this.#line = line
  }

  forward(arrived: Arrived): void {
    const { connection } = this
    const size = arrived.kind === 'message' ? arrived.data.length : 0
    connection.deliver(connection.up, () => connection.line.webSocket?.arrive(arrived), size)
  }

  destroy(): void {
    this.connection.break()
    this.#over()
  }

  #over(): void {
    if (this.readyState === 3) return
    const wasOpen = this.readyState === 1
    this.readyState = 3
    if (wasOpen) this.emit('close')
    else this.#request.lost()
  }

  // ---- from the other server ----

  opened(protocol: string): void {
    this.#process.enter(() => {
      if (this.readyState > 0) return
      this.readyState = 1
      this.#request.opened(this, protocol)
    })
  }

  hear(data: Buffer, binary: boolean): void {
    this.#process.enter(() => this.#line?.say(data, binary))
  }

  heardClose(code: number): void {
    this.#process.enter(() => this.#line?.sayClose(code))
  }

  gone(): void {
    this.#process.enter(() => this.#over())
  }

  ended(): void {
    this.#process.enter(() => {
      // What was said before still arrives.
      this.#line?.finish()
      this.#over()
    })
  }

  refused(answer: string): void {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    const [first = '', ...lines] = head.split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => line.split(': ')))
    this.#process.enter(() => {
      this.readyState = 3
      this.#request.begun(Number(first.split(' ')[1]), headers)
      this.#request.read(Buffer.from(body))
      this.#request.finished()
    })
  }
}

type Handler = (request: Request, response: Response) => void

/** Where a server listens for the others. */
export class InnerServer extends Emitter {
  readonly process: Machine
  readonly handler: Handler
  isListening = false
  /** Its machine is without power. */
  isDark = false
  #address = ''
  #port = 0

  constructor(process: Machine, handler: Handler) {
    super()
    this.process = process
    this.handler = handler
  }

  listen(port: number, host: string, done: () => void): void {
    this.#address = host
    this.#port = port
    this.isListening = true
    this.process.grid.open(`${host}:${port}`, this)
    this.process.nextTick(done)
  }

  address(): { readonly address: string; readonly family: string; readonly port: number } {
    return { address: this.#address, family: 'IPv4', port: this.#port }
  }

  close(done: () => void): void {
    this.isListening = false
    this.process.nextTick(done)
  }

  closeAllConnections(): void {
    for (const wire of this.process.grid.wiresOf(this.process)) {
      for (const response of [...wire.responses]) if (response.home === this.process) response.cut()
    }
  }
}

/** The module, for this process. */
export function innerHttp(process: Machine): object {
  const real = createRequire(import.meta.url)('node:http') as object
  return {
    ...real,
    Agent,
    request: (options: Options) => new InnerRequest(process, options),
    createServer: (_options: object, handler: Handler) => new InnerServer(process, handler),
  }
}
