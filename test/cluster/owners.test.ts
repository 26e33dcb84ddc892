// Who has a session, when nodes die, stall, are forged, and when the store is away or has lost everything.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Claim } from '../../cluster/base/engine.ts'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { clusterOf } from '../../cluster/node.ts'
import { Signer } from '../../cluster/passing/signature.ts'
import { defaultLimits } from '../../cluster/topics/topics.ts'
import type { Cluster, ClusterMember } from '../../server/base/cluster.ts'
import { Ask } from '../../shared/exchange.ts'
import { fetchAll, open } from '../support/http.ts'
import { freePort } from '../support/proxies.ts'
import { type Answer, bodyOf, hello, marked, postRaw, RawClient, text } from '../support/raw-client.ts'
import { messagesOf, serve } from '../support/serving.ts'
import { joinNode, lease, type Node, startNodes } from './nodes.ts'

const ok = 0
const unknown = 2

/** An exchange of the client with this node. */
async function ask(client: RawClient, node: Node, records = [text('')], over = {}): Promise<Answer> {
  const body = bodyOf(client.head({ serial: ++client.shortSerial, ...over }), records)
  const answer = await postRaw(node.url, body)
  if (answer.head?.status === ok) client.take(answer.head, answer.records)
  return answer
}

/** Resolves when the node reaches the store again. */
function isUp({ realtime }: Node): Promise<void> {
  return new Promise((resolve) => {
    realtime.on('cluster', ({ state }) => state === 'up' && resolve())
  })
}

/** An engine two of whose commands a test can hold up. */
class HeldEngine extends MemoryEngine {
  beforeBeat = async (): Promise<void> => {}
  beforeClaim = async (_isTakeover: boolean): Promise<void> => {}
  claimed = (): void => {}

  override async beat(...args: Parameters<MemoryEngine['beat']>): Promise<void> {
    await this.beforeBeat()
    return super.beat(...args)
  }

  override async claim(...args: Parameters<MemoryEngine['claim']>): ReturnType<MemoryEngine['claim']> {
    await this.beforeClaim(args[4] !== undefined)
    const claim = await super.claim(...args)
    this.claimed()
    return claim
  }
}

/** Something that happens when the test says so. */
function happening(): { readonly promise: Promise<void>; readonly happens: () => void } {
  let happens = (): void => {}
  const promise = new Promise<void>((resolve) => {
    happens = resolve
  })
  return { promise, happens }
}

const opens = (client: RawClient, node: Node) => ask(client, node, [hello()], { ask: Ask.open })
const idOf = ({ id }: RawClient) => Buffer.from(id).toString('base64url')

test('every node answers for a session, and only one shows it', async () => {
  const { nodes } = await startNodes()
  const client = new RawClient('')
  await opens(client, nodes[0] as Node)
  const { socket } = await (nodes[0] as Node).connections.next()
  const heard = messagesOf(socket)
  for (const [at, node] of nodes.entries()) {
    expect((await ask(client, node, [text(`by ${at}`)])).head?.status).toBe(ok)
    expect(await heard.next()).toBe(`by ${at}`)
  }
  expect(nodes.map(({ realtime }) => realtime.clients.size)).toEqual([1, 0, 0])
})

test('a session that is opened on all nodes at a time is one session', async () => {
  const { nodes } = await startNodes()
  for (let round = 0; round < 20; round++) {
    const client = new RawClient('')
    const answers = await Promise.all(
      nodes.map((node, at) =>
        postRaw(
          node.url,
          bodyOf(client.head({ epoch: at + 1, serial: 1, ask: Ask.open | (at ? Ask.standby : 0) }), [
            hello(),
          ]),
        ),
      ),
    )
    expect(answers.map(({ head }) => head?.status)).toEqual([ok, ok, ok])
    const sizes = nodes.map(({ realtime }) => realtime.clients.size)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(round + 1)
  }
})

test('nobody gets a session by its id alone, on any node', async () => {
  const { nodes } = await startNodes()
  const client = new RawClient('')
  await opens(client, nodes[0] as Node)
  const thief = Object.assign(new RawClient(''), { id: client.id })
  for (const node of nodes) {
    expect((await ask(thief, node)).head?.status).toBe(unknown)
    expect((await opens(thief, node)).head?.status).toBe(unknown)
  }
  expect((await ask(client, nodes[1] as Node)).head?.status).toBe(ok)
})

test('what nobody has opened is unknown on every node', async () => {
  const { nodes } = await startNodes(2)
  const client = new RawClient('')
  for (const node of nodes) expect((await ask(client, node)).head?.status).toBe(unknown)
})

test('a session that has ended is opened again by no node', async () => {
  const { nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, first)
  const { socket } = await first.connections.next()
  const closed = once(socket, 'close')
  socket.terminate()
  await closed
  // The abort is what its client is told.
  await ask(client, second)
  expect((await opens(client, second)).head?.status).toBe(unknown)
  expect((await opens(client, first)).head?.status).toBe(unknown)
})

