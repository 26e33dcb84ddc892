/** One client's connection, and the connection to the server that is opened for it. */
import { connect, type Socket } from 'node:net'
import { Answer } from './answer.ts'
import { Deadline } from './deadline.ts'
import type { Faults } from './faults.ts'
import type { Overtaking } from './overtaking.ts'
import { type Conversation, Traffic } from './traffic.ts'
import type { Connection, Direction, Target } from './types.ts'
import { type Link, Wire } from './wire.ts'

/** What a connection needs from its network. */
export interface Surroundings {
  readonly faults: Readonly<Faults>
  readonly target: Target
  readonly url: string
  readonly links: Readonly<Record<Direction, Link>>
  readonly overtaking: Overtaking
  draw(name: string, index: number): number
  switchedAt(name: keyof Faults): number
  request(pipe: Pipe, line: string, isWebSocket: boolean): number
  data(pipe: Pipe, direction: Direction, chunk: Buffer): void
  fault(pipe: Pipe, name: keyof Faults): void
  end(pipe: Pipe): void
  /** A connection to the server that belongs to no client; it may outlive the connection for which it was opened. */
  aside(socket: Socket): void
}

const never = Number.POSITIVE_INFINITY
const directions: readonly Direction[] = ['to server', 'to client']

export class Pipe implements Connection, Conversation {
  webSocket = false
  request = ''
  readonly passed: Record<Direction, number> = { 'to server': 0, 'to client': 0 }
  readonly target: Target
  readonly #client: Socket
  #server: Socket | undefined
  readonly #number: number
  readonly #around: Surroundings
  readonly #traffic: Traffic = new Traffic(this)
  readonly #wires: Readonly<Record<Direction, Wire>>
  /** `'finishing'`: only the rest of the answer and the end still go to the client. */
  #state: 'open' | 'finishing' | 'over' = 'open'
  /** The directions in which no data passes. */
  readonly #muted: Set<Direction> = new Set()
  /** Bytes to pass on after the data that came has been examined. */
  readonly #outgoing: Record<Direction, Buffer[]> = { 'to server': [], 'to client': [] }
  readonly #ending: Set<Direction> = new Set()
  #looking = false
  /** The reasons why each direction is not read at present. */
  readonly #holds: Record<Direction, Set<string>> = { 'to server': new Set(), 'to client': new Set() }
  readonly #asides: Set<Socket> = new Set()
  #lastPassed: number = performance.now()
  #openedAt = never
  /** After a pause of this process, first pass on the data that came meanwhile. */
  readonly #idle: Deadline = new Deadline(() => setImmediate(() => this.#lookIfIdle()))
  readonly #life: Deadline = new Deadline(() => this.#cutFor('cutWebSockets'))

  constructor(client: Socket, number: number, around: Surroundings) {
    this.#client = client
    this.#number = number
    this.#around = around
    this.target = around.target
    this.#wires = { 'to server': this.#wire('to server'), 'to client': this.#wire('to client') }
    this.#wires['to server'].startAt(performance.now() + 2 * around.faults.delay)
    client.on('error', ignore)
  }

