// Who is there on all servers together, and how many were closed.
import { expect, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import type { Socket } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { plain } from '../support/plain-client.ts'
import { hello, RawClient } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'
import { joinNode, type Node, startNodes } from './nodes.ts'

async function connect(node: Node, ...topics: string[]): Promise<Socket> {
  await new RawClient(node.url).open()
  const { socket } = await node.connections.next()
  for (const topic of topics) socket.subscribe(topic)
  return socket
}

test('the clients of all servers are listed, with what the application keeps of them', async () => {
  const before = Date.now()
  const { nodes } = await startNodes()
  const sockets: Socket[] = []
  for (const [at, node] of nodes.entries()) {
    const socket = await connect(node, 'all', `only ${at}`)
    socket.data = { at, since: new Date(at), map: new Map([['a', 1n]]) }
    sockets.push(socket)
  }
  const [first, second] = nodes as [Node, Node]
  const { clients, omitted, missing } = await second.realtime.fetch('all')
  expect([omitted, missing]).toEqual([0, []])
  expect(clients.map(({ data }) => (data as { at: number }).at).sort()).toEqual([0, 1, 2])
  for (const client of clients) {
    const { at } = client.data as { at: number }
    expect(client).toEqual({
      id: sockets[at]?.id,
      node: nodes[at]?.member.name,
      since: expect.any(Number),
      plain: false,
      protocol: '',
      transport: sockets[at]?.transport,
      topics: ['all', `only ${at}`],
      data: sockets[at]?.data,
      dataMissing: false,
    })
    // A copy, also of this server's own.
    expect(client.data).not.toBe(sockets[at]?.data)
    expect(client.since).toBeGreaterThanOrEqual(before)
    expect(client.since).toBeLessThanOrEqual(Date.now())
  }
  expect((await first.realtime.fetch('only 1')).clients.map(({ id }) => id)).toEqual([sockets[1]?.id])
  expect((await first.realtime.fetch()).clients.length).toBe(3)
  expect(await first.realtime.fetch('none')).toEqual({ clients: [], omitted: 0, missing: [] })
})

test('the list has a limit, and says how many it leaves out', async () => {
  const { nodes } = await startNodes(2)
  for (const node of nodes) for (let i = 0; i < 3; i++) await connect(node, 'all')
  const [{ realtime }] = nodes as [Node]
  for (const [limit, omitted] of [
    [1, 5],
    [4, 2],
    [6, 0],
  ] as const) {
    const list = await realtime.fetch('all', { limit })
    expect([list.clients.length, list.omitted]).toEqual([limit, omitted])
  }
  await expect(realtime.fetch('all', { limit: 0 })).rejects.toThrow('"limit"')
  await expect(realtime.fetch('all', { most: 1 } as never)).rejects.toThrow('"most"')
})

test('a server says at most a mebibyte of its clients', async () => {
  const { nodes } = await startNodes(2)
  const [first, second] = nodes as [Node, Node]
  const text = 'x'.repeat(60_000)
  for (let i = 0; i < 20; i++) (await connect(second)).data = { text }
  const { clients, omitted } = await first.realtime.fetch()
  expect(clients.length).toBeLessThan(20)
  expect(clients.length).toBeGreaterThan(15)
  expect(clients.length + omitted).toBe(20)
  expect(clients.every(({ data }) => (data as { text: string }).text === text)).toBe(true)
})

test('long subprotocols count in that, too', async () => {
  const { realtime, url, connections } = await serve()
  for (let i = 0; i < 100; i++) {
    await new RawClient(url).send([hello('x'.repeat(15_000))], { ask: Ask.open })
    await connections.next()
  }
  const { clients, omitted } = await realtime.fetch()
  expect(clients.length).toBeLessThan(75)
  expect(clients.length + omitted).toBe(100)
})

test('data that cannot be written down is left out, and so is data that is too large', async () => {
  const { realtime, url, connections } = await serve()
  for (const data of [{ call: () => {} }, { text: 'x'.repeat(70_000) }, { fits: true }]) {
    await new RawClient(url).open()
    ;(await connections.next()).socket.data = data as never
  }
  const { clients } = await realtime.fetch()
  expect(clients.map(({ data, dataMissing, node }) => [data, dataMissing, node])).toEqual([
    [undefined, true, ''],
    [undefined, true, ''],
    [{ fits: true }, false, ''],
  ])
})

test('ordinary WebSockets are in the list, and those that close are not', async () => {
  const { realtime, url, connections } = await serve()
  const client = await plain(url)
  const { socket } = await connections.next()
  expect((await realtime.fetch()).clients).toMatchObject([
    { id: socket.id, plain: true, transport: 'websocket' },
  ])
  socket.close()
  expect((await realtime.fetch()).clients).toEqual([])
  client.terminate()
})

test('a server that does not answer, or not in words that can be read, is named', async () => {
  const store = new MemoryStore()
  const node = await joinNode(store.engine())
  await connect(node)
  const silent = store.engine()
  await silent.open({ published() {}, told() {}, connection() {} })
  await silent.beat({ name: 'silent', address: '', version: '1.0' }, 60_000)
  const strange = store.engine()
  await strange.open({
    published() {},
    connection() {},
    told(data) {
      const { from, id } = JSON.parse(Buffer.from(data).toString()) as { from: string; id: number }
      const letter = { from: 'strange', id, answer: Buffer.from('newer').toString('base64') }
      void strange.tell(from, Buffer.from(JSON.stringify(letter)))
    },
  })
  await strange.beat({ name: 'strange', address: '', version: '1.0' }, 60_000)
  const { clients, missing } = await node.realtime.fetch()
  expect(clients.map((client) => client.node)).toEqual([node.member.name])
  expect([...missing].sort()).toEqual(['silent', 'strange'])
  store.down()
  await expect(node.realtime.fetch()).rejects.toThrow('cannot be reached')
})

test('who closes the subscribers of a topic hears how many they were on all servers', async () => {
  const { nodes } = await startNodes()
  for (const [at, node] of nodes.entries()) for (let i = 0; i < at; i++) await connect(node, 'out')
  const [{ realtime }] = nodes as [Node]
  const stays = await connect(nodes[1] as Node, 'other')
  expect(await realtime.disconnectAndCount('out', 4_321, 'go')).toEqual({ count: 3, nodes: 3, missing: 0 })
  expect(await realtime.disconnectAndCount('out')).toEqual({ count: 0, nodes: 3, missing: 0 })
  expect(stays.readyState).toBe(1)
  expect(realtime.disconnect('out')).toBe(0)
  await expect(realtime.disconnectAndCount('out', 1)).rejects.toThrow('valid error code')
})

test('a server alone counts whom it closes', async () => {
  const { realtime, url, connections } = await serve()
  await new RawClient(url).open()
  const { socket } = await connections.next()
  socket.subscribe('out')
  expect(await realtime.disconnectAndCount('out')).toEqual({ count: 1, nodes: 1, missing: 0 })
  expect(socket.readyState).toBe(2)
})
