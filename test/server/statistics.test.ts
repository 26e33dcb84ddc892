// `realtime.stats()`: what it counts, on each transport where they could differ.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { EndReason, ServerOptions, ServerStats, Transport } from '../../server/index.ts'
import { endReasons } from '../../server/sockets/end-reasons.ts'
import { Ask } from '../../shared/exchange.ts'
import { fetchAll } from '../support/http.ts'
import { connectPeer, next, type Peer, peerKinds } from '../support/peers.ts'
import { plain, refused } from '../support/plain-client.ts'
import { marked, piece, postRaw, RawClient, text } from '../support/raw-client.ts'
import { closeOf, messagesOf, openSession, type Serving, serve } from '../support/serving.ts'

const none = { websocket: 0, stream: 0, sse: 0, polling: 0 }

/** The reasons that were counted, with their numbers. */
function counted<Name extends string | number>(
  counts: Readonly<Record<Name, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries<number>(counts).filter(([, count]) => count > 0))
}

test('a server that has seen nobody', async () => {
  const before = Date.now()
  const { realtime } = await serve({ maxMemory: 1_000_000 })
  const stats = realtime.stats()
  expect(stats.since).toBeGreaterThanOrEqual(before)
  expect(stats.since).toBeLessThanOrEqual(Date.now())
  const nothing = { messages: 0, bytes: 0 }
  const gone = {
    client: 0,
    left: 0,
    lost: 0,
    unused: 0,
    server: 0,
    terminated: 0,
    maxBuffered: 0,
    maxMemory: 0,
    rateLimit: 0,
    refused: 0,
    fault: 0,
    handedOver: 0,
  }
  expect(stats).toEqual({
    since: stats.since,
    sessions: {
      open: 0,
      resuming: 0,
      closing: 0,
      ended: 0,
      carriers: none,
      opened: none,
      resumed: none,
      moved: { websocket: none, stream: none, sse: none, polling: none },
      gone,
      unknown: 0,
    },
    plain: { open: 0, opened: 0, gone },
    refused: {},
    received: nothing,
    sent: nothing,
    replayed: nothing,
    waiting: nothing,
    memory: { used: 0, limit: 1_000_000 },
    topics: { count: 0, subscriptions: 0 },
  } satisfies ServerStats)
  expect(JSON.parse(JSON.stringify(stats))).toEqual(stats)
})

test.each(peerKinds)('a life over %s', async (kind) => {
  const serving = await serve()
  const { realtime } = serving
  const peer = await connectPeer(serving, kind)
  const open = kind === 'plain' ? none : { ...none, [kind]: 1 }
  const sessions = kind === 'plain' ? 0 : 1
  const opened = realtime.stats()
  expect(opened.sessions).toMatchObject({ open: sessions, carriers: open, opened: open, resumed: none })
  expect(opened.plain).toMatchObject({ open: 1 - sessions, opened: 1 - sessions })

  const messages = messagesOf(peer.socket)
  peer.send('ab', 'ü', Buffer.alloc(100))
  for (let i = 0; i < 3; i++) await messages.next()
  peer.socket.send('äb')
  peer.socket.subscribe('news')
  peer.socket.subscribe('news')
  peer.socket.subscribe('weather')
  realtime.publish('news', Buffer.alloc(50))
  if (kind !== 'plain') expect(realtime.stats().waiting).toEqual({ messages: 2, bytes: 53 })
  await next(peer)
  await next(peer)
  const after = realtime.stats()
  expect(after).toMatchObject({
    received: { messages: 3, bytes: 104 },
    sent: { messages: 2, bytes: 53 },
    replayed: { messages: 0, bytes: 0 },
    topics: { count: 2, subscriptions: 2 },
  })
  // What was given out is a copy.
  expect(opened.received).toEqual({ messages: 0, bytes: 0 })

  const gone = closeOf(peer.socket)
  peer.close(4000)
  await gone
  const { sessions: left, plain: plainLeft, topics } = realtime.stats()
  expect(left).toMatchObject({ open: 0, resuming: 0, closing: 0, carriers: none, opened: open })
  expect(plainLeft).toMatchObject({ open: 0, opened: 1 - sessions })
  expect(counted(kind === 'plain' ? plainLeft.gone : left.gone)).toEqual({ client: 1 })
  expect(topics).toEqual({ count: 0, subscriptions: 0 })
})

/** Comes with the next carrier, which is of this transport. */
async function come(client: RawClient, transport: Transport): Promise<void> {
  client.renew()
  if (transport === 'websocket') await client.webSocket().next('welcome')
  else if (transport === 'stream') await (await client.stream()).next('text')
  else if (transport === 'sse') await (await client.eventStream(await client.ticket())).next('text')
  else await client.poll()
}

