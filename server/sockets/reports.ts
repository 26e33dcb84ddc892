/**
 * Reports what happens to the sessions of a server: counts it, and publishes it on channels of `node:diagnostics_channel`.
 * While nobody subscribes to a channel, nothing is made for it.
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { Refusal } from '../base/handshake.ts'
import type { Transport } from './carrier.ts'
import type { ServerCarrierEntry } from './carrier-diary.ts'
import type { EndReason } from './end-reasons.ts'
import { type Socket, shownFor } from './socket.ts'
import { Statistics, type StatisticsSource } from './statistics.ts'

/** The WebSocketServer whose message it is: compare it with yours. */
interface OfServer {
  readonly server: StatisticsSource
}

/** The socket that the application sees. Its `id` names it in every message. */
interface OfSocket extends OfServer {
  readonly socket: Socket
}

/**
 * The channels of `node:diagnostics_channel` on which a server publishes, and the type of the messages on each:
 * `subscribe('everwire:session.end', (message) => log(message as ServerChannels['everwire:session.end']))`.
 * A subscriber that throws does not disturb the server; as always with `diagnostics_channel`, its error is an uncaught exception.
 */
export interface ServerChannels {
  /** A client was let in, before the event `connection`. */
  'everwire:session.open': OfSocket & {
    /** The request that the application is shown. */
    readonly request: IncomingMessage
    /** Whether the client is an ordinary WebSocket: it has no session, and no other channel but `session.end` tells of it. */
    readonly plain: boolean
  }
  /** A client that had lost its connection came back. The next message of `carrier.begin` is about the same. */
  'everwire:session.resume': OfSocket & {
    readonly transport: Transport
    /** How long the session had no carrier, in milliseconds. */
    readonly away: number
  }
  /** A client is gone, before the event `close`. Or `verifyClient` has refused a session of another server: nothing else tells of it. */
  'everwire:session.end': OfSocket & {
    readonly plain: boolean
    /** Why, in the words of `stats().sessions.gone`. */
    readonly cause: EndReason
    /** Code and reason of the event `close`. */
    readonly code: number
    readonly reason: string
  }
  /** A client asked for a session that is not here; it is told so, and its session ends. */
  'everwire:session.unknown': OfServer & { readonly request: IncomingMessage }
  /** A request or a WebSocket handshake was refused. */
  'everwire:refuse': OfServer & {
    readonly request: IncomingMessage
    readonly status: number
    /** The body of the answer. */
    readonly reason: string
  }
  /** A carrier was taken into use. The first one of a session is told after `session.open`. */
  'everwire:carrier.begin': OfSocket & {
    /** The entry of the server's diary. */
    readonly carrier: ServerCarrierEntry
    /** `'open'`: the first one. `'resume'`: there was none. `'move'`: it took over from one in use. */
    readonly purpose: 'open' | 'resume' | 'move'
    /** The transport of the carrier that it took over from. */
    readonly from: Transport | undefined
  }
  /** A carrier has ended: `carrier` says when, who ended it and why. The last one of a session may end after `session.end`. */
  'everwire:carrier.end': OfSocket & { readonly carrier: ServerCarrierEntry }
}

type Untold<Name extends keyof ServerChannels> = Omit<ServerChannels[Name], 'server'>

const open = channel('everwire:session.open')
const resume = channel('everwire:session.resume')
const end = channel('everwire:session.end')
const unknown = channel('everwire:session.unknown')
const refuse = channel('everwire:refuse')
const begin = channel('everwire:carrier.begin')
const carrierEnd = channel('everwire:carrier.end')

export class Reports {
  readonly statistics: Statistics = new Statistics()
  /** Publishes nothing: for the server of a status page's sockets. */
  isSilent = false
  readonly #server: StatisticsSource

  constructor(server: StatisticsSource) {
    this.#server = server
  }

  /** The application is about to be shown a new client. */
  opened(socket: Socket, request: IncomingMessage, plain: boolean): void {
    if (plain) this.statistics.plainOpened()
    if (!this.#tells(open)) return
    const message: Untold<'everwire:session.open'> = { socket: shownFor(socket), request, plain }
    open.publish({ server: this.#server, ...message })
  }

  ended(socket: Socket, cause: EndReason, code: number, reason: string, plain: boolean): void {
    if (plain) this.statistics.plainGone(cause)
    else this.statistics.gone(cause)
    if (!this.#tells(end)) return
    const message: Untold<'everwire:session.end'> = { socket: shownFor(socket), cause, code, reason, plain }
    end.publish({ server: this.#server, ...message })
  }

  unknown(request: IncomingMessage): void {
    this.statistics.unknown()
    if (this.#tells(unknown)) unknown.publish({ server: this.#server, request })
  }

  refused(request: IncomingMessage, { status, reason }: Refusal): void {
    this.statistics.refused(status)
    if (!this.#tells(refuse)) return
    const message: Untold<'everwire:refuse'> = { request, status, reason }
    refuse.publish({ server: this.#server, ...message })
  }

  /** `away`: how long the session had no carrier. */
  resumed(socket: Socket, transport: Transport, away: () => number): void {
    if (!this.#tells(resume)) return
    const message: Untold<'everwire:session.resume'> = { socket: shownFor(socket), transport, away: away() }
    resume.publish({ server: this.#server, ...message })
  }

  carrierBegan(
    socket: Socket,
    purpose: 'open' | 'resume' | 'move',
    from: Transport | undefined,
    carrier: () => ServerCarrierEntry,
  ): void {
    if (!this.#tells(begin)) return
    const message: Untold<'everwire:carrier.begin'> = {
      socket: shownFor(socket),
      carrier: carrier(),
      purpose,
      from,
    }
    begin.publish({ server: this.#server, ...message })
  }

  carrierEnded(socket: Socket, carrier: ServerCarrierEntry): void {
    if (!this.#tells(carrierEnd)) return
    const message: Untold<'everwire:carrier.end'> = { socket: shownFor(socket), carrier }
    carrierEnd.publish({ server: this.#server, ...message })
  }
  #tells(channel: Channel): boolean {
    return channel.hasSubscribers && !this.isSilent
  }
}
