// A client and a server of ours with a network between them that does what it is told, and the records of both ends.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished } from 'vitest'
import { type Transport, WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { type Connection, type Direction, type HostileNetwork, hostileNetwork } from '../../testing/index.ts'

/** What one end has seen: its events and the messages, in order. */
export class Record {
  readonly events: string[] = []
  readonly messages: string[] = []
  #waiting: (() => void)[] = []

  event(text: string): void {
    this.events.push(text)
    this.#look()
  }

  message(text: string): void {
    this.messages.push(text)
    this.#look()
  }

  /** Waits until that is so; looked at after everything that happens here. */
  until(look: () => boolean): Promise<void> {
    if (look()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        if (look()) resolve()
      })
    })
  }

  untilEvent(text: string): Promise<void> {
    return this.until(() => this.events.includes(text))
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.events.some((event) => event.startsWith('close')))
  }

  untilMessages(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count)
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

/** A client's end. */
export class ClientEnd extends Record {
  readonly socket: WebSocket
  readonly transports: (Transport | null)[] = []

  constructor(url: string, options: WebSocketOptions, Client: typeof WebSocket) {
    super()
    const socket = new Client(url, options)
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.transports.push(socket.transport)
      this.event('open')
    }
    socket.ontransportchange = () => {
      this.transports.push(socket.transport)
      this.event(`transport ${socket.transport}`)
    }
    socket.onmessage = ({ data }) => this.message(String(data))
    socket.onerror = () => this.event('error')
    socket.onclose = ({ code, reason }) => this.event(`close ${code} ${reason}`.trim())
  }

  /** Without what tells of transports, which is no part of the standard. */
  get life(): string[] {
    return this.events.filter((event) => !event.startsWith('transport'))
  }
}

/** The server's end of one client. */
export class ServerEnd extends Record {
  readonly socket: Socket

  constructor(socket: Socket) {
    super()
    this.socket = socket
    socket.on('message', (data) => this.message(String(data)))
    socket.on('transportchange', (transport) => this.event(`transport ${transport}`))
    socket.on('close', (code, reason) => this.event(`close ${code} ${reason}`.trim()))
  }

  get life(): string[] {
    return this.events.filter((event) => !event.startsWith('transport'))
  }
}

/** The ports of all lines of this process. */
const ports = new Set<number>()

/** A network with a port that no line had before: the client remembers what it learnt of an address, and the system gives ports again. */
async function newNetwork(target: Parameters<typeof hostileNetwork>[0]): Promise<HostileNetwork> {
  const network = await hostileNetwork(target)
  if (!ports.has(network.port)) {
    ports.add(network.port)
    return network
  }
  const other = await newNetwork(target)
  await network.close()
  return other
}

export class Line {
  readonly network: HostileNetwork
  readonly servers: ServerEnd[] = []
  readonly #options: ServerOptions
  #realtime: WebSocketServer
  readonly #clients: ClientEnd[] = []
  readonly #arrivals = new Record()

  private constructor(realtime: WebSocketServer, network: HostileNetwork, options: ServerOptions) {
    this.#realtime = realtime
    this.network = network
    this.#options = options
    this.#watch()
  }