  start(): void {
    const client = this.#client
    client.on('data', (chunk: Buffer) => {
      if (!this.#passes('to server')) return
      this.#wires['to server'].sendBytes(chunk, (piece) => this.#came('to server', piece))
    })
    client.on('end', () => {
      if (this.silent) client.destroy()
      else if (this.#passes('to server')) {
        this.#wires['to server'].send(0, () => this.#passes('to server') && this.#traffic.clientEnded())
      }
    })
    client.on('close', (failed) => {
      if (failed && this.#passes('to server')) this.#wires['to server'].send(0, () => this.cut())
      else this.#lookIfGone()
    })
    this.retime()
  }

  // What tests may do to it

  get silent(): boolean {
    return this.#muted.size === directions.length
  }

  cut(): void {
    this.#over(true)
  }

  silence(): void {
    if (this.#state === 'over') return
    for (const direction of directions) {
      this.#wires[direction].drop()
      this.#outgoing[direction] = []
    }
    this.#traffic.drop()
    this.mute(...directions)
  }

  // What its traffic asks for

  get faults(): Readonly<Faults> {
    return this.#around.faults
  }

  get overtaking(): Overtaking {
    return this.#around.overtaking
  }

  get url(): string {
    return this.#around.url
  }

  get isOver(): boolean {
    return this.#state !== 'open' || this.silent
  }

  draw(name: string, index: number): number {
    return this.#around.draw(name, index)
  }

  switchedAt(name: keyof Faults): number {
    return this.#around.switchedAt(name)
  }

  strike(name: keyof Faults): void {
    this.#around.fault(this, name)
  }

  announce(line: string, isWebSocket: boolean): number {
    this.request = line
    return this.#around.request(this, line, isWebSocket)
  }

  toServer(bytes: Buffer): void {
    this.#pass('to server', bytes)
  }

  toClient(bytes: Buffer): void {
    this.#pass('to client', bytes)
  }

  endServer(): void {
    this.#end(this.#server ? 'to server' : 'to client')
  }

  endClient(): void {
    this.#end('to client')
  }

  holdClient(hold: boolean): void {
    this.#hold('to server', 'ahead', hold)
  }

  holdServer(whenReady: (run: () => void) => void): void {
    this.#hold('to client', 'compression', true)
    whenReady(() => this.#hold('to client', 'compression', false))
  }

  sendAside(request: Buffer, method: string, answered: () => void): void {
    const socket = connect({ ...this.target, noDelay: true })
    const answer = new Answer(
      method,
      { strip: false, gzip: false, buffer: false },
      {
        head: () => {
          answered()
          return true
        },
        pass: ignore,
        done: () => socket.destroy(),
        overflow: ignore,
      },
    )
    this.#asides.add(socket)
    this.#around.aside(socket)
    socket.on('data', (bytes: Buffer) => void answer.take(bytes))
    socket.on('error', ignore)
    socket.on('close', () => this.#asides.delete(socket))
    socket.write(request)
  }

  handshake(): void {
    this.webSocket = true
  }

  opened(): void {
    this.#openedAt = performance.now()
    this.retime()
  }

  finish(): void {
    if (this.#state !== 'open') return
    this.#state = 'finishing'
    this.#server?.destroy()
    this.#outgoing['to server'] = []
    this.#client.resume()
    this.#end('to client')
  }

  mute(...ways: Direction[]): void {
    if (this.#state === 'over') return
    for (const way of ways) {
      this.#muted.add(way)
      this.#source(way)?.resume()
    }
    if (!this.silent) return
    this.#idle.set(never)
    this.#life.set(never)
  }

  /** Sets the timers again: limits have been switched. */
  retime(): void {
    if (this.#state !== 'open' || this.silent) return
    this.#setIdle()
    const { cutWebSockets } = this.faults
    const [min, max] = typeof cutWebSockets === 'number' ? [cutWebSockets, cutWebSockets] : cutWebSockets
    const limit = min === max ? min : min + (max - min) * this.draw('cutWebSockets', this.#number)
    const from = Math.max(this.#openedAt, this.switchedAt('cutWebSockets'))
    this.#life.set(from + limit)
    this.#traffic.retime()
  }

  // How bytes and ends pass

  #passes(direction: Direction): boolean {
    return this.#state === 'open' && !this.#muted.has(direction)
  }

  /** Data came out of a wire, or from the server. */
  #came(direction: Direction, chunk: Buffer): void {
    if (!this.#passes(direction)) return
    this.#looking = true
    try {
      if (direction === 'to server') this.#traffic.fromClient(chunk)
      else this.#traffic.fromServer(chunk)
    } finally {
      // Listeners may throw.
      this.#looking = false
    }
    if (this.#state !== 'over') this.#around.data(this, direction, chunk)
    this.#flush()
  }

  #pass(direction: Direction, bytes: Buffer): void {
    if (this.#state !== 'open' || this.#muted.has(direction) || bytes.length === 0) return
    this.#outgoing[direction].push(bytes)
    if (!this.#looking) this.#flush()
  }

  #end(direction: Direction): void {
    this.#ending.add(direction)
    if (!this.#looking) this.#flush()
  }

  #flush(): void {
    if (this.#state === 'over') return
    this.#flushToServer(this.#outgoing['to server'].splice(0))
    this.#flushToClient(this.#outgoing['to client'].splice(0))
  }

  #flushToServer(chunks: Buffer[]): void {
    if (chunks.length > 0 && this.#state === 'open') {
      this.#server ??= this.#connect()
      const server = this.#server
      if (server.writable) {
        server.cork()
        for (const chunk of chunks) server.write(chunk)
        server.uncork()
        this.#count('to server', chunks)
        this.#holdWhileFull('to server', server)
      }
    }
    if (this.#ending.delete('to server')) this.#server?.end()
  }

  #flushToClient(chunks: Buffer[]): void {
    const wire = this.#wires['to client']
    const [first] = chunks
    if (first) {
      wire.sendBytes(chunks.length === 1 ? first : Buffer.concat(chunks), (piece) => {
        if (this.#state === 'over' || !this.#client.writable) return
        this.#client.write(piece)
        this.#count('to client', [piece])
        this.#holdWhileFull('to client', this.#client)
      })
    }
    if (this.#ending.delete('to client')) wire.send(0, () => this.#client.end())
  }

  #connect(): Socket {
    const server = connect({ ...this.target, noDelay: true, allowHalfOpen: true })
    server.on('error', ignore)
    server.on('data', (chunk: Buffer) => this.#came('to client', chunk))
    server.on('end', () => {
      if (this.silent) server.destroy()
      else if (this.#passes('to client')) this.#traffic.serverEnded()
    })
    server.on('close', (failed) => {
      if (failed && this.#passes('to client')) this.#wires['to client'].send(0, () => this.cut())
      else this.#lookIfGone()
    })
    return server
  }

  #wire(direction: Direction): Wire {
    const around = this.#around
    const drawn = { jitter: 0, loss: 0 }
    return new Wire({
      faults: around.faults,
      link: around.links[direction],
      draw: (name) => around.draw(`${name} ${this.#number} ${direction}`, drawn[name]++),
      lost: () => this.strike('loss'),
      full: (isFull) => this.#hold(direction, 'wire', isFull),
    })
  }

  #source(direction: Direction): Socket | undefined {
    return direction === 'to server' ? this.#client : this.#server
  }

  #holdWhileFull(direction: Direction, to: Socket): void {
    if (!to.writableNeedDrain || this.#holds[direction].has('full')) return
    this.#hold(direction, 'full', true)
    to.once('drain', () => this.#hold(direction, 'full', false))
  }

  #hold(direction: Direction, why: string, hold: boolean): void {
    const holds = this.#holds[direction]
    if (hold) holds.add(why)
    else holds.delete(why)
    // Data that is thrown away is still read, because the end comes after it.
    if (holds.size > 0 && this.#passes(direction)) this.#source(direction)?.pause()
    else this.#source(direction)?.resume()
  }

  #count(direction: Direction, chunks: readonly Buffer[]): void {
    for (const { length } of chunks) this.passed[direction] += length
    this.#lastPassed = performance.now()
    this.#setIdle()
  }

  #setIdle(): void {
    const { idleLimit } = this.faults
    if (this.isOver) return
    this.#idle.set(this.#idleSince() + idleLimit)
  }

  #idleSince(): number {
    return Math.max(this.#lastPassed, this.switchedAt('idleLimit'))
  }

  #lookIfIdle(): void {
    if (this.isOver) return
    if (performance.now() < this.#idleSince() + this.faults.idleLimit) this.#setIdle()
    else this.#cutFor('idleLimit')
  }

  // Its end

  #cutFor(name: keyof Faults): void {
    this.strike(name)
    this.cut()
  }

  /** Ends the pipe once both sockets are gone. The end of only one is passed on, unless that direction is muted. */
  #lookIfGone(): void {
    if (this.#client.destroyed && (this.#server?.destroyed ?? true)) this.#over(false)
  }

  #over(reset: boolean): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#idle.set(never)
    this.#life.set(never)
    this.#traffic.drop()
    for (const direction of directions) this.#wires[direction].drop()
    const sockets = [this.#client, this.#server, ...(reset ? this.#asides : [])]
    for (const socket of sockets) if (socket && !socket.destroyed) socket.resetAndDestroy()
    this.#around.end(this)
  }
}

function ignore(): void {}
