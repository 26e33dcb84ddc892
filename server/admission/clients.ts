/** The clients of a server: decides on them, shows them to the application and counts them until they have gone. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { RequestHead } from '../../shared/exchange.ts'
import type { Limits } from '../../shared/limits.ts'
import { type ClusterMember, misdirected } from '../base/cluster.ts'
import { closing, type Refusal, showAsUpgrade } from '../base/handshake.ts'
import { Memory, type Weighed } from '../base/memory.ts'
import { isPromise } from '../base/promise.ts'
import { type MountedRequest, plainUrl } from '../base/request.ts'
import { now, wakeAt } from '../base/wakeups.ts'
import type { Wire } from '../base/wire.ts'
import { Keeper } from '../durable/durable.ts'
import type { Moving } from '../durable/moving.ts'
import { unpack } from '../durable/parcel.ts'
import type { SendData } from '../messages/data.ts'
import { type PublishOptions, Topics } from '../messages/topics.ts'
import { PlainSocket } from '../sockets/plain-socket.ts'
import type { Reports } from '../sockets/reports.ts'
import { writeRoster } from '../sockets/roster.ts'
import { SessionSocket, type SessionSocketHost } from '../sockets/session-socket.ts'
import { notePromises, type Socket, shownFor, type UpgradeCallback } from '../sockets/socket.ts'
import { byTransport, type ServerStats } from '../sockets/statistics.ts'
import { passedBy } from './address.ts'
import { decide, gone } from './admission.ts'
import { limitsOf, type ResolvedOptions, type ServerOptions } from './options.ts'
import { Places, shortWait } from './places.ts'
import { idOf, proofIn, type Registry } from './registry.ts'
import { Resumes } from './resumes.ts'

/** A session that the application has not seen yet, with the arguments to show it. */
interface Unannounced {
  readonly request: MountedRequest
  readonly callback: UpgradeCallback
  /** A session of another server, as it was read, and the bytes as they came. */
  readonly moving?: Moving
  readonly parcel?: Uint8Array
}

/** A new session that is being decided on, and whether one of its clients is still there. */
interface Opening extends Unannounced {
  readonly head: RequestHead
  readonly overHttp: boolean
  isWanted(): boolean
}

/** What `Clients` needs from the server. */
export interface ClientsHost {
  readonly options: ResolvedOptions
  readonly registry: Registry
  readonly reports: Reports
  /** Whether the server takes new clients. */
  isRunning(): boolean
  /** Lets the application add headers to the answer that opens a session. */
  addHeaders(request: IncomingMessage, response: ServerResponse): void
  /** A client has gone. */
  gone(): void
  /** There is nothing left to answer for this session. */
  forgotten(socket: SessionSocket): void
  /** Whether this server may open the session: no other one of its cluster has it. */
  mayOpen(session: string): boolean
  /** Stores changes of sessions in the cluster. */
  store: ClusterMember['store']
}

const taken: Refusal = {
  status: 503,
  reason: 'Another server has the session',
  headers: { 'Retry-After': '1' },
}

const notStored: Refusal = {
  status: 503,
  reason: 'The session cannot be stored now',
  headers: { 'Retry-After': '1' },
}

