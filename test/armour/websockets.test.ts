// WebSockets that carry no session, or no more: what they may hold, and for how long.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Socket as Connection } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Ask } from '../../shared/exchange.ts'
import { controlText } from '../../shared/frame.ts'
import { RawClient } from '../support/raw-client.ts'
import { closeOf, openSession, serve } from '../support/serving.ts'
import { frame, Line } from './line.ts'

const control = (text: string): Buffer => frame(text, 1)

test('a WebSocket that stands by has its time', async () => {
  // The first test of its file: the one timer of all sessions is not set yet.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { client, port } = await openSession({ openTimeout: 600_000, patience: 600_000 })
  const line = await new Line(port).upgrade(client.token({ ask: Ask.standby, epoch: 2 }))
  const said = line.answer()
  vi.advanceTimersByTime(61_000)
  // The goodbye of a WebSocket, with code 1000.
  expect(await said).toBe('\x88\x02\x03\xe8')
})

describe('a large message in part', () => {
  const ways: [string, (client: RawClient, line: Line) => Promise<void>][] = [
    [
      'nobody knows',
      async (client, line) => {
        await line.upgrade(new RawClient(client.url).token())
      },
    ],
    [
      'stands by',
      async (client, line) => {
        await line.upgrade(client.token({ ask: Ask.standby, epoch: 2 }))
      },
    ],
    [
      'another has replaced',
      async (client, line) => {
        await line.upgrade(client.token({ epoch: 2 }))
        await new Line(line.socket.remotePort as number).upgrade(client.token({ epoch: 3 }))
      },
    ],
    [
      'carried a session that is over',
      async (client, line) => {
        await line.upgrade(client.token({ epoch: 2 }))
        const said = line.answer()
        await line.write(control(controlText('abort', '1000,enough')))
        await said
      },
    ],
  ]
  test.each(ways)('ends a WebSocket that %s', async (_what, prepare) => {
    const { client, port, realtime } = await openSession()
    const line = new Line(port)
    await prepare(client, line)
    await line.fill(60_000_000)
    await line.end()
    expect(line.ended).toBe(true)
    expect(realtime.memory).toBeLessThan(1_000)
  })
})

describe('a WebSocket that stands by', () => {
  test('cannot be taken when the session is over', async () => {
    const { client, socket, port, realtime } = await openSession()
    const line = await new Line(port).upgrade(client.token({ ask: Ask.standby, epoch: 2 }))
    const ended = closeOf(socket)
    socket.terminate()
    await client.send([])
    await ended
    const said = line.answer()
    await line.write(control(controlText('take', '0,0')))
    expect(await said).toContain('unknown session')
    await line.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]))
    await new Promise<void>((resolve) => realtime.close(() => resolve()))
  })
})

describe('beyond maxMemory', () => {
  const budget = 4 * 1024 * 1024

  /** Clients with a little that waits for them. */
  async function honest(
    count: number,
    message: Buffer,
  ): Promise<{ serving: Awaited<ReturnType<typeof serve>>; ends: number[] }> {
    const serving = await serve({ maxMemory: budget })
    const ends: number[] = []
    serving.realtime.on('connection', (socket) => socket.on('close', (code) => ends.push(code)))
    for (let i = 0; i < count; i++) {
      const client = new RawClient(serving.url)
      await client.open([])
      const { socket } = await serving.connections.next()
      socket.subscribe('all')
      if (message.length > 0) socket.send(message)
    }
    return { serving, ends }
  }

  test('only whoever holds so much ends, where a WebSocket holds it', async () => {
    const { serving, ends } = await honest(20, Buffer.alloc(100))
    const line = await new Line(serving.port).upgrade(new RawClient(serving.url).token({ ask: Ask.open }))
    await line.fill(20_000_000)
    await line.end()
    await vi.waitFor(() => expect(ends).toEqual([1013]))
    expect(serving.realtime.memory).toBeLessThan(20_000)
  })

  test('nobody ends for a publication that all have', async () => {
    const { serving, ends } = await honest(20, Buffer.alloc(0))
    serving.realtime.publish('all', Buffer.alloc(1_000_000))
    for (let i = 0; i < 5; i++) {
      const greedy = new RawClient(serving.url)
      await greedy.open([])
      const { socket } = await serving.connections.next()
      socket.send(Buffer.alloc(700_000))
    }
    await vi.waitFor(() => expect(ends.length).toBeGreaterThan(0))
    expect(serving.realtime.clients.size).toBeGreaterThanOrEqual(20)
    expect(ends.every((code) => code === 1013)).toBe(true)
    expect(ends.length).toBeLessThanOrEqual(5)
  })
})

