/** The heads of what is passed on: of requests to another node, and of answers to the client. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { isToken } from '../../server/base/handshake.ts'
import type { MountedRequest } from '../../server/base/request.ts'
import type { NodeRecord } from '../base/engine.ts'
import type { AnswerHead } from './lines.ts'

/** Headers that are about one connection: the next connection has its own. */
const ofConnection =
  /^(connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|expect|content-length|date|http2-settings|:.*|x-everwire-passed)$/i

/** The head of an answer, as it came. `instead`: headers that replace those of the connection. */
export function headText(answer: IncomingMessage, instead?: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? ''}`]
  const { rawHeaders } = answer
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (!(instead && ofConnection.test(name))) lines.push(`${name}: ${rawHeaders[at + 1]}`)
  }
  return `${[...lines, ...(instead ?? [])].join('\r\n')}\r\n\r\n`
}

/** The URL as a request line can have it. */
export function urlOf(request: MountedRequest): string {
  const url = request.originalUrl ?? request.url ?? '/'
  return url.replace(/[^\x21-\xff]/g, (one) => encodeURIComponent(one))
}

/** The headers that go on. Middleware may have made some that no header can be: these are left out. */
export function headersOf({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const name in headers) {
    const value = headers[name]
    if (!ofConnection.test(name) && isToken(name) && canBe(value)) passed[name] = value
  }
  const authority = headers[':authority']
  if (passed.host === undefined && authority !== undefined) passed.host = authority as string
  return passed
}

/** The headers of a request as lines. */
export function headLines(request: IncomingMessage, { address, name }: NodeRecord): string {
  // A client of HTTP/1.0 need not say it.
  const headers = { host: address || name, ...headersOf(request) }
  let lines = ''
  for (const [name, values] of Object.entries(headers))
    for (const value of [values].flat()) lines += `${name}: ${value}\r\n`
  return lines
}

function canBe(value: unknown): boolean {
  return value != null && [value].flat().every((one) => !/[^\t\x20-\x7e\x80-\xff]/.test(String(one)))
}

export function answerHeaders({ headers }: AnswerHead): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const name in headers)
    if (name === 'content-length' || !ofConnection.test(name)) passed[name] = headers[name]
  return passed
}
