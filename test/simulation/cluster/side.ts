/** The two ends of a session in a cluster: the application behind it, whichever server has it, and its client. */
import type { WebSocketOptions } from '../../../client/base/types.ts'
import type { PortableSession } from '../../../shared/snapshot.ts'
import { Application, type Looked } from '../application.ts'
import { ClientEnd } from '../client-end.ts'
import type { Emitter } from '../emitter.ts'
import type { Everwire } from '../load.ts'
import type { Network } from '../network.ts'
import type { Clustered } from './load.ts'

/** '' stands for all clients. */
export type Topic = string
export const topics = ['news', 'sport'] as const

/** The server that has a session. */
export interface Serving {
  readonly name: string
  /** Its name in the cluster. */
  readonly member: string
  readonly isAlive: boolean
  readonly drainedAt: number
  readonly process: { readonly isPaused: boolean }
}

/** The socket of a session, as far as it is looked into. */
export interface SessionSocket extends Pick<Emitter, 'on'> {
  readonly id: string
  readonly session: PortableSession
  readonly readyState: number
  readonly bufferedAmount: number
  readonly recovered: boolean
  readonly topics: ReadonlySet<string>
  data: unknown
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  subscribe(topic: string): void
}

const handedOver = 'handed over'
const longestWait = 2_000
const fenced = 'another server has the session'

/** What the application does in one session. It moves along when the session is handed over. */
export class Side extends Application {
  readonly visitor: Visitor
  node: Serving
  socket: SessionSocket | undefined
  readonly id: string
  /** Each topic, and since when the store knew that the server listens to it; undefined: not yet. */
  readonly topics = new Map<Topic, number | undefined>()
  /** It was handed over, and no server has it yet. */
  isMoving = false
  /** … while the store lost something. */
  metLoss = false
  /** It was handed over, and another server went on with it. */
  hasMoved = false

  constructor(visitor: Visitor, node: Serving, socket: SessionSocket) {
    super('server', visitor.world, visitor.maxBuffered)
    this.visitor = visitor
    this.peer = visitor
    this.node = node
    this.id = socket.id
    this.most = visitor.most
    this.wasOpened()
    this.serve(node, socket)
  }

  serve(node: Serving, socket: SessionSocket): void {
    this.hasMoved ||= this.isMoving
    this.node = node
    this.socket = socket
    this.isMoving = false
    socket.on('message', (data, binary) => {
      if (this.#isHeard(socket)) this.took(data as Buffer, binary as boolean)
    })
    socket.on('close', (code, reason) => {
      if (this.#isHeard(socket)) this.#ended(code as number, `${reason}`)
    })
    socket.on('error', () => {})
  }

  /** Whether a socket is the one that has the session: the application of a dead process tells nothing. */
  #isHeard(socket: SessionSocket): boolean {
    if (this.socket === socket && this.node.isAlive) return true
    if (this.node.isAlive && !this.visitor.mayEnd)
      this.world.fail(`the session of client ${this.visitor.seat} is served at two servers`)
    return false
  }

  #ended(code: number, reason: string): void {
    if (reason === handedOver) {
      this.world.count('session: handed over')
      this.world.log(`client ${this.visitor.seat}: handed over by ${this.node.name}`)
      // A known limit: for what was published here, and did not come back, the draining waits no longer.
      if (this.world.now - this.node.drainedAt >= longestWait) this.visitor.isUnsettled = true
      this.isMoving = true
      this.socket = undefined
      return
    }
    if (reason === fenced) {
      this.world.count('session: fenced')
      if (!this.visitor.mayEnd) this.world.fail(`client ${this.visitor.seat}: fenced without a reason`)
    }
    this.socket = undefined
    const { peer } = this
    const gaveUp = this.abrupt || peer.abrupt || peer.opened === 0 || this.visitor.sides.length > 1
    this.wasClosed(code, reason, code !== 1006 && !gaveUp)
  }

  override wasClosed(code: number, reason: string, clean: boolean): void {
    super.wasClosed(code, reason, clean && !this.failed)
  }

