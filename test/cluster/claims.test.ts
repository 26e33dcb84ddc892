// Claims that the store forgets, whose answers are lost or late, and that several requests share.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import type { Change, Claim, NodeRecord } from '../../cluster/base/engine.ts'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { claimLife, Owners } from '../../cluster/owners/owners.ts'
import { Routes, type RoutesHost } from '../../cluster/owners/routes.ts'
import { proofIn } from '../../server/admission/registry.ts'
import type { Route } from '../../server/base/cluster.ts'
import { Ask } from '../../shared/exchange.ts'
import { type Answer, bodyOf, hello, postRaw, RawClient, text } from '../support/raw-client.ts'
import { closeOf } from '../support/serving.ts'
import { joinNode, type Node } from './nodes.ts'

const ok = 0
const unknown = 2
const patience = 30_000
const session = 'the session'
const state = Buffer.from('all of it')

// ---- a node without its server ----

interface Member {
  readonly engine: MemoryEngine
  readonly owners: Owners
  readonly routes: Routes
  readonly lost: string[]
}

interface Settings {
  isUp?: () => boolean
  isOverdue?: () => boolean
  renew?: () => Promise<void>
  isLeaving?: () => boolean
  proofOf?: () => string
  durable?: boolean
  recovers?: boolean
}

async function member(
  store: MemoryStore,
  name: string,
  settings: Settings = {},
  engine = store.engine(),
): Promise<Member> {
  await engine.open({ published() {}, told() {}, connection() {} })
  const record: NodeRecord = { name, address: `${name}:1`, version: '1.0', recovers: '' }
  await engine.beat(record, patience)
  const lost: string[] = []
  const lease = { isOverdue: () => false, isUp: () => true, renew: async () => {}, ...settings }
  const owners = new Owners(
    {
      ...lease,
      engine,
      name,
      lost: (one) => lost.push(one),
      proofOf: settings.proofOf ?? (() => ''),
      forgotten() {},
    },
    patience,
  )
  const routes = new Routes({
    ...lease,
    engine,
    name,
    owners,
    server: {
      path: '',
      recovers: settings.recovers ?? true,
      durable: settings.durable ?? false,
      patience,
      origin: () => ({}),
    },
    passing: { cut() {}, lives() {} },
    isLeaving: settings.isLeaving ?? (() => false),
    isUnsure: () => false,
    isNew: () => false,
    whoHas: async () => undefined,
    kept() {},
    isReachable: () => true,
  } as unknown as RoutesHost)
  return { engine, owners, routes, lost }
}

/** What becomes of a request. */
function told(route: Route): string {
  if (typeof route === 'string') return route
  if ('state' in route) return String(route.state)
  return 'status' in route ? String(route.status) : 'elsewhere'
}

const asks = async ({ routes }: Member, proof: string, opens = false) =>
  told(await routes.route(session, proof, opens))

/** A store in which the session waits for its client. */
async function handedOver(store = new MemoryStore()): Promise<MemoryStore> {
  const { owners } = await member(store, 'before')
  await owners.claim(session, 'right')
  expect(await owners.handOver(session, { proof: 'right', state }, patience)).toBe(true)
  return store
}

/** A node that claims what waits, and does not learn that it got it. */
async function unaware(store: MemoryStore, settings?: Settings): Promise<Member> {
  const node = await member(store, 'unaware', settings)
  node.engine.loseAnswer()
  await expect(node.owners.claim(session, 'right')).rejects.toThrow()
  return node
}

test.each([true, false])(
  'a stranger who knows the id of a session that waits keeps its client from nothing; it opens: %s',
  async (opens) => {
    const node = await member(await handedOver(), 'node')
    const both = [asks(node, 'wrong', opens), asks(node, 'right', opens), asks(node, 'wrong', opens)]
    expect(await Promise.all(both)).toEqual(['nobody', 'all of it', 'nobody'])
  },
)

