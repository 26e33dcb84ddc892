/** What belongs to everwire in a request: the mark in its query, and its body. */
import type { IncomingMessage } from 'node:http'

/** Framework's requests remember the URL from before the mount took its prefix away. */
export type MountedRequest = IncomingMessage & {
  originalUrl?: string
  body?: unknown
  rawBody?: unknown
}

const markOf = /([?&])everwire=([^&]*)(&|$)/

/** The value of `everwire=` in the query. */
export function markIn(request: IncomingMessage): string | undefined {
  const url = request.url ?? ''
  return url.includes('everwire=') ? markOf.exec(url)?.[2] : undefined
}

/** The URL as the application gave it to its client. */
export function plainUrl(request: MountedRequest): string {
  const url = request.originalUrl ?? request.url ?? '/'
  return url.replace(markOf, (_, before: string, _value, after: string) => (after === '&' ? before : ''))
}

export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}

/** Why there is no whole body: it is too large, the client has gone, or somebody has read it and did not keep its bytes. */
export type NoBody = 'too large' | 'cut' | 'taken'

/** The whole body. A body parser may have been before us. */
export function readBody(request: MountedRequest, limit: number): Promise<Buffer | NoBody> {
  for (const parsed of [request.rawBody, request.body]) {
    if (parsed instanceof Uint8Array) {
      const bytes = Buffer.from(parsed.buffer, parsed.byteOffset, parsed.length)
      return Promise.resolve(bytes.length > limit ? 'too large' : bytes)
    }
  }
  if (request.readableEnded) return Promise.resolve('taken')
  if (request.destroyed) return Promise.resolve('cut')
  return new Promise((resolve) => {
    let chunks: Buffer[] | undefined
    let first: Buffer | undefined
    let size = 0
    const take = (chunk: Buffer): void => {
      size += chunk.length
      if (size > limit) {
        resolve('too large')
        // What is still under way is thrown away, so that the client reads the answer; not for ever.
        if (size > limit * 16) request.destroy()
      } else if (first === undefined) first = chunk
      else if (chunks) chunks.push(chunk)
      else chunks = [first, chunk]
    }
    const end = (): void => {
      resolve(chunks ? Buffer.concat(chunks, size) : (first ?? Buffer.alloc(0)))
      // The exchange may be held for long: it need not hold its body.
      request.off('data', take).off('end', end).off('close', close)
      first = undefined
      chunks = undefined
    }
    const close = (): void => resolve('cut')
    request.on('data', take).on('end', end).on('close', close)
  })
}
