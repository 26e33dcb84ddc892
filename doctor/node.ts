/** `everwire/doctor` for Node: `ws` and `node:http`, which say why something failed. */
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { exchange } from '../client/node/node-http.ts'
import { ProxyError } from '../client/node/node-proxy.ts'
import { type ConnectionOptions, Way } from '../client/node/node-way.ts'
import { examineWith, httpAddress } from './examine.ts'
import { foreignAnswer, hindranceOf, maxForeign } from './hindrance.ts'
import type { Platform, ProbeSocket } from './platform.ts'
import type { ExamineOptions, Hindrance, Report } from './report.ts'

export { type AnyDiary, formatDiary } from './format-diary.ts'
export { logDiary } from './log-diary.ts'
export type {
  BodyReport,
  Cause,
  Hindrance,
  Outcome,
  Plan,
  Progress,
  Report,
  ServerReport,
  TransportReport,
} from './report.ts'

/** The options of `examine` in Node. */
interface NodeExamineOptions extends ExamineOptions, ConnectionOptions {
  /** Headers of every request and handshake, for example `Cookie` or `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>
}

export type { NodeExamineOptions as ExamineOptions }

function platformWith(url: string, options: NodeExamineOptions): Platform {
  const { headers = {} } = options
  const way = new Way(url, options)
  return {
    base: () => undefined,
    hidden: () => false,
    lanes: 16,
    ask: (url, { signal, body, accept = '*/*' }) =>
      exchange(way, { url, signal, body, headers: way.headers(options, accept) }),
    webSocket: (url, protocols) =>
      open(
        new WebSocket(url, [...protocols], {
          ...way.connection,
          ...(way.forWebSocket && { agent: way.forWebSocket }),
          headers,
          perMessageDeflate: false,
        }),
      ),
    whyFailed,
  }
}

function open(socket: WebSocket): ProbeSocket {
  let opened = false
  let hindrance: Hindrance | undefined
  const probe: ProbeSocket = {
    onopen: undefined,
    onmessage: undefined,
    onend: undefined,
    send: (text) => socket.send(text),
    close: () => socket.terminate(),
  }
  socket.on('open', () => {
    opened = true
    probe.onopen?.()
  })
  socket.on('message', (data, isBinary) => probe.onmessage?.(isBinary ? '' : String(data)))
  socket.on('unexpected-response', (request, response) => {
    void whatAnswered(socket.url, response).then((found) => {
      hindrance = found
      request.destroy()
      socket.terminate()
    })
  })
  socket.on('error', (error) => {
    hindrance ??= whyFailed(error)
  })
  socket.on('close', (code, reason) => {
    const end = { code, reason: String(reason) }
    probe.onend?.(hindrance || !opened ? { ...end, hindrance: hindrance ?? hindranceOf('') } : end)
  })
  return probe
}

async function whatAnswered(url: string, response: IncomingMessage): Promise<Hindrance> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= maxForeign) break
    }
  } catch {
    // The part that has arrived is enough.
  }
  const { statusCode: status = 0, statusMessage: statusText = '', headers } = response
  const body = Buffer.concat(chunks).toString('utf8', 0, maxForeign)
  return foreignAnswer({ status, statusText, body, url, header: (name) => headers[name]?.toString() })
}

/** Finds the error that names the reason: "fetch failed" has it as its cause, and several addresses have one error each. */
function whyFailed(error: unknown): Hindrance {
  if (error instanceof ProxyError) return hindranceOf('', error.message)
  let code = ''
  let text = ''
  for (let at = error as ErrorLike | undefined; at; at = at.cause ?? at.errors?.[0]) {
    code = at.code ?? code
    text = at.message || text
  }
  return hindranceOf(typeof code === 'string' ? code : '', text)
}

interface ErrorLike {
  readonly message?: string
  readonly code?: string
  readonly cause?: ErrorLike
  readonly errors?: readonly ErrorLike[]
}

/**
 * Tries every transport in both directions against the everwire server at this address, for a few seconds.
 * Rejects only if the address is invalid or the signal aborts; all network failures are in the report.
 */
export async function examine(url: string | URL, options: NodeExamineOptions = {}): Promise<Report> {
  return examineWith(platformWith(httpAddress(url, undefined), options), url, options)
}
