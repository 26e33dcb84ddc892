// Which topics have subscribers on any server.
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { Occupancy } from '../../cluster/topics/occupancy.ts'
import type { Socket, WebSocketServer } from '../../server/index.ts'
import { Queue } from '../support/queue.ts'
import { RawClient } from '../support/raw-client.ts'
import { type Serving, serve } from '../support/serving.ts'
import { joinNode, type Node } from './nodes.ts'

interface Heard {
  readonly events: Queue<string>
  readonly all: string[]
}

/** Notes what the servers tell, under their numbers. */
function listen(...servers: readonly WebSocketServer[]): Heard {
  const heard: Heard = { events: new Queue(), all: [] }
  for (const [at, realtime] of servers.entries())
    realtime.on('topic', ({ topic, state }) => {
      heard.all.push(`${at}: ${topic} ${state}`)
      heard.events.push(`${at}: ${topic} ${state}`)
    })
  return heard
}

async function connect(node: Serving): Promise<Socket> {
  await new RawClient(node.url).open()
  return (await node.connections.next()).socket
}

test('a server alone tells the first subscriber of a topic and the last', async () => {
  const serving = await serve()
  const [one, two] = [await connect(serving), await connect(serving)]
  one.subscribe('before')
  const { events, all } = listen(serving.realtime)
  one.subscribe('news')
  two.subscribe('news')
  two.subscribe('other')
  one.unsubscribe('news')
  one.unsubscribe('before')
  two.terminate()
  while ((await events.next()) !== '0: other vacated');
  expect(all).toEqual([
    '0: news occupied',
    '0: other occupied',
    '0: before vacated',
    '0: news vacated',
    '0: other vacated',
  ])
})

test('one of the servers of a cluster tells the first subscriber and the last of all of them', async () => {
  const store = new MemoryStore()
  const nodes = [await joinNode(store.engine()), await joinNode(store.engine())] as [Node, Node]
  const { events, all } = listen(...nodes.map(({ realtime }) => realtime))
  const strange = 'a\ud800'
  const [one, two] = [await connect(nodes[0]), await connect(nodes[1])]
  one.subscribe('news')
  expect(await events.next()).toBe('0: news occupied')
  two.subscribe('news')
  one.unsubscribe('news')
  one.subscribe(strange)
  expect(await events.next()).toBe(`0: ${strange} occupied`)
  // Not for the topics of a page that is loaded anew.
  one.unsubscribe(strange)
  one.subscribe(strange)
  two.terminate()
  expect(await events.next()).toBe('1: news vacated')
  one.terminate()
  expect(await events.next()).toBe(`0: ${strange} vacated`)
  expect(all.length).toBe(4)
})

test('a server that ends has no topics any more, and one that dies has none when its lease is over', async () => {
  const store = new MemoryStore()
  const engine = store.engine()
  const nodes = [
    await joinNode(store.engine()),
    await joinNode(engine),
    await joinNode(store.engine()),
  ] as const
  const { events, all } = listen(...nodes.map(({ realtime }) => realtime))
  const [one, two, three] = await Promise.all(nodes.map(connect))
  three?.subscribe('ends')
  expect(await events.next()).toBe('2: ends occupied')
  two?.subscribe('dies')
  expect(await events.next()).toBe('1: dies occupied')
  one?.subscribe('both')
  expect(await events.next()).toBe('0: both occupied')
  two?.subscribe('both')
  await nodes[2].realtime.close({ within: 0 })
  expect(await events.next()).toBe('2: ends vacated')
  engine.cut()
  expect(await events.next()).toBe('0: dies vacated')
  // It was only taken for dead.
  engine.mend()
  expect(await events.next()).toBe('1: dies occupied')
  expect(all.length).toBe(6)
})

test('a server that died before the others came is found', async () => {
  const store = new MemoryStore()
  const dead = store.engine()
  await dead.open({ published() {}, told() {}, connection() {} })
  await dead.occupy('topic:news', 'dead')
  const node = await joinNode(store.engine())
  const { events } = listen(node.realtime)
  expect(await events.next()).toBe('0: news vacated')
  // Of those that come later the node learns when it looks again.
  await dead.occupy('topic:late', 'dead, too')
  expect(await events.next()).toMatch('late vacated')
})