test('a stranger beside the client of a session that arrives too late does not become the one it waits for', async () => {
  const store = await handedOver()
  let isLeaving = false
  const node = await member(store, 'node', { isLeaving: () => isLeaving })
  await member(store, 'next')
  const both = [asks(node, 'right', true), asks(node, 'wrong', true)]
  isLeaving = true
  expect(await Promise.all(both)).toEqual(['elsewhere', 'nobody'])
  const next = await member(store, 'another')
  expect(await asks(next, 'wrong')).toBe('nobody')
  expect(await asks(next, 'right')).toBe('all of it')
})

test('a session whose claim was not renewed in time goes to the next request of its client', async () => {
  let isOverdue = true
  const node = await member(await handedOver(), 'node', {
    isOverdue: () => isOverdue,
    renew: async () => {
      throw new Error('The store is away')
    },
  })
  expect(await asks(node, 'right')).toBe('503')
  isOverdue = false
  await new Promise((resolve) => setImmediate(resolve))
  await node.owners.keep()
  expect(await asks(node, 'wrong')).toBe('nobody')
  expect(await asks(node, 'right')).toBe('all of it')
})

test('what a node handed over before it died is found by one that believes it has it and does not recover', async () => {
  const store = new MemoryStore()
  const before = await member(store, 'before')
  const node = await member(store, 'node', { recovers: false })
  await member(store, 'next')
  await before.owners.claim(session, 'right')
  expect(await asks(node, 'right')).toBe('elsewhere')
  await before.owners.handOver(session, { proof: 'right', state }, patience)
  await before.engine.leave('before')
  node.routes.lives(await node.engine.nodes())
  expect(await asks(node, 'right')).toBe('elsewhere')
})

test('a session that ends while it is claimed once more is not claimed any longer', async () => {
  const node = await member(new MemoryStore(), 'node')
  expect(await node.owners.claim(session, 'right')).toMatchObject({ node: 'node' })
  // An old request comes again, and its claim is under way when the session ends.
  const again = node.owners.claim(session, 'right')
  node.owners.release(session, true)
  expect(await again).toBe('ended')
  expect(node.owners.size).toBe(0)
})

test('a request that comes while the claim of another one is renewed gets what that one gets', async () => {
  let isOverdue = true
  let renewed = (): void => {}
  let asked = (): void => {}
  const renewing = new Promise<void>((resolve) => {
    asked = resolve
  })
  const renewal = new Promise<void>((resolve) => {
    renewed = resolve
  })
  const node = await member(await handedOver(), 'node', {
    isOverdue: () => isOverdue,
    renew: () => {
      asked()
      return renewal
    },
  })
  const first = asks(node, 'right')
  await renewing
  let isSettled = false
  const settled = node.routes.settled(session).then(() => {
    isSettled = true
  })
  const second = asks(node, 'right')
  await new Promise((resolve) => setImmediate(resolve))
  expect(isSettled).toBe(false)
  isOverdue = false
  renewed()
  expect(await Promise.all([first, second])).toEqual(['all of it', 'all of it'])
  await settled
})

test('a node that was given a session without learning it gives it to its client and to nobody else', async () => {
  const node = await unaware(await handedOver())
  expect(await asks(node, '')).toBe('nobody')
  expect(await asks(node, 'wrong')).toBe('nobody')
  expect(await asks(node, 'wrong', true)).toBe('nobody')
  expect(await asks(node, 'right')).toBe('all of it')
})

test('what a node was given without learning it goes on to the next one when it is about to end', async () => {
  const store = await handedOver()
  const node = await unaware(store, { isLeaving: () => true })
  const next = await member(store, 'next')
  expect(await asks(node, 'wrong')).toBe('nobody')
  expect(await asks(node, 'right')).toBe('elsewhere')
  expect(await asks(next, 'right')).toBe('all of it')
})

test('what a node was given without learning it goes on elsewhere when it has ended', async () => {
  const store = await handedOver()
  const node = await unaware(store)
  await node.engine.leave('unaware')
  const next = await member(store, 'next')
  expect(await asks(next, 'wrong')).toBe('nobody')
  expect(await asks(next, 'right')).toBe('all of it')
})

