/** What middleboxes answer themselves. */
import { STATUS_CODES } from 'node:http'

/** An answer with a page of HTML that says so; the connection ends with it unless it is to be kept. */
export function page(
  status: number,
  options: { keep?: boolean; location?: string; title?: string } = {},
): Buffer {
  const reason = STATUS_CODES[status] ?? 'Unknown'
  const title = options.title ?? `${status} ${reason}`
  const hasBody = status !== 204 && status !== 304
  const body = hasBody ? `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n` : ''
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    ...(options.location === undefined ? [] : [`Location: ${options.location}`]),
    ...(hasBody ? ['Content-Type: text/html; charset=utf-8', `Content-Length: ${body.length}`] : []),
    'Cache-Control: no-store',
    `Connection: ${options.keep ? 'keep-alive' : 'close'}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}

export const signInPath = '/sign-in'
export const signInTitle = 'Sign in to this network'