test('without a listener nothing is said in the store', async () => {
  const store = new MemoryStore()
  const engine = store.engine()
  const asked: string[] = []
  for (const name of ['occupy', 'vacate', 'vacateAll', 'occupants'] as const) {
    const before = engine[name].bind(engine) as (...args: string[]) => Promise<never>
    engine[name] = (...args: string[]) => {
      asked.push(name)
      return before(...args)
    }
  }
  const node = await joinNode(engine)
  const socket = await connect(node)
  socket.subscribe('news')
  await node.realtime.count('news')
  expect(asked).toEqual([])
  const listener = (): void => {}
  node.realtime.on('topic', listener)
  await node.realtime.count('news')
  expect(asked).toEqual(['occupy', 'occupants'])
  node.realtime.off('topic', listener)
  socket.subscribe('other')
  await node.realtime.count('news')
  expect(await engine.occupants()).toEqual([])
  node.realtime.on('topic', listener)
  await node.realtime.close({ within: 0 })
  expect(store.occupants()).toEqual([])
})

/** A node's part, without the node. Its timers run when `ring` is called. */
async function occupancyOf(store: MemoryStore, name: string) {
  const engine: MemoryEngine = store.engine()
  const told: string[] = []
  const topics = new Set<string>()
  const timers = new Set<() => void>()
  const occupancy = new Occupancy({
    engine,
    name,
    after: (_ms, ring) => {
      timers.add(ring)
      return () => timers.delete(ring)
    },
    random: () => 0,
    topics: () => topics,
    tell: (topic, state) => told.push(`${topic} ${state}`),
  })
  await engine.open({
    published() {},
    told() {},
    connection: (state) => occupancy.connection(state !== 'down'),
  })
  occupancy.connection(true)
  occupancy.watch(true)
  await setImmediate()
  const ring = async (): Promise<void> => {
    for (const timer of [...timers]) {
      timers.delete(timer)
      timer()
    }
    await setImmediate()
  }
  return { engine, occupancy, told, topics, ring }
}

test('an answer that is lost loses no event', async () => {
  const store = new MemoryStore()
  const { engine, occupancy, told, ring } = await occupancyOf(store, 'one')
  for (const isUsed of [true, false]) {
    engine.loseAnswer()
    occupancy.changed('news', isUsed)
    await setImmediate()
    await ring()
  }
  engine.loseCall()
  occupancy.changed('other', true)
  await setImmediate()
  await ring()
  expect(told).toEqual(['news occupied', 'news vacated', 'other occupied'])
})

test('what happens while the store is away is said when it is back', async () => {
  const store = new MemoryStore()
  const { engine, occupancy, told } = await occupancyOf(store, 'one')
  occupancy.changed('stays', true)
  occupancy.changed('goes', true)
  await setImmediate()
  engine.cut()
  await setImmediate()
  occupancy.changed('goes', false)
  occupancy.changed('comes', true)
  occupancy.changed('passes', true)
  occupancy.changed('passes', false)
  await setImmediate()
  expect(told.splice(0)).toEqual(['stays occupied', 'goes occupied'])
  engine.mend()
  await setImmediate()
  expect(told).toEqual(['goes vacated', 'comes occupied'])
})

test('a store that has lost everything is told again, and nobody else', async () => {
  const store = new MemoryStore()
  const one = await occupancyOf(store, 'one')
  const two = await occupancyOf(store, 'two')
  one.occupancy.changed('news', true)
  await setImmediate()
  two.occupancy.changed('news', true)
  await setImmediate()
  store.lose()
  await setImmediate()
  for (const { occupancy } of [one, two]) occupancy.sayAgain(true)
  await setImmediate()
  expect(store.occupants().sort()).toEqual(['one', 'two'])
  two.occupancy.changed('news', false)
  await setImmediate()
  one.occupancy.changed('news', false)
  await setImmediate()
  expect([one.told, two.told]).toEqual([['news occupied', 'news vacated'], []])
})
