/** The answers that middleboxes give themselves. */
import { STATUS_CODES } from 'node:http'

export interface Page {
  readonly status: number
  /** The title of the page. Default: the text of the status. */
  readonly title?: string
  readonly location?: string
  /** Whether the connection stays open. */
  readonly keep?: boolean
}

/** An answer with an HTML page. */
export function page({ status, title, location, keep }: Page, headOnly: boolean): Buffer {
  const reason = STATUS_CODES[status] ?? 'Unknown'
  const text = title ?? `${status} ${reason}`
  const hasBody = status !== 204 && status !== 304
  const body = hasBody ? `<!doctype html>\n<title>${text}</title>\n<h1>${text}</h1>\n` : ''
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    ...(location === undefined ? [] : [`Location: ${location}`]),
    ...(hasBody ? ['Content-Type: text/html; charset=utf-8', `Content-Length: ${body.length}`] : []),
    'Cache-Control: no-store',
    `Connection: ${keep ? 'keep-alive' : 'close'}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${headOnly ? '' : body}`, 'latin1')
}

export const signInPath = '/sign-in'
export const signInTitle = 'Sign in to this network'
