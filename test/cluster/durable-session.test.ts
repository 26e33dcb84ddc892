// What a server in durable mode says, and what it keeps to itself, on a store in memory whose answers can be held back.
import { once } from 'node:events'
import { afterEach, expect, test } from 'vitest'
import type { Change, Stored } from '../../cluster/base/engine.ts'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { proofIn } from '../../server/admission/registry.ts'
import { readRecord } from '../../server/durable/record.ts'
import { WebSocketServer } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { closeMessage } from '../../shared/message.ts'
import { type Answer, bodyOf, hello, piece, postRaw, RawClient, text } from '../support/raw-client.ts'
import { closeOf, messagesOf } from '../support/serving.ts'
import { joinNode, type Node } from './nodes.ts'

const durable = { recover: true, durable: true } as const

/** Answers about what is stored wait at a gate, if there is one. */
class GatedEngine extends MemoryEngine {
  gate: Promise<void> | undefined
  lift: () => void = () => {}
  readonly stored: Change[] = []
  reached: () => void = () => {}

  shut(): void {
    this.gate = new Promise((resolve) => {
      this.lift = resolve
    })
  }

  /** Resolves when something more has been given to the store. */
  asked(): Promise<void> {
    return new Promise((resolve) => {
      this.reached = resolve
    })
  }

  override async store(...args: Parameters<MemoryEngine['store']>): Promise<readonly Stored[]> {
    this.stored.push(...args[1])
    this.reached()
    await this.gate
    return super.store(...args)
  }
}

const engines: GatedEngine[] = []
afterEach(() => {
  for (const engine of engines.splice(0)) engine.lift()
})

async function durableNode(
  store = new MemoryStore(),
): Promise<{ node: Node; engine: GatedEngine; store: MemoryStore }> {
  const engine = new GatedEngine(store)
  engines.push(engine)
  return { node: await joinNode(engine, durable), engine, store }
}

/** An exchange of the client with this node. */
async function ask(client: RawClient, node: Node, records = [text('')], over = {}): Promise<Answer> {
  const answer = await postRaw(
    node.url,
    bodyOf(client.head({ serial: ++client.shortSerial, ...over }), records),
  )
  if (answer.head?.status === 0) client.take(answer.head, answer.records)
  return answer
}

const opens = (client: RawClient, node: Node) => ask(client, node, [hello()], { ask: Ask.open })
const textsIn = ({ records }: Answer) =>
  records.filter(({ kind }) => kind === 'text').map(({ payload }) => Buffer.from(payload).toString())

