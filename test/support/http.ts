// Requests as a test wants them: over node:http for whole answers, over a bare connection for what no client would send.
import { once } from 'node:events'
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request, type Server } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

export interface HttpOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: Uint8Array | string
  /** Says that the other side has gone, as soon as it has. */
  readonly signal?: AbortSignal
  readonly agent?: Agent
}

// A connection of its own for each request: what one test leaves half said is nothing to the next.
const agent = new Agent({ keepAlive: false })
const secureAgent = new SecureAgent({ keepAlive: false, rejectUnauthorized: false })

/** Sends a request and resolves with the head of its answer; the body is still to be read. */
export function open(url: string, options: HttpOptions = {}): Promise<IncomingMessage> {
  const { method = 'GET', headers = {}, body, signal } = options
  const secure = url.startsWith('https:')
  return new Promise((resolve, reject) => {
    const asked = (secure ? secureRequest : request)(url, {
      method,
      headers: headers as Record<string, string | string[]>,
      agent: options.agent ?? (secure ? secureAgent : agent),
      ...(signal && { signal }),
    })
    asked.on('response', resolve).on('error', reject)
    asked.end(body)
  })
}

/** Sends a request and resolves with all of its answer. */
export async function fetchAll(url: string, options: HttpOptions = {}): Promise<HttpAnswer> {
  const response = await open(url, options)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const { statusCode = 0, headers, rawHeaders } = response
  return { status: statusCode, headers, rawHeaders, body: Buffer.concat(chunks) }
}

/** All values of a header, one for each line that it stood on. */
export function headerLines(answer: Pick<HttpAnswer, 'rawHeaders'>, name: string): string[] {
  const { rawHeaders } = answer
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name.toLowerCase())
}

/** Writes bytes to a bare connection and resolves with everything that comes until the server ends it. */
export async function talk(port: number, text: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(text)
  return readAll(socket)
}

/** Everything until the end of the connection, however it ends. */
export async function readAll(socket: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(chunks).toString('latin1')
}

/** A WebSocket handshake as text. `undefined` leaves a header out. */
export function handshake(
  path: string,
  headers: Record<string, string | undefined> = {},
  first = 'GET',
): string {
  const all: Record<string, string | undefined> = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  }
  const [method = 'GET', version = 'HTTP/1.1'] = first.split(' ')
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  )
  return `${method} ${path} ${version}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** Listens on a free port and, when the test is through, closes the server and whatever is still connected to it. */
export async function listen(server: Server): Promise<number> {
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  onTestFinished(async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of connections) socket.destroy()
    await closed
  })
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  return (server.address() as AddressInfo).port
}
