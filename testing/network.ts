/** The proxy itself: it listens, numbers connections and requests, and applies the faults. */
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { checkFaults, type Faults, noFaults } from './faults.ts'
import { Overtaking } from './overtaking.ts'
import { Pipe, type Surroundings } from './pipe.ts'
import { draw } from './random.ts'
import type { Connection, HostileNetwork, HostileNetworkEvents, Target } from './types.ts'

/** A port of this machine, a URL `'http://host:port'`, or a host and a port. */
export type TargetLike = number | string | Target

/** The faults at the beginning, and where and how the network runs. All faults are off by default. */
export interface HostileNetworkOptions extends Partial<Faults> {
  /** With the same seed and the same traffic, the same faults happen. Default 1. */
  seed?: number
  /** The port to listen on. Default: a free port of 127.0.0.1. */
  port?: number
  /** The address to listen on. Default: 127.0.0.1. */
  host?: string
}

export class Network extends EventEmitter<HostileNetworkEvents> implements HostileNetwork {
  readonly seed: number
  readonly connections: Set<Pipe> = new Set()
  #target: Target
  readonly #faults: Faults = { ...noFaults }
  readonly #switchedAt: Partial<Record<keyof Faults, number>> = {}
  readonly #server: Server
  readonly #address: { readonly port: number; readonly host: string }
  readonly #sockets: Set<Socket> = new Set()
  readonly #around: Surroundings
  #port = 0
  #connectionCount = 0
  #requestCount = 0
  #closed: Promise<void> | undefined

  constructor(target: TargetLike, options: HostileNetworkOptions) {
    super()
    const { seed = 1, port = 0, host = '127.0.0.1', ...faults } = options
    this.seed = seed
    this.#target = readTarget(target)
    this.#address = { port, host }
    this.set(faults)
    this.#around = this.#surroundings()
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#connected(socket))
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#address)
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://${this.#address.host}:${this.port}`
  }

  get target(): Target {
    return this.#target
  }

  set target(target: TargetLike) {
    this.#target = readTarget(target)
  }

  get faults(): Readonly<Faults> {
    return { ...this.#faults }
  }

  set(faults: Partial<Faults>): this {
    checkFaults(faults)
    for (const name of Object.keys(faults) as (keyof Faults)[]) {
      if (faults[name] !== this.#faults[name]) this.#switchedAt[name] = performance.now()
    }
    Object.assign(this.#faults, faults)
    for (const pipe of this.connections) pipe.retime()
    return this
  }

  clear(): this {
    return this.set(noFaults)
  }

  cut(which: (connection: Connection) => boolean = () => true): number {
    const chosen = [...this.connections].filter(which)
    for (const pipe of chosen) pipe.cut()
    return chosen.length
  }

  silence(which: (connection: Connection) => boolean = () => true): number {
    const chosen = [...this.connections].filter(which)
    for (const pipe of chosen) pipe.silence()
    return chosen.length
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #connected(socket: Socket): void {
    const { connections } = this.#faults
    const pipe = new Pipe(socket, this.#connectionCount++, this.#around)
    if (connections === 'refuse') {
      this.emit('fault', 'connections', pipe)
      socket.resetAndDestroy()
      return
    }
    this.connections.add(pipe)
    this.emit('connection', pipe)
    pipe.start()
    if (connections !== 'swallow') return
    this.emit('fault', 'connections', pipe)
    pipe.silence()
  }

  #surroundings(): Surroundings {
    const network = this
    return {
      faults: this.#faults,
      links: { 'to server': { freeAt: 0 }, 'to client': { freeAt: 0 } },
      overtaking: new Overtaking(),
      get target() {
        return network.target
      },
      get url() {
        return network.url
      },
      draw: (name, index) => draw(this.seed, name, index),
      switchedAt: (name) => this.#switchedAt[name] ?? 0,
      request: (pipe, line, isWebSocket) => {
        const number = this.#requestCount++
        this.emit('request', pipe, line, isWebSocket)
        return number
      },
      data: (pipe, direction, chunk) => void this.emit('data', pipe, direction, chunk),
      fault: (pipe, name) => void this.emit('fault', name, pipe),
      end: (pipe) => {
        this.connections.delete(pipe)
        this.emit('end', pipe)
      },
      aside: (socket) => {
        this.#sockets.add(socket)
        socket.on('close', () => this.#sockets.delete(socket))
      },
    }
  }
}

function readTarget(target: TargetLike): Target {
  if (typeof target === 'number') return { host: '127.0.0.1', port: target }
  if (typeof target !== 'string') return { host: target.host, port: target.port }
  const { protocol, hostname, port } = new URL(target)
  if (protocol !== 'http:') throw new TypeError(`The target must begin with http://, not ${protocol}//`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) }
}
