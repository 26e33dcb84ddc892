// The option `verifyResume` where another server goes on with a session: the application there is asked before it is shown the client.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import { type CloseEvent, type Transport, WebSocket } from '../../client/node.ts'
import { MemoryStore } from '../../cluster/memory.ts'
import type { ServerOptions } from '../../server/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { roundRobin } from '../support/round-robin.ts'
import { messagesOf } from '../support/serving.ts'
import { joinNode, type Node } from './nodes.ts'

const transports: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const ways = ['a drain', 'a crash'] as const

type Done = (ok: boolean, code?: number, reason?: string) => void
type Seen = IncomingMessage & { decision?: number; readonly token?: string }

interface Setting {
  readonly store: MemoryStore
  readonly second: Node
  readonly client: WebSocket
  /** The client's events, without messages. */
  readonly events: string[]
  readonly closed: Promise<CloseEvent>
  readonly id: string
  /** What `verifyClient` of the second server was asked. */
  readonly asked: { readonly token: string | undefined; readonly resuming: boolean | undefined }[]
  /** The first server ends, and the client's next request reaches the second one. */
  leave(): Promise<void>
  /** The client's next request reaches this one. */
  leadTo(node: Node): void
}

/** A client at one of two servers, whose token is another one each time. */
async function setting(
  transport: Transport,
  way: (typeof ways)[number],
  decide: (done: Done) => void,
): Promise<Setting> {
  const store = new MemoryStore()
  const options: ServerOptions = { recover: true, durable: way === 'a crash', verifyResume: 4401 }
  const first = await joinNode(store.engine(), { ...options, verifyClient: () => true })
  const asked: Setting['asked'][0][] = []
  const second = await joinNode(store.engine(), {
    ...options,
    verifyClient: ({ token, resuming, req }, done) => {
      ;(req as Seen).decision = asked.push({ token, resuming })
      decide(done as Done)
    },
  })
  const balancer = await roundRobin([first.port])
  onTestFinished(() => balancer.close())
  let count = 0
  const client = new WebSocket(balancer.url, {
    transports: [transport],
    token: () => `token ${++count}`,
    reconnectionDelay: { min: 20, max: 50 },
    remember: false,
  })
  onTestFinished(() => client.terminate())
  onTestFailed(() => console.log(client.diary, asked))
  const events: string[] = []
  for (const name of ['open', 'error', 'close'] as const)
    client.addEventListener(name, () => events.push(name))
  const closed = new Promise<CloseEvent>((resolve) => client.addEventListener('close', resolve))
  const { socket } = await first.connections.next()
  await once(client, 'open')
  socket.data = { name: 'Ada' }
  const heard = messagesOf(socket)
  client.send('before')
  await heard.next()
  const { id } = socket
  const leave = async (): Promise<void> => {
    balancer.targets = [second.port]
    if (way === 'a drain') await first.realtime.drain({ within: 0 })
    else {
      // It is dead: the store knows it no more, and it says nothing.
      await first.member.close()
      balancer.cut()
    }
  }
  const leadTo = ({ port }: Node): void => {
    balancer.targets = [port]
  }
  return { store, second, client, events, closed, id, asked, leave, leadTo }
}

describe.each(ways)('after %s', (way) => {
  describe.each(transports)('over %s', (transport) => {
    test('a client that is refused is not shown, its session ends with the code, and nothing is kept', async () => {
      const { store, second, client, closed, id, asked, leave } = await setting(transport, way, (done) =>
        done(false, 401, 'Sign in again'),
      )
      let shown = 0
      second.realtime.on('connection', () => shown++)
      await leave()
      client.send('forged')
      const { code, reason } = await closed
      expect([code, reason]).toEqual([4401, '401 Sign in again'])
      expect(shown).toBe(0)
      expect(asked).toEqual([{ token: expect.stringMatching(/^token \d+$/), resuming: true }])
      expect(asked[0]?.token).not.toBe('token 1')
      await expect.poll(() => store.owner(id)).toBe('ended')
      const { sessions, cluster } = second.realtime.stats()
      expect([sessions.open, sessions.resuming, sessions.ended, sessions.gone.refused]).toEqual([0, 0, 0, 1])
      expect(cluster?.sessions).toBe(0)
    })

    test('a client that is let in is shown with the request that was', async () => {
      const { second, client, events, asked, leave } = await setting(transport, way, (done) =>
        asked.length === 1 ? done(false, 503, 'Busy') : done(true),
      )
      await leave()
      const { socket, request } = await second.connections.next()
      expect(socket.recovered).toBe(true)
      expect(socket.data).toEqual({ name: 'Ada' })
      const { decision = 0, token } = request as Seen
      expect(decision).toBeGreaterThan(1)
      expect(token).toBe(asked[decision - 1]?.token)
      expect(new Set(asked.map(({ resuming }) => resuming))).toEqual(new Set([true]))
      socket.send('welcome back')
      const [data] = (await once(client, 'message')) as [Buffer]
      expect(String(data)).toBe('welcome back')
      expect(events).toEqual(['open'])
    })
  })
})

