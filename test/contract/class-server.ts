// The server that the class suite talks to, once with everwire's server and once with `ws`. What it does with a client
// stands in the query of the client's URL; what it saw of a client is asked for over HTTP, under the name in that query.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import express, { type Express } from 'express'
import { WebSocketServer as Reference } from 'ws'
import { WebSocketServer } from '../../server/index.ts'
import { freePort } from '../support/proxies.ts'
import type { Report, Seen } from './class-contract.ts'

/** What both kinds of server sockets have in common, as far as it is used here. */
interface Peer {
  readonly protocol: string
  send(data: string | Buffer, options?: { binary?: boolean }): void
  close(code?: number, reason?: string): void
  terminate(): void
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown
  on(event: 'close', listener: (code: number, reason: Buffer) => void): unknown
  on(event: 'error', listener: () => void): unknown
}

export interface ClassServer {
  /** Where the class connects. */
  readonly url: string
  /** Where pages come from and reports are had. */
  readonly origin: string
  close(): Promise<void>
}

interface Record {
  readonly report: Report
  peer: Peer | undefined
  readonly ended: Promise<void>
  readonly end: () => void
}

/** Nobody listens there: of a server that has gone. */
export async function freeAddress(): Promise<string> {
  return `ws://127.0.0.1:${await freePort()}/realtime`
}

/** `page` adds what a browser needs. */
export async function startClassServer(
  kind: 'everwire' | 'ws',
  page: (app: Express) => void = () => {},
): Promise<ClassServer> {
  const app = express()
  const records = new Map<string, Record>()
  const recordOf = (name: string): Record => {
    let record = records.get(name)
    if (!record) {
      let end = (): void => {}
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      const report = {
        connections: 0,
        protocol: '',
        offered: '',
        referrer: '',
        messages: [],
        code: 0,
        reason: '',
      }
      record = { report, peer: undefined, ended, end }
      records.set(name, record)
    }
    return record
  }

  app.get('/report', (request, response) => {
    const { report, ended } = recordOf(String(request.query.name))
    const answer = (): void => void response.set('Cache-Control', 'no-store').json(report)
    if (request.query.now === undefined) void ended.then(answer)
    else answer()
  })
  app.get('/say', (request, response) => {
    const { peer } = recordOf(String(request.query.name))
    peer?.send('still there?')
    peer?.close()
    response.sendStatus(peer ? 204 : 404)
  })
  page(app)

  const connected = (socket: Peer, request: IncomingMessage): void => {
    const query = queryOf(request)
    const record = recordOf(query.get('name') ?? '')
    const report = record.report as { -readonly [K in keyof Report]: Report[K] }
    record.peer = socket
    report.connections++
    report.referrer = request.headers.referer ?? ''
    report.protocol = socket.protocol
    report.offered = request.headers['sec-websocket-protocol'] ?? ''
    socket.on('message', (data, isBinary) => void record.report.messages.push(seen(data, isBinary)))
    socket.on('error', () => {})
    socket.on('close', (code, reason) => {
      report.code = code
      report.reason = String(reason)
      record.end()
    })
    act(socket, query)
  }
  const refused = ({ req }: { req: IncomingMessage }): boolean => !queryOf(req).has('refuse')
  const choose = (offered: Set<string>, request: IncomingMessage): string | false => {
    const wanted = queryOf(request).get('choose')
    if (wanted === null) return [...offered][0] ?? false
    return offered.has(wanted) ? wanted : false
  }

  const server = createServer(app)
  let end: () => void
  if (kind === 'everwire') {
    const realtime = new WebSocketServer({ noServer: true, verifyClient: refused, handleProtocols: choose })
    app.use('/realtime', realtime.middleware)
    realtime.on('connection', (socket, request) => connected(socket as Peer, request))
    end = () => {
      for (const socket of realtime.clients) socket.terminate()
      realtime.close()
    }
  } else {
    const reference = new Reference({ noServer: true, verifyClient: refused, handleProtocols: choose })
    server.on('upgrade', (request, socket, head) =>
      reference.handleUpgrade(request, socket, head, (client) => connected(client as Peer, request)),
    )
    end = () => {
      for (const client of reference.clients) client.terminate()
    }
  }
  const connections = connectionsOf(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}/realtime`,
    origin: `http://127.0.0.1:${port}`,
    async close() {
      end()
      server.close()
      for (const socket of connections) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** The commands in the query. What has no `on=message` is done in the connection handler, before anything else. */
function act(socket: Peer, query: URLSearchParams): void {
  const number = (name: string, otherwise: number): number => Number(query.get(name) ?? otherwise)
  const run = (): void => {
    if (query.has('greet')) socket.send(query.get('greet') ?? '')
    for (let i = 0; i < number('count', 0); i++) {
      const data = pattern(number('size', 0), i)
      if (query.get('kind') === 'binary') socket.send(data)
      else socket.send(query.has('size') ? data.toString('latin1') : String(i))
    }
    if (query.has('terminate')) socket.terminate()
    if (query.has('close')) {
      const code = query.get('close')
      socket.close(code ? Number(code) : undefined, query.get('reason') ?? '')
    }
  }
  if (query.get('on') === 'message') socket.on('message', run)
  else run()
  if (query.has('echo')) socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

/** The bytes of message `index` that the server makes; ASCII, so that they are the same as text. */
function pattern(size: number, index: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = 33 + ((i * 7 + (i >>> 8) + index) % 94)
  return bytes
}

function seen(data: Buffer, isBinary: boolean): Seen {
  return {
    kind: isBinary ? 'binary' : 'text',
    size: data.length,
    hash: createHash('sha256').update(data).digest('hex'),
    start: isBinary ? data.subarray(0, 64).toString('hex') : data.subarray(0, 64).toString(),
  }
}

function queryOf(request: IncomingMessage): URLSearchParams {
  return new URL(request.url ?? '/', 'http://any').searchParams
}

function connectionsOf(server: Server): Set<Duplex> {
  const connections = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
  })
  return connections
}
