// The server asks a client in the middle of a session who it is now, over every transport.
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { type Transport, WebSocket, type WebSocketOptions } from '../../client/node.ts'
import { maxToken } from '../../shared/limits.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { type Connected, serve } from '../support/serving.ts'

const transports: Transport[] = ['websocket', 'stream', 'sse', 'polling']
/** What only a deadline would end hangs here. */
const never = 600_000

type Finished = (done: () => Promise<void>) => void

interface Setting extends Connected {
  readonly client: WebSocket
  readonly network: HostileNetwork
}

async function connected(
  transport: Transport,
  token: WebSocketOptions['token'],
  finished: Finished,
): Promise<Setting> {
  const serving = await serve({ path: '/realtime', heartbeat: never }, finished)
  const network = await hostileNetwork(serving.port, { seed: 5 })
  finished(() => network.close())
  const client = new WebSocket(`ws://127.0.0.1:${network.port}/realtime`, {
    transports: [transport],
    token,
    remember: false,
    reconnectionDelay: { min: 20, max: 50 },
  })
  finished(async () => client.close())
  const { socket, request } = await serving.connections.next()
  await once(client, 'open')
  return { client, socket, request, network }
}

describe.concurrent.each(transports)('%s', (transport) => {
  test('the token as it is now, asked anew each time, in the same session', async ({ onTestFinished }) => {
    let count = 0
    const { socket, client, request } = await connected(
      transport,
      async () => `token ${++count}`,
      onTestFinished,
    )
    expect(request.token).toBe('token 1')
    expect(await socket.askToken()).toBe('token 2')
    expect(await socket.askToken()).toBe('token 3')
    socket.send('still the same')
    const [data] = (await once(client, 'message')) as [Buffer]
    expect([String(data), socket.readyState]).toEqual(['still the same', 1])
  })

  test('one that is as long as may be', async ({ onTestFinished }) => {
    const token = '€'.repeat(maxToken / 3) + 'x'.repeat(maxToken % 3)
    const { socket } = await connected(transport, token, onTestFinished)
    expect(await socket.askToken({ within: 0 })).toBe(token)
  })

  test('two who ask at a time are told the same, with one question', async ({ onTestFinished }) => {
    let count = 0
    const { socket } = await connected(transport, () => `${++count}`, onTestFinished)
    expect(await Promise.all([socket.askToken(), socket.askToken()])).toEqual(['2', '2'])
  })

  test.for<[string, (asked: number) => string | null | Promise<string>]>([
    ['has none any more', () => null],
    ['fails to get one', () => Promise.reject(new Error('Signed out'))],
    ['has one that is too long', () => 'x'.repeat(maxToken + 1)],
  ])('undefined at once from a client that %s', async ([, later], { onTestFinished }) => {
    let count = 0
    const { socket, client } = await connected(
      transport,
      () => (++count === 1 ? 'a' : later(count)),
      onTestFinished,
    )
    expect(await socket.askToken({ within: 0 })).toBeUndefined()
    expect(client.readyState).toBe(WebSocket.OPEN)
  })

  test('undefined from a client that says nothing in time; a late answer is none to the next question', async ({
    onTestFinished,
  }) => {
    const answers: ((token: string) => void)[] = []
    let count = 0
    const { socket, client } = await connected(
      transport,
      () => (++count === 1 ? 'a' : new Promise<string>((resolve) => answers.push(resolve))),
      onTestFinished,
    )
    // Until one of the questions has reached the client.
    while (answers.length === 0) expect(await socket.askToken({ within: 50 })).toBeUndefined()
    const early = answers.splice(0)
    for (const answer of early) answer('late')
    // Comes after the late one.
    client.send('said')
    await once(socket, 'message')
    const asked = socket.askToken({ within: 0 })
    await expect.poll(() => answers.length).toBeGreaterThan(0)
    for (const answer of answers) answer('in time')
    expect(await asked).toBe('in time')
  })

  test('a client that is away is asked when it is back', async ({ onTestFinished }) => {
    const { socket, client, network } = await connected(transport, () => 'a', onTestFinished)
    const lost = once(client, 'transportchange')
    network.set({ connections: 'refuse' }).cut()
    await lost
    const asked = socket.askToken({ within: 0 })
    network.clear()
    expect(await asked).toBe('a')
  })

  test('on a network that loses requests and answers', async ({ onTestFinished }) => {
    const { socket, client, network } = await connected(transport, () => 'a', onTestFinished)
    network.set({ loseAnswers: 0.4, cutWebSockets: [5, 60] })
    for (let time = 0; time < 5; time++) expect(await socket.askToken({ within: 0 })).toBe('a')
    network.clear()
    expect(client.readyState).toBe(WebSocket.OPEN)
  })

  test('undefined when the session ends, and afterwards', async ({ onTestFinished }) => {
    let count = 0
    const { socket } = await connected(
      transport,
      () => (++count === 1 ? 'a' : new Promise<string>(() => {})),
      onTestFinished,
    )
    const asked = socket.askToken({ within: 0 })
    socket.terminate()
    expect(await asked).toBeUndefined()
    expect(await socket.askToken()).toBeUndefined()
  })
})

test('an ordinary WebSocket has no token', async ({ onTestFinished }) => {
  const { port, connections } = await serve({ path: '/realtime' }, onTestFinished)
  const client = new WebSocket(`ws://127.0.0.1:${port}/realtime`, { session: false })
  onTestFinished(async () => client.close())
  const { socket, request } = await connections.next()
  expect([request.token, await socket.askToken({ within: 0 })]).toEqual([undefined, undefined])
})
