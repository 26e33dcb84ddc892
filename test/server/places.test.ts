// How many clients one address may have, on every transport; and what an application can do about it by itself.
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Places } from '../../server/admission/places.ts'
import type { ServerOptions } from '../../server/index.ts'
import type { HttpAnswer } from '../support/http.ts'
import { plain, refused } from '../support/plain-client.ts'
import { close, RawClient } from '../support/raw-client.ts'
import { closeOf, type Serving, serve } from '../support/serving.ts'

type Headers = Record<string, string>

interface Way {
  /** Resolves with how its client hears that it is over. */
  came(url: string, headers?: Headers): Promise<() => unknown>
  turnedAway(url: string, headers?: Headers): Promise<HttpAnswer>
}

const ways: [string, Way][] = [
  [
    'an ordinary WebSocket',
    {
      came: async (url, headers = {}) => {
        await plain(url, [], { headers })
        return () => {}
      },
      turnedAway: (url, headers = {}) => refused(url, [], { headers }),
    },
  ],
  [
    "a session's WebSocket",
    {
      came: async (url, headers) => {
        const webSocket = await new RawClient(url, headers).openWebSocket()
        return () => webSocket.closed
      },
      turnedAway: (url, headers = {}) =>
        refused(url, ['everwire.1', new RawClient(url).token({ ask: 1 })], { headers }),
    },
  ],
  [
    'an HTTP exchange',
    {
      came: async (url, headers) => {
        const client = new RawClient(url, headers)
        expect((await client.open()).head?.status).toBe(0)
        return () => client.send()
      },
      turnedAway: (url, headers) => new RawClient(url, headers).open(),
    },
  ],
]

const from = (address: string): Headers => ({ 'X-Forwarded-For': address })

function warnings(): NodeJS.ErrnoException[] {
  const all: NodeJS.ErrnoException[] = []
  const listen = (warning: Error): void => void all.push(warning)
  process.on('warning', listen)
  onTestFinished(() => void process.off('warning', listen))
  return all
}

describe.each(ways)('%s', (_name, way) => {
  test('is told why there are too many of its address, and later', async () => {
    const { url, connections } = await serve({ maxClientsPerAddress: 2, trustProxy: 'loopback' })
    for (const [, other] of ways.slice(0, 2)) await other.came(url, from('203.0.113.1'))
    const { status, headers, body } = await way.turnedAway(url, from('203.0.113.1'))
    expect([status, headers['retry-after']]).toEqual([429, '10'])
    expect(body.toString()).toMatch(/option "maxClientsPerAddress" allows 2.*option "trustProxy"/)
    await way.came(url, from('203.0.113.2'))
    expect(connections.size).toBe(3)
  })

  test('has the address with all of its network in IPv6, and with what a stranger says before it', async () => {
    const { url } = await serve({ maxClientsPerAddress: 1, trustProxy: 1 })
    await way.came(url, from('2001:db8::1'))
    expect((await way.turnedAway(url, from('2001:db8::2:3'))).status).toBe(429)
    expect((await way.turnedAway(url, from('198.51.100.77, [2001:db8::9]:4711'))).status).toBe(429)
    await way.came(url, from('2001:db8:0:1::1'))
  })

  test('may come again when one has gone', async () => {
    const { url, connections } = await serve({ maxClientsPerAddress: 1 })
    const hear = await way.came(url)
    const { socket } = await connections.next()
    const ended = once(socket, 'close')
    socket.terminate()
    await ended
    await hear()
    await way.came(url)
    expect((await way.turnedAway(url)).status).toBe(429)
  })

  test('is counted when it is decided about', async () => {
    const asked: (() => void)[] = []
    const serving = await serve({
      maxClientsPerAddress: 2,
      verifyClient: (_info, done) => {
        asked.push(() => done(true))
        if (asked.length === 5) for (const answer of asked) answer()
      },
    })
    const all = await Promise.allSettled(Array.from({ length: 5 }, () => way.turnedAway(serving.url)))
    const away = all.filter((one) => one.status === 'fulfilled' && one.value.status === 429)
    expect([away.length, serving.connections.size]).toEqual([3, 2])
  })

  test('is not asked about if there is no place', async () => {
    let asked = 0
    const { url } = await serve({ maxClientsPerAddress: 1, verifyClient: () => ++asked > 0 })
    await way.came(url)
    expect((await way.turnedAway(url)).status).toBe(429)
    expect(asked).toBe(1)
  })

  test('is known by its address to an application with a limit of its own', async () => {
    const options: ServerOptions = {
      trustProxy: 'loopback',
      verifyClient: ({ address }, done) =>
        done(address !== '203.0.113.9', 429, 'Slow down', { 'Retry-After': '5' }),
    }
    const { url } = await serve(options)
    await way.came(url, from('203.0.113.8'))
    const { status, headers, body } = await way.turnedAway(url, from('203.0.113.9'))
    expect([status, headers['retry-after'], body.toString()]).toEqual([429, '5', 'Slow down'])
  })
})