export class Clients {
  /** The clients that the application sees; undefined with `clientTracking: false`. */
  readonly all: Set<Socket> | undefined
  readonly topics: Topics = new Topics()
  readonly resumes: Resumes
  readonly #host: ClientsHost
  readonly #socketHost: SessionSocketHost
  readonly #places: Places
  readonly #unannounced = new Map<SessionSocket, Unannounced>()
  /** The limits that all sessions share until the options are changed. */
  #limits: Limits | undefined
  readonly #plain = new Set<PlainSocket>()
  /** The open WebSockets of every kind, also those that stand by or have sent their close. */
  readonly #wires = new Set<Wire>()
  readonly #wireEnded = (wire: Wire): void => {
    this.#wires.delete(wire)
    this.#host.gone()
  }
  #isCut = false
  #open = 0
  #openSessions = 0

  readonly memory: Memory
  /** Stores the sessions in durable mode; undefined without it. */
  readonly keeper: Keeper | undefined

  constructor(host: ClientsHost) {
    this.#host = host
    const { options, registry } = host
    this.memory = new Memory(options, () => this.#weighed())
    this.#places = new Places(options)
    this.resumes = new Resumes(options, registry, (socket, request, callback) =>
      this.#accepted(socket, request, callback),
    )
    if (options.clientTracking) this.all = new Set()
    if (options.durable) {
      notePromises()
      this.keeper = new Keeper({
        store: (changes) => host.store(changes),
        proofOf: (socket) => registry.proofOf(socket as SessionSocket),
        placesOf: (socket) => {
          const shown = shownFor(socket as SessionSocket)
          return this.topics.placesOf(shown, shown.topics)
        },
      })
    }
    this.#socketHost = {
      options: () => options,
      memory: this.memory,
      reports: host.reports,
      ended: (socket) => this.#gone(socket),
      timeLeft: (socket) =>
        options.openTimeout === undefined ? this.#places.timeLeft(socket, options.patience) : 0,
      seen: (socket) => this.#places.seen(socket),
      handedOver: (socket) => {
        registry.handedOver(socket)
        this.#unannounced.delete(socket)
      },
      keeper: this.keeper,
      forgotten: (socket) => {
        if (registry.delete(socket)) host.forgotten(socket)
        this.#places.give(socket)
        this.#unannounced.delete(socket)
        host.gone()
      },
    }
  }

  *#weighed(): Iterable<Weighed> {
    for (const { sessionAccount } of this.#host.registry.sockets) yield sessionAccount
    yield* this.#plain
  }

  /** How many subscribers the topic has; without a topic, how many clients the application has been shown that are not gone. */
  count(topic: string | undefined): number {
    return topic === undefined ? this.#open : this.topics.of(topic).size
  }

  /** The same clients, written down; at most `limit` of them. */
  roster(topic: string | undefined, limit: number): Uint8Array {
    const sockets = topic === undefined ? this.#seen() : (this.topics.of(topic) as ReadonlySet<Socket>)
    return writeRoster(sockets, limit)
  }

  /** Whether the server has any tracked clients. */
  get any(): boolean {
    return this.all !== undefined && this.#open > 0
  }

  /** Whether the server has any tracked clients with a session, which may return over another connection. */
  get anySessions(): boolean {
    return this.all !== undefined && this.#openSessions > 0
  }

  // ---- all of them ----

  /** The sockets of all clients, also of those that the application has not seen yet. */
  *everyone(): Iterable<PlainSocket | SessionSocket> {
    yield* this.#host.registry.sockets
    yield* this.#plain
  }

  /** Sends a message to all clients that the application has seen. Returns their number. */
  broadcast(data: SendData, options: PublishOptions | undefined): number {
    return this.topics.sendTo(undefined, this.#seen(), data, options)
  }

  /** The cluster brings a message of a topic; without a topic, one for all clients. */
  deliver(
    topic: string | undefined,
    data: Buffer,
    binary: boolean,
    except: readonly string[],
    sender: object | undefined,
  ): void {
    const sockets = topic === undefined ? this.#seen() : this.topics.of(topic)
    this.topics.deliver(topic, sockets, data, binary, except, sender)
  }

  /** The sockets that the application has seen, in a list of its own, because a listener may end some of them. */
  #seen(): readonly Socket[] {
    const seen: Socket[] = []
    this.#host.registry.each((socket) => {
      if (socket.isAnnounced) seen.push(shownFor(socket))
    })
    for (const socket of this.#plain) seen.push(shownFor(socket))
    return seen
  }

  /** What happened since the server was made, and what is there now. Looks at each session once. */
  stats(): ServerStats {
    const sessions = { open: 0, resuming: 0, closing: 0, ended: 0, carriers: byTransport() }
    const waiting = { messages: 0, bytes: 0 }
    this.#host.registry.each(({ session, carrier }) => {
      waiting.messages += session.waitingMessages
      waiting.bytes += session.waitingBytes
      if (session.over) sessions.ended++
      else {
        if (session.closing) sessions.closing++
        else if (carrier) sessions.open++
        else if (session.epoch > 0) sessions.resuming++
        if (carrier) sessions.carriers[carrier.transport]++
      }
    })
    return this.#host.reports.statistics.tell({
      sessions,
      plain: { open: this.#plain.size },
      waiting,
      memory: { used: this.memory.used, limit: this.#host.options.maxMemory },
      topics: this.topics.size,
    })
  }

  /** Whether a session still answers, or a WebSocket is open. */
  get anyLeft(): boolean {
    return this.#host.registry.size > 0 || this.#wires.size > 0
  }

  /** A WebSocket of any kind is open. After `cut` it ends at once. */
  opened(wire: Wire): void {
    if (this.#isCut) {
      wire.terminate()
      return
    }
    this.#wires.add(wire)
    wire.ended = this.#wireEnded
  }

  /** Ends all clients that are still there, and tells them why where that is possible. */
  giveUp(code: number, reason: string): void {
    for (const socket of this.everyone()) {
      if (socket instanceof SessionSocket) socket.sessionAccount.giveUp(code, reason)
      else socket.close(code, reason)
    }
  }

  /** Cuts the connections that are still open, and those that open later. */
  cut(): void {
    this.#isCut = true
    for (const wire of [...this.#wires]) wire.terminate()
  }

  /** The refusal if no place is left. To be called before a decision and after it, because many decisions may run at a time. */
  full(request: IncomingMessage, overHttp: boolean): Refusal | undefined {
    if (!this.#host.isRunning()) return closing
    return this.#places.refuse(request, overHttp)
  }

  /** Decides on a new client. Returns its subprotocol, or the refusal; a promise only if the application is asked. */
  decide(
    request: IncomingMessage,
    offered: Set<string>,
    response?: ServerResponse,
  ): Refusal | string | Promise<Refusal | string> {
    const letIn = (): void => {
      if (response) this.#host.addHeaders(request, response)
    }
    const refusal = this.full(request, response !== undefined)
    return refusal ?? decide(this.#host.options, request, offered, letIn)
  }

  /** Decides on a new session once, and creates it if a client still wants it. A promise only if the application or the store is asked. */
  admit(
    head: RequestHead,
    offered: Set<string>,
    request: MountedRequest,
    callback: UpgradeCallback,
    isWanted: () => boolean,
    response?: ServerResponse,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    // A request from another server opens no session here. It may join one that a client's own request opens here.
    if (passedBy(request)) return misdirected
    if (response) {
      request.url = plainUrl(request)
      showAsUpgrade(request, offered)
    }
    const opening = { head, request, callback, isWanted, overHttp: response !== undefined }
    const decided = this.decide(request, offered, response)
    return isPromise(decided) || this.keeper
      ? this.#openLater(opening, decided)
      : this.#create(opening, decided)
  }

  async #openLater(
    opening: Opening,
    decision: Promise<Refusal | string> | Refusal | string,
  ): Promise<Refusal | undefined> {
    const decided = await decision
    const { keeper } = this
    if (!keeper || typeof decided !== 'string') return this.#create(opening, decided)
    const refusal = this.#unwanted(opening)
    if (refusal) return refusal
    const { head } = opening
    const isStored = await keeper.begin(idOf(head), proofIn(head), decided).catch(() => false)
    return isStored ? this.#create(opening, decided) : notStored
  }

  /** Creates a session about which is decided, if a client still wants it and there is still a place. */
  #create(opening: Opening, decided: Refusal | string): Refusal | undefined {
    const protocol = this.#unwanted(opening) ?? decided
    if (typeof protocol !== 'string') return protocol
    const { head, request, callback, overHttp } = opening
    const { options } = this.#host
    // During the decision the other servers may have taken this one for dead, and another one may have the session.
    if (!this.#host.mayOpen(idOf(head))) return taken
    const socket = this.#keep(head, protocol, { request, callback })
    if (overHttp) {
      this.#places.awaitAgain(socket)
      socket.sessionAccount.expectAgain(
        now() + (options.openTimeout ?? Math.min(shortWait, options.patience)),
      )
    }
    return undefined
  }

  #unwanted({ request, isWanted, overHttp }: Opening): Refusal | undefined {
    return isWanted() ? this.full(request, overHttp) : gone
  }

  /** Goes on with a session that another server has handed over. Returns false if it cannot be understood. */
  restore(
    head: RequestHead,
    state: Uint8Array,
    request: MountedRequest,
    callback: UpgradeCallback,
    overHttp: boolean,
  ): boolean {
    const moving = unpack(state)
    if (moving?.proof !== proofIn(head)) return false
    if (overHttp) {
      request.url = plainUrl(request)
      showAsUpgrade(request, new Set([moving.protocol]))
    }
    this.resumes.restored(this.#keep(head, moving.protocol, { request, callback, moving, parcel: state }))
    return true
  }

  /** The bytes of a session that another server handed over and that the application here has not seen yet: they are handed on unchanged. */
  parcelOf(socket: SessionSocket): Uint8Array | undefined {
    return this.#unannounced.get(socket)?.parcel
  }

  /** A session of another server is shown with the request that was let in: it has the properties that `verifyClient` has set. */
  #accepted(socket: SessionSocket, request: MountedRequest, callback: UpgradeCallback | undefined): void {
    const unannounced = this.#unannounced.get(socket)
    if (!unannounced?.moving) return
    this.#unannounced.set(socket, { ...unannounced, request, callback: callback ?? unannounced.callback })
  }

  /** Keeps a session that the application is still to be shown. */
  #keep(head: RequestHead, protocol: string, unannounced: Unannounced): SessionSocket {
    const { options, registry } = this.#host
    this.#limits = limitsOf(options, this.#limits)
    const socket = new SessionSocket(
      idOf(head),
      protocol,
      this.#limits,
      this.topics,
      this.#socketHost,
      unannounced.moving?.snapshot,
    )
    registry.add(head, socket)
    this.#places.take(socket, unannounced.request)
    // The application has been told already of a session that is over.
    if (!socket.session.over) this.#unannounced.set(socket, unannounced)
    wakeAt(socket, socket.session.nextTimeout())
    return socket
  }

  /** Shows a session to the application, if that has not happened yet. */
  announce(socket: SessionSocket): void {
    const unannounced = this.#unannounced.get(socket)
    if (unannounced === undefined) return
    this.#unannounced.delete(socket)
    socket.announce()
    this.#show(socket, unannounced.request, unannounced.callback, unannounced.moving)
  }

  /** Takes an ordinary client whose handshake is complete. */
  welcome(
    webSocket: Wire,
    connection: Duplex,
    protocol: string,
    request: IncomingMessage,
    callback: UpgradeCallback,
  ): void {
    const socket = new PlainSocket(webSocket, connection, protocol, this.topics, this.#socketHost)
    this.#plain.add(socket)
    this.#places.take(socket, request)
    this.#show(socket, request, callback)
    socket.flush()
  }

  #show(
    socket: PlainSocket | SessionSocket,
    request: IncomingMessage,
    callback: UpgradeCallback,
    moving?: Moving,
  ): void {
    const { WebSocket } = this.#host.options as ServerOptions
    // Counted before the application's class runs: if the class throws, the end is counted, too.
    this.#open++
    if (socket instanceof SessionSocket) this.#openSessions++
    if (this.#open === 1) this.topics.hasClients(true)
    try {
      if (WebSocket) new WebSocket(socket as never)
    } catch (error) {
      socket.terminate()
      throw error
    } finally {
      // The opening is reported before the end, which `terminate` only begins.
      if (socket instanceof SessionSocket) socket.reportOpening(request)
      else this.#host.reports.opened(socket, request, true)
    }
    const shown = shownFor(socket)
    this.all?.add(shown)
    this.topics.addClient(shown)
    if (moving && !moving.isNew) shown.recover(moving)
    callback(shown, request)
  }

  #gone(socket: Socket): void {
    this.#open--
    if (socket instanceof SessionSocket) {
      this.#openSessions--
      this.#places.over(socket)
    } else if (socket instanceof PlainSocket) {
      this.#plain.delete(socket)
      this.#places.give(socket)
    }
    this.all?.delete(shownFor(socket))
    this.topics.deleteClient(shownFor(socket))
    if (this.#open === 0) this.topics.hasClients(false)
    this.#host.gone()
  }
}
