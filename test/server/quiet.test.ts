// How often a client is to hear something, and how long its streams may last: docs/PROTOCOL.md, sections 2.4, 3.2 and 4.4.
import type { Socket as NetSocket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { WebSocket as PlainWebSocket } from 'ws'
import type { ServerOptions, Socket } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { open } from '../support/http.ts'
import { plain } from '../support/plain-client.ts'
import { bodyOf, marked, RawClient, text } from '../support/raw-client.ts'
import { openSession, serve } from '../support/serving.ts'

test('hear: answered by a pong at once, and from then on there is a ping as often', async () => {
  const { url } = await serve({ heartbeat: 60_000 })
  const client = new RawClient(url)
  const carrier = await client.openWebSocket()
  carrier.say({ kind: 'hear', quiet: 200 })
  expect(await carrier.said.next()).toMatchObject({ kind: 'pong', payload: '' })
  const asked = performance.now()
  for (let i = 0; i < 3; i++) expect(await carrier.said.next()).toMatchObject({ kind: 'ping' })
  expect(performance.now() - asked).toBeGreaterThan(500)
})

test('hear, over and over in one breath: one answer says it all', async () => {
  const { url } = await serve({ heartbeat: 60_000 })
  const client = new RawClient(url)
  const carrier = await client.openWebSocket()
  const { _socket: connection } = carrier.socket as unknown as { _socket: NetSocket }
  connection.cork()
  for (let i = 0; i < 1000; i++) carrier.say({ kind: 'hear', quiet: 4000 })
  connection.uncork()
  await carrier.next('pong')
  carrier.say({ kind: 'ping', payload: 'the last' })
  let more = 0
  while ((await carrier.next('pong')).payload !== 'the last') more++
  expect(more).toBeLessThan(100)
})

test('not more often than every 200 ms, whatever a client wants', async () => {
  const { url } = await serve({ heartbeat: 60_000 })
  const client = new RawClient(url)
  const carrier = client.webSocket({ ask: Ask.open, quiet: 1 })
  await carrier.next('welcome')
  const begun = performance.now()
  for (let i = 0; i < 3; i++) expect(await carrier.said.next()).toMatchObject({ kind: 'ping' })
  expect(performance.now() - begun).toBeGreaterThan(500)
})

test('a WebSocket that stands by says whether it goes both ways, and the session stays where it is', async () => {
  const { client, socket } = await openSession()
  client.epoch++
  const carrier = client.webSocket({ ask: Ask.standby })
  await carrier.next('welcome')
  carrier.say({ kind: 'hear', quiet: 4000 })
  await carrier.next('pong')
  expect(socket.transport).toBe('polling')
  carrier.say({ kind: 'take', got: 0, start: 0 })
  socket.send('one')
  expect(await carrier.next('message')).toMatchObject({ data: 'one' })
  expect(socket.transport).toBe('websocket')
})

test('a large message is announced, a small one is not', async () => {
  const { url, connections } = await serve()
  const client = new RawClient(url)
  const carrier = await client.openWebSocket()
  const { socket } = await connections.next()
  socket.send('x'.repeat(70_000))
  socket.send('small')
  expect(await carrier.said.next()).toEqual({ kind: 'long', bytes: 70_000 })
  expect(await carrier.said.next()).toMatchObject({ kind: 'message' })
  expect(await carrier.said.next()).toEqual({ kind: 'message', data: 'small' })
})

test('a pause is told over a WebSocket, also to one that comes later', async () => {
  const { url, connections } = await serve()
  const client = new RawClient(url)
  const carrier = await client.openWebSocket()
  const { socket } = await connections.next()
  socket.pause()
  expect(await carrier.said.next()).toEqual({ kind: 'pause', paused: true })
  client.renew()
  const next = client.webSocket()
  expect(await next.said.next()).toMatchObject({ kind: 'welcome' })
  expect(await next.said.next()).toEqual({ kind: 'pause', paused: true })
  socket.resume()
  expect(await next.said.next()).toEqual({ kind: 'pause', paused: false })
})

describe('HTTP', () => {
  test('what a stream wants is not taken back by an exchange that is older and later', async () => {
    const { client } = await openSession({ heartbeat: 3_600_000 })
    const stream = await client.stream({ quiet: 300 })
    expect(await stream.records.next()).toMatchObject({ kind: 'pong' })
    await client.send([], { quiet: 0 })
    expect(await stream.records.next()).toMatchObject({ kind: 'ping' })
  })

  test('a poll is held no longer than the client wants', async () => {
    const { client } = await openSession({ heartbeat: 60_000 })
    const begun = performance.now()
    const { records } = await client.poll({ quiet: 300 })
    expect(records).toMatchObject([{ kind: 'ping' }])
    expect(performance.now() - begun).toBeGreaterThan(250)
  })

  test.each(['stream', 'sse'] as const)('%s: a second piece follows the first', async (kind) => {
    const { client } = await openSession()
    const begun = performance.now()
    const stream = kind === 'stream' ? await client.stream() : await client.eventStream(await client.ticket())
    expect(await stream.records.next()).toMatchObject({ kind: 'pong', payload: new Uint8Array(0) })
    expect(performance.now() - begun).toBeGreaterThan(90)
  })

  test('a stream that stands by has its second piece too', async () => {
    const { client } = await openSession()
    client.epoch++
    const stream = await client.stream({ ask: Ask.hold | Ask.stream | Ask.standby })
    expect(await stream.records.next()).toMatchObject({ kind: 'welcome' })
    expect(await stream.records.next()).toMatchObject({ kind: 'pong' })
  })

  test.each(['stream', 'sse'] as const)(
    '%s: it ends politely when it has lived as long as the client wants, and nothing is lost',
    async (kind) => {
      const { client, socket } = await openSession()
      const stream =
        kind === 'stream'
          ? await client.stream({ life: 1000 })
          : await client.eventStream(await client.ticket({ life: 1000 }))
      const begun = performance.now()
      socket.send('one')
      await stream.ended
      expect(performance.now() - begun).toBeGreaterThan(900)
      expect(client.received).toEqual(['one'])
      socket.send('two')
      await client.poll()
      expect(client.received).toEqual(['one', 'two'])
    },
  )

  test('a stream that may live longer than timers can count goes on', async () => {
    const warnings: string[] = []
    const warned = ({ name }: Error) => void warnings.push(name)
    process.on('warning', warned)
    onTestFinished(() => void process.off('warning', warned))
    const { client, socket } = await openSession()
    const stream = await client.stream({ life: 2 ** 40 })
    await stream.next('pong')
    await client.send([text('still there?')])
    socket.send('one')
    expect(await stream.next('text')).toEqual(Buffer.from('one'))
    expect(warnings).toEqual([])
  })

  test('whoever leaves says so by an exchange of its own: the application hears of it at once', async () => {
    const { url, connections } = await serve()
    const client = new RawClient(url)
    await client.openWebSocket()
    const { socket } = await connections.next()
    const closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)))
    client.renew()
    const abort = { kind: 'abort', payload: Buffer.from('1001,') } as const
    const bye = bodyOf(client.head({ serial: 1 }), [abort])
    ;(await open(marked(url), { method: 'POST', body: bye })).resume()
    expect(await closed).toBe(1001)
    expect(socket.diary.map(({ type }) => type)).toEqual(['carrier', 'carrier', 'close'])
  })
})

