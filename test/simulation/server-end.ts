/** The server that ships, without sockets: handshakes and requests come from the simulation's network. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ServerOptions } from '../../server/index.ts'
import type { Carrier } from '../../server/sockets/carrier.ts'
import type { PortableSession, Snapshot } from '../../shared/snapshot.ts'
import { Application, type Looked } from './application.ts'
import type { Connection } from './connection.ts'
import { Emitter } from './emitter.ts'
import type { Response } from './exchange.ts'
import type { Everwire } from './load.ts'
import type { Listener } from './network.ts'
import { watchPhases } from './phases.ts'
import { clockOffset } from './world.ts'

type Server = InstanceType<Everwire['server']['WebSocketServer']>

/** The socket of a session, as far as tests look into it. */
interface SessionSocket {
  session: PortableSession
  readonly carrier: Carrier | undefined
  readonly readyState: number
  readonly bufferedAmount: number
  readonly isPaused: boolean
  readonly diary: readonly object[]
  send(data: string | Uint8Array): void
  ping(data: string): void
  close(code?: number, reason?: string): void
  terminate(): void
  pause(): void
  resume(): void
  dismiss(): void
}

/** What a server takes for Node's request, its body read by somebody before. */
export class Request {
  readonly socket: object
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly rawHeaders: readonly string[] = []
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  rawBody: Uint8Array | undefined

  constructor(socket: object, method: string, url: string, headers: Readonly<Record<string, string>>) {
    this.socket = socket
    this.method = method
    this.url = url
    this.headers = headers
  }

  on(): void {}
  once(): void {}
  off(): void {}
}

/** The connection of one HTTP request. */
export class Socket extends Emitter {
  readonly destroyed = false
  readonly writableLength = 0
  readonly remoteAddress = '203.0.113.7'
}

interface Memory {
  readonly snapshot: Snapshot
  readonly received: number
  readonly sent: number
}

export class ServerEnd extends Application implements Listener {
  readonly realtime: Server
  readonly #everwire: Everwire
  readonly #limits: { readonly maxPayload: number; readonly patience: number }
  /** The one socket the server ever shows: there is one client. */
  socket: SessionSocket | undefined
  pinged = 0
  ponged = 0
  /** It has lost all memory of its sessions. */
  forgetful = false

  constructor(
    everwire: Everwire,
    options: ServerOptions & { maxBuffered: number; maxPayload: number; patience: number },
  ) {
    super('server', everwire.world, options.maxBuffered)
    this.#everwire = everwire
    this.#limits = options
    this.realtime = this.#make(options)
    this.realtime.on('connection', (socket) => this.#serve(socket as unknown as SessionSocket & Emitter))
  }

  #make(options: ServerOptions): Server {
    const { WebSocketServer } = this.#everwire.server
    return new WebSocketServer({
      noServer: true,
      origins: 'same',
      serveClient: false,
      // What waits on a slow line is counted here as if messages were larger than they are.
      maxMemory: 1e15,
      ...options,
    })
  }

  override get session(): Looked | undefined {
    return this.socket?.session
  }

  override get isOpen(): boolean {
    return this.socket?.readyState === 1
  }

  protected override transmit(message: string | Uint8Array): void {
    // Node's own kind of bytes keeps its text.
    if (typeof message === 'string' && this.world.random.chance(0.5)) this.socket?.send(message)
    else if (typeof message === 'string') (this.socket as SessionSocket).send(message)
    else this.socket?.send(message)
  }

  protected override beginClose(code: number, reason: string): void {
    if (code === 1005) this.socket?.close()
    else this.socket?.close(code, reason)
  }

  ping(): void {
    if (!this.isOpen || this.session?.over) return
    this.pinged++
    this.socket?.ping('there?')
  }

  #serve(socket: SessionSocket & Emitter): void {
    this.wasOpened()
    this.socket = socket
    watchPhases(this.world, 'session', socket.session)
    socket.on('message', (data, binary) => this.took(data as Buffer, binary as boolean))
    socket.on('close', (code, reason) => {
      // `ws` does not tell whether it was said: all but a loss is, where neither end gave up.
      const gaveUp = this.abrupt || this.peer.abrupt || this.peer.opened === 0
      this.wasClosed(code as number, String(reason), code !== 1006 && !gaveUp)
    })
    socket.on('error', () => {})
    socket.on('pong', () => {
      this.ponged++
      this.world.count('server: pong')
    })
  }

  terminate(): void {
    this.abrupt = true
    this.socket?.terminate()
  }

  /** What it knows of the session, and what its application does. */
  remember(): Memory {
    const snapshot = structuredClone((this.socket as SessionSocket).session.snapshot())
    return { snapshot, received: this.received, sent: this.sent.length }
  }

  /** What it knows of the session is taken up again, from now or from before: its carriers are gone. */
  restore(memory?: Memory): void {
    const { socket, world } = this
    if (!socket || socket.session.done) return
    const { carrier, session } = socket
    if (carrier) {
      carrier.end('dead')
      ;(socket as unknown as { lost(...args: unknown[]): void }).lost(carrier, 'server', 'restarted')
    }
    const { snapshot, received, sent } = memory ?? this.remember()
    this.received = received
    this.newest = snapshot.epoch
    if (memory) this.forgotten = this.sent.splice(sent)
    this.sizes.length = sent + 1
    if (snapshot.partial.length > 0) world.count('snapshot: with a partial message')
    if (snapshot.undelivered.length > 0) world.count('snapshot: with undelivered events')
    if (snapshot.out.length > 0) world.count('snapshot: with unacknowledged messages')
    if (snapshot.ownClose > 0) world.count('snapshot: while closing')
    world.count('snapshot: server')
    session.discard()
    const { PortableSession } = this.#everwire.server
    socket.session = PortableSession.restore(snapshot, session.limits, world.now + clockOffset)
    watchPhases(world, 'session', socket.session)
  }

  /** Another process is in its place, which knows of nothing. */
  forget(): void {
    this.forgetful = true
  }

  // ---- what the network brings ----

  upgrade(connection: Connection, protocols: readonly string[]): void {
    const { line } = connection
    const request = new Request(line, 'GET', '/', {
      host: 'server.example',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': protocols.join(', '),
    })
    this.#server.handleUpgrade(
      request as unknown as IncomingMessage,
      line as unknown as Duplex,
      Buffer.alloc(0),
      (socket) => this.#server.emit('connection', socket, request as unknown as IncomingMessage),
    )
  }

  request(
    url: string,
    body: Uint8Array | undefined,
    responseTo: (request: { readonly socket: object }) => Response,
  ): void {
    const request = new Request(new Socket(), body ? 'POST' : 'GET', url.slice(url.indexOf('/?')), {
      host: 'server.example',
    })
    if (body) request.rawBody = body
    const response = responseTo(request)
    this.#server.handleRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  }

  #other: Server | undefined

  get #server(): Server {
    if (!this.forgetful) return this.realtime
    // Whoever late requests open sessions for there is none of this application's.
    this.#other ??= this.#make(this.#limits)
    return this.#other
  }
}
