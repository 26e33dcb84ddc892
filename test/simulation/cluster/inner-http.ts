/** In the place of `node:http`, as far as servers of a cluster use it among themselves: they listen, and pass WebSockets on. */
import { createRequire } from 'node:module'
import { passedHeader } from '../../../cluster/passing/signature.ts'
import { type Asker, Connection, type Line, type Onward } from '../connection.ts'
import { Emitter } from '../emitter.ts'
import type { Response } from '../exchange.ts'
import type { Arrived } from '../path.ts'
import { Request } from '../server-end.ts'
import { isThere, type Listening, type Machine, type Wire } from './wire.ts'

const nothing = Buffer.alloc(0)

/** The answer to a handshake. */
class Answer {
  readonly statusCode: number
  readonly statusMessage = ''
  readonly headers: Record<string, string> = {}
  readonly rawHeaders: string[] = []
  readonly #body: string

  constructor(status: number, headers: Readonly<Record<string, string>>, body = '') {
    this.statusCode = status
    this.#body = body
    for (const [name, value] of Object.entries(headers)) {
      this.headers[name.toLowerCase()] = value
      this.rawHeaders.push(name, value)
    }
  }

  resume(): void {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield Buffer.from(this.#body)
  }
}

/** The connection below a handshake. */
class Outgoing extends Emitter {
  connecting = true
  readonly #handshake: Handshake

  constructor(handshake: Handshake) {
    super()
    this.#handshake = handshake
  }

  destroy(): void {
    this.#handshake.endConnection()
  }
}

interface Options {
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
}

/** The handshake of a WebSocket that a server passes on. */
class Handshake extends Emitter {
  readonly socket: Outgoing = new Outgoing(this)
  readonly #process: Machine
  readonly #options: Options
  readonly #wire: Wire
  readonly target: Listening | undefined
  readonly isIdle = false
  #webSocket: Passed | undefined
  /** For the process that asked; `#hasEnded` is for the network. */
  #isOver = false
  #hasEnded = false

  constructor(process: Machine, options: Options) {
    super()
    this.#process = process
    this.#options = options
    const { grid } = process
    this.target = grid.at(`${options.host}:${options.port}`)
    this.#wire = grid.wire(process, this.target?.process)
    this.#wire.ends.add(this)
    grid.passes(options.headers[passedHeader])
  }

  end(): void {
    this.#process.nextTick(() => {
      this.emit('socket', this.socket)
      this.#connect()
    })
  }

  destroy(error = new Error('socket hang up')): void {
    if (this.#isOver) return
    this.#isOver = true
    if (!this.#hasEnded) {
      this.#finish()
      this.#webSocket?.destroy()
    }
    this.#process.nextTick(() => this.emit('error', error))
  }

  /** Its connection is ended here: after an upgrade the request does not own it any more. */
  endConnection(): void {
    this.#webSocket?.destroy()
    this.destroy()
  }

  /** The network, or the other end, has ended its connection. */
  lost(): void {
    if (this.#hasEnded) return
    this.#finish()
    this.#enter(() => {
      this.#isOver = true
      this.emit('error', new Error('ECONNRESET'))
    })
  }

  /** Something comes to the process that asked, which may have given it up before it heard of that. */
  #enter(run: () => void): void {
    this.#process.enter(() => {
      if (!this.#isOver) run()
    })
  }

  #finish(): void {
    this.#hasEnded = true
    this.#wire.ends.delete(this)
  }

  #connect(): void {
    const { world } = this.#process
    const wire = this.#wire
    world.after(wire.delay() * 2, () => {
      // A machine without power says nothing.
      if (this.#hasEnded || wire.blackout || this.target?.isDark) return
      this.#process.enter(() => {
        if (this.#hasEnded) return
        if (wire.refuses || !isThere(this.target)) {
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
    const wire = this.#wire
    const target = this.target
    wire.send(() => {
      if (target?.isDark) return
      if (wire.refuses || !isThere(target)) this.lost()
      else target.process.enter(() => this.#arrive(target))
    })
  }

  /** At the other server. */
  #arrive(target: Listening): void {
    if (!target.isListening) this.lost()
    if (this.#hasEnded) return
    const { method, path, headers } = this.#options
    this.#webSocket = new Passed(this, this.#process)
    const connection = new Connection<Passed>(this.#wire, this.#webSocket, 1)
    connection.home = target.process
    this.#webSocket.connection = connection
    this.#wire.connections.add(connection)
    target.upgrade(new Request(connection.line, method, path, { ...headers }), connection.line)
  }

  // ---- the answer, as the other server writes it ----

  refused(answer: Answer): void {
    if (this.#hasEnded) return
    this.#finish()
    this.#process.grid.answered(answer.statusCode, answer.headers[passedHeader] !== undefined)
    this.#enter(() => {
      this.#isOver = true
      this.emit('response', answer)
    })
  }

  /** It became a WebSocket. */
  opened(webSocket: Passed, protocol: string): void {
    if (this.#hasEnded) {
      webSocket.destroy()
      return
    }
    this.#finish()
    this.#isOver = true
    this.#process.world.count('pass: WebSocket')
    this.emit('upgrade', new Answer(101, { 'Sec-WebSocket-Protocol': protocol }), webSocket, nothing)
  }
}

/** A WebSocket that is passed on: the end of the server that passes it. */
class Passed extends Emitter implements Asker, Onward {
  readyState = 0
  readonly epoch = 0
  readonly writable = true
  connection!: Connection<Passed>
  readonly #request: Handshake
  readonly #process: Machine
  #line: Line | undefined

  constructor(request: Handshake, process: Machine) {
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
      this.#request.refused(new Answer(Number(first.split(' ')[1]), headers, body))
    })
  }
}

type Handler = (request: Request, response: Response) => void

/** Where a server listens for the others. */
class InnerServer extends Emitter implements Listening {
  readonly process: Machine
  readonly request: Handler
  isListening = false
  isDark = false
  #address = ''
  #port = 0

  constructor(process: Machine, handler: Handler) {
    super()
    this.process = process
    this.request = handler
  }

  upgrade(request: Request, line: Line): void {
    this.emit('upgrade', request, line, nothing)
  }

  listen({ port, host }: { readonly port: number; readonly host: string }, done: () => void): void {
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

  /** Those of WebSockets are not its own any more. */
  closeAllConnections(): void {
    for (const wire of this.process.grid.wiresOf(this.process)) {
      for (const response of [...wire.responses]) if (response.home === this.process) response.cut()
      for (const end of [...wire.ends]) if (end.target === this && end.isIdle) end.lost()
    }
  }
}

/** The module, for this process. */
export function innerHttp(process: Machine): object {
  const real = createRequire(import.meta.url)('node:http') as object
  return {
    ...real,
    request: (options: Options) => new Handshake(process, options),
    createServer: (_options: object, handler: Handler) => new InnerServer(process, handler),
  }
}
