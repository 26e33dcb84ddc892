// The option `verifyResume`: the application decides about each connection of a session, over every transport.
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { type CloseEvent, type Transport, WebSocket } from '../../client/node.ts'
import type { ClientInfo, ServerOptions } from '../../server/index.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { type Connected, closeOf, serve } from '../support/serving.ts'

const transports: Transport[] = ['websocket', 'stream', 'sse', 'polling']

interface Setting extends Connected {
  readonly client: WebSocket
  readonly network: HostileNetwork
  /** What `verifyClient` was asked. */
  readonly asked: { token: string | undefined; resuming: boolean | undefined; url: string | undefined }[]
  readonly closed: Promise<CloseEvent>
}

type Finished = (done: () => Promise<void>) => void
type Decide = (info: ClientInfo, done: (ok: boolean, code?: number, reason?: string) => void) => void

/** A client with a session, whose token is another one each time. */
async function connected(
  transport: Transport,
  finished: Finished,
  verifyResume: ServerOptions['verifyResume'],
  decide: Decide,
): Promise<Setting> {
  const asked: Setting['asked'] = []
  const serving = await serve(
    {
      path: '/realtime',
      verifyResume,
      verifyClient: (info, done) => {
        const { token, resuming, req } = info
        asked.push({ token, resuming, url: req.url })
        decide(info, done)
      },
    },
    finished,
  )
  const network = await hostileNetwork(serving.port)
  finished(() => network.close())
  let count = 0
  const client = new WebSocket(`ws://127.0.0.1:${network.port}/realtime`, {
    transports: [transport],
    token: () => `token ${++count}`,
    reconnectionDelay: { min: 20, max: 50 },
    remember: false,
  })
  finished(async () => client.close())
  const closed = new Promise<CloseEvent>((resolve) => client.addEventListener('close', resolve))
  const { socket, request } = await serving.connections.next()
  await once(client, 'open')
  return { client, socket, request, network, asked, closed }
}

/** The carrier in use is lost, and the next one has to be let in. */
async function loseConnection({ network, client }: Setting): Promise<void> {
  const lost = once(client, 'transportchange')
  network.set({ connections: 'refuse' }).cut()
  await lost
  expect(client.status).toBe('resuming')
  network.clear()
}

describe.concurrent.each(transports)('%s', (transport) => {
  test('each connection is decided about, and a session that is let in goes on', async ({
    onTestFinished,
  }) => {
    const setting = await connected(transport, onTestFinished, true, (_, done) => done(true))
    await loseConnection(setting)
    setting.socket.send('welcome back')
    const [data] = (await once(setting.client, 'message')) as [Buffer]
    expect(String(data)).toBe('welcome back')
    const { asked } = setting
    expect(asked[0]).toEqual({ token: 'token 1', resuming: false, url: '/realtime' })
    // Attempts that met the closed port asked for tokens, too.
    expect(asked[1]).toEqual({
      token: expect.stringMatching(/^token \d+$/),
      resuming: true,
      url: '/realtime',
    })
    expect(asked[1]?.token).not.toBe('token 1')
    expect(asked).toHaveLength(2)
  })

  test.for<[ServerOptions['verifyResume'], number]>([
    [true, 1008],
    [4401, 4401],
  ])('%o: a refusal ends the session with %i, at both ends', async ([option, code], { onTestFinished }) => {
    const setting = await connected(transport, onTestFinished, option, ({ resuming }, done) =>
      resuming ? done(false, 401, 'Sign in again') : done(true),
    )
    const ended = closeOf(setting.socket)
    setting.socket.on('message', () => expect.unreachable())
    await loseConnection(setting)
    // Nobody may read or say anything in this session any more.
    setting.socket.send('secret')
    setting.client.send('forged')
    setting.client.on('message', () => expect.unreachable())
    const { code: seen, reason, wasClean } = await setting.closed
    expect([seen, reason, wasClean]).toEqual([code, '401 Sign in again', false])
    expect(await ended).toEqual({ code, reason: '401 Sign in again' })
  })

  test('a refusal for now is no end: the client comes again', async ({ onTestFinished }) => {
    let busy = 2
    const setting = await connected(transport, onTestFinished, true, ({ resuming }, done) => {
      if (resuming && busy > 0) done(false, busy-- > 1 ? 503 : 429, 'Busy')
      else done(true)
    })
    await loseConnection(setting)
    setting.socket.send('at last')
    await once(setting.client, 'message')
    expect(busy).toBe(0)
    expect(setting.asked.at(-1)?.resuming).toBe(true)
  })

  test('without the option nobody is asked again', async ({ onTestFinished }) => {
    const setting = await connected(transport, onTestFinished, false, (_, done) => done(true))
    await loseConnection(setting)
    setting.socket.send('welcome back')
    await once(setting.client, 'message')
    expect(setting.asked).toHaveLength(1)
  })
})
