// HTTP/2 from a client's side: a connection to a server of ours, and WebSockets on its streams (RFC 8441).
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2'
import { onTestFinished } from 'vitest'
import * as ws from 'ws'

/** A client's end of a WebSocket whose handshake is done. Part of `ws`, but not of its published types. */
type Bare = ws.WebSocket & {
  _isServer: boolean
  _protocol: string
  setSocket(socket: unknown, head: Buffer, options: object): void
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A connection that knows what the server has said about itself. */
export async function connectHttp2(
  url: string,
  options: ClientSessionOptions | SecureClientSessionOptions = {},
): Promise<ClientHttp2Session> {
  const connection = connect(url, { rejectUnauthorized: false, ...options })
  connection.on('error', () => {})
  onTestFinished(() => connection.destroy())
  await once(connection, 'remoteSettings')
  return connection
}

/** Asks for a WebSocket, as a browser does. */
export function askForWebSocket(
  connection: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = connection.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/realtime',
      'sec-websocket-version': '13',
      ...headers,
    },
    { endStream: false },
  )
  stream.on('error', () => {})
  return stream
}

export async function answerTo(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return { status: Number(headers[':status']), headers, body: Buffer.concat(chunks) }
}

/** What a client that is not let in gets to see. */
export function refusedOverHttp2(
  connection: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  return answerTo(askForWebSocket(connection, headers))
}

export interface Opened {
  readonly webSocket: ws.WebSocket
  readonly stream: ClientHttp2Stream
  /** Those of the answer. */
  readonly headers: IncomingHttpHeaders
}

/** Resolves when the WebSocket is open; what came with the answer is emitted in a later turn. */
export async function openOverHttp2(
  connection: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
): Promise<Opened> {
  const stream = askForWebSocket(connection, headers)
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  if (Number(answer[':status']) !== 200) throw new Error(`The server answered ${answer[':status']}`)
  const webSocket = new ws.WebSocket(null as never, undefined, { closeTimeout: 30_000 } as object) as Bare
  webSocket._isServer = false
  webSocket._protocol = answer['sec-websocket-protocol'] ?? ''
  webSocket.setSocket(stream, Buffer.alloc(0), { maxPayload: 0, allowSynchronousEvents: true })
  return { webSocket, stream, headers: answer }
}