test('a session that was refused on one node may be opened on another', async () => {
  const store = new MemoryStore()
  const strict = await joinNode(store.engine(), { verifyClient: () => false })
  const open = await joinNode(store.engine())
  const client = new RawClient('')
  expect((await opens(client, strict)).status).toBe(401)
  client.shortSerial = 0
  expect((await opens(client, open)).head?.status).toBe(ok)
  // The session lives where it is, so it is not the strict one that decides.
  expect((await ask(client, strict)).head?.status).toBe(ok)
})

test('the address of a client is that of its own connection, not of a node', async () => {
  const { nodes } = await startNodes(2, { maxClientsPerAddress: 5, trustProxy: true })
  const client = new RawClient('')
  const headers = { 'X-Forwarded-For': '203.0.113.7' }
  const body = bodyOf(client.head({ serial: 1, ask: Ask.open }), [hello()])
  await postRaw((nodes[0] as Node).url, body, { headers })
  const webSocket = new RawClient((nodes[1] as Node).url, headers)
  Object.assign(webSocket, { id: client.id, key: client.key, epoch: 2 })
  const carrier = webSocket.webSocket()
  await carrier.next('welcome')
  expect((nodes[0] as Node).realtime.stats().sessions.carriers.websocket).toBe(1)
})

test('the sessions of a node that has died are unknown as soon as its lease is over', async () => {
  let time = 0
  const store = new MemoryStore({ now: () => time })
  const node = await joinNode(store.engine())
  const dead = store.engine()
  await dead.open({ published() {}, told() {}, connection() {} })
  await dead.beat({ name: 'dead', address: `127.0.0.1:${await freePort()}`, version: '1.0' }, lease)
  const client = new RawClient('')
  await dead.claim(idOf(client), 'dead', 60_000, '')
  const answered = ask(client, node)
  const again = new RawClient('')
  await dead.claim(idOf(again), 'dead', 60_000, '')
  const opened = opens(again, node)
  time += lease + 1
  expect((await answered).head?.status).toBe(unknown)
  // Its client has had no answer from the dead one: it is opened anew.
  expect((await opened).head?.status).toBe(ok)
  await node.connections.next()
})