test('over HTTP a carrier that began at the other server is left, before or after its client was let in by the next one', async () => {
  const store = new MemoryStore()
  const options: ServerOptions = { recover: true, verifyResume: 4401 }
  const first = await joinNode(store.engine(), { ...options, verifyClient: () => true })
  let asked = 0
  const second = await joinNode(store.engine(), { ...options, verifyClient: () => ++asked > 0 })
  const client = new RawClient(first.url)
  await client.open()
  await client.send()
  await first.realtime.drain({ within: 0 })
  Object.assign(client, { url: second.url })
  const superseded = 1
  expect((await client.send()).head?.status).toBe(superseded)
  // Which carrier began where nobody knows after a crash: this one is about to hold its first exchange.
  expect((await client.poll({ epoch: 2 })).head?.status).toBe(superseded)
  expect([asked, second.connections.size]).toEqual([0, 0])
  client.renew()
  client.renew()
  expect((await client.send()).head?.status).toBe(0)
  await second.connections.next()
  // It was on its way.
  expect((await client.send([], { epoch: 1, serial: 9 })).head?.status).toBe(superseded)
  expect((await client.send()).head?.status).toBe(0)
  expect(asked).toBe(1)
})

describe.each(['exchange', 'WebSocket'])('an %s about which the application is asked', (kind) => {
  test('goes on at the server that has the session when it has decided', async () => {
    const store = new MemoryStore()
    let decide = (): void => {}
    let told = (): void => {}
    const isAsked = new Promise<void>((resolve) => {
      told = resolve
    })
    const options: ServerOptions = { recover: true, verifyResume: true }
    const first = await joinNode(store.engine(), {
      ...options,
      verifyClient: ({ resuming }, done) => {
        if (!resuming) done(true)
        else {
          decide = () => done(true)
          told()
        }
      },
    })
    const second = await joinNode(store.engine(), { ...options, verifyClient: () => true })
    const client = new RawClient(first.url)
    await client.open()
    client.renew()
    const begin = async (): Promise<unknown> =>
      kind === 'WebSocket' ? client.webSocket().said.next() : (await client.send([], { serial: 1 })).head
    const answered = begin().catch(() => {
      // A server that ends also cuts what it passes on.
      Object.assign(client, { url: second.url })
      return begin()
    })
    await isAsked
    await first.realtime.drain({ within: 0 })
    decide()
    expect(await answered).toMatchObject(kind === 'WebSocket' ? { kind: 'welcome' } : { status: 0 })
    const { socket } = await second.connections.next()
    expect(socket.recovered).toBe(true)
  })
})

test('a session about which a server is asked goes on as it came when that server is drained, too', async () => {
  const asks: Done[] = []
  const { store, second, events, asked, leave, leadTo } = await setting('websocket', 'a drain', (done) =>
    asks.push(done),
  )
  const third = await joinNode(store.engine(), { recover: true, verifyResume: 4401 })
  await leave()
  await expect.poll(() => asks.length).toBe(1)
  leadTo(third)
  await second.realtime.drain({ within: 0 })
  const { socket } = await third.connections.next()
  expect([socket.recovered, socket.data]).toEqual([true, { name: 'Ada' }])
  asks[0]?.(true)
  expect([second.connections.size, second.realtime.clients.size, asked.length]).toEqual([0, 0, 1])
  expect(events).toEqual(['open'])
})
