// What an application's listeners may do while a client is at fault, or is about to end: as with `ws`, whatever carries the client.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as ws from 'ws'
import { WebSocket } from '../../client/node.ts'
import type { Socket, Transport } from '../../server/index.ts'
import { Queue } from '../support/queue.ts'
import { serve } from '../support/serving.ts'

type Kind = 'ws' | 'plain' | Transport
const ours: readonly Kind[] = ['plain', 'websocket', 'stream', 'sse', 'polling']
const all: readonly Kind[] = ['ws', ...ours]

/** As much of a socket of the server as both have. */
type Shown = Pick<Socket, 'on' | 'once' | 'send' | 'close' | 'terminate'>

interface Client {
  send(data: string): void
  ping(): void
  close(code: number, reason: string): void
  /** What it hears, its end at last. */
  readonly heard: Queue<string>
}

const maxPayload = 1000

/** A server that shows its clients to `look`, and one client of it. */
async function connect(kind: Kind, look: (socket: Shown) => void): Promise<Client> {
  const url = kind === 'ws' ? await serveWithWs(look) : await serveWithOurs(look)
  const address = url.replace('http', 'ws')
  const heard = new Queue<string>()
  const made =
    kind === 'ws' || kind === 'plain'
      ? new ws.WebSocket(address)
      : new WebSocket(address, { transports: [kind], remember: false })
  // Both have these.
  const client = made as ws.WebSocket
  onTestFinished(() => client.terminate())
  client.on('message', (data: Buffer) => heard.push(String(data)))
  client.on('close', (code: number, reason: Buffer) => heard.push(`${code} ${reason}`.trim()))
  await once(client, 'open')
  return {
    heard,
    send: (data) => client.send(data),
    ping: () => client.ping('hey'),
    close: (code, reason) => client.close(code, reason),
  }
}

async function serveWithOurs(look: (socket: Shown) => void): Promise<string> {
  const { url, realtime } = await serve({ maxPayload })
  realtime.on('connection', look)
  return url
}

async function serveWithWs(look: (socket: Shown) => void): Promise<string> {
  const http = createServer()
  const server = new ws.WebSocketServer({ server: http, maxPayload })
  server.on('connection', (socket) => look(socket as unknown as Shown))
  await once(http.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(async () => {
    server.close()
    await new Promise((resolve) => http.close(resolve))
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/`
}

/** The exceptions that nobody caught. */
function uncaught(): Queue<Error> {
  const errors = new Queue<Error>()
  process.setUncaughtExceptionCaptureCallback((error) => errors.push(error))
  onTestFinished(() => process.setUncaughtExceptionCaptureCallback(null))
  return errors
}

describe.each(all)('over %s', (kind) => {
  test.each<[string, (socket: Shown) => void]>([
    ['does nothing', () => {}],
    ['terminates', (socket) => socket.terminate()],
    ['closes with a code of its own', (socket) => socket.close(4000, 'mine')],
    ['sends', (socket) => socket.send('too late')],
  ])('a message that is too large: the client is told 1009, though the listener %s', async (_what, act) => {
    const told = new Queue<string>()
    const client = await connect(kind, (socket) => {
      socket.on('error', () => {
        told.push('error')
        act(socket)
      })
      socket.on('close', (code) => told.push(`close ${code}`))
    })
    client.send('x'.repeat(maxPayload + 1))
    expect(await client.heard.next()).toMatch(/^1009/)
    expect([await told.next(), await told.next()]).toEqual(['error', 'close 1006'])
  })
})

describe.each(ours)('over %s', (kind) => {
  const fault = new Error('of the application')
  const fails = (): never => {
    throw fault
  }

  test.each(['message', 'ping'] as const)(
    'a listener for %s that throws: the process hears of it, the client goes on to its end',
    async (type) => {
      const errors = uncaught()
      const ends = new Queue<string>()
      const client = await connect(kind, (socket) => {
        socket.once(type as 'message', fails)
        socket.on('message', (data) => socket.send(`got ${data}`))
        socket.on('close', (code, reason) => ends.push(`${code} ${reason}`))
      })
      if (type === 'ping') client.ping()
      else client.send('one')
      expect(await errors.next()).toBe(fault)
      client.send('two')
      expect(await client.heard.next()).toBe('got two')
      client.close(4000, 'bye')
      expect(await client.heard.next()).toBe('4000 bye')
      expect(await ends.next()).toBe('4000 bye')
      expect([errors.size, ends.size]).toEqual([0, 0])
    },
  )

  test('a listener for close that throws: the process hears of it, the client has its end', async () => {
    const errors = uncaught()
    const client = await connect(kind, (socket) => {
      socket.on('close', fails)
    })
    client.close(4000, 'bye')
    expect(await errors.next()).toBe(fault)
    expect(await client.heard.next()).toBe('4000 bye')
    expect(errors.size).toBe(0)
  })

  test('a listener for error that throws: the process hears of it, the client is told 1009', async () => {
    const errors = uncaught()
    const client = await connect(kind, (socket) => {
      socket.on('error', fails)
    })
    client.send('x'.repeat(maxPayload + 1))
    expect(await errors.next()).toBe(fault)
    expect(await client.heard.next()).toMatch(/^1009/)
  })
})
