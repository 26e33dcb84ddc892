// An ordinary WebSocket client, `ws`'s.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import type { HttpAnswer } from './http.ts'

/** Resolves when it is open. Messages that come with the handshake wait for the first who asks. */
export async function plain(
  url: string,
  protocols: string | readonly string[] = [],
  options: ClientOptions = {},
): Promise<WebSocket> {
  const socket = make(url, protocols, options)
  await once(socket, 'open')
  return socket
}

/** What a client that is not let in gets to see. */
export function refused(
  url: string,
  protocols: string | readonly string[] = [],
  options: ClientOptions = {},
): Promise<HttpAnswer> {
  const socket = make(url, protocols, options)
  return new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error(`${url} let the client in`)))
    socket.once('error', reject)
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('close', () => {
        const { statusCode = 0, headers, rawHeaders } = response
        resolve({ status: statusCode, headers, rawHeaders, body: Buffer.concat(chunks) })
      })
    })
  })
}

/** Sends it and resolves with the next message. */
export async function ask(socket: WebSocket, data: string | Buffer): Promise<string> {
  const answer = once(socket, 'message')
  socket.send(data)
  return String((await answer)[0])
}

export async function closed(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return { code, reason: reason.toString() }
}

function make(url: string, protocols: string | readonly string[], options: ClientOptions): WebSocket {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), protocols as string | string[], {
    rejectUnauthorized: false,
    ...options,
  })
  onTestFinished(() => {
    socket.on('error', () => {})
    socket.terminate()
  })
  return socket
}
