/** From which pages a browser may come, on every transport alike. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { types } from 'node:util'
import type { Refusal } from '../base/handshake.ts'
import { rethrow } from '../base/turn.ts'
import { deadline } from '../base/wakeups.ts'
import { hostOf, keepAddress, schemeOf, trustsPeer } from './address.ts'
import { type Hosting, refuseHost, urlHost } from './hosts.ts'

export type OriginRule =
  | string
  | RegExp
  | ((origin: string, request: IncomingMessage) => boolean | Promise<boolean>)
/** `'same'`: pages of this host. `'*'`: any page. Also origins, patterns and tests; a list of all these is all that may come. */
export type Origins = 'same' | '*' | OriginRule | readonly OriginRule[]

interface Guarding extends Hosting {
  readonly origins: Origins
  readonly handshakeTimeout: number
}

/** Options of servers whose application has not said from where pages may come. It is told once, as with `ws` they may. */
const unsaid = new WeakSet<object>()

export function warnOnce(options: object): void {
  unsaid.add(options)
}

/** Throws, and says what to write, where the option can never mean what it says. */
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

/** Why a request may not come to this host, or from where it does; a promise where a rule takes its time. */
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

/** As of old: with version 8 of the handshake it has another name. */
export function originOf({ headers }: IncomingMessage): string | undefined {
  const old = headers['sec-websocket-version'] === '8' ? headers['sec-websocket-origin'] : undefined
  return headers.origin ?? (Array.isArray(old) ? old[0] : old)
}

/** Lets a page of another origin, if it is allowed, read the answer. The others need no headers, nor memory for them. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, options: Guarding): void {
  const { origin } = request.headers
  if (origin === undefined || isSame(origin, request, options)) return
  response.appendHeader('Vary', 'Origin')
  response.setHeader('Access-Control-Allow-Origin', origin)
  response.setHeader('Access-Control-Allow-Credentials', 'true')
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

/** A browser leaves the origin out of what needs no permission: an image, a script, a link. Other clients say nothing of sites. */
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

/** A promise only where no rule has said yes at once, and some have not said no. */
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
  // The options may have been changed to anything.
  if (!types.isRegExp(rule)) return false
  rule.lastIndex = 0
  return rule.test(origin)
}

/** Only `true` is yes: a promise, an object, a number are answers to another question. */
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
    if (typeof (said as PromiseLike<unknown> | null | undefined)?.then !== 'function') return said === true
    return Promise.resolve(said).then((value) => value === true, failed)
  } catch (error) {
    return failed(error)
  }
}

/** As soon as one says yes; not for ever. */
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
 * Of this host, and of its scheme where that can be known. Behind a proxy that ends TLS and says nothing of it the server
 * cannot: there pages of both schemes are its own.
 */
function isSame(origin: string, request: IncomingMessage, options: Guarding): boolean {
  // No page can make a browser say that of another's request.
  if (request.headers['sec-fetch-site'] === 'same-origin') return true
  const [, scheme] = /^(https?):\/\//.exec(origin) ?? []
  if (scheme === undefined || (schemeOf(request, options) ?? scheme) !== scheme) return false
  const host = urlHost(scheme, origin.slice(scheme.length + 3))
  return host !== undefined && host === urlHost(scheme, hostOf(request, options))
}

/** As browsers write an origin; a slash at its end is often copied along. */
function trimmed(rule: string): string {
  return rule.replace(/([^/])\/$/, '$1').toLowerCase()
}

/** What to write instead of an origin that no browser would send. */
function correction(rule: string): string | undefined {
  if (rule === 'same' || rule === '*' || rule === 'null') return undefined
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(rule) ? trimmed(rule) : `https://${trimmed(rule)}`
  if (rule.includes('*')) return `the pattern ${patternFor(whole)}`
  // Of other schemes an application of a telephone has pages.
  if (!/^https?:/.test(whole)) return /^[^/]+:\/\/[^/?#@\s]*$/.test(whole) ? undefined : '"scheme://host"'
  const canonical = URL.canParse(whole) ? new URL(whole).origin : 'https://app.example.com'
  return canonical === trimmed(rule) ? undefined : JSON.stringify(canonical)
}

/** Dots are dots, a star is part of a name, or any port. */
function patternFor(rule: string): RegExp {
  const text = rule.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${text.replaceAll(':*', ':\\d+').replaceAll('*', '[a-z0-9.-]+')}$`)
}
