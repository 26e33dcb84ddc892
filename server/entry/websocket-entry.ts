/** Takes WebSocket handshakes: checks, decides and completes them for an ordinary client, a session or a probe. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { CloseCode } from '../../shared/codes.ts'
import { Ask, type RequestHead, subprotocol } from '../../shared/exchange.ts'
import type { Welcome } from '../../shared/frame.ts'
import { passedBy } from '../admission/address.ts'
import type { Clients } from '../admission/clients.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import { refuseEntry } from '../admission/origins.ts'
import { type Found, idOf, proofIn, type Registry } from '../admission/registry.ts'
import type { ClusterMember } from '../base/cluster.ts'
import {
  checkHandshake,
  type Handshake,
  internalError,
  type Refusal,
  readHandshake,
  refuseUpgrade,
} from '../base/handshake.ts'
import { isPromise } from '../base/promise.ts'
import { rethrow } from '../base/turn.ts'
import { WebSocketCarrier } from '../carriers/websocket-carrier.ts'
import { understood } from '../mount/mount.ts'
import { isBehindAnother } from '../mount/takeover.ts'
import type { Reports } from '../sockets/reports.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import type { UpgradeCallback } from '../sockets/socket.ts'
import { Completer } from './completer.ts'
import type { Diagnostics } from './diagnostics.ts'
import { type Answerer, whoAnswers } from './elsewhere.ts'

/** What handshakes need from the server. */
export interface WebSocketEntryHost {
  readonly options: ResolvedOptions
  readonly registry: Registry
  readonly diagnostics: Diagnostics
  readonly clients: Clients
  readonly reports: Reports
  /** The other servers, if there are any. */
  readonly cluster: ClusterMember | undefined
  shouldHandle(request: IncomingMessage): boolean
  welcome(socket: SessionSocket): Omit<Welcome, 'got' | 'start'>
  /** Lets the application add headers to an answer. Returns whether it listens for that. */
  headers(headers: string[], request: IncomingMessage): boolean
  /** Tells the application of a wrong handshake. Returns whether it handles the connection. */
  refused(error: Error, socket: Duplex, request: IncomingMessage): boolean
}

/** A handshake that has the head of a session. */
type OfSession = Handshake & { readonly head: RequestHead }

export class WebSocketEntry {
  readonly #host: WebSocketEntryHost
  readonly #completer: Completer
  /** Connections that wait for a decision. */
  readonly #undecided = new Set<Duplex>()
  /** Connections whose handshake is under way. */
  static readonly #underWay = new WeakSet<Duplex>()

