/** HTTP requests of sessions: read, find the session and its carrier, hand over, answer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Ask, idSize, type RequestHead, Status } from '../../shared/exchange.ts'
import { readControl } from '../../shared/frame.ts'
import type { Position } from '../../shared/link.ts'
import { passedBy } from '../admission/address.ts'
import type { ResolvedOptions } from '../admission/options.ts'
import { allowOrigin, refuseEntry } from '../admission/origins.ts'
import { idOf, proofIn, type Registry } from '../admission/registry.ts'
import type { Resumes } from '../admission/resumes.ts'
import { unknownCame } from '../admission/siblings.ts'
import { maxOpening, RequestBody } from '../base/body.ts'
import type { ClusterMember } from '../base/cluster.ts'
import { type Refusal, showAsUpgrade } from '../base/handshake.ts'
import type { Memory } from '../base/memory.ts'
import {
  type BodyLimits,
  type MountedRequest,
  type NoBody,
  plainUrl,
  readBody,
  refusalOf,
} from '../base/request.ts'
import { isOver, refuse, writeHead } from '../base/responses.ts'
import { showToken } from '../base/token.ts'
import { atEndOfTurn, rethrow } from '../base/turn.ts'
import type { AnswerWatch } from '../base/unread.ts'
import { now } from '../base/wakeups.ts'
import { type Extra, respond, respondEnd, respondStandby } from '../carriers/answers.ts'
import { allowCompression } from '../carriers/compression.ts'
import { HttpCarrier } from '../carriers/http-carrier.ts'
import { understood } from '../mount/mount.ts'
import type { Transport } from '../sockets/carrier.ts'
import type { Reports } from '../sockets/reports.ts'
import type { SessionSocket } from '../sockets/session-socket.ts'
import type { UpgradeCallback } from '../sockets/socket.ts'
import type { Diagnostics } from './diagnostics.ts'
import { whoAnswers } from './elsewhere.ts'
import { whenFree } from './pipeline.ts'

/** What the exchanges need of the server. */
export interface HttpEntryHost {
  readonly options: ResolvedOptions
  readonly registry: Registry
  readonly resumes: Resumes
  readonly diagnostics: Diagnostics
  readonly answers: AnswerWatch
  readonly memory: Memory
  readonly reports: Reports
  /** The other servers, if there are any. */
  readonly cluster: ClusterMember | undefined
  /** Lets a client in and makes its session, or says why not. */
  admit(
    head: RequestHead,
    offered: Set<string>,
    request: IncomingMessage,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
    isWanted: () => boolean,
  ): Refusal | undefined | Promise<Refusal | undefined>
  /** Goes on with a session that another server has handed over. Returns false if its state cannot be understood. */
  restore(
    head: RequestHead,
    state: Uint8Array,
    request: MountedRequest,
    show: UpgradeCallback | undefined,
  ): boolean
  /** Shows a session to the application, if the application has not seen it yet. */
  announce(socket: SessionSocket): void
  /** The welcome, as JSON. */
  welcome(socket: SessionSocket): string
}

/** A ticket is the session's id and a secret of its own. */
const idLength = (idSize / 3) * 4
const isId = new RegExp(`^[\\w-]{${idLength}}$`)
const noBody = new Uint8Array(0)
/** After the time of `close` is over, a body has only this time left. */
const lateBody = 1_000
const never = (): boolean => false

export class HttpEntry {
  readonly #host: HttpEntryHost

  constructor(host: HttpEntryHost) {
    this.#host = host
  }

  get maxBody(): number {
    return this.#host.options.maxBody
  }

  get bodyTimeout(): number {
    return this.#host.options.bodyTimeout
  }

  get memory(): Memory {
    return this.#host.memory
  }

  /** Whether a request belongs to a session that is here. */
  async holds(mark: string, body: Uint8Array): Promise<boolean> {
    const { registry } = this.#host
    if (mark !== '1') return (await registry.findById(mark.slice(0, idLength))) !== undefined
    const head = RequestBody.read(body)?.head
    return head !== undefined && (await registry.find(head)) !== 'unknown'
  }