test('what the server cannot read is not kept', async () => {
  let now = 0
  const store = await handedOver(new MemoryStore({ now: () => now }))
  const node = await member(store, 'node')
  const over = node.owners.seek(session)
  expect(await asks(node, 'right')).toBe('all of it')
  over(false)
  expect(node.owners.size).toBe(0)
  now += claimLife / 2
  await node.owners.keep()
  now += claimLife / 2
  expect(await node.engine.owner(session)).toBe('nobody')
})

test('a claim is given up after the last request that wanted it', async () => {
  const node = await member(new MemoryStore(), 'node')
  const [first, second] = [node.owners.seek(session), node.owners.seek(session)]
  expect(await asks(node, 'right', true)).toBe('here')
  first(false)
  expect(node.owners.has(session)).toBe(true)
  second(false)
  expect([node.owners.size, await node.engine.owner(session)]).toEqual([0, 'nobody'])
})

test('a session that the store has forgotten is handed over all the same', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  await node.owners.claim(session, 'right')
  await next.engine.release(session, 'node', 0)
  await node.routes.handOver(session, 'right', state)
  expect(await asks(next, 'right')).toBe('all of it')
  expect([node.lost, node.owners.size, node.routes.totals.handedOver]).toEqual([[], 0, 1])
})

test('what the store could not be given is handed over when it is back', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  await node.owners.claim(session, 'right')
  node.engine.loseCall()
  await node.routes.handOver(session, 'right', state)
  expect(await next.engine.owner(session)).toMatchObject({ node: 'node' })
  await node.routes.handOverAgain()
  expect(node.owners.size).toBe(0)
  expect(await asks(next, 'right')).toBe('all of it')
})

test('what the store was given without saying so takes the place of nothing newer', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  await node.owners.claim(session, 'right')
  node.engine.loseAnswer()
  await node.routes.handOver(session, 'right', state)
  expect(await asks(next, 'right')).toBe('all of it')
  await next.routes.handOver(session, 'right', Buffer.from('all of it, and more'))
  await node.routes.handOverAgain()
  await node.owners.keep()
  expect([node.owners.size, node.lost]).toEqual([0, []])
  expect(await asks(await member(store, 'last'), 'right')).toBe('all of it, and more')
})

test('a client that comes while a session is handed over again gets it once', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  await node.owners.claim(session, 'right')
  node.engine.loseCall()
  await node.routes.handOver(session, 'right', state)
  const again = node.routes.handOverAgain()
  const here = asks(node, 'right')
  await again
  const got = [await here, await asks(next, 'right')]
  expect(got.filter((what) => what === 'all of it').length).toBe(1)
})

test('a node goes on with nothing that the store may have by now for the next one', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  await node.owners.claim(session, 'right')
  node.engine.loseAnswer()
  await node.routes.handOver(session, 'right', state)
  node.engine.loseAnswer()
  expect(await asks(node, 'right')).toBe('503')
  expect(await asks(node, 'right')).toBe('all of it')
  // It has it by a claim, and nobody else can get it.
  expect(await next.engine.owner(session)).toMatchObject({ node: 'node' })
  await node.engine.leave('node')
  expect(await asks(next, 'right')).toBe('nobody')
})

test('a node that could not give a session to the store, and knows so, goes on with it', async () => {
  const store = new MemoryStore()
  let isUp = false
  const node = await member(store, 'node', { isUp: () => isUp })
  await node.owners.claim(session, 'right')
  store.down()
  await node.routes.handOver(session, 'right', state)
  expect(await asks(node, 'wrong')).toBe('503')
  expect(await asks(node, 'right')).toBe('all of it')
  store.up()
  isUp = true
  expect(await node.routes.handOverAgain()).toBe(true)
  expect(await node.engine.owner(session)).toMatchObject({ node: 'node' })
})

test('when a node that goes on with a session dies, nobody goes on from where it was before', async () => {
  const store = await handedOver()
  const node = await member(store, 'node')
  expect(await asks(node, 'right')).toBe('all of it')
  // It has told its application more, and the store has heard nothing further of it.
  await node.engine.leave('node')
  expect(await asks(await member(store, 'next'), 'right')).toBe('nobody')
})

/** An engine one of whose answers to `keep` does not arrive; the claim may be kept, or not. */
class DeafEngine extends MemoryEngine {
  fails: 'before' | 'after' | undefined
  kept = (): void => {}

