/** Serves the browser's file below the mount: `<script src="/realtime/everwire.js">`. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { refuse, writeHead } from '../base/responses.ts'
import { answerGiven } from '../base/unread.ts'

export const scriptName = 'everwire.js'

interface Script {
  readonly plain: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

let script: Script | undefined

export function serveScript(request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    refuse(response, {
      status: 405,
      reason: 'Use GET or HEAD for the script',
      headers: { Allow: 'GET, HEAD' },
    })
    return
  }
  script ??= load()
  if (script === undefined) {
    refuse(response, { status: 404, reason: 'The browser file has not been built: npm run build' })
    return
  }
  const headers = { 'Cache-Control': 'no-cache', ETag: script.etag, Vary: 'Accept-Encoding' }
  if (String(request.headers['if-none-match'] ?? '').includes(script.etag)) {
    if (writeHead(response, 304, headers)) response.end()
    return
  }
  const gzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(String(request.headers['accept-encoding'] ?? ''))
  const body = gzip ? script.gzipped : script.plain
  const begun = writeHead(response, 200, {
    ...headers,
    ...(gzip && { 'Content-Encoding': 'gzip' }),
    'Content-Type': 'text/javascript; charset=utf-8',
    'Content-Length': body.length,
    'X-Content-Type-Options': 'nosniff',
  })
  if (!begun) return
  response.end(request.method === 'HEAD' ? undefined : body)
  answerGiven(response, body.length)
}

/** Finds the file beside the compiled `server/`, or in `dist/` when the sources run. */
function load(): Script | undefined {
  for (const place of [`../../${scriptName}`, `../../dist/${scriptName}`]) {
    try {
      const plain = readFileSync(new URL(place, import.meta.url))
      const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 16)}"`
      return { plain, gzipped: gzipSync(plain, { level: 9 }), etag }
    } catch {}
  }
  return undefined
}
