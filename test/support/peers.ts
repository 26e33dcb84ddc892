/**
 * Clients as they should be, one for each thing that can carry one: they acknowledge, answer pings and closes, and say
 * what came. So a test can hold the server's sockets to be the same whatever carries them.
 */
import { WebSocket } from 'ws'
import type { Socket, Transport } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { readEnd } from '../../shared/message.ts'
import { plain } from './plain-client.ts'
import { Queue } from './queue.ts'
import {
  binary,
  type Close,
  close,
  type Piece,
  piece,
  RawClient,
  type RawStream,
  type Received,
  text,
} from './raw-client.ts'
import type { Serving } from './serving.ts'

export interface Peer {
  /** The server's side of it. */
  readonly socket: Socket
  /** What came, the close at last. */
  readonly arrived: Queue<Received>
  readonly pings: Queue<string>
  readonly pongs: Queue<string>
  send(...data: (string | Buffer)[]): void
  ping(data: string): void
  close(code?: number, reason?: string): void
}

export type PeerKind = 'plain' | Transport
export const peerKinds: readonly PeerKind[] = ['plain', 'websocket', 'stream', 'sse', 'polling']

export async function connectPeer(serving: Serving, kind: PeerKind): Promise<Peer> {
  if (kind === 'plain') return connectPlain(serving)
  if (kind === 'websocket') return connectWebSocket(serving)
  return connectHttp(serving, kind)
}

/** The next message, or the close. */
export function next(peer: Peer): Promise<Received> {
  return peer.arrived.next()
}

async function connectPlain({ url, connections }: Serving): Promise<Peer> {
  const client = await plain(url)
  const { socket } = await connections.next()
  const peer = {
    socket,
    arrived: new Queue<Received>(),
    pings: new Queue<string>(),
    pongs: new Queue<string>(),
  }
  client.on('message', (data: Buffer, isBinary) => peer.arrived.push(isBinary ? data : data.toString()))
  client.on('close', (code, reason) => peer.arrived.push({ code, reason: reason.toString() }))
  client.on('ping', (data) => peer.pings.push(data.toString()))
  client.on('pong', (data) => peer.pongs.push(data.toString()))
  return {
    ...peer,
    send: (...data) => {
      for (const one of data) client.send(one)
    },
    ping: (data) => client.ping(data),
    close: (code, reason) => client.close(code, reason),
  }
}

async function connectWebSocket({ url, connections }: Serving): Promise<Peer> {
  const client = new RawClient(url)
  const carrier = await client.openWebSocket()
  const { socket } = await connections.next()
  const peer = {
    socket,
    arrived: new Queue<Received>(),
    pings: new Queue<string>(),
    pongs: new Queue<string>(),
  }
  let closing = false
  const sayClose = (code = 1005, reason = ''): void => {
    if (!closing) carrier.say({ kind: 'close', code, reason })
    closing = true
  }
  const listen = async (): Promise<void> => {
    for (;;) {
      const said = await carrier.said.next()
      if (said.kind === 'ping') {
        carrier.say({ kind: 'pong', payload: said.payload })
        peer.pings.push(said.payload)
      } else if (said.kind === 'pong') peer.pongs.push(said.payload)
      else if (said.kind === 'message' || said.kind === 'close') {
        if (carrier.socket.readyState === WebSocket.OPEN)
          carrier.say({ kind: 'ack', number: client.has.number })
        peer.arrived.push((await client.arrived.next()) as Received)
        if (said.kind === 'close') sayClose(said.code, said.reason)
      } else if (said.kind === 'abort') peer.arrived.push({ code: said.code, reason: said.reason })
    }
  }
  void listen()
  return {
    ...peer,
    send: (...data) => {
      for (const one of data) carrier.send(one)
    },
    ping: (payload) => carrier.say({ kind: 'ping', payload }),
    close: sayClose,
  }
}

async function connectHttp({ url, connections }: Serving, kind: 'stream' | 'sse' | 'polling'): Promise<Peer> {
  const client = new RawClient(url)
  const ask = kind === 'stream' ? Ask.stream : 0
  const { records } = await client.open([], { ask: Ask.open | (kind === 'sse' ? Ask.ticket : ask) })
  const { socket } = await connections.next()
  const peer = { socket, arrived: client.arrived, pings: new Queue<string>(), pongs: new Queue<string>() }
  let over = false
  let closing = false
  let last: Promise<unknown> = Promise.resolve()
  /** One short exchange after the other. */
  const short = (...pieces: Piece[]): void => {
    last = last.then(async () => {
      const number = client.at.number
      const answer = await client.send(pieces, { at: { number, offset: 0 }, ask })
      for (const record of answer.records) heard(record.kind, record.payload)
    })
    last.catch(() => {})
  }
  const sayClose = (code = 1005, reason = ''): void => {
    if (!closing) short(close(code, reason))
    closing = true
  }
  const heard = (recordKind: string, payload: Uint8Array): void => {
    const data = Buffer.from(payload)
    if (recordKind === 'ping') {
      peer.pings.push(data.toString())
      short(piece('pong', payload))
    } else if (recordKind === 'pong') {
      // An empty one is but a stream's second piece.
      if (data.length > 0) peer.pongs.push(data.toString())
    } else if (recordKind === 'close' || recordKind === 'abort') {
      over = true
      const said: Close = readEnd(data.toString())
      if (recordKind === 'abort') client.arrived.push(said)
      else if (closing) short()
      else sayClose(said.code, said.reason)
    } else if (recordKind === 'text' || recordKind === 'binary') short()
  }
  if (kind === 'polling') {
    const poll = async (): Promise<void> => {
      while (!over) for (const record of (await client.poll()).records) heard(record.kind, record.payload)
    }
    poll().catch(() => {})
  } else {
    const ticket = records.find((record) => record.kind === 'ticket')?.payload ?? new Uint8Array()
    const stream: RawStream =
      kind === 'stream' ? await client.stream() : await client.eventStream(Buffer.from(ticket).toString())
    const read = async (): Promise<void> => {
      for (;;) {
        const { kind: recordKind, payload } = await stream.records.next()
        heard(recordKind, payload)
      }
    }
    void read()
  }
  return {
    ...peer,
    send: (...data) => short(...data.map((one) => (typeof one === 'string' ? text(one) : binary(one)))),
    ping: (data) => short(piece('ping', Buffer.from(data))),
    close: sayClose,
  }
}
