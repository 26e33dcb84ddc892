// Who is let in, with which subprotocol, and what the application sees of the request: the same on every transport.
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ClientInfo, ServerOptions } from '../../server/index.ts'
import { fetchAll, type HttpAnswer, headerLines } from '../support/http.ts'
import { plain, refused } from '../support/plain-client.ts'
import { marked, RawClient } from '../support/raw-client.ts'
import { type Serving, serve } from '../support/serving.ts'

type Headers = Record<string, string>

/** One way to come, and what is seen of it. `came` resolves with the subprotocol, `turnedAway` with the answer. */
interface Way {
  came(serving: Serving, offered?: readonly string[], headers?: Headers): Promise<string>
  turnedAway(serving: Serving, headers?: Headers): Promise<HttpAnswer>
}

const ways: [string, Way][] = [
  [
    'an ordinary WebSocket',
    {
      came: async ({ url }, offered, headers = {}) => (await plain(url, offered, { headers })).protocol,
      turnedAway: ({ url }, headers = {}) => refused(url, [], { headers }),
    },
  ],
  [
    "a session's WebSocket",
    {
      came: async ({ url }, offered = [], headers) => {
        const client = new RawClient(url, headers)
        const { socket } = await client.openWebSocket(offered)
        const { protocol = '?' } = client.welcome ?? {}
        // Without a choice that the client offers, everwire's own name says that it was understood.
        expect(socket.protocol).toBe(offered.includes(protocol) ? protocol : 'everwire.1')
        return protocol
      },
      turnedAway: ({ url }, headers = {}) =>
        refused(url, ['everwire.1', new RawClient(url).token({ ask: 1 })], { headers }),
    },
  ],
  [
    'an HTTP exchange',
    {
      came: async ({ url }, offered, headers) => {
        const client = new RawClient(url, headers)
        expect((await client.open(offered)).head?.status).toBe(0)
        return client.welcome?.protocol ?? '?'
      },
      turnedAway: ({ url }, headers) => new RawClient(url, headers).open(),
    },
  ],
]

/** What a plugin gives that runs in a context of its own. */
const inAnotherRealm = runInNewContext as (code: string) => NonNullable<ServerOptions['verifyClient']>
const bareThenable = '() => Object.assign(Object.create(null), { then: (decide) => void decide(false) })'

