/**
 * Delays requests that arrive on one connection before the answer to an earlier one has been read. Our clients send no such
 * requests, but HTTP allows them, and each unread answer costs memory.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** A connection with more waiting requests is abusive. */
const maxWaiting = 8

interface Line {
  last: ServerResponse
  waiting: number
}

const lines = new WeakMap<Socket, Line>()

/** Resolves when the previous answer has been read; undefined if it has been. Streams of HTTP/2 need not wait. */
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
