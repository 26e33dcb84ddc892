// What a server publishes on channels of diagnostics_channel, on each transport.
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import type { ServerChannels, Transport } from '../../server/index.ts'
import { Reports } from '../../server/sockets/reports.ts'
import { Ask } from '../../shared/exchange.ts'
import { uncaught } from '../support/faults.ts'
import { plain, refused } from '../support/plain-client.ts'
import { close, piece, RawClient, type RawWebSocket } from '../support/raw-client.ts'
import { closeOf, openSession, type Serving, serve } from '../support/serving.ts'

type Name = keyof ServerChannels
type Told = { readonly [Each in Name]: readonly [name: Each, message: ServerChannels[Each]] }[Name]

const names: readonly Name[] = [
  'everwire:session.open',
  'everwire:session.resume',
  'everwire:session.end',
  'everwire:session.unknown',
  'everwire:refuse',
  'everwire:carrier.begin',
  'everwire:carrier.end',
]

/** What is published about this server, from now on until the test is through. */
function listenTo({ realtime }: Serving): Told[] {
  const told: Told[] = []
  for (const name of names) {
    const heard = (message: unknown): void => {
      if ((message as Told[1]).server === realtime) told.push([name, message] as Told)
    }
    subscribe(name, heard)
    onTestFinished(() => void unsubscribe(name, heard))
  }
  return told
}

/** As one word each, with what tells them apart. */
function words(told: readonly Told[]): string[] {
  return told.map(([name, message]) => {
    const short = name.replace('everwire:', '')
    if ('carrier' in message) {
      const { transport, epoch, ended, by, why } = message.carrier
      const how = 'purpose' in message ? `${message.purpose} ${message.from ?? 'nothing'}` : `${by}: ${why}`
      return `${short} ${transport} ${epoch} ${ended === undefined ? 'now' : 'over'} ${how}`
    }
    if ('cause' in message) return `${short} ${message.cause} ${message.code} ${message.reason}`.trimEnd()
    if ('away' in message) return `${short} ${message.transport}`
    return 'status' in message ? `${short} ${message.status} ${message.reason}` : short
  })
}

type Hold = { readonly cut: () => Promise<unknown> }

/** A carrier of this transport that waits for messages: it opens the session, or goes on with it. */
async function hold(client: RawClient, transport: Transport, isFirst: boolean): Promise<Hold> {
  if (transport === 'websocket') {
    const carrier: RawWebSocket = client.webSocket({ ask: isFirst ? Ask.open : 0 })
    await carrier.next('welcome')
    return carrier
  }
  const ask = transport === 'sse' ? Ask.ticket : transport === 'stream' ? Ask.stream : 0
  const answer = isFirst ? await client.open([], { ask: Ask.open | ask }) : await client.send([], { ask })
  if (transport === 'stream') {
    const stream = await client.stream()
    await stream.next('pong')
    return stream
  }
  if (transport === 'sse') {
    const ticket = answer.records.find(({ kind }) => kind === 'ticket')?.payload ?? []
    const stream = await client.eventStream(Buffer.from(ticket).toString())
    await stream.next('pong')
    return stream
  }
  const overtaken = client.poll()
  const cutting = new AbortController()
  client.poll({}, { signal: cutting.signal }).catch(() => {})
  // It is answered when the server holds the other one.
  await overtaken
  return { cut: async () => cutting.abort() }
}

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

test.each(transports)('a life over %s', async (transport) => {
  const serving = await serve()
  const told = listenTo(serving)
  const client = new RawClient(serving.url)
  const first = await hold(client, transport, true)
  const { socket, request } = await serving.connections.next()
  const begin = `carrier.begin ${transport}`
  expect(words(told)).toEqual(['session.open', `${begin} 1 now open nothing`])
  expect(told[0]?.[1]).toMatchObject({ socket, request, plain: false })
  expect(told[1]?.[1]).toMatchObject({ socket })

  told.length = 0
  const away = once(socket, 'transportchange')
  await first.cut()
  await away
  client.renew()
  await hold(client, transport, false)
  const cut = transport === 'websocket' ? 'closed 1006' : 'answer cut'
  expect(words(told)).toEqual([
    `carrier.end ${transport} 1 over network: ${cut}`,
    `session.resume ${transport}`,
    `${begin} 2 now resume nothing`,
  ])
  expect(told[1]?.[1]).toMatchObject({ socket, away: expect.any(Number) })

  told.length = 0
  client.renew()
  await hold(client, 'websocket', false)
  expect(words(told)).toEqual([
    `carrier.end ${transport} 2 over client: another was taken`,
    `carrier.begin websocket 3 now move ${transport}`,
  ])
  expect(told[0]?.[1]).toHaveProperty('carrier', socket.diary[1])

  told.length = 0
  const gone = closeOf(socket)
  socket.close(4000, 'enough')
  client.renew()
  await client.send([close(4000, 'enough')])
  await client.send([close(4000, 'enough')], { has: { number: 1, offset: 0 } })
  await gone
  expect(words(told)).toContain('session.end server 4000 enough')
})

