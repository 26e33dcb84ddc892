/** The option `hosts`, against DNS rebinding: a page whose host name was pointed at this server requests its own host name. */
import type { IncomingMessage } from 'node:http'
import type { Refusal } from '../base/handshake.ts'
import { hostOf, schemeOf, type TrustProxy } from './address.ts'

export interface Hosting {
  readonly hosts?: readonly string[] | undefined
  readonly trustProxy?: TrustProxy | undefined
}

export function checkHosts(given: unknown): void {
  const example = 'hosts: ["app.example.com", "localhost:3000"]'
  if (!Array.isArray(given) || given.length === 0)
    throw new TypeError(`The option "hosts" must be a list of hosts, for example ${example}`)
  for (const one of given as unknown[]) {
    const isHost = typeof one === 'string' && urlHost('http', one) !== undefined
    if (!isHost)
      throw new TypeError(
        `The option "hosts" must contain host names, with or without a port, for example ${example}; got ${JSON.stringify(one)}`,
      )
  }
}

/** The refusal if the request may not use this host. */
export function refuseHost(request: IncomingMessage, options: Hosting): Refusal | undefined {
  const { hosts } = options
  if (!hosts) return undefined
  const asked = hostOf(request, options)
  // A missing port means the default port of the scheme; of either scheme if that is unknown.
  const scheme = schemeOf(request, options)
  const schemes = scheme ? [scheme] : (['http', 'https'] as const)
  if (schemes.some((one) => hosts.some((host) => isAsked(one, asked, host)))) return undefined
  return {
    status: 403,
    reason: `The host ${JSON.stringify(asked)} is not one of the server's option "hosts"`,
  }
}

/** Characters that cannot be in a host. */
const foreign = /[*/?#@\\\s]/

/** The host as a URL with this scheme has it: in lower case, without the default port. Undefined if it is no host. */
export function urlHost(scheme: string, host: string): string | undefined {
  if (foreign.test(host)) return undefined
  try {
    return new URL(`${scheme}://${host}`).host
  } catch {
    return undefined
  }
}

function isAsked(scheme: string, asked: string, host: string): boolean {
  const of = urlHost(scheme, asked)
  if (of === undefined || of === '') return false
  // A host without a port allows any port.
  const portless = !/:\d*$/.test(host)
  return (portless ? of.replace(/:\d+$/, '') : of) === urlHost(scheme, host)
}