  override async keep(...args: Parameters<MemoryEngine['keep']>): ReturnType<MemoryEngine['keep']> {
    const { fails } = this
    this.fails = undefined
    if (fails === 'before') this.loseCall()
    if (fails === 'after') this.loseAnswer()
    const lost = super.keep(...args)
    this.kept()
    return lost
  }
}

test.each(['before', 'after'] as const)(
  'a node that is cut off %s the store has let go of what it was given goes on with it later',
  async (fails) => {
    const store = await handedOver()
    const engine = new DeafEngine(store)
    const node = await member(store, 'node', {}, engine)
    engine.fails = fails
    expect(await Promise.all([asks(node, 'right'), asks(node, 'right')])).toEqual(['all of it', 'all of it'])
    expect(await asks(node, 'wrong')).toBe('nobody')
    await engine.leave('node')
    expect(await asks(await member(store, 'next'), 'right')).toBe('nobody')
  },
)

test('what the store has let go of goes on to the next node if this one is about to end by now', async () => {
  const store = await handedOver()
  const engine = new DeafEngine(store)
  let isLeaving = false
  const node = await member(store, 'node', { isLeaving: () => isLeaving }, engine)
  const next = await member(store, 'next')
  engine.kept = () => {
    isLeaving = true
  }
  const asked = asks(node, 'right')
  expect(await asked).toBe('elsewhere')
  expect([node.owners.size, node.routes.totals.handedOver]).toEqual([0, 1])
  expect(await asks(next, 'right')).toBe('all of it')
})

test('a node that drains waits for what it is about to go on with', async () => {
  const store = await handedOver()
  const engine = new DeafEngine(store)
  let isLeaving = false
  const node = await member(store, 'node', { isLeaving: () => isLeaving }, engine)
  await member(store, 'next')
  const kept = new Promise<void>((resolve) => {
    engine.kept = resolve
  })
  const asked = asks(node, 'right')
  await kept
  isLeaving = true
  await node.owners.claimed()
  await node.routes.handed()
  expect(await node.engine.owner(session)).toBe('waiting')
  expect(await asked).toBe('elsewhere')
})

test('what a node goes on with stays in the store until the node has stored it', async () => {
  const store = await handedOver()
  const node = await member(store, 'node', { durable: true, proofOf: () => 'right' })
  const looks = async () => {
    // The answer of a claim that is repeated has what lies there.
    const claim = await node.engine.claim(session, 'node', claimLife, 'right')
    return typeof claim === 'object' && claim.state !== undefined
  }
  const over = node.owners.seek(session)
  expect(await asks(node, 'right')).toBe('all of it')
  node.owners.received(session, true)
  over(true)
  await node.owners.keep()
  expect([node.lost, await looks()]).toEqual([[], true])
  const whole = { session, whole: 'right', drop: [], set: new Map([['d', 'all']]) }
  expect(await node.owners.store([whole])).toEqual(['stored'])
  await node.owners.keep()
  expect([node.lost, await looks()]).toEqual([[], false])
})

test('what the store refused is handed over with the next beat', async () => {
  const store = new MemoryStore()
  class FullEngine extends MemoryEngine {
    isFull = true
    override async handOver(...args: Parameters<MemoryEngine['handOver']>): Promise<boolean> {
      if (this.isFull) throw new Error('OOM')
      return super.handOver(...args)
    }
  }
  const engine = new FullEngine(store)
  const node = await joinNode(engine, { recover: true })
  const client = new RawClient(node.url)
  await client.open()
  await node.realtime.drain({ within: 0 })
  const id = Buffer.from(client.id).toString('base64url')
  expect(store.owner(id)).toMatchObject({ node: node.member.name })
  engine.isFull = false
  await expect.poll(() => store.owner(id)).toBe('waiting')
})

test('a session that another node has is not handed over', async () => {
  const store = new MemoryStore()
  const [node, next] = [await member(store, 'node'), await member(store, 'next')]
  const claim = (await node.owners.claim(session, 'right')) as Claim
  await next.owners.claim(session, 'right', claim)
  await node.routes.handOver(session, 'right', state)
  expect(node.lost).toEqual([session])
  expect(await next.engine.owner(session)).toMatchObject({ node: 'next' })
  expect(await asks(node, 'right')).toBe('elsewhere')
})

