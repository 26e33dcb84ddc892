/** From which pages a browser may come, on every transport alike. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refusal } from './handshake.ts'
import { rethrow } from './turn.ts'

export type OriginRule = string | RegExp | ((origin: string, request: IncomingMessage) => boolean)
/** `'same'`: only pages of this host. `'*'`: any page. Otherwise a list of origins, patterns and tests, beside the own host. */
export type Origins = 'same' | '*' | OriginRule | readonly OriginRule[]

/** Options of servers whose application has not said from where pages may come. It is told once, as with `ws` they may. */
const unsaid = new WeakSet<object>()

export function warnOnce(options: object): void {
  unsaid.add(options)
}

/** Why a request may not come from where it does, if it may not. */
export function refuseOrigin(
  request: IncomingMessage,
  options: { readonly origins: Origins },
): Refusal | undefined {
  if (originAllowed(request, options.origins)) return undefined
  const origin = originOf(request)
  const what = `Pages of ${origin} may not connect to ${request.headers.host}`
  const reason = `${what}, unless the server's option "origins" lets them in: origins: [${JSON.stringify(origin)}]`
  if (unsaid.delete(options))
    process.emitWarning(`${reason}. By default only pages of the same host may.`, {
      type: 'everwire',
      code: 'EVERWIRE_ORIGIN',
    })
  return { status: 403, reason }
}

/** As of old: with version 8 of the handshake it has another name. */
export function originOf({ headers }: IncomingMessage): string | undefined {
  const old = headers['sec-websocket-version'] === '8' ? headers['sec-websocket-origin'] : undefined
  return headers.origin ?? (Array.isArray(old) ? old[0] : old)
}

/** Requests without an origin are not from another site's page: a browser says where cross-site requests come from. */
function originAllowed(request: IncomingMessage, origins: Origins): boolean {
  const origin = originOf(request)
  if (origin === undefined || origins === '*' || isSame(origin, request)) return true
  if (origins === 'same') return false
  const rules = Array.isArray(origins) ? (origins as readonly OriginRule[]) : [origins as OriginRule]
  return rules.some((rule) => {
    if (rule === '*') return true
    if (typeof rule === 'string') return rule.replace(/\/$/, '').toLowerCase() === origin.toLowerCase()
    if (typeof rule === 'function') return agrees(rule, origin, request)
    rule.lastIndex = 0
    return rule.test(origin)
  })
}

function agrees(
  rule: (origin: string, request: IncomingMessage) => boolean,
  origin: string,
  request: IncomingMessage,
): boolean {
  try {
    return rule(origin, request)
  } catch (error) {
    rethrow(error)
    return false
  }
}

/** Lets a page of another origin, if it is allowed, read the answer. The others need no headers, nor memory for them. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers
  if (origin === undefined || isSame(origin, request)) return
  response.appendHeader('Vary', 'Origin')
  response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader('Access-Control-Allow-Credentials', 'true')
}

/**
 * A proxy may have changed `Host`. What it says of the original one can be believed here, because no page of another site
 * can make a browser send these headers.
 */
function isSame(origin: string, request: IncomingMessage): boolean {
  const { headers } = request
  if (headers['sec-fetch-site'] === 'same-origin') return true
  let host: string
  try {
    host = new URL(origin).host
  } catch {
    return false
  }
  const forwarded = String(headers['x-forwarded-host'] ?? '').split(',')
  return [headers.host ?? '', ...forwarded].some((one) => sameHost(one.trim(), host, origin))
}

function sameHost(header: string, host: string, origin: string): boolean {
  if (header === '') return false
  try {
    return new URL(`${origin.slice(0, origin.indexOf(':'))}://${header}`).host === host
  } catch {
    return false
  }
}
