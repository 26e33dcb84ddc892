// A site over TLS and HTTP/2, whose server lets a connection have so many streams at a time, and takes no WebSockets.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createSecureServer as createHttp2Server } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { WebSocketOptions } from '../../client/browser.ts'
import { WebSocketServer } from '../../server/index.ts'
import { Record, ServerEnd } from '../support/line.ts'
import { selfSigned } from '../support/tls.ts'
import { html, script } from './site.ts'

const file = fileURLToPath(new URL('../../dist/everwire.js', import.meta.url))
const certificate = selfSigned()

export interface SecureSiteOptions {
  /** What the server speaks. `plain`: HTTP/1.1 without TLS, for behind a proxy that has both. */
  readonly version?: 'h2' | 'http/1.1' | 'plain'
  /** How many streams a connection may have at a time: its SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly streams?: number
  /** Pages of which origins may connect. */
  readonly origins?: '*'
}

export class SecureSite {
  readonly origin: string
  readonly port: number
  readonly servers: ServerEnd[] = []
  readonly #arrivals = new Record()
  readonly #server: NetServer
  readonly #realtime: WebSocketServer
  readonly #connections = new Set<Socket>()

  private constructor(server: NetServer, scheme: string, realtime: WebSocketServer) {
    this.#server = server
    this.#realtime = realtime
    this.port = (server.address() as AddressInfo).port
    this.origin = `${scheme}://127.0.0.1:${this.port}`
    server.on('connection', (connection: Socket) => {
      this.#connections.add(connection)
      connection.on('close', () => this.#connections.delete(connection))
    })
    realtime.on('connection', (socket) => {
      this.servers.push(new ServerEnd(socket))
      this.#arrivals.event('connection')
    })
  }

  static async start({ version = 'h2', streams, origins }: SecureSiteOptions = {}): Promise<SecureSite> {
    const realtime = new WebSocketServer({ noServer: true, ...(origins && { origins }) })
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const { url = '', headers } = request
      if (url.startsWith('/realtime')) {
        if (headers.upgrade) response.writeHead(403).end()
        else realtime.middleware(request, response, () => {})
      } else if (url === '/everwire.js') {
        response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(readFileSync(file))
      } else {
        response.writeHead(200, { 'Content-Type': 'text/html' })
        response.end(html(`<script src="/everwire.js"></script><script>${script}</script>`))
      }
    }
    const settings = streams === undefined ? {} : { maxConcurrentStreams: streams }
    const server =
      version === 'plain'
        ? createServer(listener)
        : version === 'http/1.1'
          ? createTlsServer(certificate, listener)
          : createHttp2Server({ ...certificate, allowHTTP1: true, settings }, listener as never)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new SecureSite(server, version === 'plain' ? 'http' : 'https', realtime)
  }

  /** The address of a page. `server`: the site that its socket connects to, where it is another one. */
  page(options: WebSocketOptions, server?: SecureSite): string {
    const query = new URLSearchParams({ options: JSON.stringify(options) })
    if (server) query.set('server', `${server.origin}/realtime`)
    return `${this.origin}/page?${query}`
  }

  /** The server's end of the client that came as the `number`th, from 1. */
  async client(number: number): Promise<ServerEnd> {
    await this.#arrivals.until(() => this.servers.length >= number)
    return this.servers[number - 1] as ServerEnd
  }

  /** Says when it was said, to all that are there. */
  broadcast(): void {
    for (const { socket } of this.servers) if (socket.readyState === 1) socket.send(String(Date.now()))
  }

  async close(): Promise<void> {
    for (const socket of this.#realtime.clients) socket.terminate()
    await new Promise<void>((resolve) => this.#realtime.close(() => resolve()))
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#connections) connection.destroy()
    await closed
  }
}
