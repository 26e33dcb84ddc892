/**
 * The status page of a server. It has sockets of its own, on a server of their own: so they take no place of a client, no
 * count contains them, no listener of the application sees them, and `origins: 'same'` holds for them whatever the server's
 * own option says. Once it is mounted it takes a sample every five seconds; while somebody looks it tells the numbers each second.
 */
import type { ServerResponse } from 'node:http'
import { addressOf } from '../admission/address.ts'
import type { ResolvedOptions, ServerOptions } from '../admission/options.ts'
import type { ClusterView } from '../base/cluster.ts'
import { closing } from '../base/handshake.ts'
import type { MountedRequest } from '../base/request.ts'
import { refuse } from '../base/responses.ts'
import { endReasons } from '../sockets/end-reasons.ts'
import type { Socket } from '../sockets/socket.ts'
import type { StatisticsSource } from '../sockets/statistics.ts'
import { History, sampleOf, samplePeriod } from './history.ts'
import { Journal } from './journal.ts'
import { library, serveFile, wantedFile } from './site.ts'

const livePeriod = 1_000
/** Looking at very many sessions takes time: at most this share of the server's time. */
const share = 0.01
/** A page's socket ends after this time, so that the next socket of the page must pass the guard again. */
const admittedFor = 5 * 60_000
const again = 4000
const goingAway = 1001
/** A page that does not confirm its end delays the server's end by no more than this. */
const closeWithin = 1_000

/** The server whose status is shown. */
export interface Shown extends StatisticsSource {
  readonly options: ResolvedOptions
}

/** The server of the page's own sockets. */
interface Own<Middleware> {
  readonly clients: ReadonlySet<Socket>
  readonly middleware: Middleware
  on(event: 'connection', listener: (socket: Socket) => void): unknown
  broadcast(data: string): number
  close(options: { code: number; within: number }): Promise<void>
}

/** Serves what is not for a socket. Returns whether it did. */
export type Site = (
  request: MountedRequest,
  response: ServerResponse,
  serveLibrary: () => void,
) => (() => void) | undefined

export class StatusPage<Middleware> {
  readonly #shown: Shown
  readonly #own: Own<Middleware>
  readonly #clusterView: () => ClusterView | undefined
  readonly #history = new History()
  readonly #journal: Journal
  /** When each socket of a page was let in. */
  readonly #admitted = new WeakMap<Socket, number>()
  #timer: NodeJS.Timeout | undefined
  #sampledAt = 0
  /** The number of the last journal entry that the pages were told. */
  #told = 0
  #state: 'running' | 'closing' | 'closed' = 'running'

  /** `clusterView`: what the server knows of its cluster; undefined if it is alone. */
  constructor(
    shown: Shown,
    make: (options: ServerOptions, site: Site) => Own<Middleware>,
    clusterView: () => ClusterView | undefined,
  ) {
    this.#shown = shown
    this.#clusterView = clusterView
    const { options } = shown
    const { hosts, trustProxy, heartbeat } = options
    this.#journal = new Journal(
      shown,
      options.statusPage?.addresses ? (request) => addressOf(request, shown.options) : undefined,
    )
    const limits = { maxClients: 64, maxPayload: 1_024, maxBuffered: 2 ** 21, maxMemory: 2 ** 25 }
    this.#own = make(
      { origins: 'same', hosts, trustProxy, heartbeat, patience: 10_000, diagnostics: false, ...limits },
      (request, response, serveLibrary) => this.#siteFor(request, response, serveLibrary),
    )
    this.#own.on('connection', (socket) => this.#welcome(socket))
    this.#look()
  }

  get middleware(): Middleware {
    return this.#own.middleware
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Ends the pages' sockets and everything else of the page. Calls `done` once nothing is left. */
  close(done: () => void): void {
    if (this.#state !== 'running') return
    this.#state = 'closing'
    clearTimeout(this.#timer)
    this.#journal.close()
    void this.#own.close({ code: goingAway, within: closeWithin }).then(() => {
      this.#state = 'closed'
      done()
    })
  }

  #siteFor(
    request: MountedRequest,
    response: ServerResponse,
    serveLibrary: () => void,
  ): (() => void) | undefined {
    const wanted = wantedFile(request)
    if (wanted === undefined) return undefined
    if (this.#state !== 'running') return () => refuse(response, closing)
    return wanted === library ? serveLibrary : () => serveFile(wanted, request, response)
  }

  /** A page has come: tells it all that is known. */
  #welcome(socket: Socket): void {
    const at = Date.now()
    this.#admitted.set(socket, at)
    socket.send(
      JSON.stringify({
        type: 'all',
        at,
        pid: process.pid,
        reasons: Object.entries(endReasons),
        stats: this.#shown.stats(),
        cluster: this.#clusterView(),
        samples: this.#history.samples,
        ended: this.#journal.ended,
        troubled: this.#journal.troubled(at),
      }),
    )
    if (this.#own.clients.size === 1) this.#lookIn(livePeriod)
  }

  /** Takes a sample if it is time, and tells the pages the numbers. */
  #look(): void {
    const began = performance.now()
    const at = Date.now()
    const isWatched = this.#own.clients.size > 0
    // A timer may be early by a millisecond; the clock may be set back.
    const isDue = Math.abs(at - this.#sampledAt) >= samplePeriod - 100
    if (isWatched || isDue) {
      const stats = this.#shown.stats()
      const sample = isDue ? sampleOf(stats, at) : undefined
      if (sample) {
        this.#sampledAt = at
        this.#history.add(sample)
      }
      const ended = this.#journal.ended.filter(({ n }) => n > this.#told)
      this.#told = this.#journal.ended[0]?.n ?? 0
      if (isWatched) {
        const cluster = this.#clusterView()
        const now = { type: 'now', at, stats, cluster, sample, ended, troubled: this.#journal.troubled(at) }
        this.#own.broadcast(JSON.stringify(now))
        this.#sendRoundAgain(at)
      }
    }
    this.#lookIn(Math.max(isWatched ? livePeriod : samplePeriod, (performance.now() - began) / share))
  }

  #lookIn(time: number): void {
    clearTimeout(this.#timer)
    if (this.#state === 'running') this.#timer = setTimeout(() => this.#look(), time).unref()
  }

  #sendRoundAgain(now: number): void {
    for (const socket of this.#own.clients) {
      if (now - (this.#admitted.get(socket) ?? now) > admittedFor) socket.close(again, 'pass the guard again')
    }
  }
}
