// The events of everwire/events between real ends: ours over each transport, plain ones of `ws`, and through cuts.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer as PlainServer, WebSocket as PlainWebSocket } from 'ws'
import { WebSocket } from '../../client/node.ts'
import { WebSocket as Reopening } from '../../client/node-reopen.ts'
import { EventError, type EventFault, type EventSocket, encode, events } from '../../events/index.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { serve } from '../support/serving.ts'

interface ClientToServer {
  add(numbers: readonly number[]): number
  count(number: number): void
  broken(): void
  refused(): void
  twice(number: number): number
}

interface ServerToClient {
  welcome(): void
  name(): string
  counted(number: number): void
}

interface Ends {
  readonly client: EventSocket & EventTarget
  readonly server: EventSocket & { close(code?: number, reason?: string): void }
}

async function opened(client: EventTarget): Promise<void> {
  await new Promise((resolve) => client.addEventListener('open', resolve))
}

async function plainServer(): Promise<{ url: string; connection: Promise<[PlainWebSocket]> }> {
  const server = new PlainServer({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    for (const socket of server.clients) socket.terminate()
    await new Promise((resolve) => server.close(resolve))
  })
  await once(server, 'listening')
  const connection = once(server, 'connection') as Promise<[PlainWebSocket]>
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, connection }
}

const pairs: Record<string, () => Promise<Ends & { disturb?: () => void }>> = {
  'plain ends of ws': async () => {
    const { url, connection } = await plainServer()
    const client = new PlainWebSocket(url)
    const [server] = await connection
    if (client.readyState === 0) await once(client, 'open')
    return { client: client as unknown as Ends['client'], server }
  },
  'our class without a session, and ws': async () => {
    const { url, connection } = await plainServer()
    const client = new WebSocket(url, { session: false })
    const open = opened(client)
    const [server] = await connection
    await open
    return { client, server }
  },
}

for (const transport of ['websocket', 'stream', 'sse', 'polling'] as const)
  pairs[transport] = async () => {
    const { port, connections } = await serve()
    const network = await hostileNetwork(port)
    onTestFinished(() => network.close())
    const client = new WebSocket(network.url, { transports: [transport], remember: false })
    const open = opened(client)
    const { socket: server } = await connections.next()
    await open
    return { client, server, disturb: () => network.cut() }
  }

describe.each(Object.entries(pairs))('%s', (_name, connect) => {
  test('both ends ask and tell, in order; refusals and faults close nothing', async () => {
    const { client, server, disturb } = await connect()
    const faults: EventFault[] = []
    const onServer = events<ServerToClient, ClientToServer>(server, {
      onfault: (fault) => faults.push(fault),
    })
    const unheard: EventFault[] = []
    const onClient = events<ClientToServer, ServerToClient>(client, {
      onfault: (fault) => unheard.push(fault),
    })
    const counts: number[] = []
    onServer.on('add', (numbers) => numbers.reduce((sum, number) => sum + number, 0))
    onServer.on('twice', async (number) => number * 2)
    onServer.on('count', (number) => {
      counts.push(number)
      onServer.emit('counted', number)
    })
    onServer.on('broken', () => {
      throw new Error('a secret')
    })
    onServer.on('refused', () => {
      throw new EventError('Sign in first', 'who')
    })
    onClient.on('name', () => 'Ada')
    const counted: number[] = []
    const all = new Promise<void>((resolve) => {
      onClient.on('counted', (number) => {
        counted.push(number)
        if (counted.length === 100) resolve()
      })
    })

    expect(await onClient.ask('add', [1, 2, 3])).toBe(6)
    expect(await onServer.ask('name')).toBe('Ada')
    const numbers = Array.from({ length: 100 }, (_, i) => i)
    const doubled = numbers.map((number) => {
      onClient.emit('count', number)
      if (number === 50) disturb?.()
      return onClient.ask('twice', number)
    })
    expect(await Promise.all(doubled)).toEqual(numbers.map((number) => number * 2))
    await all
    expect([counts, counted]).toEqual([numbers, numbers])

    await expect(onClient.ask('refused')).rejects.toMatchObject({ message: 'Sign in first', code: 'who' })
    await expect(onClient.ask('broken')).rejects.toMatchObject({ message: 'Handler failed', code: 'failed' })
    await expect(onServer.ask('welcome')).rejects.toMatchObject({ code: 'unknown' })
    expect(unheard).toEqual([{ type: 'unknown', name: 'welcome' }])
    expect(faults).toEqual([{ type: 'thrown', name: 'broken', error: new Error('a secret') }])
    client.send('no event')
    expect(await onClient.ask('add', [])).toBe(0)
    expect(faults[1]).toEqual({ type: 'malformed', data: 'no event' })
  })

  test('when the socket closes, what waits for an answer is rejected at both ends', async () => {
    const { client, server } = await connect()
    const onServer = events<ServerToClient, ClientToServer>(server)
    const onClient = events<ClientToServer, ServerToClient>(client)
    const reached = new Promise<void>((resolve) => {
      onServer.on('broken', () => {
        resolve()
        return new Promise(() => {})
      })
    })
    onClient.on('name', () => new Promise(() => {}))
    const asked = [onClient.ask('broken'), onServer.ask('name')]
    const rejected = asked.map((one) => expect(one).rejects.toMatchObject({ code: 'closed' }))
    await reached
    server.close(4001, 'that was all')
    await Promise.all(rejected)
    await expect(onClient.ask('broken')).rejects.toMatchObject({ code: 'closed' })
  })
})

test('a topic: the text of an event goes to all', async () => {
  const { realtime, url, connections } = await serve()
  const heard: Promise<number>[] = []
  for (let i = 0; i < 2; i++) {
    const client = new WebSocket(url)
    const { on } = events<ClientToServer, ServerToClient>(client)
    heard.push(new Promise((resolve) => on('counted', resolve)))
    const { socket } = await connections.next()
    socket.subscribe('room')
  }
  realtime.publish('room', encode<ServerToClient>('counted', 7))
  expect(await Promise.all(heard)).toEqual([7, 7])
})

test('over a socket that begins again: handlers stay, and no answer goes into the wrong session', async () => {
  const { url, connections } = await serve()
  const client = new Reopening(url, { reopen: { minDelay: 1, maxDelay: 1 } })
  const { on, ask } = events(client)
  let finish = (_: string): void => {}
  let called = 0
  const reached: (() => void)[] = []
  const calls = [0, 1].map((i) => new Promise<void>((resolve) => (reached[i] = resolve)))
  on('slow', () => {
    reached[called++]?.()
    return new Promise<string>((resolve) => (finish = resolve))
  })
  const first = (await connections.next()).socket
  const inFirst = expect(events(first).ask('slow')).rejects.toMatchObject({ code: 'closed' })
  await calls[0]
  const finishFirst = finish
  events(first).on('never', () => new Promise(() => {}))
  const waiting = expect(ask('never')).rejects.toMatchObject({ code: 'closed' })
  first.close(1012)
  await Promise.all([inFirst, waiting])

  const second = (await connections.next()).socket
  const asked = events(second).ask('slow')
  await calls[1]
  finishFirst('of the first session')
  finish('of the second session')
  expect(await asked).toBe('of the second session')
  client.close()
})
