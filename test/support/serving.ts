// A server of ours on a port of its own, and what its application sees.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { type ServerOptions, type Socket, WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { Queue } from './queue.ts'
import { RawClient } from './raw-client.ts'

export interface Connected {
  readonly socket: Socket
  readonly request: IncomingMessage & { readonly token?: string | undefined }
}

export interface Serving {
  readonly realtime: WebSocketServer
  readonly port: number
  /** With http:; `ws` takes that too. */
  readonly url: string
  /** Every client that the application was shown, in order. */
  readonly connections: Queue<Connected>
}

/**
 * Listens on a free port until the test is through. A test that runs beside others hands over the `onTestFinished` of its
 * context: the one of the module belongs to whichever test began last.
 */
export async function serve(
  options: ServerOptions = {},
  finished: (done: () => Promise<void>) => void = onTestFinished,
): Promise<Serving> {
  const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  const connections = watch(realtime)
  finished(() => end(realtime))
  await once(realtime, 'listening')
  const { port } = realtime.address() as AddressInfo
  return { realtime, port, url: `http://127.0.0.1:${port}/realtime`, connections }
}

export function watch(realtime: WebSocketServer): Queue<Connected> {
  const connections = new Queue<Connected>()
  realtime.on('connection', (socket, request) => connections.push({ socket, request }))
  return connections
}

/** Closes it whatever is still connected. */
export async function end(realtime: WebSocketServer): Promise<void> {
  for (const socket of realtime.clients ?? []) socket.terminate()
  await new Promise<void>((resolve) => realtime.close(() => resolve()))
}

/** The messages of a socket, to be waited for. */
export function messagesOf(socket: Socket): Queue<string | Buffer> {
  const messages = new Queue<string | Buffer>()
  socket.on('message', (data, isBinary) => messages.push(isBinary ? (data as Buffer) : String(data)))
  return messages
}

export interface Ended {
  readonly code: number
  readonly reason: string
}

/** How it ends, or has ended: on a busy machine it may be over before the test asks. */
export function closeOf(socket: Socket): Promise<Ended> {
  const last = socket.diary.at(-1)
  if (socket.readyState === 3 && last?.type === 'close')
    return Promise.resolve({ code: last.code, reason: last.reason })
  return new Promise((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
}

export interface OpenSession extends Serving {
  readonly client: RawClient
  readonly socket: Socket
}

/** A server, and a session that was opened by an exchange. */
export async function openSession(options: ServerOptions = {}, ask = 0): Promise<OpenSession> {
  const serving = await serve(options)
  const client = new RawClient(serving.url)
  await client.open([], { ask: Ask.open | ask })
  const { socket } = await serving.connections.next()
  return { ...serving, client, socket }
}