/** Whether it is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return (
    (await Promise.race([promise, new Promise((resolve) => setImmediate(resolve, 'not yet'))])) !== 'not yet'
  )
}

test('a message is not acknowledged, and its answer does not leave, before both are stored', async () => {
  const { node, engine } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  socket.on('message', (data) => socket.send(`answer to ${data}`))
  const heard = messagesOf(socket)
  engine.shut()
  const asked = engine.asked()
  const answering = ask(client, node, [text('question')])
  expect(await heard.next()).toBe('question')
  await asked
  expect(await isSettled(answering)).toBe(false)
  engine.lift()
  const answer = await answering
  expect(answer.head?.has).toEqual({ number: 1, offset: 0 })
  expect(textsIn(answer)).toEqual(['answer to question'])
})

test('over a WebSocket neither an acknowledgement nor a message leaves before it is stored; a pong does', async () => {
  const { node, engine } = await durableNode()
  const client = new RawClient(node.url)
  const webSocket = await client.openWebSocket()
  const { socket } = await node.connections.next()
  const heard = messagesOf(socket)
  socket.on('message', (data) => socket.send(String(data)))
  engine.shut()
  // So many that an acknowledgement is due at once.
  const texts = Array.from({ length: 64 }, (_, at) => `${at}`)
  for (const one of texts) webSocket.send(one)
  for (const one of texts) expect(await heard.next()).toBe(one)
  webSocket.say({ kind: 'ping', payload: 'there?' })
  expect(await webSocket.said.next()).toEqual({ kind: 'pong', payload: 'there?' })
  engine.lift()
  for (let acked = 0; acked < texts.length; ) acked = (await webSocket.next('ack')).number
  await expect.poll(() => client.received).toEqual(texts)
})

test('messages of one turn are stored in one change, however many they are', async () => {
  const { node, engine } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  socket.on('message', (data) => {
    for (let i = 0; i < 3; i++) socket.send(`${data} ${i}`)
  })
  const before = engine.stored.length
  const answer = await ask(
    client,
    node,
    ['a', 'b', 'c'].map((letter) => text(letter)),
  )
  expect(textsIn(answer)).toHaveLength(9)
  expect(engine.stored.length - before).toBe(1)
})

test('a server that has lost the session stores and acknowledges nothing more, and its client is not closed', async () => {
  const { node, store } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  socket.data = { name: 'Ada' }
  socket.on('message', (data) => socket.send(`answer to ${data}`))
  expect(textsIn(await ask(client, node, [text('one')]))).toEqual(['answer to one'])
  const ended = closeOf(socket)
  // Another server takes this one for dead.
  const owner = store.owner(socket.id)
  if (typeof owner !== 'object') throw new Error('nobody has it')
  const claim = store.claim(socket.id, 'another', 60_000, proofIn(client.head()), owner)
  const moving = readRecord((claim as { record: ReadonlyMap<string, Uint8Array> }).record)
  expect(moving).toMatchObject({ data: { name: 'Ada' }, isNew: false, snapshot: { inNumber: 1, outBase: 0 } })
  expect(moving?.snapshot.out.map(({ data }) => String(data))).toEqual(['answer to one'])
  const answer = await ask(client, node, [text('two')])
  expect(answer.head).toMatchObject({ status: 0, has: { number: 1, offset: 0 } })
  expect(answer.records).toEqual([])
  expect(await ended).toMatchObject({ code: 1006, reason: 'another server has the session' })
  expect(store.claim(socket.id, 'another', 60_000, proofIn(client.head()), undefined)).toEqual(claim)
})

test('a message is acknowledged when the promise of its listener is settled, and all before it', async () => {
  const { node } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  const done = new Map<string, () => void>()
  const numbers: number[] = []
  socket.addEventListener('message', async ({ data }) => {
    numbers.push(socket.received)
    await new Promise<void>((resolve) => done.set(String(data), resolve))
    socket.send(`done with ${data}`)
  })
  const heard = messagesOf(socket)
  const first = ask(client, node, [text('one'), text('two')])
  await heard.next()
  await heard.next()
  done.get('two')?.()
  // The client is told to wait: nothing is safe yet, though the answer to the second one is.
  const waits = await first
  expect(waits.head?.has.number).toBe(0)
  expect(textsIn(waits)).toEqual(['done with two'])
  expect(
    waits.records.some(({ kind, payload }) => kind === 'pause' && String(Buffer.from(payload)) === '1'),
  ).toBe(true)
  done.get('one')?.()
  await expect.poll(async () => (await ask(client, node, [])).head?.has.number).toBe(2)
  expect(numbers).toEqual([1, 2])
})

test('a client that closes is answered when the application is done with what came before', async () => {
  const { node } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  const ended = closeOf(socket)
  let done = (): void => {}
  socket.on('message', () => new Promise<void>((resolve) => (done = resolve)))
  const close = piece('close', Buffer.from(closeMessage(1000, 'bye').data as string))
  const waits = await ask(client, node, [text('one'), close])
  expect(await ended).toEqual({ code: 1000, reason: 'bye' })
  expect(waits.head?.has.number).toBe(0)
  expect(client.received).toEqual([])
  done()
  await expect.poll(async () => (await ask(client, node, [])).head?.has.number).toBe(2)
  expect(client.received).toEqual([{ code: 1000, reason: 'bye' }])
})

test('what the application is busy with when its server is drained is told again, under its number', async () => {
  const { node, store } = await durableNode()
  const { node: other } = await durableNode(store)
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  socket.on('message', (data) => (String(data) === 'two' ? new Promise(() => {}) : undefined))
  const records = ['one', 'two', 'three'].map((word) => text(word))
  expect((await ask(client, node, records)).head?.has.number).toBe(1)
  const ended = closeOf(socket)
  await node.realtime.drain({ within: 0 })
  expect(await ended).toEqual({ code: 1012, reason: 'handed over' })
  await ask(client, other, [], { ask: Ask.again })
  expect(client.at).toEqual({ number: 1, offset: 0 })
  const { socket: again } = await other.connections.next()
  expect([again.recovered, again.id, again.received]).toEqual([true, socket.id, 1])
  const told: [string, number][] = []
  again.on('message', (data) => told.push([String(data), again.received]))
  expect((await ask(client, other, records.slice(1))).head?.has.number).toBe(3)
  expect(told).toEqual([
    ['two', 2],
    ['three', 3],
  ])
})

test('a session that was stored goes on at another server, with its data, its topics and its messages', async () => {
  const { node, store } = await durableNode()
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  socket.data = { since: new Date(0) }
  socket.subscribe('news')
  socket.on('message', () => socket.send('not read'))
  await ask(client, node, [text('one')])
  const { node: other } = await durableNode(store)
  // Its owner dies: the store knows it no more, and it says nothing.
  const owner = store.owner(socket.id)
  if (typeof owner !== 'object') throw new Error('nobody has it')
  await node.member.close()
  client.has = { number: 0, offset: 0 }
  await ask(client, other, [], { ask: Ask.again })
  const { socket: again } = await other.connections.next()
  expect(again.recovered).toBe(true)
  expect(again.id).toBe(socket.id)
  expect(again.received).toBe(1)
  expect(again.data).toEqual({ since: new Date(0) })
  expect([...again.topics]).toEqual(['news'])
  const heard = messagesOf(again)
  const answer = await ask(client, other, [text('two')])
  expect(await heard.next()).toBe('two')
  expect(again.received).toBe(2)
  expect(answer.head?.has.number).toBe(2)
})

test('a session that is opened while the store is away is refused, and can be opened later', async () => {
  const { node, engine } = await durableNode()
  const client = new RawClient('')
  engine.shut()
  const asked = engine.asked()
  const refused = opens(client, node)
  await asked
  engine.loseCall()
  engine.lift()
  expect((await refused).status).toBe(503)
  expect((await opens(client, node)).head?.status).toBe(0)
})

test.for([
  [{ durable: true }, 'The option "durable" needs the option "cluster"'],
  [
    { durable: true, cluster: { join: () => expect.fail('joined') } },
    'The option "durable" needs the option "recover"',
  ],
  [{ durable: 'yes' }, 'The option "durable" must be true or false'],
] as const)('bad options: %o', ([options, message]) => {
  expect(() => new WebSocketServer({ noServer: true, ...(options as object) })).toThrow(message)
})

test('rateLimit counts what comes over HTTP when it comes, also what is not stored yet', async () => {
  const rateLimit = { messages: 20, per: 3_600_000 }
  const node = await joinNode(new MemoryStore().engine(), { ...durable, rateLimit })
  const client = new RawClient('')
  await opens(client, node)
  const { socket } = await node.connections.next()
  const told = messagesOf(socket)
  const closed = closeOf(socket)
  for (let exchange = 0; exchange < 3; exchange++)
    await ask(client, node, new Array<ReturnType<typeof text>>(10).fill(text('one more')))
  expect(await closed).toEqual({ code: 1006, reason: 'too many messages' })
  expect(told.size).toBe(20)
})

test('a session whose data cannot be written down ends with 1011, and the application is warned and lives', async () => {
  const { node } = await durableNode()
  const client = new RawClient(node.url)
  await client.openWebSocket()
  const { socket } = await node.connections.next()
  const closed = closeOf(socket)
  const warned = once(process, 'warning')
  socket.data = { call: () => {} }
  socket.send('hello')
  expect((await warned)[0]).toMatchObject({ code: 'EVERWIRE_DATA' })
  expect(await closed).toEqual({ code: 1011, reason: 'socket.data cannot be written down' })
})
