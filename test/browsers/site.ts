// A site whose pages have one socket, behind a network that does what it is told; and what its server sees of them.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import express, { type Request, type Response } from 'express'
import type { WebSocket, WebSocketOptions } from '../../client/browser.ts'
import type { WithReopen } from '../../client/socket/reopen.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { Ask, idSize } from '../../shared/exchange.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { Record, ServerEnd } from '../support/line.ts'
import { bundleForPage } from './bundle.ts'

/** What each page has, by the name of `my`. */
export interface My {
  readonly socket: WebSocket
  /** What happened to the page and to its socket, but for messages and transports. */
  readonly events: string[]
  readonly messages: string[]
  /** When each of them came, as `Date.now()` has it. */
  readonly cameAt: number[]
  readonly transports: (string | null)[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs in the page: the options of its socket stand in the query, and the server where it is not the page's own. */
export const script = `
const my = { events: [], messages: [], cameAt: [], transports: [] }
const given = new URLSearchParams(location.search)
for (const [target, types] of [[window, ['pagehide', 'pageshow', 'online', 'offline']], [document, ['freeze', 'resume']]])
  for (const type of types)
    target.addEventListener(type, ({ persisted }) => my.events.push(type + (persisted ? ' persisted' : '')))
addEventListener('error', ({ message }) => my.events.push(message))
my.socket = new everwire.WebSocket(given.get('server') ?? '/realtime', JSON.parse(given.get('options')))
my.socket.onopen = () => my.events.push('open')
my.socket.onerror = () => my.events.push('error')
my.socket.onclose = ({ code, reason }) => my.events.push(('close ' + code + ' ' + reason).trim())
my.socket.onmessage = ({ data }) => {
  my.messages.push(data)
  my.cameAt.push(Date.now())
  // Nobody can look into a frame without an origin.
  if (origin === 'null') my.socket.send(data)
}
my.socket.ontransportchange = () => my.transports.push(my.socket.transport)
`

export const html = (body: string) =>
  `<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">${body}`

export class Site {
  readonly network: HostileNetwork
  readonly servers: ServerEnd[] = []
  /** Exchanges that the server holds now, and the most that it ever held at a time. */
  held = 0
  mostHeld = 0
  /** Their answers, by whose they are. */
  readonly #heldOf = new Map<string, Set<Response>>()
  readonly #http: Server
  readonly #realtime: WebSocketServer
  readonly #arrivals = new Record()

  private constructor(http: Server, realtime: WebSocketServer, network: HostileNetwork) {
    this.#http = http
    this.#realtime = realtime
    this.network = network
    realtime.on('connection', (socket) => {
      this.servers.push(new ServerEnd(socket))
      this.#arrivals.event('connection')
    })
  }

  static async start(options: ServerOptions = {}): Promise<Site> {
    await ensureBuilt()
    const app = express()
    const realtime = new WebSocketServer({ noServer: true, ...options })
    const http = app.listen(0, '127.0.0.1')
    await once(http, 'listening')
    const site = new Site(http, realtime, await hostileNetwork((http.address() as AddressInfo).port))
    app.use('/realtime', (request, response, next) => {
      site.#watch(request, response)
      next()
    })
    app.use('/realtime', realtime.middleware)
    app.get('/everwire.js', (_request, response) => {
      response.type('js').send(readFileSync(`${root}/dist/everwire.js`))
    })
    app.get('/page', (_request, response) => {
      response.type('html').send(html(`<script src="/everwire.js"></script><script>${script}</script>`))
    })
    // The same page with the class that begins another session.
    app.get('/reopening.js', async (_request, response) => {
      response.type('js').send(await bundleForPage('client/reopen.ts', 'everwire'))
    })
    app.get('/reopening', (_request, response) => {
      response.type('html').send(html(`<script src="/reopening.js"></script><script>${script}</script>`))
    })
    app.get('/elsewhere', (_request, response) => void response.type('html').send(html('')))
    // A page that may keep nothing and belongs to no origin, in another page.
    app.get('/framed', (request, response) => {
      const [, query] = request.originalUrl.split('?')
      response.type('html').send(html(`<iframe sandbox="allow-scripts" src="/page?${query}"></iframe>`))
    })
    return site
  }

  /** The address of a page. */
  page(options: WebSocketOptions & WithReopen, path = 'page'): string {
    return `${this.network.url}/${path}?options=${encodeURIComponent(JSON.stringify(options))}`
  }

  get elsewhere(): string {
    return `${this.network.url}/elsewhere`
  }

  /** The server's end of the client that came as the `number`th, from 1. */
  async client(number: number): Promise<ServerEnd> {
    await this.#arrivals.until(() => this.servers.length >= number)
    return this.servers[number - 1] as ServerEnd
  }

  /** Whether an exchange waits for what is sent to it. */
  holds({ id }: Socket): boolean {
    return [...(this.#heldOf.get(id) ?? [])].some(
      ({ writableEnded, destroyed }) => !writableEnded && !destroyed,
    )
  }

  async close(): Promise<void> {
    for (const socket of this.#realtime.clients) socket.terminate()
    await new Promise<void>((resolve) => this.#realtime.close(() => resolve()))
    await this.network.close()
    const closed = once(this.#http, 'close')
    this.#http.close()
    this.#http.closeAllConnections()
    await closed
  }

  #watch(request: Request, response: Response): void {
    const hold = (id: string): void => {
      this.mostHeld = Math.max(this.mostHeld, ++this.held)
      const all = this.#heldOf.get(id) ?? new Set()
      this.#heldOf.set(id, all)
      // A little later the server has it, too.
      setImmediate(() => all.add(response))
      response.on('close', () => {
        this.held--
        all.delete(response)
      })
    }
    if (request.method === 'GET') {
      // A ticket begins with whose it is.
      const [, ticket = ''] = request.url.split('everwire=')
      if (!request.headers.upgrade) hold(ticket.slice(0, (idSize / 3) * 4))
      return
    }
    let id: string | undefined
    let first = true
    request.on('data', (chunk: Buffer) => {
      if (first && ((chunk[1] ?? 0) & Ask.hold) !== 0) id = chunk.toString('base64url', 2, 2 + idSize)
      first = false
    })
    request.on('end', () => id !== undefined && hold(id))
  }
}
