// Probes: every way can be tried, the application sees nothing of it, and what they hold is bounded.
import { describe, expect, test } from 'vitest'
import type { ServerOptions } from '../../server/index.ts'
import { Ask, probeMark, Status } from '../../shared/exchange.ts'
import type { Welcome } from '../../shared/frame.ts'
import { fetchAll } from '../support/http.ts'
import { type Answer, binary, bodyOf, marked, piece, ping, RawClient } from '../support/raw-client.ts'
import { type Serving, serve } from '../support/serving.ts'

const maxHeld = 256
const maxHeldPerAddress = 16

interface Probing extends Serving {
  readonly client: RawClient
}

async function probing(options: ServerOptions = {}): Promise<Probing> {
  const serving = await serve(options)
  return { ...serving, client: new RawClient(serving.url) }
}

const welcomeIn = ({ records }: Answer): Welcome =>
  JSON.parse(Buffer.from(records.find(({ kind }) => kind === 'welcome')?.payload ?? []).toString())

const pongIn = ({ records }: Answer): string | undefined => {
  const pong = records.find(({ kind }) => kind === 'pong')
  return pong && Buffer.from(pong.payload).toString()
}

/** The application has seen nobody. */
function expectNobody({ realtime, connections }: Serving): void {
  expect(connections.size).toBe(0)
  expect(realtime.clients.size).toBe(0)
}

describe('a probe', () => {
  test('says how much of its body arrived, and sends a ping back', async () => {
    const it = await probing({ heartbeat: 1234, patience: 5678, maxBody: 70_000 })
    const records = [ping('hello'), binary(Buffer.alloc(60_000))]
    const body = bodyOf(it.client.head({ ask: Ask.probe }), records)
    const answer = await it.client.post(body)
    expect(answer.head?.status).toBe(Status.ok)
    expect(welcomeIn(answer)).toEqual({
      got: body.length,
      protocol: '',
      heartbeat: 1234,
      patience: 5678,
      maxBody: 70_000,
    })
    expect(pongIn(answer)).toBe('hello')
    expectNobody(it)
  })

  test('gets a small answer, whatever it sends', async () => {
    const { client } = await probing()
    const records = [ping('x'.repeat(126)), ping('y'.repeat(100_000)), piece('text', Buffer.alloc(1000))]
    const answer = await client.post(bodyOf(client.head({ ask: Ask.probe }), records))
    expect(pongIn(answer)).toBeUndefined()
    expect(answer.body.length).toBeLessThan(200)
    const noText = await client.post(
      bodyOf(client.head({ ask: Ask.probe }), [piece('ping', Buffer.from([0xff]))]),
    )
    expect(pongIn(noText)).toBeUndefined()
    const { status } = await client.post(
      bodyOf(client.head({ ask: Ask.probe }), [binary(Buffer.alloc(2 ** 21))]),
    )
    expect(status).toBe(413)
  })

  test('is held for as long as it asks', async () => {
    const it = await probing()
    const begun = performance.now()
    const answer = await it.client.send([], { ask: Ask.probe | Ask.hold, life: 300 })
    expect(performance.now() - begun).toBeGreaterThan(290)
    expect(answer.head?.status).toBe(Status.ok)
    expectNobody(it)
  })

  test('gets a stream: its head at once, a piece now and then, and the end', async () => {
    const it = await probing()
    const stream = await it.client.stream({ ask: Ask.probe | Ask.hold | Ask.stream, life: 700 })
    await stream.next('welcome')
    expect(stream.response.complete).toBe(false)
    const pieces = [Number(await stream.next('ping')), Number(await stream.next('ping'))]
    expect(pieces[0]).toBeGreaterThanOrEqual(200)
    expect(pieces[1]).toBeGreaterThanOrEqual(450)
    expect(await stream.ended).toBe(true)
    expectNobody(it)
  })

  test('gets an event stream', async () => {
    const it = await probing()
    const stream = await it.client.eventStream(`${probeMark}400`)
    expect(stream.response.headers['content-type']).toBe('text/event-stream')
    await stream.next('welcome')
    await stream.next('ping')
    expect(await stream.ended).toBe(true)
    expectNobody(it)
  })

  test('gets a WebSocket, which answers pings for as long as was asked', async () => {
    const it = await probing()
    const webSocket = it.client.webSocket({ ask: Ask.probe, life: 500 })
    expect(await webSocket.next('welcome')).toMatchObject({ got: 0, maxBody: 2 ** 20 })
    webSocket.say({ kind: 'ping', payload: 'there' })
    expect(await webSocket.next('pong')).toEqual({ kind: 'pong', payload: 'there' })
    expect(await webSocket.closed).toMatchObject({ code: 1000 })
    expectNobody(it)
  })

  test('learns over another way what came over its WebSocket', async () => {
    const { client } = await probing()
    const webSocket = client.webSocket({ ask: Ask.probe, life: 10_000 })
    await webSocket.opened()
    for (const payload of ['1', '2', '3']) {
      webSocket.say({ kind: 'ping', payload })
      await webSocket.next('pong')
    }
    expect((await client.send([], { ask: Ask.probe })).head?.has.number).toBe(3)
    const other = new RawClient(client.url)
    expect((await other.send([], { ask: Ask.probe })).head?.has.number).toBe(0)
  })

  test.each([
    ['a message', 'text', 1008],
    ['a long one', 'x'.repeat(257), 1009],
  ] as const)('may send nothing but pings: %s', async (_, data, code) => {
    const { client } = await probing()
    const webSocket = await client.webSocket({ ask: Ask.probe, life: 10_000 }).opened()
    webSocket.send(data)
    expect((await webSocket.closed).code).toBe(code)
  })

  test('may send only so many of them', async () => {
    const { client } = await probing()
    const webSocket = await client.webSocket({ ask: Ask.probe, life: 10_000 }).opened()
    for (let i = 0; i < 1001; i++) webSocket.say({ kind: 'ping', payload: '' })
    expect((await webSocket.closed).code).toBe(1008)
  })

  test('makes no session and asks nobody, even if it says that it would open one', async () => {
    let asked = 0
    const verifyClient = (): boolean => {
      asked++
      return false
    }
    const it = await probing({ verifyClient, maxClients: 0 })
    const ask = Ask.probe | Ask.open
    expect((await it.client.send([], { ask })).head?.status).toBe(Status.ok)
    await it.client.webSocket({ ask, life: 1000 }).next('welcome')
    expect(asked).toBe(0)
    expect((await it.client.send([], { ask: 0 })).head?.status).toBe(Status.unknown)
    expectNobody(it)
  })
})