/** The ticket for an event stream comes with the messages that wait, and the stream begins with them again. */
const answersOf = (transport: Transport): number => (transport === 'sse' ? 2 : 1)

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

test.each(transports)(
  'back over %s after a cut: resumed, and replayed what had not arrived',
  async (transport) => {
    const { url, realtime, connections } = await serve()
    const client = new RawClient(url)
    const webSocket = await client.openWebSocket()
    const { socket } = await connections.next()
    for (const data of ['one', 'three', 'five']) socket.send(data)
    await webSocket.next('message')
    const away = once(socket, 'transportchange')
    await webSocket.cut()
    await away
    const cut = realtime.stats()
    expect(cut.sessions).toMatchObject({ open: 0, resuming: 1, carriers: none })
    expect(cut).toMatchObject({ waiting: { messages: 3, bytes: 12 }, replayed: { messages: 0, bytes: 0 } })

    client.has = { number: 1, offset: 0 }
    await come(client, transport)
    const back = realtime.stats()
    expect(back.sessions).toMatchObject({ open: 1, resuming: 0, carriers: { [transport]: 1 } })
    expect(back.sessions.opened).toEqual({ ...none, websocket: 1 })
    expect(back.sessions.resumed).toEqual({ ...none, [transport]: 1 })
    expect(Object.values(back.sessions.moved)).toEqual([none, none, none, none])
    const times = answersOf(transport)
    expect(back).toMatchObject({
      waiting: { messages: 2, bytes: 9 },
      replayed: { messages: 2 * times, bytes: 9 * times },
    })
  },
)

test.each(transports)(
  'from a living WebSocket to %s: moved, and replayed what had not arrived',
  async (transport) => {
    const { url, realtime, connections } = await serve()
    const client = new RawClient(url)
    await client.openWebSocket()
    const { socket } = await connections.next()
    socket.send('one')
    await new Promise<void>((written) => socket.send('three', () => written()))
    client.has = { number: 0, offset: 0 }
    await come(client, transport)
    const { sessions, replayed } = realtime.stats()
    const times = answersOf(transport)
    expect(sessions).toMatchObject({ open: 1, resuming: 0, resumed: none, carriers: { [transport]: 1 } })
    const moved = { ...none, [transport]: 1 }
    expect(sessions.moved).toEqual({ websocket: moved, stream: none, sse: none, polling: none })
    expect(replayed).toEqual({ messages: 2 * times, bytes: 8 * times })
  },
)

test('an answer that a client asks for again is replayed, in part where it has a part', async () => {
  const { client, socket, realtime } = await openSession({ patience: 3_600_000 })
  socket.send('one')
  await client.send()
  expect(realtime.stats().replayed).toEqual({ messages: 0, bytes: 0 })
  client.has = { number: 0, offset: 2 }
  await client.send([], { ask: Ask.again })
  expect(realtime.stats().replayed).toEqual({ messages: 1, bytes: 1 })
  // It has all: nothing is sent again.
  await client.send([], { ask: Ask.again })
  expect(realtime.stats().replayed).toEqual({ messages: 1, bytes: 1 })
})

test('a session that the server closes is closing until its client has confirmed it', async () => {
  const { client, socket, realtime } = await openSession()
  const gone = closeOf(socket)
  socket.close(4001)
  expect(realtime.stats().sessions).toMatchObject({ open: 0, closing: 1, carriers: { polling: 1 } })
  expect(realtime.stats().waiting).toEqual({ messages: 0, bytes: 0 })
  await client.send()
  await client.send([piece('close', Buffer.from('4001,'))])
  await gone
  const { sessions } = realtime.stats()
  expect([sessions.closing, counted(sessions.gone)]).toEqual([0, { server: 1 }])
})

test('docs/MONITORING.md says of each reason what happened', () => {
  const document = readFileSync(new URL('../../docs/MONITORING.md', import.meta.url), 'utf8')
  const [, table = ''] = /^\| reason \| what happened \|\n\|---\|---\|\n((?:\|.*\n)+)/m.exec(document) ?? []
  const named = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason)
  expect(named).toEqual(Object.keys(endReasons))
})