// ---- nodes with their servers ----

/** An exchange of the client with this node. */
async function ask(client: RawClient, node: Node, records = [text('')], over = {}): Promise<Answer> {
  const body = bodyOf(client.head({ serial: ++client.shortSerial, ...over }), records)
  const answer = await postRaw(node.url, body)
  if (answer.head?.status === ok) client.take(answer.head, answer.records)
  return answer
}

const opens = (client: RawClient, node: Node) => ask(client, node, [hello()], { ask: Ask.open })
const idOf = ({ id }: RawClient) => Buffer.from(id).toString('base64url')

/** Resolves when the node reaches the store again, and has looked for its claims. */
function isUp({ realtime }: Node): Promise<void> {
  return new Promise((resolve) => {
    realtime.on('cluster', ({ state }) => state === 'up' && resolve())
  })
}

test('a node whose claims the store has forgotten goes on with its sessions', async () => {
  const store = new MemoryStore()
  const [node, other] = [await joinNode(store.engine()), await joinNode(store.engine())]
  store.lag()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  const up = Promise.all([isUp(node), isUp(other)])
  store.failOver(false)
  await up
  expect(socket.readyState).toBe(1)
  expect((await ask(client, other)).head?.status).toBe(ok)
  expect((await ask(client, node)).head?.status).toBe(ok)
  expect(node.member.stats().sessions).toBe(1)
})

test('a store that went back to an earlier owner of a session does not end it', async () => {
  const store = new MemoryStore()
  const nodes = [
    await joinNode(store.engine(), { recover: true }),
    await joinNode(store.engine(), { recover: true }),
  ]
  const [before, node] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, before)
  store.lag()
  await before.realtime.drain({ within: 0 })
  expect((await ask(client, node)).head?.status).toBe(ok)
  const { socket } = await node.connections.next()
  const up = Promise.all(nodes.map(isUp))
  store.failOver(false)
  await up
  expect(socket.readyState).toBe(1)
  expect((await ask(client, before)).head?.status).toBe(ok)
  expect(node.realtime.clients.size).toBe(1)
})

test('nobody goes on from the first of two hand-overs if a replica without the second one takes over', async () => {
  const store = new MemoryStore()
  const [first, second, third] = [
    await joinNode(store.engine(), { recover: true }),
    await joinNode(store.engine(), { recover: true }),
    await joinNode(store.engine(), { recover: true }),
  ]
  const client = new RawClient('')
  await opens(client, first)
  await first.realtime.drain({ within: 0 })
  store.lag()
  expect((await ask(client, second)).head?.status).toBe(ok)
  await second.connections.next()
  await second.realtime.drain({ within: 0 })
  expect(store.owner(idOf(client))).toBe('waiting')
  const up = isUp(third)
  store.failOver(false)
  await up
  expect(store.owner(idOf(client))).toBe('waiting')
  // As long as the node that has it may say so again, nobody says that it is unknown.
  await expect.poll(async () => (await ask(client, third)).head?.status, { timeout: 10_000 }).toBe(unknown)
  expect([third.realtime.clients.size, third.member.stats().received]).toEqual([0, 0])
})

/** The store does not get the first parcel. */
class ForgetfulEngine extends MemoryEngine {
  forgets = true

  override async handOver(...args: Parameters<MemoryEngine['handOver']>): Promise<boolean> {
    if (!this.forgets) return super.handOver(...args)
    this.forgets = false
    throw new Error('The connection to the store was lost')
  }
}

test('a node that drains while the store is away hands its sessions over when it is back', async () => {
  const store = new MemoryStore()
  const node = await joinNode(new ForgetfulEngine(store), { recover: true })
  const other = await joinNode(store.engine(), { recover: true })
  const client = new RawClient('')
  await opens(client, node)
  await node.realtime.drain({ within: 0 })
  expect(await store.owner(idOf(client))).toMatchObject({ node: node.member.name })
  const up = isUp(node)
  store.down()
  store.up()
  await up
  expect(store.owner(idOf(client))).toBe('waiting')
  expect((await ask(client, other)).head?.status).toBe(ok)
  expect(other.realtime.clients.size).toBe(1)
})

