// A room in which ordinary WebSocket clients and ours, on every transport, speak to each other: what each kind must be able to do.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { WebSocketServer } from '../../server/index.ts'
import { listen } from '../support/http.ts'
import { Queue } from '../support/queue.ts'
import { closeOf, watch } from '../support/serving.ts'

export interface Close {
  readonly code: number
  readonly reason: string
}

export type Happening = string | Buffer | { readonly pong: string }

/** An ordinary client, as far as these tests need it. */
export interface Connection {
  readonly protocol: string
  readonly happenings: Queue<Happening>
  readonly closed: Promise<Close>
  send(data: string | Buffer): void
  /** A page cannot. */
  ping?(data: string): void
  close(code: number, reason: string): void
}

export type Connect = (url: string, protocols: readonly string[]) => Promise<Connection>

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

/** Whatever one says, all others hear. */
async function openRoom() {
  const server = createServer()
  const realtime = new WebSocketServer({
    server,
    origins: '*',
    handleProtocols: (offered) => (offered.has('room.2') ? 'room.2' : false),
  })
  const connections = watch(realtime)
  realtime.on('connection', (socket) => {
    socket.subscribe('room')
    socket.on('message', (data, isBinary) =>
      socket.publish('room', isBinary ? (data as Buffer) : String(data)),
    )
  })
  return { connections, url: `ws://127.0.0.1:${await listen(server)}/room` }
}

/** One of ours, with what it hears. */
async function join(url: string, transport: Transport) {
  const socket = new WebSocket(url, { transports: [transport], remember: false })
  const heard = new Queue<string | Buffer>()
  socket.binaryType = 'arraybuffer'
  socket.onmessage = ({ data }) => heard.push(typeof data === 'string' ? data : Buffer.from(data))
  onTestFinished(async () => {
    const ended = new Promise((resolve) => socket.addEventListener('close', resolve))
    socket.close()
    await ended
  })
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve()
    socket.onclose = ({ reason }) => reject(new Error(reason))
  })
  expect(socket.transport).toBe(transport)
  return { socket, heard }
}

export function ordinaryClient(connect: Connect, canPing = true): void {
  /** It, as it sees itself and as the server does. */
  async function enter(protocols: readonly string[] = []) {
    const { url, connections } = await openRoom()
    const connection = await connect(url, protocols)
    const { socket } = await connections.next()
    return { url, connection, socket }
  }

  test('gets the subprotocol that the server chooses', async () => {
    const { connection, socket } = await enter(['room.1', 'room.2'])
    expect([connection.protocol, socket.protocol]).toEqual(['room.2', 'room.2'])
  })

  test('gets none if it offers none', async () => {
    const { connection, socket } = await enter()
    expect([connection.protocol, socket.protocol]).toEqual(['', ''])
  })

  test.each(transports)('speaks with one of ours over %s, text and binary', async (transport) => {
    const { url, connection } = await enter()
    const { socket, heard } = await join(url, transport)
    const bytes = randomBytes(300_000)
    const texts = ['grüße 🚀', '', '\0begins with a nul', 'x'.repeat(70_000)]
    for (const text of texts) connection.send(text)
    connection.send(bytes)
    for (const text of texts) expect(await heard.next()).toBe(text)
    expect(bytes.equals((await heard.next()) as Buffer)).toBe(true)

    for (const text of texts) socket.send(text)
    socket.send(new Uint8Array(bytes))
    for (const text of texts) expect(await connection.happenings.next()).toBe(text)
    expect(bytes.equals((await connection.happenings.next()) as Buffer)).toBe(true)
  })

  if (canPing) {
    test('its ping is answered', async () => {
      const { connection } = await enter()
      connection.ping?.('are you there?')
      expect(await connection.happenings.next()).toEqual({ pong: 'are you there?' })
    })
  }

  test("the server's ping is answered", async () => {
    const { socket } = await enter()
    const pong = new Promise((resolve) => socket.once('pong', (data) => resolve(String(data))))
    socket.ping('and you?')
    expect(await pong).toBe('and you?')
  })

  test('its close code and reason arrive', async () => {
    const { connection, socket } = await enter()
    const closed = closeOf(socket)
    connection.close(4007, 'genug')
    expect(await closed).toEqual({ code: 4007, reason: 'genug' })
    expect((await connection.closed).code).toBe(4007)
  })

  test("the server's close code and reason arrive, after what was sent before", async () => {
    const { connection, socket } = await enter()
    const closed = closeOf(socket)
    socket.send('a last word')
    socket.close(4008, 'Schluß')
    expect(await connection.happenings.next()).toBe('a last word')
    expect(await connection.closed).toEqual({ code: 4008, reason: 'Schluß' })
    expect((await closed).code).toBe(4008)
  })

  test('a connection that is lost is lost: 1006', async () => {
    const { connection, socket } = await enter()
    socket.terminate()
    expect((await connection.closed).code).toBe(1006)
  })
}