/** How a client with a session and an ordinary one come to their end. `peer` over each kind that can. */
const ends: [EndReason, ServerOptions, (peer: Peer, serving: Serving) => unknown][] = [
  ['server', {}, ({ socket }) => socket.close(1011)],
  [
    'server',
    {},
    ({ socket }, { realtime }) => {
      socket.subscribe('x')
      realtime.disconnect('x')
    },
  ],
  ['terminated', {}, ({ socket }) => socket.terminate()],
  [
    'maxBuffered',
    { maxBuffered: 1_000_000 },
    ({ socket }) => {
      for (let i = 0; i < 400; i++) socket.send(Buffer.alloc(100_000))
    },
  ],
  ['rateLimit', { rateLimit: { messages: 3, per: 3_600_000 } }, (peer) => peer.send('1', '2', '3', '4')],
  ['fault', { maxPayload: 1000 }, (peer) => peer.send(Buffer.alloc(1001))],
]

for (const kind of peerKinds) {
  test.each(ends)(`over ${kind} gone: %s`, async (reason, options, end) => {
    const serving = await serve(options)
    const peer = await connectPeer(serving, kind)
    const gone = closeOf(peer.socket)
    await end(peer, serving)
    await gone
    const { sessions, plain } = serving.realtime.stats()
    expect(counted(sessions.gone)).toEqual(kind === 'plain' ? {} : { [reason]: 1 })
    expect(counted(plain.gone)).toEqual(kind === 'plain' ? { [reason]: 1 } : {})
  })
}

test('gone: lost, where a client does not come back in time', async () => {
  const { url, realtime, connections } = await serve({ patience: 50 })
  const webSocket = await new RawClient(url).openWebSocket()
  const { socket } = await connections.next()
  const gone = closeOf(socket)
  await webSocket.cut()
  await gone
  expect(counted(realtime.stats().sessions.gone)).toEqual({ lost: 1 })
})

test('gone: lost, where an ordinary client has no connection any more', async () => {
  const { url, realtime, connections } = await serve()
  const client = await plain(url)
  const { socket } = await connections.next()
  const gone = closeOf(socket)
  client.terminate()
  await gone
  expect(counted(realtime.stats().plain.gone)).toEqual({ lost: 1 })
})

test('gone: refused, where a client may not go on', async () => {
  const { client, socket, realtime } = await openSession({
    verifyClient: ({ resuming }: { resuming?: boolean }) => !resuming,
    verifyResume: true,
  })
  const gone = closeOf(socket)
  client.renew()
  await client.send()
  await gone
  expect(counted(realtime.stats().sessions.gone)).toEqual({ refused: 1 })
})

test('gone: left, where a page says so', async () => {
  const { client, socket, realtime } = await openSession()
  const gone = closeOf(socket)
  await client.send([piece('abort', Buffer.from('1001,'))])
  await gone
  expect(counted(realtime.stats().sessions.gone)).toEqual({ left: 1 })
})

test('gone: unused, where a client only opens', async () => {
  const { socket, realtime } = await openSession({ openTimeout: 50, patience: 3_600_000 })
  await closeOf(socket)
  expect(counted(realtime.stats().sessions.gone)).toEqual({ unused: 1 })
})

test('gone: maxMemory, where one client uses too much of it', async () => {
  const { socket, realtime } = await openSession({ maxMemory: 100_000, openTimeout: 3_600_000 })
  const gone = closeOf(socket)
  socket.send(Buffer.alloc(90_000))
  expect(realtime.stats().memory.used).toBe(90_000)
  socket.send(Buffer.alloc(90_000))
  await gone
  expect(counted(realtime.stats().sessions.gone)).toEqual({ maxMemory: 1 })
})

test('a session that is not here is unknown, over a WebSocket and over HTTP', async () => {
  const { url, realtime } = await serve()
  await new RawClient(url).send([text('x')])
  expect(realtime.stats().sessions.unknown).toBe(1)
  await new RawClient(url).webSocket().next('abort')
  expect(realtime.stats().sessions.unknown).toBe(2)
  expect(realtime.stats().sessions).toMatchObject({ open: 0, opened: none })
})

test('refusals count by their status, whatever was asked for', async () => {
  const { url, realtime } = await serve({
    verifyClient: (_info, decide) => decide(false, 403, 'Not you'),
    maxBody: 65_536,
  })
  await refused(url)
  await new RawClient(url).open()
  await new RawClient(url).webSocket({ ask: Ask.open }).closed
  await postRaw(url, Buffer.from('nothing of ours'))
  await postRaw(url, Buffer.alloc(70_000))
  await fetchAll(marked(url, 'A'.repeat(48)))
  await fetchAll(url)
  expect(realtime.stats().refused).toEqual({ 400: 1, 403: 3, 404: 1, 413: 1, 426: 1 })
})