  override get session(): Looked | undefined {
    return this.socket?.session
  }

  override get isOpen(): boolean {
    return this.node.isAlive && !this.node.process.isPaused && this.socket?.readyState === 1
  }

  /** Whether some application is being served this session: its process may not know better. */
  get isServed(): boolean {
    return this.node.isAlive && this.socket?.readyState === 1
  }

  override get queued(): number {
    return this.socket?.bufferedAmount ?? 0
  }

  protected override transmit(message: string | Uint8Array): void {
    this.socket?.send(message)
  }

  protected override beginClose(code: number, reason: string): void {
    if (code === 1005) this.socket?.close()
    else this.socket?.close(code, reason)
  }

  override get isQuiet(): boolean {
    return (
      !!this.socket && this.queued === 0 && (this.received === this.visitor.sent.length || !!this.closedWith)
    )
  }
}

/** What a client may come to, after all that was done to its servers. */
export type Fate = 'goes on' | 'may end' | 'must end'

export class Visitor extends ClientEnd {
  readonly seat: number
  /** Of each server application that took it for new. More than one: an owner was taken for dead. */
  readonly sides: Side[] = []
  fate: Fate = 'goes on'
  /** Since when it must end. */
  since = 0
  /** What it was told of topics, in its order. */
  readonly heard: { readonly topic: Topic; readonly id: number; readonly at: number }[] = []
  readonly gaps: { readonly topic: Topic; readonly at: number }[] = []
  #isSure = false
  /** It got messages of two applications: an owner was taken for dead while it opened the session. */
  isMixed = false
  /** It was handed over before it was known what it has of its topics. */
  isUnsettled = false

  constructor(clustered: Clustered, network: Network, options: WebSocketOptions, seat: number) {
    const code = { client: clustered.clients[seat] as Everwire['client'], world: clustered.world }
    super(code, network, options, `ws://server.example/?client=${seat}`)
    this.seat = seat
  }

  get mayEnd(): boolean {
    return this.fate !== 'goes on'
  }

  /** The side that it talks to, as far as that is known. */
  get side(): Side | undefined {
    return this.#isSure ? (this.peer as Side) : this.sides.at(-1)
  }

  excuse(): void {
    if (this.fate === 'goes on') this.fate = 'may end'
  }

  add(side: Side): void {
    this.sides.push(side)
    if (!this.#isSure) this.peer = side
  }

  override took(data: string | Uint8Array, binary: boolean): void {
    if (typeof data === 'string' && data.startsWith('#')) {
      this.#hear(data)
      return
    }
    if (this.sides.length === 0) this.world.fail(`client ${this.seat}: a message of no application`)
    if (!this.#isSure) {
      // From here on all must be of the same application: those of two must not be mixed.
      const text = typeof data === 'string' ? data : undefined
      const first = this.sides.find(({ sent: [one] }) =>
        text === undefined ? one && !Buffer.compare(one.bytes, data as Uint8Array) : one?.text === text,
      )
      if (first) this.peer = first
      this.#isSure = true
    }
    if (this.sides.length > 1 && !this.#isNext(data)) {
      // A known limit: the session of the one that was taken for dead is not told from that of the other.
      this.world.count('session: two applications, mixed at the client')
      this.isMixed = true
    }
    if (!this.isMixed) super.took(data, binary)
  }

  override wasClosed(code: number, reason: string, clean: boolean): void {
    super.wasClosed(code, reason, clean && this.sides.length === 1 && !this.failed)
  }

  #isNext(data: string | Uint8Array): boolean {
    const next = this.peer.sent[this.received]
    return typeof data === 'string'
      ? next?.text === data
      : !!next && next.text === undefined && !Buffer.compare(next.bytes, data)
  }

  #hear(text: string): void {
    const [, what, topic = '', id = ''] = /^#(gap )?([^:]*):(\d+)$/.exec(text) ?? []
    const { now } = this.world
    this.world.log(`client ${this.seat}: got ${text}`)
    if (what) this.gaps.push({ topic, at: Number(id) })
    else this.heard.push({ topic, id: Number(id), at: now })
  }
}