describe.each(ways)('%s', (_name, way) => {
  describe('subprotocols', () => {
    const choose: [string, ServerOptions['handleProtocols'], string[], string][] = [
      ['the first, if nobody chooses', undefined, ['b', 'a'], 'b'],
      ['none, if none is offered', undefined, [], ''],
      ['the one that is chosen', () => 'c', ['a', 'b', 'c'], 'c'],
      ['none, if none is chosen', () => false, ['a', 'b'], ''],
      ['none, if the empty one is chosen', () => '', ['a', 'b'], ''],
      ['the one that is chosen, although it was not offered', () => 'x', ['a', 'b'], 'x'],
      ['none, if what is chosen can be no name', () => 'x\r\nSet-Cookie: y', ['a', 'b'], ''],
    ]
    test.each(choose)('%s', async (_what, handleProtocols, offered, chosen) => {
      const serving = await serve(handleProtocols ? { handleProtocols } : {})
      // An ordinary client that gets none of those it offers must close, says the standard; `ws` fails the handshake.
      if (way === ways[0]?.[1] && offered.length > 0 && !offered.includes(chosen)) {
        const why = chosen === '' ? 'Server sent no subprotocol' : 'Server sent an invalid subprotocol'
        await expect(way.came(serving, offered)).rejects.toThrow(why)
      } else expect(await way.came(serving, offered)).toBe(chosen)
      expect((await serving.connections.next()).socket.protocol).toBe(chosen)
    })

    test("everwire's own names are not the application's to see", async () => {
      const seen: [string[], string | undefined][] = []
      const serving = await serve({
        handleProtocols: (offered, request) => {
          seen.push([[...offered], request.headers['sec-websocket-protocol']])
          return 'b'
        },
        verifyClient: ({ req }) => !req.headers['sec-websocket-protocol']?.includes('everwire'),
      })
      await way.came(serving, ['a', 'b'])
      const { request } = await serving.connections.next()
      expect(seen[0]?.[0]).toEqual(['a', 'b'])
      expect(String(seen[0]?.[1] ?? '')).not.toContain('everwire')
      expect(JSON.stringify(request.headers)).not.toContain('everwire')
      expect(request.rawHeaders.join()).not.toContain('everwire.1.')
      await way.came(serving, [])
      expect(seen).toHaveLength(1)
    })
  })

  describe('verifyClient', () => {
    const forms: [string, ServerOptions['verifyClient'], number, string][] = [
      ['says no', () => false, 401, 'Unauthorized'],
      ['says no later', async () => false, 401, 'Unauthorized'],
      ['says no later, in another realm', inAnotherRealm('async () => false'), 401, 'Unauthorized'],
      ['says no later, by what is no Promise', inAnotherRealm(bareThenable), 401, 'Unauthorized'],
      ['calls back no', (_info, done) => done(false), 401, 'Unauthorized'],
      ['calls back a code', (_info, done) => void setImmediate(done, false, 403), 403, 'Forbidden'],
      ['calls back a reason', (_info, done) => done(false, 402, 'Pay!'), 402, 'Pay!'],
    ]
    test.each(forms)('%s', async (_what, verifyClient, status, body) => {
      const serving = await serve({ ...(verifyClient && { verifyClient }) })
      const answer = await way.turnedAway(serving)
      expect([answer.status, answer.body.toString()]).toEqual([status, body])
      expect(serving.connections.size).toBe(0)
    })

    test('calls back headers', async () => {
      const serving = await serve({
        verifyClient: (_info, done) => done(false, 429, 'Later', { 'Retry-After': 7, 'X-Why': 'so' }),
      })
      const { status, headers } = await way.turnedAway(serving)
      expect([status, headers['retry-after'], headers['x-why']]).toEqual([429, '7', 'so'])
    })

    test('calls back headers of another realm', async () => {
      const serving = await serve({
        verifyClient: inAnotherRealm("(info, done) => done(false, 429, 'Later', { 'X-Why': 'so' })"),
      })
      const { status, headers } = await way.turnedAway(serving)
      expect([status, headers['x-why']]).toEqual([429, 'so'])
    })

    test.each([
      ['says yes', (_info: ClientInfo) => true],
      ['says yes later', async (_info: ClientInfo) => true],
      ['calls back yes', (_info: ClientInfo, done: (ok: boolean) => void) => void setImmediate(done, true)],
    ])('%s, once, and knows whom it is about', async (_what, verifyClient) => {
      const infos: ClientInfo[] = []
      const verify = verifyClient as (info: ClientInfo, done: (ok: boolean) => void) => boolean
      const serving = await serve({
        origins: '*',
        verifyClient:
          verify.length === 1
            ? (info) => {
                infos.push(info)
                return verify(info, () => {})
              }
            : (info, done) => {
                infos.push(info)
                verify(info, done)
              },
      })
      await way.came(serving, [], { Origin: 'https://page.example', Cookie: 'a=b' })
      const { request } = await serving.connections.next()
      expect(infos).toEqual([
        {
          origin: 'https://page.example',
          secure: false,
          resuming: false,
          req: request,
          address: '127.0.0.1',
        },
      ])
      expect(infos[0]?.req.headers.cookie).toBe('a=b')
    })
  })

  describe('origins', () => {
    const allowed: [string, ServerOptions['origins'], Headers, ServerOptions?][] = [
      ['no page at all', undefined, {}],
      ['a page of this host', undefined, { Origin: 'http://HOST' }],
      ['a page of this host, over TLS by a proxy', undefined, { Origin: 'https://HOST' }],
      [
        'a page of the host that a proxy saw',
        undefined,
        { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example' },
        { trustProxy: 'loopback' },
      ],
      [
        'a page of the host that the first of several proxies saw',
        undefined,
        { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example, inner.example' },
        { trustProxy: true },
      ],
      [
        'a page of the default port',
        undefined,
        { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example:443' },
        { trustProxy: 1 },
      ],
      [
        'what the browser says is its own',
        undefined,
        { Origin: 'https://a.example', 'Sec-Fetch-Site': 'same-origin' },
      ],
      ['one in the list', ['https://x.example', 'https://a.example'], { Origin: 'https://a.example' }],
      ['one in the list with a slash', ['https://A.example/'], { Origin: 'https://a.example' }],
      ['a page of this host beside a list', ['https://x.example', 'same'], { Origin: 'http://HOST' }],
      ['one alone', 'https://a.example', { Origin: 'https://a.example' }],
      ['one that a pattern matches', /\.example$/, { Origin: 'https://a.example' }],
      ['one that a sticky pattern matches', /^https:\/\/a/gy, { Origin: 'https://a.example' }],
      ['one that a function likes', (origin) => origin.length === 17, { Origin: 'https://a.example' }],
      ['one that a function likes later', async () => true, { Origin: 'https://a.example' }],
      [
        'one that one of several functions likes',
        [() => new Promise<boolean>(() => {}), async () => false, async () => true],
        { Origin: 'https://a.example' },
      ],
      ['any', '*', { Origin: 'https://a.example' }],
      ['no page, whatever a function says', () => false, {}],
      ['what a browser does by itself', undefined, { 'Sec-Fetch-Site': 'none' }],
      ['a page of this host that says no origin', undefined, { 'Sec-Fetch-Site': 'same-origin' }],
      ['any without an origin', ['*'], { 'Sec-Fetch-Site': 'cross-site' }],
      [
        'a page over TLS, where a proxy says so',
        undefined,
        { Origin: 'https://HOST', 'X-Forwarded-Proto': 'wss' },
        { trustProxy: true },
      ],
      ['any in a list', ['*'], { Origin: 'null' }],
    ]
    test.each(allowed)('allow %s', async (_what, origins, headers, options) => {
      const serving = await serve({ ...(origins && { origins }), ...options })
      // Twice: a pattern may not remember where it was.
      for (let i = 0; i < 2; i++) await way.came(serving, [], hosted(headers, serving))
      await serving.connections.next()
    })

    const forbidden: [string, ServerOptions['origins'], Headers, ServerOptions?][] = [
      ['another page', undefined, { Origin: 'https://evil.example' }],
      ['another port', undefined, { Origin: 'http://127.0.0.1:1' }],
      ['a page without an origin', undefined, { Origin: 'null' }],
      ['what is no origin', undefined, { Origin: 'HOST' }],
      [
        'a page of the same site',
        undefined,
        { Origin: 'https://b.a.example', 'Sec-Fetch-Site': 'same-site' },
      ],
      ['a page whose name begins so', 'https://a.example', { Origin: 'https://a.example.evil.example' }],
      ['one that a pattern does not match', /^https:\/\/a\.example$/, { Origin: 'https://aXexample' }],
      ['one that a function does not like', () => false, { Origin: 'https://a.example' }],
      ['one that is not in the list', ['https://x.example'], { Origin: 'https://a.example' }],
      ['all of an empty list', [], { Origin: 'https://a.example' }],
      ['a page of this host, where a list says no', ['https://x.example'], { Origin: 'http://HOST' }],
      ['a page of this host, where a function says no', () => false, { Origin: 'http://HOST' }],
      [
        'what the browser says is its own, where a list says no',
        ['https://x.example'],
        { Origin: 'https://a.example', 'Sec-Fetch-Site': 'same-origin' },
      ],
      ['one that a function does not like later', async () => false, { Origin: 'https://a.example' }],
      ['one of which a function says 1', (() => 1) as unknown as () => boolean, { Origin: 'http://HOST' }],
      [
        'one of which a function says 1 later',
        (async () => 1) as unknown as () => Promise<boolean>,
        { Origin: 'http://HOST' },
      ],
      ['a page of a scheme that is none', undefined, { Origin: 'ftp://HOST' }],
      [
        'a page of the host that a proxy saw, if nobody said that there is one',
        undefined,
        { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example' },
      ],
      [
        'a page of the host that a proxy saw, if another one is believed',
        undefined,
        { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example' },
        { trustProxy: '10.0.0.0/8' },
      ],
      [
        'a page of the inner host, where a proxy says what the outer one is',
        undefined,
        { Origin: 'http://HOST', 'X-Forwarded-Host': 'a.example' },
        { trustProxy: true },
      ],
      [
        'a page without TLS, where a proxy says that it came with it',
        undefined,
        { Origin: 'http://HOST', 'X-Forwarded-Proto': 'https' },
        { trustProxy: true },
      ],
      [
        'a page with TLS, where a proxy says that it came without',
        undefined,
        { Origin: 'https://HOST', 'X-Forwarded-Proto': 'http' },
        { trustProxy: true },
      ],
    ]
    test.each(forbidden)('forbid %s', async (_what, origins, headers, options) => {
      const serving = await serve({ ...(origins && { origins }), ...options })
      const answer = await way.turnedAway(serving, hosted(headers, serving))
      expect(answer.status).toBe(403)
      const origin = hosted(headers, serving).Origin
      expect(answer.body.toString()).toMatch(/may not connect.*option origins/)
      expect(answer.body.toString()).toContain(`origins: [${JSON.stringify(origin)}]`)
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
      expect(serving.connections.size).toBe(0)
    })
  })

  test.each(['cross-site', 'same-site'])('a page that says %s, and no origin, is refused', async (site) => {
    for (const origins of ['same', ['https://a.example', 'same'], () => true] as const) {
      const serving = await serve({ origins })
      const answer = await way.turnedAway(serving, { 'Sec-Fetch-Site': site })
      expect([answer.status, serving.connections.size]).toEqual([403, 0])
      expect(answer.body.toString()).toMatch(`Sec-Fetch-Site: ${site}`)
      expect(answer.body.toString()).toContain('Only origins: "*"')
    }
  })

  test('a proxy that nobody has spoken of is mentioned', async () => {
    const headers = { Origin: 'https://a.example', 'X-Forwarded-Host': 'a.example' }
    const answer = await way.turnedAway(await serve({ origins: 'same' }), headers)
    expect(answer.body.toString()).toContain(
      'To use the proxy\'s "X-Forwarded-Host", name the proxy in the option "trustProxy"',
    )
  })

  describe('hosts', () => {
    const named: [string, readonly string[], Headers, ServerOptions?][] = [
      ['as it is', ['a.example:81'], { Host: 'a.example:81' }],
      ['without a port, which is any', ['x.example', 'A.example'], { Host: 'a.EXAMPLE:81' }],
      ['with a port that goes without saying', ['a.example:443'], { Host: 'a.example' }],
      ['of IPv6', ['[0:0::1]:81'], { Host: '[::1]:81' }],
      ['of a proxy', ['a.example'], { 'X-Forwarded-Host': 'a.example' }, { trustProxy: true }],
    ]
    test.each(named)('one %s', async (_what, hosts, headers, options) => {
      const serving = await serve({ hosts, ...options })
      await way.came(serving, [], headers)
    })

    const unknown: [string, readonly string[], Headers, ServerOptions?][] = [
      ['another', ['a.example'], { Host: 'evil.example' }],
      ['another that ends so', ['a.example'], { Host: 'evil-a.example' }],
      ['another that begins so', ['a.example'], { Host: 'a.example.evil.example' }],
      ['another port', ['a.example:81'], { Host: 'a.example:82' }],
      ['no port instead of one', ['a.example:81'], { Host: 'a.example' }],
      ['what is none', ['a.example'], { Host: 'a.example/' }],
      ['that of a proxy that is not believed', ['a.example'], { 'X-Forwarded-Host': 'a.example' }],
    ]
    test.each(unknown)('not %s', async (_what, hosts, headers, options) => {
      const serving = await serve({ hosts, origins: '*', ...options })
      const answer = await way.turnedAway(serving, headers)
      expect([answer.status, serving.connections.size]).toEqual([403, 0])
      expect(answer.body.toString()).toMatch(/^The host ".*" is not one of the server's option "hosts"$/)
    })
  })

  test('whoever has not thought of pages of other hosts is told once', async () => {
    const warnings: NodeJS.ErrnoException[] = []
    const listen = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listen)
    onTestFinished(() => void process.off('warning', listen))
    const [unknowing, knowing] = [await serve(), await serve({ origins: 'same' })]
    for (const serving of [unknowing, unknowing, knowing])
      expect((await way.turnedAway(serving, { Origin: 'https://a.example' })).status).toBe(403)
    expect(warnings).toMatchObject([{ name: 'everwire', code: 'EVERWIRE_ORIGIN' }])
    expect(warnings[0]?.message).toContain(`:${unknowing.port}. To allow them`)
    expect(warnings[0]?.message).toContain('origins: ["https://a.example"]')
  })

  test('the request: address, URL, cookies, address of the client', async () => {
    const serving = await serve()
    const url = `${serving.url}/room/1?name=ada&x=%26`
    const addresses: (string | undefined)[] = []
    serving.realtime.on('connection', (_socket, { socket }) => addresses.push(socket.remoteAddress))
    await way.came({ ...serving, url }, [], { Cookie: 'session=1; b=2', 'User-Agent': 'test' })
    const { request, socket } = await serving.connections.next()
    expect(request.url).toBe('/realtime/room/1?name=ada&x=%26')
    expect(request.headers).toMatchObject({ cookie: 'session=1; b=2', 'user-agent': 'test' })
    expect(request.headers.host).toBe(`127.0.0.1:${serving.port}`)
    expect(addresses).toEqual(['127.0.0.1'])
    expect(socket.readyState).toBe(1)
  })

  test('more clients than allowed are told so', async () => {
    const serving = await serve({ maxClients: 1 })
    await way.came(serving)
    const answer = await way.turnedAway(serving)
    expect([answer.status, answer.body.toString()]).toEqual([503, 'Too many clients'])
    const { socket } = await serving.connections.next()
    const ended = once(socket, 'close')
    socket.terminate()
    await ended
    await way.came(serving)
  })

  test('also those who are decided about at the same time', async () => {
    const asked: (() => void)[] = []
    const serving = await serve({
      maxClients: 2,
      verifyClient: (_info, done) => {
        asked.push(() => done(true))
        if (asked.length === 5) for (const answer of asked) answer()
      },
    })
    // Who is let in gets another answer, or none.
    const all = await Promise.allSettled(Array.from({ length: 5 }, () => way.turnedAway(serving)))
    const away = all.filter((one) => one.status === 'fulfilled' && one.value.status === 503)
    expect([away.length, serving.connections.size]).toEqual([3, 2])
  })
})

function hosted(headers: Headers, { port }: Serving): Headers {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace('HOST', `127.0.0.1:${port}`)]),
  )
}

test('version 8 of the handshake names its origin otherwise', async () => {
  const asked: (string | undefined)[] = []
  const { url } = await serve({
    origins: ['https://a.example'],
    verifyClient: ({ origin }) => asked.push(origin) > 0,
  })
  await plain(url, [], { protocolVersion: 8, origin: 'https://a.example' })
  expect((await refused(url, [], { protocolVersion: 8, origin: 'https://b.example' })).status).toBe(403)
  expect(asked).toEqual(['https://a.example'])
})

test('a WebSocket handshake is answered with exactly one subprotocol, or with none', async () => {
  const { url, connections } = await serve({ handleProtocols: (offered) => (offered.has('a') ? 'a' : false) })
  const answers: string[][] = []
  const finishRequest = (request: ClientRequest): void => {
    request.on('upgrade', (response: IncomingMessage) =>
      answers.push(headerLines(response, 'Sec-WebSocket-Protocol')),
    )
    request.end()
  }
  const token = (): string => new RawClient(url).token({ ask: 1 })
  for (const offered of [
    ['a', 'b'],
    [],
    ['b', 'a', 'everwire.1', token()],
    ['b', 'everwire.1', token()],
    ['everwire.1', token()],
  ]) {
    await plain(url, offered, { finishRequest })
    await connections.next()
  }
  expect(answers).toEqual([['a'], [], ['a'], ['everwire.1'], ['everwire.1']])
})

test('pages of other origins that are allowed may read the answers, with their cookies', async () => {
  const { url } = await serve({ origins: ['https://a.example'] })
  const client = new RawClient(url, { Origin: 'https://a.example' })
  const opened = await client.open()
  const streamed = (await client.eventStream(await client.ticket())).response
  const preflight = await fetchAll(marked(url), {
    method: 'OPTIONS',
    headers: { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST' },
  })
  const broken = await client.post(Buffer.from('x'))
  expect([opened.status, streamed.statusCode, preflight.status, broken.status]).toEqual([200, 200, 204, 400])
  for (const { headers } of [opened, streamed, preflight, broken]) {
    expect(headers['access-control-allow-origin']).toBe('https://a.example')
    expect(headers['access-control-allow-credentials']).toBe('true')
    // So that a browser tells the page over which version of HTTP the answer came.
    expect(headers['timing-allow-origin']).toBe('https://a.example')
    expect(headers.vary).toMatch(/\bOrigin\b/)
  }
  const bare = await new RawClient(url).open()
  expect(bare.headers['access-control-allow-origin']).toBeUndefined()
  expect(bare.headers['timing-allow-origin']).toBeUndefined()
  expect(bare.headers.vary).toBeUndefined()
})

test('an event stream and every exchange are asked for their origin, not only the first', async () => {
  const { url } = await serve()
  const client = new RawClient(url)
  await client.open()
  const ticket = await client.ticket()
  const headers = { Origin: 'https://evil.example' }
  expect((await fetchAll(marked(url, ticket), { headers })).status).toBe(403)
  expect((await client.send([], {}, { headers })).status).toBe(403)
  expect((await refused(url, ['everwire.1', client.token({ epoch: 2 })], { headers })).status).toBe(403)
  expect((await client.send()).head?.status).toBe(0)
})
