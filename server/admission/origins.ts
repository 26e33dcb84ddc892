/** The option `origins`: the pages from which a browser may connect, the same for all transports. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { types } from 'node:util'
import type { Refusal } from '../base/handshake.ts'
import { isPromise } from '../base/promise.ts'
import { rethrow } from '../base/turn.ts'
import { deadline } from '../base/wakeups.ts'
import { hostOf, keepAddress, schemeOf, trustsPeer } from './address.ts'
import { type Hosting, refuseHost, urlHost } from './hosts.ts'

/** One rule of the option `origins`: an origin, a pattern of origins, or a function that allows with `true` alone. */
export type OriginRule =
  | string
  | RegExp
  | ((origin: string, request: IncomingMessage) => boolean | Promise<boolean>)
/** `'same'`: pages of this host. `'*'`: any page. Also origins, patterns and functions; only pages that match one may connect. */
export type Origins = 'same' | '*' | OriginRule | readonly OriginRule[]

interface Guarding extends Hosting {
  readonly origins: Origins
  readonly handshakeTimeout: number
}

/** Options without `origins`. Their application is warned once, because with `ws` all pages may connect. */
const unsaid = new WeakSet<object>()

export function warnOnce(options: object): void {
  unsaid.add(options)
}

/** Throws if a rule of the option can never match, and says what to write instead. */
export function checkOrigins(given: unknown): void {
  for (const rule of Array.isArray(given) ? (given as unknown[]) : [given]) {
    if (typeof rule === 'function' || types.isRegExp(rule)) continue
    if (typeof rule !== 'string' || rule === '')
      throw new TypeError(
        `The option "origins" must be 'same', '*', an origin, a pattern, a function or a list of these; got ${typeof rule === 'string' ? '""' : String(rule)}`,
      )
    const better = correction(rule)
    if (better !== undefined)
      throw new TypeError(
        `No page has the origin ${JSON.stringify(rule)} of the option "origins". Write ${better}`,
      )
  }
}

/** The refusal if the request may not use this host, or come from its page; a promise if a rule is asynchronous. */
export function refuseEntry(
  request: IncomingMessage,
  options: Guarding,
): Refusal | undefined | Promise<Refusal | undefined> {
  keepAddress(request)
  const refusal = refuseHost(request, options)
  if (refusal) return refusal
  const origin = originOf(request)
  if (origin === undefined) return refuseUnsaid(request, options)
  const allowed = originAllowed(origin, request, options)
  if (typeof allowed === 'boolean') return allowed ? undefined : refuseOrigin(origin, request, options)
  return allowed.then((answer) => {
    if (answer === 'late') return { status: 503, reason: 'The application did not decide in time' }
    return answer ? undefined : refuseOrigin(origin, request, options)
  })
}

/** The request's origin. In version 8 of the handshake the header has another name. */
export function originOf({ headers }: IncomingMessage): string | undefined {
  const old = headers['sec-websocket-version'] === '8' ? headers['sec-websocket-origin'] : undefined
  return headers.origin ?? (Array.isArray(old) ? old[0] : old)
}

/** Lets an allowed page of another origin read the answer, and know which version of HTTP brought it. Pages of the same origin need no headers. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, options: Guarding): void {
  const { origin } = request.headers
  if (origin === undefined || isSame(origin, request, options)) return
  response.appendHeader('Vary', 'Origin')
  response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader('Access-Control-Allow-Credentials', 'true')
  response.setHeader('Timing-Allow-Origin', origin)
}

function refuseOrigin(origin: string, request: IncomingMessage, options: Guarding): Refusal {
  const scheme = schemeOf(request, options)
  const here = `${scheme ? `${scheme}://` : ''}${hostOf(request, options)}`
  const what = `Pages of ${origin} may not connect to ${here}`
  const reason = `${what}. To allow them, set the server's option origins: [${JSON.stringify(origin)}]`
  const unheard = request.headers['x-forwarded-host'] !== undefined && !trustsPeer(request, options)
  const hint = unheard
    ? '. To use the proxy\'s "X-Forwarded-Host", name the proxy in the option "trustProxy"'
    : ''
  if (unsaid.delete(options))
    process.emitWarning(`${reason}${hint}. By default only pages of the same host may connect.`, {
      type: 'everwire',
      code: 'EVERWIRE_ORIGIN',
    })
  return { status: 403, reason: reason + hint }
}

/** Refuses requests of other sites without an origin, as browsers make for images, scripts and links. */
function refuseUnsaid({ headers }: IncomingMessage, { origins }: Guarding): Refusal | undefined {
  const site = headers['sec-fetch-site']
  if ((site !== 'cross-site' && site !== 'same-site') || rulesOf(origins).includes('*')) return undefined
  return {
    status: 403,
    reason: `The request of a page of another site has no Origin header (Sec-Fetch-Site: ${site}). Only origins: "*" allows that`,
  }
}

