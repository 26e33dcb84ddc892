// How many there are on all servers together.
import { expect, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { RawClient } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'
import { joinNode, type Node, startNodes } from './nodes.ts'

async function subscribe(node: Node, topic: string): Promise<void> {
  await new RawClient(node.url).open()
  const { socket } = await node.connections.next()
  socket.subscribe(topic)
}

test('subscribers and clients of all servers are counted', async () => {
  const { nodes } = await startNodes()
  for (const [at, node] of nodes.entries())
    for (let i = 0; i <= at; i++) await subscribe(node, i === 0 ? 'all' : 'some')
  for (const { realtime } of nodes) {
    expect(await realtime.count('all')).toEqual({ count: 3, nodes: 3, missing: 0 })
    expect(await realtime.count('some')).toEqual({ count: 3, nodes: 3, missing: 0 })
    expect(await realtime.count('none')).toEqual({ count: 0, nodes: 3, missing: 0 })
    expect(await realtime.count()).toEqual({ count: 6, nodes: 3, missing: 0 })
  }
})

test('a server alone counts its own', async () => {
  const { realtime } = await serve()
  expect(await realtime.count('news')).toEqual({ count: 0, nodes: 1, missing: 0 })
  expect(await realtime.count()).toEqual({ count: 0, nodes: 1, missing: 0 })
})

test('a server that does not answer is missing, and a store that is away is an error', async () => {
  const store = new MemoryStore()
  const node = await joinNode(store.engine())
  await subscribe(node, 'news')
  const silent = store.engine()
  await silent.open({ published() {}, told() {}, connection() {} })
  await silent.beat({ name: 'silent', address: '', version: '1.0' }, 60_000)
  expect(await node.realtime.count('news')).toEqual({ count: 1, nodes: 1, missing: 1 })
  store.down()
  await expect(node.realtime.count('news')).rejects.toThrow('cannot be reached')
})

test('what a server knows of its cluster', async () => {
  const { nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  await new RawClient(first.url).open()
  const client = new RawClient(second.url)
  await client.open()
  Object.assign(client, { url: first.url })
  await client.send()
  expect(first.realtime.stats().cluster).toMatchObject({
    node: first.member.name,
    state: 'up',
    sessions: 1,
    passing: 0,
    passed: 1,
    handedOver: 0,
    received: 0,
    waiting: { messages: 0, bytes: 0 },
  })
  expect((await serve()).realtime.stats().cluster).toBe(undefined)
})
