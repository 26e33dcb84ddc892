// `everwire/prometheus` with the real prom-client: what a scrape says after a life that the test has written.
import { Registry, register } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { registerMetrics } from '../../prometheus/index.ts'
import { WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { joinNode } from '../cluster/nodes.ts'
import { plain, refused } from '../support/plain-client.ts'
import { RawClient, text } from '../support/raw-client.ts'
import { closeOf, messagesOf, serve } from '../support/serving.ts'
import { nonzero, scrape } from './scrape.ts'

test('names, types and labels follow the conventions of Prometheus', async () => {
  const { realtime } = await serve()
  const registry = new Registry()
  registerMetrics(realtime, { registry })
  const families = Object.entries(await scrape(registry))
  expect(families.length).toBeGreaterThan(20)
  for (const [name, { type, help, values }] of families) {
    expect(name).toMatch(/^everwire_[a-z_]+$/)
    expect([name, type]).toEqual([name, name.endsWith('_total') ? 'counter' : 'gauge'])
    expect(help).toMatch(/^[A-Z].*\.$/)
    // A counter that is not there before its first event hides that event from rate().
    // Those of a cluster are of no use to a server that is alone.
    if (name !== 'everwire_refused_total' && !name.startsWith('everwire_cluster_'))
      expect([name, Object.keys(values)]).not.toEqual([name, []])
  }
})

test('each metric of a cluster', async () => {
  const store = new MemoryStore()
  const one = await joinNode(store.engine())
  const other = await joinNode(store.engine())
  const registry = new Registry()
  registerMetrics(one.realtime, { registry })
  const client = new RawClient(one.url)
  await client.open()
  await one.connections.next()
  const elsewhere = new RawClient(other.url)
  await elsewhere.open()
  Object.assign(elsewhere, { url: one.url })
  await elsewhere.send([text('x')])
  const all = await scrape(registry)
  const values = Object.entries(all).filter(([name]) => name.startsWith('everwire_cluster_'))
  expect(Object.fromEntries(values.map(([name, { values }]) => [name, values]))).toMatchObject({
    everwire_cluster_up: { '': 1 },
    everwire_cluster_passing: { '': 0 },
    everwire_cluster_passed_total: { '': 1 },
    everwire_cluster_relayed_total: { '': 0 },
    everwire_cluster_sessions_moved_total: { 'direction="out"': 0, 'direction="in"': 0 },
    everwire_cluster_waiting_messages: { '': 0 },
  })
  expect(values.length).toBe(7)
})

test('each metric after a life', async () => {
  const { realtime, url, connections } = await serve({
    verifyClient: ({ req }, decide) => decide(req.headers.cookie !== 'who=nobody', 403),
    maxMemory: 5_000_000,
  })
  const registry = new Registry()
  registerMetrics(realtime, { registry })

  // Opened over a WebSocket, cut, back over long-polling, and from there to a stream. Two messages were not acknowledged.
  const client = new RawClient(url)
  const webSocket = await client.openWebSocket()
  const { socket } = await connections.next()
  socket.subscribe('news')
  const messages = messagesOf(socket)
  webSocket.send('four')
  await messages.next()
  socket.send('one')
  socket.send('three')
  await webSocket.next('message')
  await webSocket.next('message')
  const away = new Promise((resolve) => socket.once('transportchange', resolve))
  await webSocket.cut()
  await away
  client.has = { number: 0, offset: 0 }
  client.renew()
  await client.poll()
  client.renew()
  const stream = await client.stream()
  await stream.next('pong')
  // One is not let in, one asks for what is not here; an ordinary client comes and stays, another one goes.
  await refused(url, [], { headers: { cookie: 'who=nobody' } })
  await new RawClient(url).send([text('x')])
  await plain(url)
  await connections.next()
  const left = await plain(url)
  const { socket: leaving } = await connections.next()
  const gone = closeOf(leaving)
  left.close()
  await gone
  // A session that is opened and given up.
  await new RawClient(url).open([], { ask: Ask.open | Ask.stream })
  const { socket: given } = await connections.next()
  const givenUp = closeOf(given)
  given.terminate()
  await givenUp

  expect(await nonzero(registry)).toEqual({
    everwire_sessions: { 'state="open"': 1, 'state="ended"': 1 },
    everwire_carriers: { 'transport="stream"': 1 },
    everwire_plain_clients: { '': 1 },
    everwire_sessions_opened_total: { 'transport="websocket"': 1, 'transport="stream"': 1 },
    everwire_sessions_resumed_total: { 'transport="polling"': 1 },
    everwire_carriers_moved_total: { 'from="polling",to="stream"': 1 },
    everwire_sessions_gone_total: { 'reason="terminated"': 1 },
    everwire_sessions_unknown_total: { '': 1 },
    everwire_plain_clients_opened_total: { '': 2 },
    everwire_plain_clients_gone_total: { 'reason="client"': 1 },
    everwire_refused_total: { 'status="403"': 1 },
    everwire_messages_total: { 'direction="received"': 1, 'direction="sent"': 2 },
    everwire_bytes_total: { 'direction="received"': 4, 'direction="sent"': 8 },
    everwire_replayed_messages_total: { '': 2 },
    everwire_replayed_bytes_total: { '': 8 },
    everwire_memory_limit_bytes: { '': 5_000_000 },
    everwire_topics: { '': 1 },
    everwire_subscriptions: { '': 1 },
  })

  // What waits, and what it takes.
  const { socket: waiting } = await (async () => {
    await new RawClient(url).open()
    return connections.next()
  })()
  waiting.send('x'.repeat(1000))
  const later = await nonzero(registry)
  expect(later).toMatchObject({
    everwire_waiting_messages: { '': 1 },
    everwire_waiting_bytes: { '': 1000 },
    everwire_memory_bytes: { '': realtime.memory },
  })
})

test('several servers in one registry, told apart by their label', async () => {
  const registry = new Registry()
  const [chat, news] = [await serve({ maxMemory: 1000 }), await serve({ maxMemory: 2000 })]
  const forget = registerMetrics(chat.realtime, { registry, server: 'chat' })
  registerMetrics(news.realtime, { registry, server: 'news' })
  await new RawClient(news.url).openWebSocket()
  const both = await nonzero(registry)
  expect(both).toMatchObject({
    everwire_memory_limit_bytes: { 'server="chat"': 1000, 'server="news"': 2000 },
    everwire_carriers: { 'server="news",transport="websocket"': 1 },
  })

  const again = { registry, server: 'chat' }
  registerMetrics(chat.realtime, again)
  expect(() => registerMetrics(news.realtime, again)).toThrow(
    /^The registry has metrics of another server named "chat": give each server a name of its own/,
  )
  forget()
  expect((await nonzero(registry)).everwire_memory_limit_bytes).toEqual({ 'server="news"': 2000 })
  forget()
  registerMetrics(news.realtime, again)
  expect((await nonzero(registry)).everwire_memory_limit_bytes).toEqual({
    'server="chat"': 2000,
    'server="news"': 2000,
  })
})

test('without a registry the metrics are in the default one, also after it was cleared', async () => {
  onTestFinished(() => register.clear())
  const realtime = new WebSocketServer({ noServer: true, maxMemory: 1000 })
  for (let times = 0; times < 2; times++) {
    registerMetrics(realtime)
    expect((await nonzero(register)).everwire_memory_limit_bytes).toEqual({ '': 1000 })
    register.clear()
  }
})

test('a server is asked once for a scrape, and not before', async () => {
  let asked = 0
  const { realtime } = await serve()
  const counting = {
    stats: () => {
      asked++
      return realtime.stats()
    },
  }
  const registry = new Registry()
  registerMetrics(counting, { registry })
  expect(asked).toBe(0)
  await registry.metrics()
  expect(asked).toBe(1)
  await registry.getMetricsAsJSON()
  expect(asked).toBe(2)
})

test('a budget without a limit is left out', async () => {
  const realtime = new WebSocketServer({ noServer: true, maxMemory: Number.POSITIVE_INFINITY })
  const registry = new Registry()
  registerMetrics(realtime, { registry })
  expect((await scrape(registry)).everwire_memory_limit_bytes?.values).toEqual({})
})

test('as OpenMetrics', async () => {
  const { realtime, url } = await serve()
  const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  registerMetrics(realtime, { registry })
  await new RawClient(url).openWebSocket()
  const scraped = await registry.metrics()
  expect(scraped).toContain('# TYPE everwire_sessions_opened counter\n')
  expect(scraped).toContain('everwire_sessions_opened_total{transport="websocket"} 1\n')
})