function rulesOf(origins: Origins): readonly OriginRule[] {
  return Array.isArray(origins) ? (origins as readonly OriginRule[]) : [origins as OriginRule]
}

/** Returns a promise only if no rule allows at once and some rules are asynchronous. */
function originAllowed(
  origin: string,
  request: IncomingMessage,
  options: Guarding,
): boolean | Promise<boolean | 'late'> {
  const later: Promise<boolean>[] = []
  for (const rule of rulesOf(options.origins)) {
    const said = matches(rule, origin, request, options)
    if (said === true) return true
    if (said !== false) later.push(said)
  }
  return later.length > 0 && anyOf(later, options.handshakeTimeout)
}

function matches(
  rule: OriginRule,
  origin: string,
  request: IncomingMessage,
  options: Guarding,
): boolean | Promise<boolean> {
  if (rule === '*') return true
  if (rule === 'same') return isSame(origin, request, options)
  if (typeof rule === 'string') return trimmed(rule) === origin.toLowerCase()
  if (typeof rule === 'function') return agrees(rule, origin, request)
  // The options may have been changed to any value.
  if (!types.isRegExp(rule)) return false
  rule.lastIndex = 0
  return rule.test(origin)
}

/** Only `true` allows: any other value may be a mistake of the application. */
function agrees(
  rule: Extract<OriginRule, (...args: never) => unknown>,
  origin: string,
  request: IncomingMessage,
): boolean | Promise<boolean> {
  const failed = (error: unknown): boolean => {
    rethrow(error)
    return false
  }
  try {
    const said: unknown = rule(origin, request)
    if (!isPromise(said)) return said === true
    return Promise.resolve(said).then((value) => value === true, failed)
  } catch (error) {
    return failed(error)
  }
}

/** Resolves as soon as one rule allows, or after `time`. */
function anyOf(all: readonly Promise<boolean>[], time: number): Promise<boolean | 'late'> {
  return new Promise((resolve) => {
    let left = all.length
    const timer = deadline(time, () => resolve('late'))
    const settle = (yes: boolean): void => {
      if (!yes && --left > 0) return
      clearTimeout(timer)
      resolve(yes)
    }
    for (const one of all) one.then(settle)
  })
}

/**
 * Whether the page is of this host, and of its scheme where that is known. Behind a proxy that ends TLS without telling,
 * the scheme is unknown: there pages of both schemes count as the same.
 */
function isSame(origin: string, request: IncomingMessage, options: Guarding): boolean {
  // A page cannot forge this header.
  if (request.headers['sec-fetch-site'] === 'same-origin') return true
  const [, scheme] = /^(https?):\/\//.exec(origin) ?? []
  if (scheme === undefined || (schemeOf(request, options) ?? scheme) !== scheme) return false
  const host = urlHost(scheme, origin.slice(scheme.length + 3))
  return host !== undefined && host === urlHost(scheme, hostOf(request, options))
}

/** An origin as browsers write it. A copied URL often ends with a slash. */
function trimmed(rule: string): string {
  return rule.replace(/([^/])\/$/, '$1').toLowerCase()
}

/** What to write instead of an origin that no browser sends. */
function correction(rule: string): string | undefined {
  if (rule === 'same' || rule === '*' || rule === 'null') return undefined
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(rule) ? trimmed(rule) : `https://${trimmed(rule)}`
  if (rule.includes('*')) return `the pattern ${patternFor(whole)}`
  // Pages of a mobile application have other schemes.
  if (!/^https?:/.test(whole)) return /^[^/]+:\/\/[^/?#@\s]*$/.test(whole) ? undefined : '"scheme://host"'
  const canonical = URL.canParse(whole) ? new URL(whole).origin : 'https://app.example.com'
  return canonical === trimmed(rule) ? undefined : JSON.stringify(canonical)
}

/** A pattern for a rule with stars: a star matches a part of the host, or any port. */
function patternFor(rule: string): RegExp {
  const text = rule.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${text.replaceAll(':*', ':\\d+').replaceAll('*', '[a-z0-9.-]+')}$`)
}