test('what waits for a node that answers nothing is let go when its lease is over', async () => {
  let time = 0
  const store = new MemoryStore({ now: () => time })
  const node = await joinNode(store.engine())
  const silent = createServer((socket) => {
    socket.resume()
    time += lease + 1
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  onTestFinished(() => void silent.close())
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  const stalled = store.engine()
  await stalled.open({ published() {}, told() {}, connection() {} })
  await stalled.beat({ name: 'stalled', address, version: '1.0' }, lease)
  const client = new RawClient('')
  await stalled.claim(idOf(client), 'stalled', 60_000, '')
  expect((await ask(client, node)).head?.status).toBe(unknown)
})

/** A session of a node, and the engine of another node, which has seen the claim. */
async function seenByAnother() {
  const { store, nodes } = await startNodes(1)
  const [node] = nodes as [Node]
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  const other = store.engine()
  await other.open({ published() {}, told() {}, connection() {} })
  const id = idOf(client)
  return { store, node, socket, other, id, seen: (await other.owner(id)) as Claim }
}

test('a node whose session another one has taken over ends it', async () => {
  const { store, socket, other, id, seen } = await seenByAnother()
  await other.claim(id, 'other', 60_000, '', seen)
  const closed = once(socket, 'close')
  // The connection to the store was away: now the node asks what became of its claims.
  store.down()
  store.up()
  expect((await closed)[0]).toBe(1006)
})

test('only nodes of the cluster may pass requests on', async () => {
  const { nodes } = await startNodes(2)
  const [node, other] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, node)
  const url = `http://${node.member.address}/realtime?everwire=1`
  const body = bodyOf(client.head({ serial: 2 }), [text('forged')])
  const passed = { address: '', scheme: undefined, host: '' } as const
  const signed = { method: 'POST', url: '/realtime?everwire=1' }
  const proofs = [
    undefined,
    'nonsense',
    `${Buffer.from(JSON.stringify([node.member.name, '', '', ''])).toString('base64url')}.AAAA`,
    new Signer(() => 'another secret').sign(node.member.name, passed, signed),
  ]
  for (const proof of proofs) {
    const headers: Record<string, string> = proof === undefined ? {} : { 'X-Everwire-Passed': proof }
    expect((await fetchAll(url, { method: 'POST', body, headers })).status).toBe(403)
  }
  // Clients cannot make a node believe that another one has passed their request on.
  const headers = { 'X-Everwire-Passed': new Signer(() => '').sign(other.member.name, passed, signed) }
  expect((await postRaw(other.url, body, { headers })).head?.status).toBe(ok)
  const answer = await open(url, {
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
  })
  expect(answer.statusCode).toBe(403)
  answer.destroy()
})

test('while the store is away, sessions go on, and new ones are asked to come again', async () => {
  const { store, nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, first)
  expect((await ask(client, second)).head?.status).toBe(ok)
  const states: string[] = []
  for (const { realtime } of nodes) realtime.on('cluster', ({ state }) => states.push(state))
  store.down()
  expect((await ask(client, first)).head?.status).toBe(ok)
  // Its owner is remembered.
  expect((await ask(client, second)).head?.status).toBe(ok)
  const late = new RawClient('')
  const refused = await opens(late, first)
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
  const back = Promise.all(nodes.map(isUp))
  store.up()
  await back
  late.shortSerial = 0
  expect((await opens(late, first)).head?.status).toBe(ok)
  expect(new Set(states)).toEqual(new Set(['down', 'up']))
})

test('a store that has lost everything is told again who has what', async () => {
  const { store, nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, first)
  const back = Promise.all(nodes.map(isUp))
  store.lose()
  // Nobody says "unknown" before the owner can have said that it is there.
  const early = await ask(client, second)
  expect([ok, undefined]).toContain(early.head?.status)
  if (!early.head) expect(early.status).toBe(503)
  await back
  expect((await ask(client, second)).head?.status).toBe(ok)
})

test('a node that joins after the loss finds a session that has not been claimed again yet', async () => {
  const store = new MemoryStore()
  const engine = new HeldEngine(store)
  const first = await joinNode(engine)
  const client = new RawClient('')
  await opens(client, first)
  const [again, gate] = [happening(), happening()]
  engine.beforeClaim = async () => {
    again.happens()
    await gate.promise
  }
  store.lose()
  await again.promise
  const second = await joinNode(store.engine())
  expect((await ask(client, second)).head?.status).toBe(ok)
  expect((await ask(new RawClient(''), second)).head?.status).toBe(unknown)
  gate.happens()
})

/** A node whose lease is over, and that learns it when the beats go on; and what a client says to open a session. */
async function lateNode() {
  const store = new MemoryStore()
  const engine = new HeldEngine(store)
  const late = await joinNode(engine)
  const [claimed, beats] = [happening(), happening()]
  engine.claimed = claimed.happens
  engine.beforeBeat = () => beats.promise
  let passed = 0
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passed)
  onTestFinished(() => void vi.restoreAllMocks())
  const body = bodyOf(new RawClient('').head({ serial: 1, ask: Ask.open }), [hello()])
  const isOver = () => {
    passed = lease + 1
  }
  return { store, late, claimed: claimed.promise, beats, isOver, body }
}

test('a node whose lease is over opens nothing that another one takes over meanwhile', async () => {
  const { store, late, claimed, beats, isOver, body } = await lateNode()
  const other = await joinNode(store.engine())
  isOver()
  const answer = postRaw(late.url, body)
  await claimed
  expect((await postRaw(other.url, body)).head?.status).toBe(ok)
  beats.happens()
  expect((await answer).head?.status).toBe(ok)
  expect([late, other].map(({ realtime }) => realtime.clients.size)).toEqual([0, 1])
})

test('a node that loses a session while its application decides about it does not open it', async () => {
  let time = 0
  const store = new MemoryStore({ now: () => time })
  const engine = store.engine()
  const asked = happening()
  let decide = (): void => {}
  const late = await joinNode(engine, {
    verifyClient: (_info, done) => {
      decide = () => done(true)
      asked.happens()
    },
  })
  const other = await joinNode(store.engine())
  const body = bodyOf(new RawClient('').head({ serial: 1, ask: Ask.open }), [hello()])
  const answer = postRaw(late.url, body)
  await asked.promise
  engine.cut()
  time += lease + 1
  expect((await postRaw(other.url, body)).head?.status).toBe(ok)
  const back = isUp(late)
  engine.mend()
  await back
  decide()
  expect((await answer).status).toBe(503)
  await expect.poll(async () => (await postRaw(late.url, body)).head?.status).toBe(ok)
  expect([late, other].map(({ realtime }) => realtime.clients.size)).toEqual([0, 1])
})

test('a node that says in time that it lives keeps what another one was about to take over', async () => {
  const { store, late, claimed, beats, isOver, body } = await lateNode()
  const engine = new HeldEngine(store)
  const [meant, gate] = [happening(), happening()]
  engine.beforeClaim = async (isTakeover) => {
    if (!isTakeover) return
    meant.happens()
    await gate.promise
  }
  const other = await joinNode(engine)
  isOver()
  const atLate = postRaw(late.url, body)
  await claimed
  const atOther = postRaw(other.url, body)
  await meant.promise
  beats.happens()
  expect((await atLate).head?.status).toBe(ok)
  gate.happens()
  expect((await atOther).head?.status).toBe(ok)
  expect([late, other].map(({ realtime }) => realtime.clients.size)).toEqual([1, 0])
})