describe('is refused', () => {
  test('to pages that may not connect', async () => {
    const { client, url } = await probing()
    const headers = { Origin: 'https://elsewhere.example' }
    expect((await client.send([], { ask: Ask.probe }, { headers })).status).toBe(403)
    expect((await fetchAll(marked(url, `${probeMark}100`), { headers })).status).toBe(403)
    expect(await client.webSocket({ ask: Ask.probe }, [], headers).closed).toMatchObject({ code: 1006 })
  })

  test('where there are too many, until there are fewer', async () => {
    const { client, url } = await probing()
    const ask = Ask.probe | Ask.hold | Ask.stream
    const held = await Promise.all(
      Array.from({ length: maxHeldPerAddress }, async (_, i) =>
        i % 2 ? client.stream({ ask, life: 30_000 }) : client.eventStream(`${probeMark}30000`),
      ),
    )
    const refused = await client.send([], { ask, life: 1000 })
    expect([refused.status, refused.body.toString()]).toEqual([503, 'Too many probes at a time'])
    expect((await fetchAll(marked(url, `${probeMark}100`))).status).toBe(503)
    expect((await client.webSocket({ ask: Ask.probe, life: 1000 }).closed).code).toBe(1006)
    // What is answered at once holds nothing.
    expect((await client.send([], { ask: Ask.probe })).status).toBe(200)
    await held[0]?.cut()
    // It takes the server a moment to see that one has gone.
    await expect.poll(async () => (await fetchAll(marked(url, `${probeMark}1`))).status).toBe(200)
  })

  test('to one address, which cannot use up the share of others', async () => {
    const { url } = await probing({ trustProxy: 'loopback' })
    const ask = Ask.probe | Ask.hold | Ask.stream
    const from = (i: number): RawClient =>
      new RawClient(url, { 'X-Forwarded-For': i < 0 ? '2001:db8::5' : `203.0.113.${i}` })
    const status = async (client: RawClient): Promise<number | undefined> => {
      const { response } = await client.stream({ ask, life: 30_000 })
      return response.statusCode
    }
    const greedy = await Promise.all(Array.from({ length: maxHeldPerAddress + 4 }, () => status(from(0))))
    expect(greedy.filter((one) => one === 503)).toHaveLength(4)
    expect((await from(0).webSocket({ ask: Ask.probe, life: 1000 }).closed).code).toBe(1006)
    expect(await status(from(1))).toBe(200)
    await from(2).webSocket({ ask: Ask.probe, life: 30_000 }).next('welcome')
    // All together have a bound, too.
    const many = Math.ceil(maxHeld / maxHeldPerAddress)
    const all = await Promise.all(
      Array.from({ length: many * maxHeldPerAddress }, (_, i) => status(from(3 + (i % many)))),
    )
    expect(all.filter((one) => one === 200)).toHaveLength(maxHeld - maxHeldPerAddress - 2)
    expect(await status(from(-1))).toBe(503)
  })

  test('by a server that answers none: as a session that nobody knows', async () => {
    const it = await probing({ diagnostics: false })
    const answer = await it.client.send([ping('x')], { ask: Ask.probe })
    expect([answer.head?.status, answer.records]).toEqual([Status.unknown, []])
    expect((await fetchAll(marked(it.url, `${probeMark}100`))).status).toBe(404)
    const webSocket = it.client.webSocket({ ask: Ask.probe })
    expect(await webSocket.next('abort')).toMatchObject({ code: 1006, reason: 'unknown session' })
    expectNobody(it)
  })
})

test('a server that closes does not wait for probes', async () => {
  const { realtime, client } = await probing()
  const hold = Ask.probe | Ask.hold
  // It comes in before those after it, which are answered.
  const held = client.send([], { ask: hold, life: 60_000 })
  const stream = await client.stream({ ask: hold | Ask.stream, life: 60_000 })
  const events = await client.eventStream(`${probeMark}60000`)
  const webSocket = client.webSocket({ ask: Ask.probe, life: 60_000 })
  await webSocket.next('welcome')
  const closed = new Promise<void>((resolve) => realtime.close(() => resolve()))
  expect((await held).head?.status).toBe(Status.ok)
  expect([await stream.ended, await events.ended]).toEqual([true, true])
  expect((await webSocket.closed).code).toBe(1001)
  await closed
})