test.each(['polling', 'websocket'] as const)(
  'after its end nothing more is told of a session over %s, and its socket has no event',
  async (transport) => {
    const serving = await serve()
    const told = listenTo(serving)
    const client = new RawClient(serving.url)
    await hold(client, 'websocket', true)
    const { socket } = await serving.connections.next()
    const events: unknown[] = []
    socket.on('transportchange', (now) => events.push(now))
    const gone = closeOf(socket)
    client.renew()
    await client.send([close(4000, 'bye')], { at: { number: 0, offset: 0 } })
    await gone
    expect(words(told).at(-1)).toBe('session.end client 4000 bye')
    told.length = events.length = 0
    // The answer with the server's close was lost: it comes again.
    client.has = { number: 0, offset: 0 }
    client.renew()
    if (transport === 'polling') await client.send()
    else await client.webSocket().next('close')
    client.renew()
    await client.send([], { has: { number: 1, offset: 0 } })
    expect(words(told)).toEqual([`carrier.end polling 2 over client: another was taken`])
    expect(events).toEqual([])
    expect(serving.realtime.stats().sessions).toMatchObject({ ended: 0 })
  },
)

test('an ordinary client is told of as such, and has no carriers', async () => {
  const serving = await serve()
  const told = listenTo(serving)
  const client = await plain(serving.url)
  const { socket } = await serving.connections.next()
  const gone = closeOf(socket)
  client.close(4000, 'bye')
  await gone
  expect(words(told)).toEqual(['session.open', 'session.end client 4000 bye'])
  expect(told.map(([, message]) => message)).toMatchObject([
    { socket, plain: true },
    { socket, plain: true },
  ])
})

test('a session is told of before the application is, in the words of its statistics', async () => {
  const serving = await serve()
  const { realtime, url } = serving
  const told = listenTo(serving)
  const seen: string[][] = []
  realtime.on('connection', (socket) => {
    seen.push(words(told))
    socket.on('close', () => seen.push(words(told)))
  })
  const client = new RawClient(url)
  await client.open()
  const { socket } = await serving.connections.next()
  const gone = closeOf(socket)
  await client.send([piece('abort', Buffer.from('1001,'))])
  await gone
  const opened = ['session.open', 'carrier.begin polling 1 now open nothing']
  expect(seen).toEqual([opened, [...opened, 'session.end left 1001']])
})

test('refusals, on each way in', async () => {
  const serving = await serve({ verifyClient: (_info, decide) => decide(false, 403, 'Not you') })
  const told = listenTo(serving)
  await refused(serving.url)
  await new RawClient(serving.url).open()
  await new RawClient(serving.url).webSocket({ ask: Ask.open }).closed
  expect(words(told)).toEqual(Array(3).fill('refuse 403 Not you'))
  for (const [, message] of told)
    expect(message).toMatchObject({ request: { headers: { upgrade: 'websocket' } } })
})

test('a session that is not here', async () => {
  const serving = await serve()
  const told = listenTo(serving)
  await new RawClient(serving.url).send()
  await new RawClient(serving.url).webSocket().next('abort')
  expect(words(told)).toEqual(['session.unknown', 'session.unknown'])
  for (const [, message] of told) expect(message).toMatchObject({ request: { url: expect.any(String) } })
})

test.each(transports)('a subscriber that throws does not disturb a session over %s', async (transport) => {
  const serving = await serve()
  const fault = new Error('of a subscriber')
  const throwing = (): never => {
    throw fault
  }
  for (const name of ['everwire:session.open', 'everwire:session.end'] as const) {
    const heard = uncaught()
    const client = new RawClient(serving.url)
    subscribe(name, throwing)
    onTestFinished(() => void unsubscribe(name, throwing))
    await hold(client, transport, true)
    const { socket } = await serving.connections.next()
    const gone = closeOf(socket)
    socket.terminate()
    expect(await gone).toEqual({ code: 1006, reason: '' })
    expect(await heard).toBe(fault)
    unsubscribe(name, throwing)
  }
})

test('while nobody subscribes nothing is made', async () => {
  for (const name of names) expect([name, channel(name).hasSubscribers]).toEqual([name, false])
  const { socket } = await openSession()
  const reports = new Reports({ stats: () => expect.fail('of the server') })
  const entry = (): never => expect.fail('an entry')
  reports.carrierBegan(socket, 'move', 'stream', entry)
  reports.resumed(socket, 'stream', entry)
  reports.ended(socket, 'lost', 1006, '', false)
})