  /** A request with everwire's mark in its query. `show`: the request was shown to a listener as an upgrade, and this gets its client. */
  async handle(
    request: MountedRequest,
    response: ServerResponse,
    mark: string,
    show?: UpgradeCallback,
  ): Promise<void> {
    const { answers } = this.#host
    answers.over(response)
    const free = whenFree(request, response)
    if (free) await free
    const method = show ? methodOf(mark) : request.method
    // The server of the cluster that got the request has checked its origin and host.
    const asked = passedBy(request) ? undefined : refuseEntry(request, this.#host.options)
    const refusal = asked instanceof Promise ? await asked : asked
    if (refusal) {
      refuse(response, refusal)
      return
    }
    if (isOver(response)) return
    allowOrigin(request, response, this.#host.options)
    allowCompression(request, response, this.#host.options.httpCompression)
    if (method === 'OPTIONS') {
      if (writeHead(response, 204, { 'Access-Control-Allow-Methods': 'GET, POST' })) response.end()
    } else if (method !== methodOf(mark)) {
      const reason = 'Use POST for an exchange and GET for an event stream'
      refuse(response, { status: 405, reason, headers: { Allow: 'GET, POST' } })
    } else if (method === 'POST') await this.#post(request, response, show)
    else await this.#eventStream(request, response, mark)
  }

  async #post(
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<void> {
    const { options } = this.#host
    const { maxBody } = options
    const bodyTimeout = this.#host.answers.isCut ? lateBody : options.bodyTimeout
    const bytes = await readBody(request, { maxBody, bodyTimeout }, this.#host.memory)
    if (typeof bytes === 'string') {
      refuseBody(response, bytes, options)
      return
    }
    const body = RequestBody.read(bytes)
    if (!body?.isWhole(options.maxBody)) {
      refuse(response, { status: 400, reason: 'Malformed exchange' })
      return
    }
    const { diagnostics } = this.#host
    if (diagnostics.takes(body.head)) {
      const refusal = diagnostics.exchange(body, response)
      if (refusal) refuse(response, refusal)
      return
    }
    const socket = this.#atHand(body.head) ?? (await this.#wait(body, bytes, request, response, show))
    if (socket === 'unknown') {
      const end = this.#host.registry.endOf(body.head)
      if (end) respondEnd(response, end)
      else {
        // A client that leaves while it connects may say so before its session exists.
        if (!body.isFarewell) this.#host.reports.unknown(request)
        respond(response, Status.unknown)
      }
    }
    if (typeof socket !== 'string') {
      understood(request)
      this.#join(socket, body, response)
    }
  }

  /** The session, if it is here and neither the store nor the application must be asked about this request. */
  #atHand(head: RequestHead): SessionSocket | undefined {
    const { registry, resumes } = this.#host
    if (registry.doubt?.()) return undefined
    const found = registry.here(head)
    if (found === 'unknown' || !resumes.hasDecided(found, head)) return undefined
    noteSeen(found)
    return found
  }

  /** The body counts while somebody is asked whose session it is, or whether its client is let in. */
  async #wait(
    body: RequestBody,
    bytes: Buffer,
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<SessionSocket | 'unknown' | 'answered'> {
    const waitsNoLonger = this.#host.memory.hold(bytes.length, () => response.destroy())
    try {
      let socket = await this.#find(body, bytes, request, response, show)
      // Another server may have taken the session a moment ago.
      while (typeof socket !== 'string' && socket.isHandedOver)
        socket = await this.#find(body, bytes, request, response, show)
      return socket
    } finally {
      waitsNoLonger()
    }
  }

  async #find(
    body: RequestBody,
    bytes: Buffer,
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<SessionSocket | 'unknown' | 'answered'> {
    const { head } = body
    const { registry, cluster } = this.#host
    const found = await registry.find(head)
    if (found !== 'unknown') {
      noteSeen(found)
      return this.#resume(found, body, request, response, show)
    }
    const opens = (head.ask & Ask.open) !== 0
    if (opens && body.size > maxOpening) {
      // A decision may take long: no large body is to wait for it.
      refuse(response, {
        status: 413,
        reason: `A request that opens a session may have at most ${maxOpening} bytes`,
      })
      return 'answered'
    }
    if (!cluster) return this.#seek(body, bytes, request, response, show)
    const over = cluster.seek(idOf(head))
    try {
      return await this.#seek(body, bytes, request, response, show)
    } finally {
      over(registry.hadBefore(head))
    }
  }

  /** The session is not here. */
  async #seek(
    body: RequestBody,
    bytes: Buffer,
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<SessionSocket | 'unknown' | 'answered'> {
    const { head } = body
    const { registry, cluster } = this.#host
    const opens = (head.ask & Ask.open) !== 0
    if (cluster && !registry.hadBefore(head)) {
      const answerer = await whoAnswers(cluster, request, {
        session: idOf(head),
        proof: proofIn(head),
        opens,
        isHere: () => registry.hadBefore(head),
        restore: (state) => {
          showToken(request, body.token())
          return this.#host.restore(head, state, request, show)
        },
        pass: (to) => to.request(request, response, bytes),
      })
      if (answerer === 'answered') return answerer
      if (answerer === 'nobody') return 'unknown'
      if (answerer !== 'here') {
        refuse(response, answerer)
        return 'answered'
      }
    }
    if (cluster) {
      const here = await registry.find(head)
      if (here !== 'unknown') {
        if (opens) this.#host.resumes.admitted(here, head)
        return this.#resume(here, body, request, response, show)
      }
      if (!opens) return here
    }
    if (opens) return this.#open(body, request, response, show)
    if (!registry.hadBefore(head) && !body.isFarewell) unknownCame(head)
    return 'unknown'
  }

  async #open(
    body: RequestBody,
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<SessionSocket | 'unknown' | 'answered'> {
    const { head } = body
    const { registry } = this.#host
    showToken(request, body.token())
    const isThere = (): boolean => !isOver(response)
    const refusal = await registry.open(head, isThere, (isWanted) =>
      this.#host.admit(head, body.offered(), request, response, show, isWanted),
    )
    if (isOver(response)) return 'answered'
    if (refusal === undefined) {
      const admitted = await registry.find(head)
      if (admitted !== 'unknown') this.#host.resumes.admitted(admitted, head)
      return admitted
    }
    refuse(response, refusal)
    return 'answered'
  }

  /** An exchange of a session that exists, perhaps the first of another carrier; another server may have had the session until now. */
  async #resume(
    socket: SessionSocket,
    body: RequestBody,
    request: MountedRequest,
    response: ServerResponse,
    show: UpgradeCallback | undefined,
  ): Promise<SessionSocket | 'unknown' | 'answered'> {
    const { resumes, registry } = this.#host
    const { head } = body
    if (resumes.beganElsewhere(socket, head, body.token())) {
      respond(response, Status.superseded)
      return 'answered'
    }
    if (resumes.wants(socket, head)) {
      showToken(request, body.token())
      request.url = plainUrl(request)
      showAsUpgrade(request, socket.isAnnounced ? body.offered() : new Set([socket.protocol]))
    }
    const refusal = await resumes.decide(socket, head, request, show)
    if (isOver(response)) return 'answered'
    if (!refusal) return socket.isHandedOver ? socket : registry.find(head)
    refuse(response, refusal)
    return 'answered'
  }

  #join(socket: SessionSocket, body: RequestBody, response: ServerResponse): void {
    const { head } = body
    const { ask } = head
    const extra: Extra[] = []
    if ((ask & (Ask.open | Ask.standby)) !== 0) {
      extra.push({ kind: 'welcome', payload: this.#host.welcome(socket) })
    }
    if ((ask & Ask.standby) !== 0) {
      const stream = Ask.hold | Ask.stream
      respondStandby(response, socket.session.received, extra, (ask & stream) === stream)
      this.#host.announce(socket)
      return
    }
    const carrier = carrierFor(socket, head)
    if (!(carrier instanceof HttpCarrier)) {
      respond(response, carrier === 'older' ? Status.superseded : Status.unknown)
      return
    }
    const before = socket.session.arrived
    take(socket, carrier, body)
    socket.came(socket.session.arrived - before)
    if ((ask & Ask.ticket) !== 0) {
      extra.push({ kind: 'ticket', payload: socket.id + carrier.ticketFor(head.serial, now()) })
    }
    if ((ask & Ask.hold) !== 0) carrier.hold(head, response, extra)
    else carrier.answer(head, response, extra)
    // The exchange is answered at the end of the turn, even if the application throws.
    atEndOfTurn(socket)
    this.#host.announce(socket)
    socket.settle()
  }

  async #eventStream(request: MountedRequest, response: ServerResponse, ticket: string): Promise<void> {
    const probe = this.#host.diagnostics.eventStream(ticket, response)
    if (probe) {
      if (probe !== 'taken') refuse(response, probe)
      return
    }
    const id = ticket.slice(0, idLength)
    const socket = await this.#host.registry.findById(id)
    if (!socket && (await this.#streamsElsewhere(id, request, response))) return
    const carrier = socket && listening(socket, ticket.slice(idLength))
    if (carrier) {
      socket.sessionAccount.seen()
      understood(response.req)
      carrier.stream(response)
      atEndOfTurn(socket)
    } else refuse(response, { status: 404, reason: 'The ticket of the event stream is unknown or expired' })
  }

  /** Whether the event stream is answered, because its session is on another server or nobody can say where. */
  async #streamsElsewhere(id: string, request: MountedRequest, response: ServerResponse): Promise<boolean> {
    const { cluster } = this.#host
    if (!cluster || !isId.test(id)) return false
    const answerer = await whoAnswers(cluster, request, {
      session: id,
      proof: '',
      opens: false,
      isHere: never,
      restore: never,
      pass: (to) => to.request(request, response, noBody),
    })
    if (typeof answerer === 'object') refuse(response, answerer)
    return typeof answerer === 'object' || answerer === 'answered'
  }
}

/** Refuses a request whose body is not complete. */
export function refuseBody(response: ServerResponse, why: NoBody, limits: BodyLimits): void {
  const refusal = refusalOf(why, limits)
  if (refusal) refuse(response, refusal)
  else response.destroy()
}

/** The subprotocols that the application offers, if the request begins a session. */
export function offeredBy(body: Uint8Array): Set<string> {
  const read = RequestBody.read(body)
  return read?.isWhole() ? read.offered() : new Set()
}

/** The method of a request with this mark. */
export function methodOf(mark: string): 'POST' | 'GET' {
  return mark === '1' ? 'POST' : 'GET'
}

/** The carrier of the request's epoch, in use: the one that is there, or a new one. */
function carrierFor(socket: SessionSocket, head: RequestHead): HttpCarrier | 'older' | 'impossible' {
  const last = socket.lastCarrier
  const transport = transportOf(head.ask)
  if (!(last instanceof HttpCarrier && last.link.epoch === head.epoch))
    return taken(socket, new HttpCarrier(socket, head.epoch, transport), head.has)
  if (last === socket.carrier) return last
  last.beginAgain(transport)
  return taken(socket, last, head.has)
}

/** The carrier that the ticket is for. A carrier that was cut goes on. */
function listening(socket: SessionSocket, secret: string): HttpCarrier | undefined {
  const carrier = socket.lastCarrier
  if (!(carrier instanceof HttpCarrier && carrier.accepts(secret, now()))) return undefined
  if (carrier === socket.carrier) return carrier
  carrier.beginAgain('sse')
  return taken(socket, carrier, socket.session.acknowledged) === carrier ? carrier : undefined
}

function taken(
  socket: SessionSocket,
  carrier: HttpCarrier,
  has: Position,
): HttpCarrier | 'older' | 'impossible' {
  const result = socket.take(carrier, has)
  return result === 'attached' ? carrier : result
}

/** The transport that the client names by the bits of `ask`, if it does. */
function transportOf(ask: number): Transport | undefined {
  if ((ask & Ask.ticket) !== 0) return 'sse'
  if ((ask & Ask.stream) !== 0) return 'stream'
  return (ask & Ask.hold) !== 0 ? 'polling' : undefined
}

/** Its client has come again. */
function noteSeen(found: SessionSocket): void {
  found.sessionAccount.seen()
}

function settleSafely(socket: SessionSocket): void {
  try {
    socket.settle()
  } catch (error) {
    // The exchange is answered all the same.
    rethrow(error)
  }
}

/** Hands the records of a body to the session. */
function take(socket: SessionSocket, { link }: HttpCarrier, body: RequestBody): void {
  const { head } = body
  const { session } = socket
  if (!session.ackArrived(head.has, now())) return
  // Each request says anew whether the client's application has paused.
  session.holdBack(false)
  const at = { number: head.at.number, offset: head.at.offset }
  for (const record of body.records()) {
    const { kind, payload } = record
    if (kind === 'hello') continue
    if (kind === 'close' && readControl(record)) {
      // Tell the application the messages first: what it sends in answer goes before the answer to this close.
      settleSafely(socket)
      socket.closeArrived()
    }
    if (kind !== 'pause' && kind !== 'abort' && kind !== 'token') {
      if (socket.congested) continue
      socket.arrived(payload.length)
    }
    socket.hear(link, record, at)
  }
}
