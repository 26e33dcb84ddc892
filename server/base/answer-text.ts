/** Reads an HTTP/1.1 answer that somebody wrote to what looks like a connection, so that it can be given in another way. */
import { validateHeaderName, validateHeaderValue } from 'node:http'

/** No refusal is longer than this. */
export const maxAnswer = 65_536

export interface AnswerText {
  readonly status: number
  /** Without the headers of the connection and those that give the length. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

/** Headers that belong to the connection, or that the code that gives the answer sets itself. */
const ofConnection = /^(connection|content-length|keep-alive|transfer-encoding|upgrade)$/i

/** `text`: the bytes as latin1. Undefined if they are no answer. */
export function readAnswer(text: string): AnswerText | undefined {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s, 2)
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1] ?? 0)
  if (status === 0) return undefined
  const whole = /\r\ntransfer-encoding: *chunked/i.test(head) ? unchunked(body) : body
  const headers = head.split('\r\n').slice(1).flatMap(headerIn)
  return { status, headers, body: Buffer.from(whole, 'latin1') }
}

/** The header in a line. Empty for a header of the connection, or for an invalid line. */
function headerIn(line: string): (readonly [name: string, value: string])[] {
  const [, name = '', value = ''] = /^([^:]+):[ \t]*(.*)$/s.exec(line) ?? []
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch {
    return []
  }
  return ofConnection.test(name) ? [] : [[name, value.trim()]]
}

/** Removes the lengths of chunks from a body. */
function unchunked(body: string): string {
  let whole = ''
  for (let rest = body; rest !== ''; ) {
    const [line = '', size = ''] = /^([0-9a-f]{1,6})[^\n]*\n/i.exec(rest) ?? []
    const length = Number.parseInt(size || '0', 16)
    if (length === 0) break
    whole += rest.slice(line.length, line.length + length)
    rest = rest.slice(line.length + length + 2)
  }
  return whole
}