test('a session that is over holds its place until it is forgotten', async () => {
  const { url, connections } = await serve({ maxClientsPerAddress: 1 })
  const client = new RawClient(url)
  await client.open()
  const { socket } = await connections.next()
  const ended = closeOf(socket)
  await client.send([close(4000)])
  expect(await ended).toEqual({ code: 4000, reason: '' })
  // The answer to the goodbye is not acknowledged yet.
  expect((await new RawClient(url).open()).status).toBe(429)
  await client.send()
  expect((await new RawClient(url).open()).status).toBe(200)
})

describe('the warning', () => {
  const fill = async (serving: Serving, headers?: Headers): Promise<void> => {
    await new RawClient(serving.url, headers).open()
    for (let i = 0; i < 3; i++) expect((await new RawClient(serving.url, headers).open()).status).toBe(429)
  }

  test('comes once where the address may be that of a proxy', async () => {
    const heard = warnings()
    await fill(await serve({ maxClientsPerAddress: 1 }))
    expect(heard).toMatchObject([{ name: 'everwire', code: 'EVERWIRE_PROXY' }])
    expect(heard[0]?.message).toMatch(/1 clients came from 127\.0\.0\.1.*"trustProxy"/)
  })

  test('does not come where proxies are known, or the address is of the internet', async () => {
    const heard = warnings()
    await fill(await serve({ maxClientsPerAddress: 1, trustProxy: false }))
    await fill(await serve({ maxClientsPerAddress: 1, trustProxy: true }), from('203.0.113.1'))
    expect(heard).toEqual([])
  })
})

test('places are given back once each, and nothing is left', () => {
  const places = new Places({ maxClients: 10, maxClientsPerAddress: 2 })
  const request = { socket: { remoteAddress: '203.0.113.1' }, headers: {}, httpVersionMajor: 1 } as never
  const [one, other] = [{}, {}]
  places.take(one, request)
  places.take(other, request)
  expect([places.heldAt('203.0.113.1'), places.refuse(request, false)?.status]).toEqual([2, 429])
  places.give(one)
  places.give(one)
  expect([places.heldAt('203.0.113.1'), places.refuse(request, false)]).toEqual([1, undefined])
  places.give(other)
  expect(places.heldAt('203.0.113.1')).toBe(0)
})

test('one address cannot shut the others out by opening sessions and not going on with them', async () => {
  const serving = await serve({ maxClients: 1000, trustProxy: true })
  const attacker = { 'X-Forwarded-For': '203.0.113.66' }
  const statuses = new Map<number, number>()
  for (let i = 0; i < 200; i++) {
    const { status } = await new RawClient(serving.url, attacker).open()
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  expect([...statuses]).toEqual([
    [200, 100],
    [429, 100],
  ])
  const answer = await new RawClient(serving.url, attacker).open()
  expect([answer.status, answer.headers['retry-after']]).toEqual([429, '10'])
  // Those who hold a connection, or come from elsewhere, are let in.
  await new RawClient(serving.url, attacker).openWebSocket()
  const other = new RawClient(serving.url, { 'X-Forwarded-For': '203.0.113.67' })
  expect((await other.open()).status).toBe(200)
})
