/**
 * Requests that come over one connection before the answer to an earlier one has been read: no client of ours sends such, but
 * HTTP allows it, and each answer that nobody reads is memory. They wait for each other.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** More than that wait for nothing good. */
const maxWaiting = 8

interface Line {
  last: ServerResponse
  waiting: number
}

const lines = new WeakMap<Socket, Line>()

/** When the answer before this one has been read; undefined if that is now. Streams of HTTP/2 each have a window of their own. */
export function whenFree(
  { socket, httpVersionMajor }: IncomingMessage,
  response: ServerResponse,
): Promise<void> | undefined {
  if (httpVersionMajor >= 2) return undefined
  const line = lines.get(socket)
  if (line === undefined) {
    lines.set(socket, { last: response, waiting: 0 })
    return undefined
  }
  const { last } = line
  line.last = response
  if (last === response || last.writableFinished || last.destroyed) return undefined
  if (++line.waiting > maxWaiting) socket.destroy()
  return new Promise((resolve) => {
    last.once('close', () => {
      line.waiting--
      resolve()
    })
  })
}