  /** Until the test is through. */
  static async lay(options: ServerOptions = {}): Promise<Line> {
    const realtime = await listening(options)
    const network = await newNetwork(targetOf(realtime))
    const line = new Line(realtime, network, options)
    onTestFinished(() => line.#takeDown())
    return line
  }

  get url(): string {
    return `ws://127.0.0.1:${this.network.port}/realtime`
  }

  /** `Client`: ours in Node, or one like it. */
  connect(options: WebSocketOptions = {}, Client: typeof WebSocket = WebSocket): ClientEnd {
    const client = new ClientEnd(this.url, options, Client)
    this.#clients.push(client)
    return client
  }

  /** A client that is open, and the server's end of it. */
  async open(
    options: WebSocketOptions = {},
    Client?: typeof WebSocket,
  ): Promise<{ client: ClientEnd; server: ServerEnd }> {
    const before = this.servers.length
    const client = this.connect(options, Client)
    await client.untilEvent('open')
    await this.arrived(before + 1)
    return { client, server: this.servers[before] as ServerEnd }
  }

  /** Waits until so many clients were shown to the application. */
  arrived(count: number): Promise<void> {
    return this.#arrivals.until(() => this.servers.length >= count)
  }

  /** As when the server's process is started anew: its sessions are gone. */
  async restart(): Promise<void> {
    const old = this.#realtime
    old.removeAllListeners('connection')
    this.network.set({ connections: 'refuse' })
    this.network.cut()
    this.#realtime = await listening(this.#options)
    this.#watch()
    this.network.target = targetOf(this.#realtime)
    this.network.set({ connections: 'pass' })
    await stopped(old)
  }

  /** The next bytes that go that way, of a connection that `which` picks: before they are passed on. */
  next(
    direction: Direction,
    run: (connection: Connection) => void,
    which: (connection: Connection, chunk: Buffer) => boolean = () => true,
  ): Promise<void> {
    return new Promise((resolve) => {
      const look = (connection: Connection, way: Direction, chunk: Buffer): void => {
        if (way !== direction || !which(connection, chunk)) return
        this.network.off('data', look)
        run(connection)
        resolve()
      }
      this.network.on('data', look)
    })
  }

  #watch(): void {
    this.#realtime.on('connection', (socket) => {
      this.servers.push(new ServerEnd(socket))
      this.#arrivals.event('connection')
    })
  }

  async #takeDown(): Promise<void> {
    await Promise.all(
      this.#clients.map((client) => {
        client.socket.close()
        this.network.clear()
        return client.untilClosed()
      }),
    )
    await this.network.close()
    await stopped(this.#realtime)
  }
}

async function listening(options: ServerOptions): Promise<WebSocketServer> {
  const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  await once(realtime, 'listening')
  return realtime
}

function targetOf(realtime: WebSocketServer): { host: string; port: number } {
  return { host: '127.0.0.1', port: (realtime.address() as AddressInfo).port }
}

async function stopped(realtime: WebSocketServer): Promise<void> {
  for (const socket of realtime.clients) socket.terminate()
  await new Promise<void>((resolve) => realtime.close(() => resolve()))
}

const burst = 10
const MiB = 1_048_576

/** Every so many messages one of 1 MiB, so that it is likely to be cut in two. */
const largeEvery = 125

/** Message number `i` of one end, and how it is told from all others. */
function text(end: 'client' | 'server', i: number): string {
  const name = `${end} ${i}`
  return i % largeEvery === largeEvery - 1 ? name.padEnd(MiB, ' ') : name
}

/**
 * Both ends send `count` numbered messages, in bursts, each when the other's burst before has arrived; then both must have
 * what the other sent, each once, in order.
 */
export async function converse(client: ClientEnd, server: ServerEnd, count: number): Promise<void> {
  const [fromServer, fromClient] = [client.messages.length, server.messages.length]
  const sent = { client: 0, server: 0 }
  const say = (end: 'client' | 'server', heard: number): void => {
    const socket = end === 'client' ? client.socket : server.socket
    const upTo = Math.min(count, heard + burst - (heard % burst))
    while (sent[end] < upTo) socket.send(text(end, sent[end]++))
  }
  const both = [
    client.until(() => {
      say('client', client.messages.length - fromServer)
      return client.messages.length - fromServer >= count || gone(client)
    }),
    server.until(() => {
      say('server', server.messages.length - fromClient)
      return server.messages.length - fromClient >= count || gone(server)
    }),
  ]
  await Promise.all(both)
  expect(short(client.messages.slice(fromServer))).toEqual(expected('server', count))
  expect(short(server.messages.slice(fromClient))).toEqual(expected('client', count))
}

function gone(end: Record): boolean {
  return end.events.some((event) => event.startsWith('close'))
}

/** For a difference that can be read. */
function short(messages: string[]): string[] {
  return messages.map((message) =>
    message.length > 100 ? `${message.trim()} and ${message.length} characters` : message,
  )
}

function expected(end: 'client' | 'server', count: number): string[] {
  return short(Array.from({ length: count }, (_, i) => text(end, i)))
}
