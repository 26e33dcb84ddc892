// What a peer could do to make the server keep, do or throw more than it should; and what a throwing application could.
import { createServer, type ServerResponse } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Timed } from '../../server/base/wakeups.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import type { SessionSocket } from '../../server/sockets/session-socket.ts'
import { Ask } from '../../shared/exchange.ts'
import { endPayload } from '../../shared/message.ts'
import { uncaught } from '../support/faults.ts'
import { listen } from '../support/http.ts'
import { refused } from '../support/plain-client.ts'
import { type Piece, piece, ping, RawClient, text } from '../support/raw-client.ts'
import { closeOf, end, messagesOf, serve, watch } from '../support/serving.ts'

async function connect(options?: ServerOptions) {
  const serving = await serve(options)
  const client = new RawClient(serving.url)
  await client.open()
  const { socket } = await serving.connections.next()
  return { ...serving, client, socket }
}

describe('a peer', () => {
  test('that reads slowly does not pile up listeners', async () => {
    const realtime = new WebSocketServer({ noServer: true })
    onTestFinished(() => end(realtime))
    const connections = watch(realtime)
    const responses: ServerResponse[] = []
    const server = createServer((request, response) => {
      responses.push(response)
      realtime.middleware(request, response)
    })
    const client = new RawClient(`http://127.0.0.1:${await listen(server)}/`)
    await client.open()
    const { socket } = await connections.next()
    const { response } = await client.stream()
    response.pause()
    const streamed = responses[1] as ServerResponse
    const before = streamed.listenerCount('drain')
    let count = 0
    while (!streamed.writableNeedDrain || count < 100) {
      socket.send(Buffer.alloc(100_000))
      count++
      await new Promise(setImmediate)
    }
    expect(streamed.listenerCount('drain')).toBe(before)
    response.resume()
    for (let i = 0; i < count; i++) expect(await client.arrived.next()).toHaveLength(100_000)
  })

  test.each([
    ['empty messages', text('')],
    ['pings', ping()],
  ])('cannot fill a paused application with %s', async (_what, one) => {
    const { client, socket } = await connect()
    socket.pause()
    let seen = 0
    socket.on('message', () => seen++)
    socket.on('ping', () => seen++)
    // All bodies are answered before it resumes: one that came only then would be taken.
    await sendAll(client, new Array<Piece>(100_000).fill(one))
    expect((socket as SessionSocket).congested).toBe(true)
    expect(seen).toBe(0)
    socket.resume()
    await client.send()
    expect(seen).toBeGreaterThan(0)
    expect(seen).toBeLessThan(20_000)
  })

  test('cannot make a paused application keep more than its messages', async () => {
    const { client, socket } = await connect()
    const arrived = new Promise<Buffer>((resolve) =>
      socket.once('message', (data) => resolve(data as Buffer)),
    )
    socket.pause()
    await client.send([piece('hello', Buffer.alloc(500_000)), text('small')])
    socket.resume()
    const message = await arrived
    expect(String(message)).toBe('small')
    expect(message.buffer.byteLength).toBeLessThan(100_000)
  })

  test('says nothing on a WebSocket that stands by', async () => {
    const { client, socket } = await connect()
    const messages = messagesOf(socket)
    client.renew()
    for (const say of ['message', 'ping'] as const) {
      const webSocket = client.webSocket({ ask: Ask.standby })
      await webSocket.next('welcome')
      if (say === 'message') webSocket.send('too early')
      else webSocket.say({ kind: 'ping', payload: '' })
      expect((await webSocket.closed).code).toBe(1000)
    }
    await client.send([text('in time')], { epoch: 1, serial: 2 })
    expect(await messages.next()).toBe('in time')
    expect(socket.readyState).toBe(1)
  })

  test('cannot say more than a control needs', async () => {
    const { url, connections } = await serve()
    const webSocket = await new RawClient(url).openWebSocket()
    const { socket } = await connections.next()
    const ended = closeOf(socket)
    webSocket.say({ kind: 'close', code: 1000, reason: 'x'.repeat(2000) })
    expect(await ended).toEqual({ code: 1006, reason: 'malformed close' })
    expect(await webSocket.next('close')).toMatchObject({ code: 1002 })
  })

  test.each([
    ['close', piece('close', Buffer.from('1000,in pieces'), true)],
    ['close', piece('close', Buffer.from(endPayload(1000, 'x'.repeat(124))))],
    ['abort', piece('abort', Buffer.from(endPayload(1000, 'x'.repeat(124))))],
    ['abort', piece('abort', Buffer.from('0,'))],
    ['abort', piece('abort', Buffer.from('1'))],
    ['abort', piece('abort', Buffer.from('1000,\xff', 'latin1'))],
  ])('that says a malformed %s fails', async (kind, wrong) => {
    const { client, socket } = await connect()
    const ended = closeOf(socket)
    await client.send([wrong])
    expect(await ended).toEqual({ code: 1006, reason: `malformed ${kind}` })
    await client.poll()
    expect(await client.arrived.next()).toMatchObject({ code: 1002 })
  })

  test.each([
    ['never answers a close', undefined, { code: 1006, reason: 'connection lost' }],
    [
      'gives up while it owes the answer to a close',
      piece('abort', Buffer.from('1001,')),
      { code: 1001, reason: '' },
    ],
    [
      'gives up with a reason while it owes the answer to a close',
      piece('abort', Buffer.from('4000,gone')),
      { code: 4000, reason: 'gone' },
    ],
  ])('that %s has not broken the protocol', async (_what, last, expected) => {
    // Only who is to give up waits for patience: a slow machine must not end the others.
    const { url, realtime } = await serve(last ? {} : { patience: 50 })
    const errors: Error[] = []
    const ended = new Promise((resolve) => {
      realtime.once('connection', (socket) => {
        socket.on('error', (error) => errors.push(error))
        resolve(closeOf(socket))
        socket.close(4001, 'bye')
      })
    })
    const client = new RawClient(url)
    await client.open()
    if (last) await client.send([last])
    expect(await ended).toEqual(expected)
    expect(errors).toEqual([])
  })

  test('that has broken the protocol is an error of its socket', async () => {
    const { client, socket } = await connect()
    const failed = new Promise((resolve) => socket.once('error', resolve))
    socket.close(4001, 'bye')
    await client.send([piece('abort', Buffer.from('0,'))])
    expect(await failed).toMatchObject({ message: 'malformed abort', code: 'EVERWIRE_PROTOCOL_ERROR' })
  })

  test('gets no more clients in by asking while others are being verified', async () => {
    const decide: ((ok: boolean) => void)[] = []
    const verifyClient = () => new Promise<boolean>((resolve) => decide.push(resolve))
    const { url, realtime } = await serve({ maxClients: 1, verifyClient })
    const asked = [1, 2, 3].map(() => new RawClient(url).open())
    const plainly = refused(url)
    await expect.poll(() => decide).toHaveLength(4)
    for (const one of decide) one(true)
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 503, 503])
    expect((await plainly).status).toBe(503)
    expect(realtime.clients.size).toBe(1)
  })
})

