// Who a client is: its token comes to `verifyClient` and to the application over every transport, anew for each connection.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test, onTestFinished as whenFinished } from 'vitest'
import { type CloseEvent, type Transport, WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { WebSocket as Reopening } from '../../client/node-reopen.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { maxToken } from '../../shared/limits.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { serve, watch } from '../support/serving.ts'

const transports: Transport[] = ['websocket', 'stream', 'sse', 'polling']
/** A character of three bytes, one of four, and what a header cannot have. */
const strange = 'Zoë €🚀 "a", b\r\n=='

type Finished = (done: () => Promise<void>) => void

async function connect(
  options: WebSocketOptions,
  serverOptions: ServerOptions,
  onTestFinished: Finished,
): Promise<{ url: string; socket: WebSocket; serving: Awaited<ReturnType<typeof serve>> }> {
  const serving = await serve({ path: '/realtime', ...serverOptions }, onTestFinished)
  const url = `ws://127.0.0.1:${serving.port}/realtime`
  const socket = new WebSocket(url, { remember: false, ...options })
  onTestFinished(async () => socket.close())
  return { url, socket, serving }
}

const closeOf = (socket: WebSocket): Promise<CloseEvent> =>
  new Promise((resolve) => socket.addEventListener('close', resolve))

describe.concurrent.each(transports)('%s', (transport) => {
  test('a value, as it is', async ({ onTestFinished }) => {
    const verified: unknown[] = []
    const { socket, serving } = await connect(
      { transports: [transport], token: strange },
      { verifyClient: ({ token, req }) => verified.push(token, req.url) > 0 },
      onTestFinished,
    )
    const { request } = await serving.connections.next()
    await once(socket, 'open')
    expect(request.token).toBe(strange)
    expect(verified).toEqual([strange, '/realtime'])
    expect(JSON.stringify([request.headers, request.rawHeaders])).not.toContain('everwire')
  })

  test('a function is asked for each connection; the session is not asked about again', async ({
    onTestFinished,
  }) => {
    const verified: unknown[] = []
    const serving = await serve(
      { path: '/realtime', verifyClient: ({ token }) => verified.push(token) > 0 },
      onTestFinished,
    )
    const net = await hostileNetwork(serving.port)
    onTestFinished(() => net.close())
    let asked = 0
    const socket = new WebSocket(`ws://127.0.0.1:${net.port}/realtime`, {
      transports: [transport],
      token: async () => `token ${++asked}`,
      remember: false,
    })
    onTestFinished(async () => socket.close())
    const { socket: client, request } = await serving.connections.next()
    await once(socket, 'open')
    expect([request.token, asked]).toEqual(['token 1', 1])
    net.cut()
    client.send('after the cut')
    const [data] = (await once(socket, 'message')) as [Buffer]
    expect(String(data)).toBe('after the cut')
    expect(verified).toEqual(['token 1'])
    // An HTTP carrier whose requests were cut goes on with the next ones.
    if (transport === 'websocket') expect(asked).toBe(2)
  })

  test('one that is as long as may be', async ({ onTestFinished }) => {
    const token = '€'.repeat(maxToken / 3) + 'x'.repeat(maxToken % 3)
    const { socket, serving } = await connect({ transports: [transport], token }, {}, onTestFinished)
    expect((await serving.connections.next()).request.token).toBe(token)
    await once(socket, 'open')
  })

  test('what the application made of the name stays, and verifyClient sees the client’s', async ({
    onTestFinished,
  }) => {
    const seen: unknown[] = []
    const realtime = new WebSocketServer({
      noServer: true,
      verifyClient: ({ token }) => seen.push(token) > 0,
    })
    const connections = watch(realtime)
    const http = createServer((request, response) => {
      Object.assign(request, { token: 'mine' })
      realtime.middleware(request, response)
    })
    const port = await listen(http)
    const socket = new WebSocket(`http://127.0.0.1:${port}/`, {
      transports: [transport],
      token: 'yours',
      remember: false,
    })
    onTestFinished(async () => socket.close())
    expect((await connections.next()).request.token).toBe('mine')
    expect(seen).toEqual(['yours'])
  })

  test('headers that are asked for, too', async ({ onTestFinished }) => {
    let asked = 0
    const { serving } = await connect(
      {
        transports: [transport],
        origin: 'http://127.0.0.1',
        headers: async () => ({ Cookie: `session=${++asked}` }),
        token: () => 'abc',
      },
      { origins: '*' },
      onTestFinished,
    )
    const { request } = await serving.connections.next()
    expect(request.headers).toMatchObject({ cookie: 'session=1', origin: 'http://127.0.0.1' })
    expect(request.token).toBe('abc')
  })
})

test.each<[string, WebSocketOptions['token']]>([
  ['undefined', undefined],
  ['null', null],
  ['an empty string', ''],
  ['a function that has none', () => null],
])('%s is no token', async (_, token) => {
  const { socket, serving } = await connect({ token }, {}, whenFinished)
  expect((await serving.connections.next()).request.token).toBeUndefined()
  await once(socket, 'open')
})

test.each<[string, WebSocketOptions['token'], string]>([
  ['too long', 'x'.repeat(maxToken + 1), 'token: over 4096 bytes'],
  ['too long in UTF-8', '€'.repeat(maxToken / 2), 'token: over 4096 bytes'],
  ['an exception', () => Promise.reject(new Error('Signed out')), 'token: Signed out'],
  ['a rejection that is no Error', () => Promise.reject('signed out'), 'token: signed out'],
  ['a rejection with nothing', () => Promise.reject(), 'token: undefined'],
])('one that is %s: nothing is asked of the server, and the end says why', async (_, token, reason) => {
  const { socket, serving } = await connect({ token }, {}, whenFinished)
  socket.onerror = () => {}
  const { code, reason: said } = await closeOf(socket)
  expect([code, said, serving.connections.size]).toEqual([1006, reason, 0])
})

test('a function "headers" that gives a Headers: none would be sent, so the end says it', async () => {
  const headers = (async () => new Headers({ Authorization: 'me' })) as never
  const { socket, serving } = await connect({ headers }, {}, whenFinished)
  socket.onerror = () => {}
  const { code, reason } = await closeOf(socket)
  const said = 'token: the function "headers" must give a plain object'
  expect([code, reason, serving.connections.size]).toEqual([1006, said, 0])
})

test('a class that begins again asks again', async ({ onTestFinished }) => {
  const serving = await serve({ path: '/realtime' }, onTestFinished)
  let asked = 0
  const socket = new Reopening(`ws://127.0.0.1:${serving.port}/realtime`, {
    token: () => `${++asked}`,
    remember: false,
    reopen: { minDelay: 0 },
  })
  onTestFinished(async () => socket.close())
  const first = await serving.connections.next()
  first.socket.close(1012)
  expect((await serving.connections.next()).request.token).toBe('2')
})

test.each<[object, string]>([
  [{ token: 5 }, '"token" must be a string or a function'],
  [{ headers: 'Cookie: a' }, '"headers" must be an object or a function'],
  [{ session: false, token: 'a' }, '"token" is for sessions'],
  [{ session: false, headers: () => ({}) }, '"headers" may be a function only for sessions'],
  [{ tokens: 'a' }, 'did you mean "token"?'],
])('%o throws', (options, message) => {
  expect(() => new WebSocket('ws://127.0.0.1:1/', options as WebSocketOptions)).toThrow(message)
})