test('the diary says what carried the session, for how long, how far it came and who ended it', async () => {
  const begun = Date.now()
  const { url, connections } = await serve()
  const client = new RawClient(url)
  const first = await client.openWebSocket()
  const { socket } = await connections.next()
  expect(socket.diary).toMatchObject([{ type: 'carrier', transport: 'websocket', epoch: 1, received: 0 }])
  expect(socket.diary[0]).not.toHaveProperty('ended')
  first.send('one')
  await new Promise((resolve) => socket.once('message', resolve))
  const lost = new Promise((resolve) => socket.once('transportchange', resolve))
  await first.cut()
  await lost
  client.renew()
  await client.send()
  client.renew()
  const third = client.webSocket()
  await third.next('welcome')
  socket.terminate()
  await new Promise((resolve) => socket.once('close', resolve))
  await third.closed
  expect(socket.diary).toMatchObject([
    { transport: 'websocket', epoch: 1, by: 'network', why: 'closed 1006', received: 1, acknowledged: 0 },
    { transport: 'polling', epoch: 2, by: 'client', why: 'another was taken' },
    { transport: 'websocket', epoch: 3 },
    { type: 'close', code: 1006, reason: '' },
  ])
  for (const { at } of socket.diary) {
    expect(at).toBeGreaterThanOrEqual(begun)
    expect(at).toBeLessThanOrEqual(Date.now())
  }
})

test.for<[string, string, ServerOptions, (socket: Socket, client: PlainWebSocket) => unknown]>([
  ['server', 'it closes', {}, (socket) => socket.close(4000)],
  ['server', 'it terminates', {}, (socket) => socket.terminate()],
  [
    'server',
    'it was sent too much',
    { rateLimit: { messages: 1, per: 60_000 } },
    (_, client) => [client.send('1'), client.send('2')],
  ],
  ['server', 'what it was sent is wrong', { maxPayload: 1 }, (_, client) => client.send('two')],
  ['client', 'it closes', {}, (_, client) => client.close(4000)],
  ['network', 'the connection is lost', {}, (_, client) => client.terminate()],
])('the diary of an ordinary WebSocket: the %s ended it, because %s', async ([by, , options, end]) => {
  const { url, connections } = await serve(options)
  const client = await plain(url)
  client.on('error', () => {})
  const { socket } = await connections.next()
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  end(socket, client)
  const code = await closed
  expect(socket.diary).toMatchObject([
    { transport: 'websocket', epoch: 0, by, why: `closed ${code}` },
    { type: 'close', code },
  ])
})

test('the diary of many carriers is bounded, and keeps its beginning and its end', async () => {
  const { client, socket } = await openSession()
  for (let i = 0; i < 100; i++) {
    client.renew()
    await client.send()
  }
  const epochs = socket.diary.map((entry) => (entry.type === 'carrier' ? entry.epoch : 0))
  expect(epochs.length).toBe(65)
  expect(epochs.slice(0, 3)).toEqual([1, 2, 3])
  expect(epochs.at(-1)).toBe(101)
})