test('what is booked for a time beyond what timers can count is waited for in peace', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  vi.resetModules()
  const { notBooked, now, wakeAt } = await import('../../server/base/wakeups.ts')
  const begin = now()
  const month = 30 * 24 * 3_600_000
  let wokenAt = 0
  const timed: Timed = {
    wakeTick: notBooked,
    wake: (time) => {
      wokenAt = time
    },
  }
  wakeAt(timed, begin + month)
  const set = vi.spyOn(globalThis, 'setTimeout')
  vi.advanceTimersByTime(1000)
  expect(set).not.toHaveBeenCalled()
  vi.advanceTimersByTime(month)
  expect(wokenAt).toBeGreaterThanOrEqual(begin + month)
})

test('what is booked more than once for a time is woken once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  // One that has seen no other time.
  vi.resetModules()
  const { notBooked, now, wakeAt } = await import('../../server/base/wakeups.ts')
  const begin = now()
  let times = 0
  const timed: Timed = {
    wakeTick: notBooked,
    wake: () => {
      times++
      if (now() < begin + 1000) wakeAt(timed, begin + 1000)
    },
  }
  wakeAt(timed, begin + 1000)
  for (let i = 1; i <= 5; i++) {
    wakeAt(timed, begin + i * 100)
    vi.advanceTimersByTime(150)
  }
  const before = times
  vi.advanceTimersByTime(begin + 1000 - now() + 60)
  expect([before, times]).toEqual([5, 6])
})

describe('an application that throws', () => {
  const fault = new Error('of the application')
  const fails = (): never => {
    throw fault
  }

  test.each<[string, ServerOptions, number]>([
    ['handleProtocols', { origins: '*', handleProtocols: fails }, 500],
    ['verifyClient', { origins: '*', verifyClient: fails }, 500],
    ['origins', { origins: fails }, 403],
  ])('in %s hears of it, and no client is left hanging', async (_where, options, status) => {
    const { url, connections } = await serve(options)
    const headers = { Origin: 'https://a.example' }
    let heard = uncaught()
    expect((await new RawClient(url, headers).open(['a'])).status).toBe(status)
    expect(await heard).toBe(fault)
    heard = uncaught()
    expect((await refused(url, 'a', { headers })).status).toBe(status)
    expect(await heard).toBe(fault)
    expect(connections.size).toBe(0)
  })

  test('in a listener for headers', async () => {
    const { url, realtime, connections } = await serve()
    realtime.on('headers', fails)
    const heard = uncaught()
    expect((await new RawClient(url).open()).status).toBe(500)
    expect([await heard, connections.size]).toEqual([fault, 0])
  })

  test('in a listener for messages: what came behind is heard', async () => {
    const { client, socket } = await connect()
    socket.once('message', fails)
    const messages = messagesOf(socket)
    const heard = uncaught()
    await client.send([text('one'), text('two'), text('three')])
    expect(await heard).toBe(fault)
    expect([await messages.next(), await messages.next()]).toEqual(['two', 'three'])
  })

  test('in a listener for transportchange: the carrier is taken', async () => {
    const { client, socket } = await connect()
    socket.once('transportchange', fails)
    const heard = uncaught()
    client.renew()
    const webSocket = client.webSocket()
    expect(await webSocket.next('welcome')).toMatchObject({ got: 0, start: 0 })
    expect(await heard).toBe(fault)
    socket.send('one')
    expect(await client.arrived.next()).toBe('one')
  })

  test('in a listener for connections: its client is connected', async () => {
    const { url, realtime, connections } = await serve()
    realtime.on('connection', fails)
    const client = new RawClient(url)
    const heard = uncaught()
    expect((await client.open()).head?.status).toBe(0)
    expect(await heard).toBe(fault)
    const { socket } = await connections.next()
    socket.send('one')
    await client.poll()
    expect(client.received).toEqual(['one'])
  })
})

/** In many requests, as the records of one are limited. */
async function sendAll(client: RawClient, pieces: readonly Piece[]): Promise<void> {
  for (let at = 0; at < pieces.length; at += 1000) await client.send(pieces.slice(at, at + 1000))
}
