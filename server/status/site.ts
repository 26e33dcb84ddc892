/** The files of the status page: found by the request, and served with headers that let the page do no more than it has to. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type MountedRequest, pathOf } from '../base/request.ts'
import { refuse, writeHead } from '../base/responses.ts'
import { answerGiven } from '../base/unread.ts'

const types = {
  'status.html': 'text/html',
  'status.css': 'text/css',
  'status.js': 'text/javascript',
  'chart.js': 'text/javascript',
  'cluster.js': 'text/javascript',
  'diaries.js': 'text/javascript',
  'words.js': 'text/javascript',
} as const
type FileName = keyof typeof types

/** The browser's file of everwire, which the page opens its socket with. */
export const library = 'everwire.js'

/** In the query of the page's socket, so that a server which takes every path leaves the socket to the page. */
const mark = /[?&]everwire-status(?:[&=]|$)/

/** Whether a request belongs to the socket of a status page. */
export function isOfStatusPage(request: MountedRequest): boolean {
  return mark.test(request.originalUrl ?? request.url ?? '')
}

const headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'Cache-Control': 'no-store',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'X-Robots-Tag': 'noindex',
}

/** What a request wants of the page; undefined if nothing. */
export function wantedFile(request: MountedRequest): FileName | typeof library | undefined {
  const path = pathOf(request.url ?? '')
  const name = path.slice(path.lastIndexOf('/') + 1)
  const isFile = name === library || (name !== 'status.html' && Object.hasOwn(types, name))
  // A framework that removes the prefix leaves what is below it. Without one, whoever calls us has chosen the path.
  if (request.originalUrl !== undefined && path !== '' && path !== `/${isFile ? name : ''}`) return undefined
  return isFile ? (name as FileName | typeof library) : 'status.html'
}

export function serveFile(name: FileName, request: MountedRequest, response: ServerResponse): void {
  if (!isRead(request)) {
    refuse(response, {
      status: 405,
      reason: 'Use GET or HEAD for the status page',
      headers: { Allow: 'GET, HEAD' },
    })
    return
  }
  const text = textOf(name)
  const body = name === 'status.html' ? text.replaceAll('{base}', () => baseFor(request)) : text
  const length = Buffer.byteLength(body)
  const begun = writeHead(response, 200, {
    ...headers,
    'Content-Type': `${types[name]}; charset=utf-8`,
    'Content-Length': length,
  })
  if (!begun) return
  response.end(request.method === 'HEAD' ? undefined : body)
  answerGiven(response, length)
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

/**
 * Where the files are, relative to the page: below its last segment. An absolute path would be wrong behind a proxy that
 * removes a prefix. Anybody may send any path, so everything that HTML could take for its own is percent-encoded.
 */
function baseFor(request: MountedRequest): string {
  const path = pathOf(request.originalUrl ?? request.url ?? '')
  const last = path.slice(path.lastIndexOf('/') + 1)
  const safe = last.replace(
    /[^\w.~%!$()*+,;=:@-]/g,
    (one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  return safe === '' ? './' : `./${safe}/`
}

const texts = new Map<FileName, string>()

/** Reads a file when somebody first opens the page. */
function textOf(name: FileName): string {
  const known = texts.get(name)
  if (known !== undefined) return known
  const text = readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8')
  texts.set(name, text)
  return text
}