/** Notes what is stored. */
class NotingEngine extends MemoryEngine {
  readonly stored: Change[] = []
  noted = (): void => {}

  override async store(...args: Parameters<MemoryEngine['store']>): ReturnType<MemoryEngine['store']> {
    const results = await super.store(...args)
    for (const [at, change] of args[1].entries()) if (results[at] === 'stored') this.stored.push(change)
    this.noted()
    return results
  }

  /** Resolves when a whole record is stored. */
  async whole(): Promise<void> {
    while (!this.stored.some(({ whole }) => whole !== undefined))
      await new Promise<void>((resolve) => {
        this.noted = resolve
      })
  }
}

test.each(['when it looks', 'when it stores'])(
  'a durable session that the store has forgotten is stored whole again: %s',
  async (when) => {
    const store = new MemoryStore()
    const engine = new NotingEngine(store)
    const node = await joinNode(engine, { recover: true, durable: true })
    store.lag()
    const client = new RawClient('')
    await opens(client, node)
    const { socket } = await node.connections.next()
    socket.send('not acknowledged')
    await ask(client, node)
    engine.stored.length = 0
    if (when === 'when it looks') store.failOver(false)
    else {
      await engine.release(idOf(client), node.member.name, 0)
      socket.send('another one')
    }
    await engine.whole()
    const thief = store.engine()
    await thief.open({ published() {}, told() {}, connection() {} })
    const found = (await thief.owner(idOf(client))) as Claim
    const taken = await thief.claim(idOf(client), 'thief', patience, proofIn(client.head()), found)
    expect([...((taken as Claim).record?.keys() ?? [])]).toEqual(expect.arrayContaining(['h', 'd']))
    expect(socket.readyState).toBe(1)
  },
)

test('a durable session that another node has is lost, also if the store has forgotten others', async () => {
  const store = new MemoryStore()
  const node = await joinNode(store.engine(), { recover: true, durable: true })
  const clients = [new RawClient(''), new RawClient('')]
  for (const client of clients) await opens(client, node)
  const sockets = [(await node.connections.next()).socket, (await node.connections.next()).socket]
  const [taken, forgotten] = clients.map(idOf) as [string, string]
  const thief = store.engine()
  await thief.open({ published() {}, told() {}, connection() {} })
  const claim = (await thief.owner(taken)) as Claim
  await thief.claim(taken, 'thief', patience, proofIn((clients[0] as RawClient).head()), claim)
  await thief.release(forgotten, node.member.name, 0)
  const closed = closeOf(sockets[0] as never)
  for (const socket of sockets) socket.send('new')
  expect((await closed).reason).toBe('another server has the session')
  expect(sockets[1]?.readyState).toBe(1)
})

/** An engine whose claims a test can hold up. */
class HeldEngine extends MemoryEngine {
  held: Promise<void> | undefined
  released = (): void => {}

  override async claim(...args: Parameters<MemoryEngine['claim']>): ReturnType<MemoryEngine['claim']> {
    await this.held
    return super.claim(...args)
  }

  override async release(...args: Parameters<MemoryEngine['release']>): Promise<void> {
    await super.release(...args)
    this.released()
  }
}

/** The answers of all servers here, in the order of their requests. */
function answersHere(): ServerResponse[] {
  const answers: ServerResponse[] = []
  const note = (message: unknown): void => {
    answers.push((message as { response: ServerResponse }).response)
  }
  subscribe('http.server.request.start', note)
  onTestFinished(() => void unsubscribe('http.server.request.start', note))
  return answers
}

/** Resolves when the node has been asked about so many requests from now on. */
function routed({ member }: Node, count: number): Promise<void> {
  const { route } = member
  let left = count
  return new Promise((resolve) => {
    member.route = (...args) => {
      if (--left === 0) resolve()
      return route.apply(member, args)
    }
  })
}

