// A balancer without stickiness: every request, and every handshake, goes to the next server.
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

export interface RoundRobin {
  readonly url: string
  /** The ports of the servers, in turn. It may be changed. */
  targets: number[]
  /** Gives a request to a server by its URL, if it returns a port. */
  choose: ((url: string) => number | undefined) | undefined
  /** How many requests each port has got. */
  readonly got: Map<number, number>
  /** Ends all connections. */
  cut(): void
  close(): Promise<void>
}

export async function roundRobin(targets: number[]): Promise<RoundRobin> {
  const open = new Set<Duplex>()
  const state: RoundRobin & { url: string } = {
    url: '',
    targets,
    choose: undefined,
    got: new Map(),
    cut,
    close,
  }
  let turn = 0
  const next = (url: string): number => {
    const port = state.choose?.(url) ?? (state.targets[turn++ % state.targets.length] as number)
    state.got.set(port, (state.got.get(port) ?? 0) + 1)
    return port
  }
  const onward = ({ method, url, headers }: IncomingMessage) =>
    httpRequest({ host: '127.0.0.1', port: next(url ?? ''), method, path: url, headers, agent: false })
  const server = createServer((request, response) => {
    const upstream = onward(request)
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(response)
      answer.on('close', () => answer.complete || response.destroy())
    })
    upstream.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()))
    response.on('close', () => upstream.destroy())
    request.pipe(upstream)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const upstream = onward(request)
    const answered = ({ statusCode, statusMessage, rawHeaders }: IncomingMessage): void => {
      const lines = rawHeaders.map((text, at) => (at % 2 ? `${text}\r\n` : `${text}: `))
      socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines.join('')}\r\n`)
    }
    upstream.on('response', (answer) => {
      answered(answer)
      answer.pipe(socket)
    })
    upstream.on('upgrade', (answer, connection, first) => {
      answered(answer)
      socket.write(first)
      connection.write(head)
      socket.pipe(connection).pipe(socket)
      for (const [one, other] of [
        [socket, connection],
        [connection, socket],
      ] as const)
        one.on('error', () => {}).on('close', () => other.destroy())
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => {})
    upstream.end()
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realtime`
  return state

  function cut(): void {
    for (const socket of open) socket.destroy()
  }

  async function close(): Promise<void> {
    cut()
    server.close()
    await once(server, 'close')
  }
}