  constructor(host: WebSocketEntryHost) {
    this.#host = host
    this.#completer = new Completer(host.options, {
      headers: (headers, request) => host.headers(headers, request),
      opened: (webSocket) => host.clients.opened(webSocket),
      wrong: (request, socket, reason) => this.#refuseWrong(request, socket, { status: 400, reason }),
      refuse: (request, socket, refusal) => this.#refuse(request, socket, refusal),
    })
  }

  /** Throws if another server has the connection already. */
  static begin(socket: Duplex): void {
    if (WebSocketEntry.#underWay.has(socket)) {
      throw new Error(
        'server.handleUpgrade() was called more than once with the same socket, possibly due to a misconfiguration',
      )
    }
    WebSocketEntry.#underWay.add(socket)
  }

  async handle(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
  ): Promise<void> {
    // Until `ws` has the connection, nobody else listens for its errors.
    socket.on('error', ignore)
    if (isBehindAnother(request, socket)) {
      // Two answers would be written to the connection.
      socket.destroy()
      return
    }
    this.#undecided.add(socket)
    try {
      await this.#decide(request, socket, head, callback)
    } catch (error) {
      rethrow(error)
      // The connection was not given to `ws`, and no listener of the application has answered.
      if (WebSocketEntry.#underWay.has(socket) && !socket.writableEnded)
        this.#refuse(request, socket, internalError)
    } finally {
      this.#undecided.delete(socket)
    }
  }

  /** Ends the connections about which nothing is decided yet. */
  cut(): void {
    for (const socket of this.#undecided) socket.destroy()
  }

  async #decide(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
  ): Promise<void> {
    const passed = passedBy(request)
    if (!passed && !this.#host.shouldHandle(request)) {
      const reason = 'The everwire server does not serve this path'
      this.#refuse(request, socket, { status: 400, reason })
      return
    }
    const handshake = checkHandshake(request) ?? readHandshake(request)
    if ('reason' in handshake) {
      this.#refuseWrong(request, socket, handshake)
      return
    }
    const asked = passed ? undefined : refuseEntry(request, this.#host.options)
    const refusal = isPromise(asked) ? await asked : asked
    if (refusal) {
      this.#refuse(request, socket, refusal)
      return
    }
    // The callback runs only after the call that brought the handshake has returned.
    await undefined
    if (handshake.head) await this.#session(request, socket, head, callback, handshake as OfSession)
    else await this.#plain(request, socket, head, callback, handshake)
  }

  async #plain(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
    { offered }: Handshake,
  ): Promise<void> {
    const { clients } = this.#host
    const asked = clients.decide(request, offered)
    const decided = isPromise(asked) ? await asked : asked
    const protocol = clients.full(request, false) ?? decided
    if (typeof protocol !== 'string') {
      this.#refuse(request, socket, protocol)
      return
    }
    understood(request)
    this.#complete('plain', request, socket, head, protocol, (webSocket) => {
      clients.welcome(webSocket, socket, protocol, request, callback)
    })
  }

  async #session(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: UpgradeCallback,
    handshake: OfSession,
  ): Promise<void> {
    const { clients, diagnostics, registry, reports } = this.#host
    const { offered, head: session } = handshake
    if (diagnostics.takes(session)) {
      const probe = diagnostics.webSocket(session, request)
      if ('reason' in probe) this.#refuse(request, socket, probe)
      else this.#complete('probe', request, socket, head, subprotocol, probe)
      return
    }
    let found = await this.#client(request, socket, head, callback, handshake)
    // Another server may have taken the session a moment ago.
    while (typeof found !== 'string' && found.isHandedOver)
      found = await this.#client(request, socket, head, callback, handshake)
    const client = found
    if (client === 'answered') return
    if (client !== 'unknown') understood(request)
    // A client would refuse a subprotocol that it did not offer. The welcome names it instead and ends only the session.
    const offers = client !== 'unknown' && offered.has(client.protocol)
    const protocol = offers ? client.protocol : subprotocol
    this.#complete('carrier', request, socket, head, protocol, (webSocket) => {
      if (client === 'unknown') {
        const end = registry.endOf(session)
        if (!end) reports.unknown(request)
        const { code, reason } = end ?? { code: CloseCode.lost, reason: 'unknown session' }
        WebSocketCarrier.refuse(webSocket, socket, code, reason)
        return
      }
      const carrier = new WebSocketCarrier(client, webSocket, socket, session)
      const standby = (session.ask & Ask.standby) !== 0
      if (!carrier.begin(this.#host.welcome(client), session.has, standby)) return
      clients.announce(client)
      client.settle()
      client.flush()
    })
  }

  /** The session's client, or 'answered' if the connection has had its answer. */
  async #client(
    request: IncomingMessage,
    socket: Duplex,
    first: Buffer,
    callback: UpgradeCallback,
    handshake: OfSession,
  ): Promise<Found | 'answered'> {
    const { registry } = this.#host
    const { head: session } = handshake
    const sought = registry.find(session)
    const found = isPromise(sought) ? await sought : sought
    if (found !== 'unknown') {
      found.sessionAccount.seen()
      return this.#resume(found, session, request, socket, callback)
    }
    const over = this.#host.cluster?.seek(idOf(session))
    try {
      return await this.#unknown(request, socket, first, callback, handshake)
    } finally {
      over?.(registry.hadBefore(session))
    }
  }

  /** The session is not here. */
  async #unknown(
    request: IncomingMessage,
    socket: Duplex,
    first: Buffer,
    callback: UpgradeCallback,
    handshake: OfSession,
  ): Promise<Found | 'answered'> {
    const { clients, registry } = this.#host
    const { offered, head: session } = handshake
    const opens = (session.ask & Ask.open) !== 0
    const asked = this.#whoAnswers(request, socket, first, callback, handshake)
    const answerer = isPromise(asked) ? await asked : asked
    if (answerer === 'answered' || answerer === 'nobody') return answerer === 'nobody' ? 'unknown' : answerer
    let refusal = answerer === 'here' ? undefined : answerer
    const here = refusal || !this.#host.cluster ? 'unknown' : await registry.find(session)
    if (opens && !refusal && here === 'unknown') {
      const isThere = (): boolean => socket.readable && socket.writable
      const admitted = registry.open(session, isThere, (isWanted) =>
        clients.admit(session, offered, request, callback, isWanted),
      )
      refusal = isPromise(admitted) ? await admitted : admitted
    }
    if (refusal) {
      this.#refuse(request, socket, refusal)
      return 'answered'
    }
    const opened = registry.find(session)
    const client = isPromise(opened) ? await opened : opened
    if (client === 'unknown') return client
    if (opens) clients.resumes.admitted(client, session)
    return this.#resume(client, session, request, socket, callback)
  }

  /** Lets the application decide about another connection of a session, perhaps of one that another server had until now. */
  #resume(
    found: SessionSocket,
    head: RequestHead,
    request: IncomingMessage,
    socket: Duplex,
    callback: UpgradeCallback,
  ): Found | Promise<Found | 'answered'> {
    if (this.#host.clients.resumes.hasDecided(found, head)) return found
    return this.#resumeLater(found, head, request, socket, callback)
  }

  async #resumeLater(
    found: SessionSocket,
    head: RequestHead,
    request: IncomingMessage,
    socket: Duplex,
    callback: UpgradeCallback,
  ): Promise<Found | 'answered'> {
    const { clients, registry } = this.#host
    const refusal = await clients.resumes.decide(found, head, request, callback)
    if (!refusal) return found.isHandedOver ? found : registry.find(head)
    this.#refuse(request, socket, refusal)
    return 'answered'
  }

  /** Who answers for a session that is not known here. */
  #whoAnswers(
    request: IncomingMessage,
    socket: Duplex,
    first: Buffer,
    callback: UpgradeCallback,
    { head, protocols }: OfSession,
  ): Answerer | Promise<Answerer> {
    const { cluster, clients, registry } = this.#host
    if (!cluster || registry.hadBefore(head)) return 'here'
    return whoAnswers(cluster, request, {
      session: idOf(head),
      proof: proofIn(head),
      opens: (head.ask & Ask.open) !== 0,
      isHere: () => registry.hadBefore(head),
      restore: (state) => clients.restore(head, state, request, callback, false),
      pass: async (to) => {
        const answered = await to.upgrade(request, socket, first, protocols)
        // The answer of the other server may still be on its way: no refusal may be written after it.
        if (answered) WebSocketEntry.#underWay.delete(socket)
        return answered
      },
    })
  }

  #complete(...[kind, request, socket, head, protocol, done]: Parameters<Completer['complete']>): void {
    socket.off('error', ignore)
    WebSocketEntry.#underWay.delete(socket)
    this.#completer.complete(kind, request, socket, head, protocol, done)
  }

  #refuseWrong(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    if (!this.#host.refused(new Error(refusal.reason), socket, request))
      this.#refuse(request, socket, refusal)
  }

  #refuse(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    if (socket.writable) this.#host.reports.refused(request, refusal)
    refuseUpgrade(socket, refusal, this.#host.options.answerTimeout)
  }
}

function ignore(): void {}