/** Two nodes, and a client whose request to the first one opens a session when its claim is `answered`. */
async function heldClaim() {
  const store = new MemoryStore()
  const engine = new HeldEngine(store)
  const [node, other] = [await joinNode(engine), await joinNode(store.engine())]
  let answered = (): void => {}
  engine.held = new Promise((resolve) => {
    answered = resolve
  })
  const client = new RawClient('')
  const body = bodyOf(client.head({ serial: ++client.shortSerial, ask: Ask.open }), [hello()])
  const answers = answersHere()
  return { engine, node, other, client, body, answers, answered }
}

test('a request whose client has left does not give up the claim that another one opens', async () => {
  const { engine, node, other, client, body, answers, answered } = await heldClaim()
  const both = routed(node, 2)
  const abort = new AbortController()
  const first = postRaw(node.url, body, { signal: abort.signal }).catch(() => {})
  await expect.poll(() => answers.length).toBe(1)
  const second = postRaw(node.url, body)
  await both
  const closed = once(answers[0] as ServerResponse, 'close')
  abort.abort()
  await Promise.all([first, closed])
  answered()
  const { head, records } = await second
  expect(head?.status).toBe(ok)
  client.take(head as NonNullable<typeof head>, records)
  expect(await engine.owner(idOf(client))).toMatchObject({ node: node.member.name })
  expect((await ask(client, other)).head?.status).toBe(ok)
})

test('a session whose only client has left before it was opened belongs to nobody', async () => {
  const { engine, node, other, client, body, answers, answered } = await heldClaim()
  const asked = routed(node, 1)
  const abort = new AbortController()
  const first = postRaw(node.url, body, { signal: abort.signal }).catch(() => {})
  await asked
  const closed = once(answers[0] as ServerResponse, 'close')
  abort.abort()
  await Promise.all([first, closed])
  const released = new Promise<void>((resolve) => {
    engine.released = resolve
  })
  answered()
  await released
  expect(await engine.owner(idOf(client))).toBe('nobody')
  expect(node.member.stats().sessions).toBe(0)
  expect((await ask(client, other)).head?.status).toBe(unknown)
})

/** The next call of `keep` or `renew` waits, or fails, as the test wants it. */
class KeepingEngine extends MemoryEngine {
  beaten: () => void = () => {}
  onKeep: () => Promise<void> | undefined = () => undefined

  override async beat(...args: Parameters<MemoryEngine['beat']>): Promise<void> {
    await super.beat(...args)
    this.beaten()
  }

  override async keep(...args: Parameters<MemoryEngine['keep']>): Promise<readonly string[]> {
    await this.onKeep()
    return super.keep(...args)
  }

  override async renew(...args: Parameters<MemoryEngine['renew']>): ReturnType<MemoryEngine['renew']> {
    await this.onKeep()
    return super.renew(...args)
  }
}

test('a server whose claims take longer than a lease to keep goes on to say that it lives', async () => {
  const engine = new KeepingEngine(new MemoryStore())
  const node = await joinNode(engine, {}, undefined, { lease: 300 })
  await new RawClient(node.url).open()
  let goOn = (): void => {}
  const isKeeping = new Promise<void>((begun) => {
    engine.onKeep = () => {
      begun()
      return new Promise((resolve) => {
        goOn = resolve
      })
    }
  })
  const { now } = performance
  performance.now = () => now.call(performance) + claimLife / 4
  onTestFinished(() => {
    performance.now = now
    engine.onKeep = () => undefined
    goOn()
  })
  await isKeeping
  for (let beat = 0; beat < 3; beat++)
    await new Promise<void>((resolve) => {
      engine.beaten = resolve
    })
})

test('the application hears that the store is back, also if that refuses something at first', async () => {
  const store = new MemoryStore()
  const engine = new KeepingEngine(store)
  const node = await joinNode(engine)
  await new RawClient(node.url).open()
  const states: string[] = []
  node.realtime.on('cluster', ({ state }) => states.push(state))
  let refusals = 1
  engine.onKeep = async () => {
    if (refusals-- > 0) throw new Error('OOM')
  }
  store.down()
  store.up()
  await expect.poll(() => states).toEqual(['down', 'up'])
})