describe('a WebSocket whose network takes nothing', () => {
  const most = 1024 * 1024
  /** What `Node` keeps of a write that waits, beside its bytes, is not less. */
  const each = 128

  /** A WebSocket, and the server's end of its connection. What comes over it, the test says. */
  async function stuck(ofSession: boolean): Promise<{
    serving: Awaited<ReturnType<typeof serve>>
    socket: Awaited<ReturnType<Awaited<ReturnType<typeof serve>>['connections']['next']>>['socket']
    connection: Connection
    comes(bytes: Buffer): Promise<void>
  }> {
    const serving = await serve()
    const connected = once(process, 'armour:connection') as Promise<Connection[]>
    const shown = serving.connections.next()
    subscribe('net.server.socket', tell)
    onTestFinished(() => void unsubscribe('net.server.socket', tell))
    const line = new Line(serving.port)
    await line.upgrade(ofSession ? new RawClient(serving.url).token({ ask: Ask.open }) : undefined)
    const [connection] = (await connected) as [Connection]
    const { socket } = await shown
    Object.assign(connection, { _write: () => {}, _writev: () => {} })
    const comes = async (bytes: Buffer): Promise<void> => {
      connection.emit('data', Buffer.from(bytes))
      await turn()
    }
    return { serving, socket, connection, comes }
  }

  const tell = (message: unknown): void =>
    void process.emit('armour:connection' as never, (message as { socket: Connection }).socket as never)

  test('is answered until a megabyte waits, with what each write costs', async () => {
    const { serving, connection, comes } = await stuck(true)
    const pings = 6_000
    const ping = control(controlText('ping', 'x'.repeat(100)))
    for (let i = 0; i < pings; i++) await comes(ping)
    const waiting = connection.writableLength
    expect(waiting).toBeLessThan(most / 2)
    expect(serving.realtime.memory).toBeGreaterThan(most / 2)
    expect(serving.realtime.memory).toBeLessThan(most * 1.1)
    for (let i = 0; i < 100; i++) await comes(ping)
    expect(connection.writableLength).toBe(waiting)
    connection.destroy()
    await expect.poll(() => serving.realtime.memory).toBe(0)
  })

  test('counts what it acknowledges without having it', async () => {
    const { serving, socket, connection, comes } = await stuck(true)
    socket.send(Buffer.alloc(most / 2))
    await turn()
    await comes(control(controlText('ack', '1')))
    expect(serving.realtime.memory).toBeGreaterThan(most / 2)
    connection.destroy()
    await expect.poll(() => serving.realtime.memory).toBe(0)
  })

  test.each([
    ['counts what each write costs', 20_000, {}],
    ['ends for it', 0, { maxBuffered: most }],
  ])('without a session %s', async (_what, messages, options) => {
    const { serving, socket, connection } = await stuck(false)
    Object.assign(serving.realtime.options, options)
    const ended = closeOf(socket)
    for (let i = 0; i < (messages || 20_000) && !connection.destroyed; i++) {
      socket.send('a')
      await turn()
    }
    if (messages > 0) {
      expect(serving.realtime.memory).toBeGreaterThan((messages - 6_000) * each)
      connection.destroy()
    }
    expect((await ended).code).toBe(1006)
    expect(serving.realtime.memory).toBe(0)
  })
})