test('a node that says late that it lives keeps what another one is about to take over', async () => {
  const { node, socket, other, id, seen } = await seenByAnother()
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + lease + 1)
  onTestFinished(() => void vi.restoreAllMocks())
  const owner = async () => (await other.owner(id)) as Claim
  await expect.poll(async () => (await owner()).fence).not.toBe(seen.fence)
  const { name } = node.member
  // The other one has seen the node dead before.
  expect(await other.claim(id, 'other', 60_000, '', seen)).toMatchObject({ node: name })
  expect([socket.readyState, (await owner()).node]).toEqual([1, name])
})

test('a node that leaves takes its sessions with it, and keeps nothing running', async () => {
  const { store, nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient('')
  await opens(client, first)
  await first.realtime.close({ within: 50 })
  expect((await ask(client, second)).head?.status).toBe(unknown)
  expect(store.nodes().length).toBe(1)
  await expect(fetchAll(marked(`http://${first.member.address}/`))).rejects.toThrow()
})

test('a node that ends while it joins listens nowhere', async () => {
  const port = await freePort()
  const asked = happening()
  class AskedEngine extends MemoryEngine {
    override async common(...args: Parameters<MemoryEngine['common']>): Promise<string> {
      const common = await super.common(...args)
      asked.happens()
      return common
    }
  }
  const listen = { host: '127.0.0.1', port }
  const engine = new AskedEngine(new MemoryStore())
  const made = clusterOf(() => engine, { ...defaultLimits, atStart: 'wait', lease, listen, relay: true })
  let member: ClusterMember | undefined
  const cluster: Cluster = {
    join: (host) => {
      member = made.join(host)
      return member
    },
  }
  const serving = serve({ cluster })
  await asked.promise
  await member?.close()
  await serving
  await expect.poll(() => fetchAll(marked(`http://127.0.0.1:${port}/`)).catch(() => 'nobody')).toBe('nobody')
})

test('a node with another secret is not asked, and its clients are not told that they may not', async () => {
  let time = 0
  const store = new MemoryStore({ now: () => time })
  const node = await joinNode(store.engine())
  const stranger = await joinNode(store.engine(), {}, 'the secret of somebody else')
  const client = new RawClient('')
  await opens(client, stranger)
  const answered = ask(client, node)
  await stranger.realtime.close({ within: 50 })
  time += lease + 1
  expect([200, 503]).toContain((await answered).status)
})

test('what the store could not take is handed over a few at a time when it is back', async () => {
  let underWay = 0
  let most = 0
  class CountingEngine extends MemoryEngine {
    override async handOver(...args: Parameters<MemoryEngine['handOver']>): Promise<boolean> {
      most = Math.max(most, ++underWay)
      return super.handOver(...args).finally(() => underWay--)
    }
  }
  const store = new MemoryStore()
  const old = await joinNode(new CountingEngine(store), { recover: true })
  const clients = Array.from({ length: 30 }, () => new RawClient(''))
  for (const client of clients) await opens(client, old)
  store.down()
  await old.realtime.drain({ within: 0 })
  // A store that is known to be away is not asked: then it is sure that nobody else has the sessions.
  expect(most).toBe(0)
  store.up()
  const other = await joinNode(store.engine(), { recover: true })
  for (const client of clients)
    await expect.poll(async () => (await ask(client, other)).head?.status).toBe(ok)
  expect(most).toBe(8)
})

test('a session is handed over to a server of the same path that goes on with it, and to no other', async () => {
  const store = new MemoryStore()
  const old = await joinNode(store.engine(), { recover: true, path: '/realtime' })
  const others = [
    await joinNode(store.engine(), { path: '/realtime' }),
    await joinNode(store.engine(), { recover: true, path: '/another' }),
    await joinNode(store.engine(), { recover: true, path: '/realtime' }),
  ]
  const clients = Array.from({ length: 8 }, () => new RawClient(''))
  for (const client of clients) {
    await opens(client, old)
    await old.connections.next()
  }
  await old.realtime.drain({ within: 0 })
  expect(old.realtime.clients.size).toBe(0)
  // They come again to the server that is about to end, and to one that cannot go on with them.
  for (const [at, client] of clients.entries())
    expect((await ask(client, at % 2 ? old : (others[0] as Node))).head?.status).toBe(ok)
  expect(others.map(({ realtime }) => realtime.clients.size)).toEqual([0, 0, 8])
  expect([...(others[2]?.realtime.clients ?? [])].every(({ recovered }) => recovered)).toBe(true)
})
