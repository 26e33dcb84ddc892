/** Describes failures: error codes of the runtime, and answers that do not come from an everwire server. */
import type { Cause, Hindrance } from './report.ts'

/** OpenSSL's codes for a certificate whose authority this machine does not trust. */
const untrusted = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/

/** The error codes of Node, its fetch and OpenSSL, and what each of them means. */
const codes: readonly (readonly [RegExp, Cause, string])[] = [
  [/^(ENOTFOUND|EAI_AGAIN|EAI_)/, 'dns', 'this network does not know the host name (DNS)'],
  [/^ECONNREFUSED$/, 'refused', 'no server listens on this port: the connection was refused'],
  [/^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/, 'unreachable', 'this network has no route to the host'],
  [
    /^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_HEADERS_TIMEOUT|UND_ERR_BODY_TIMEOUT)$/,
    'timeout',
    'nothing answers',
  ],
  [/^CERT_HAS_EXPIRED$/, 'tls', 'the certificate has expired'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'tls', 'the certificate is for another host'],
  [
    untrusted,
    'tls',
    'this machine does not trust the certificate: it is self-signed or incomplete, or a proxy decrypts the traffic',
  ],
  [/^(ERR_SSL_\w+|ERR_TLS_\w+|CERT_\w+|EPROTO)$/, 'tls', 'the TLS handshake failed: does this port use TLS?'],
  [/^(HPE_\w+|UND_ERR_RES\w*)$/, 'foreign', 'the answer is not HTTP'],
  [/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'reset', 'the connection was cut'],
]

/** Describes an error by its code, or else by its text. */
export function hindranceOf(code: string, text = ''): Hindrance {
  for (const [pattern, cause, says] of codes) {
    if (pattern.test(code)) return { cause, says: `${says} (${code})`, code }
  }
  return { cause: 'reset', says: text || code || 'the connection was cut', ...(code && { code }) }
}

export function isUntrusted({ code = '' }: Hindrance): boolean {
  return untrusted.test(code)
}

export const noAnswer = (ms: number): Hindrance => ({
  cause: 'timeout',
  says: `no answer within ${Number((ms / 1000).toFixed(1))} s`,
})

/** An answer that does not come from an everwire server. */
export interface ForeignAnswer {
  readonly status: number
  readonly statusText: string
  readonly header: (name: string) => string | null | undefined
  readonly body: string
  readonly url: string
}

/** How many bytes of a foreign answer are read. */
export const maxForeign = 4096

export function foreignAnswer({ status, statusText, header, body, url }: ForeignAnswer): Hindrance {
  const server = clean(header('server') ?? header('via') ?? '', 60)
  const from = server ? ` from ${server}` : ''
  const common = { status, ...(server && { server }) }
  const line = `status ${status}${statusText ? ` ${clean(statusText, 60)}` : ''}`
  const given = header('location')
  if (status >= 300 && status < 400 && given) {
    const location = clean(resolved(given, url), 200)
    return { ...common, cause: 'redirect', says: `a redirect to ${location} (${line}${from})`, location }
  }
  const type = header('content-type') ?? ''
  const title = clean(/<title[^>]*>([^<]*)/i.exec(body)?.[1] ?? '', 80)
  const isPage = /html/i.test(type) || /^\s*<(!doctype|html)/i.test(body)
  if (isPage && status < 400) {
    const named = title ? `the page "${title}"` : 'a web page'
    return { ...common, cause: 'page', says: `${named}${from} (${line})`, ...(title && { title }) }
  }
  if (status >= 200 && status < 300)
    return { ...common, cause: 'foreign', says: `an answer${from} that is not everwire's (${line})` }
  // The everwire server, like many others, gives its reason as one line of plain text.
  const reason = /^text\/plain/i.test(type) ? clean(body.trim().split('\n', 1)[0] ?? '', 120) : ''
  const said = reason || title
  const also = said.toLowerCase().includes(statusText.toLowerCase()) && !/:/.test(said) ? '' : said
  return {
    ...common,
    cause: 'status',
    says: `${line}${from}${also && `: "${also}"`}`,
    ...(title && { title }),
  }
}

/** Whether this looks like the sign-in page of a network (a captive portal). */
export function looksLikePortal(
  { cause, title = '', location, status = 0 }: Hindrance,
  url: string,
): boolean {
  const words = /log[ -]?[io]n|sign[ -]?[io]n|portal|hotspot|wi-?fi|guest|accept|terms/i
  if (cause === 'redirect' && location) return hostOf(location) !== hostOf(url) || words.test(location)
  return cause === 'page' && status < 400 && words.test(title)
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname
  } catch {
    return ''
  }
}

function resolved(location: string, url: string): string {
  try {
    return new URL(location, url).href
  } catch {
    return location
  }
}

/** Cleans the text of a foreign answer: it must neither fill a terminal nor control it. */
export function clean(text: string, most: number): string {
  return text
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim()
    .slice(0, most)
}
