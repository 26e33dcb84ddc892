// A deploy in a cluster: sessions are handed over, and neither their clients nor their messages notice.
import { once } from 'node:events'
import { describe, expect, onTestFailed, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import type { ServerOptions, Socket } from '../../server/index.ts'
import { Ask } from '../../shared/exchange.ts'
import { RawClient, text } from '../support/raw-client.ts'
import { joinNode, type Node, startNodes } from './nodes.ts'

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

/** Counts in both directions, and goes on with counting where another server has left off. */
class Counting {
  readonly shown: { readonly socket: Socket; readonly node: Node }[] = []
  readonly told: number[] = []
  readonly ends: string[] = []
  readonly #waiting: (() => void)[] = []

  serve(node: Node): void {
    node.realtime.on('connection', (socket) => {
      this.shown.push({ socket, node })
      if (!socket.recovered) {
        socket.data = { said: 0, since: new Date(0) }
        socket.subscribe('news')
      }
      socket.on('message', (data) => {
        this.told.push(Number(data))
        socket.send(`${(socket.data.said as number)++}`)
      })
      socket.on('close', (code, reason) => this.ends.push(`${code} ${reason}`))
      for (const go of this.#waiting.splice(0)) go()
    })
  }

  /** Resolves with the next socket that is shown. */
  async next(): Promise<(typeof this.shown)[0]> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.shown.at(-1) as (typeof this.shown)[0]
  }
}

/** A client that sends a number for each number that it hears, up to a last one. */
class Client {
  readonly socket: WebSocket
  readonly heard: number[] = []
  readonly events: string[] = []
  readonly transports: (string | null)[] = []
  /** What was published, as it came. */
  readonly news: number[] = []
  /** Is called for each number that it sends. */
  says = (): unknown => undefined
  longestGap = 0
  #sent = 0
  #at = 0

  constructor(url: string, transports: readonly Transport[] | undefined) {
    const socket = new WebSocket(url, [], transports ? { transports } : {})
    this.socket = socket
    for (const name of ['open', 'close', 'error'] as const)
      socket.addEventListener(name, () => this.events.push(name))
    socket.addEventListener('open', () => this.say())
    socket.addEventListener('message', ({ data }) => {
      if (data.startsWith('news ')) {
        this.news.push(Number(data.slice(5)))
        return
      }
      const at = performance.now()
      if (this.#at) this.longestGap = Math.max(this.longestGap, at - this.#at)
      this.#at = at
      this.heard.push(Number(data))
      this.transports.push(socket.transport)
      this.say()
    })
  }

  say(): void {
    this.socket.send(`${this.#sent++}`)
    this.says()
  }

  /** Resolves when so many more numbers have been heard. */
  async hears(count: number): Promise<void> {
    const until = this.heard.length + count
    while (this.heard.length < until)
      await new Promise((resolve) => this.socket.addEventListener('message', resolve, { once: true }))
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const recoverable: ServerOptions = { recover: true }

describe.for([...all.map((one) => [one, [one]] as const), ['all transports', undefined] as const])(
  'over %s',
  ([name, transports]) => {
    test('a session moves from server to server, and its client has no event', async () => {
      const { store, nodes, balancer } = await startNodes(3, recoverable)
      const counting = new Counting()
      for (const node of nodes) counting.serve(node)
      const publisher = await joinNode(store.engine())
      const client = new Client(balancer.url, transports)
      onTestFailed(() => console.log(client.events, client.heard.length, client.socket.diary, counting.ends))
      let published = 0
      client.says = () => publisher.realtime.publish('news', `news ${published++}`)
      let { node } = await counting.next()
      await client.hears(50)
      for (let restart = 0; restart < 3; restart++) {
        const moved = counting.next()
        await node.realtime.drain({ within: 0 })
        await client.hears(50)
        const now = await moved
        expect(now.node).not.toBe(node)
        expect(now.socket.recovered).toBe(true)
        expect([...now.socket.topics]).toEqual(['news'])
        expect(now.socket.data.since).toEqual(new Date(0))
        // Its successor, as after a restart.
        const { port } = node
        await node.realtime.close({ within: 100 })
        const successor = await joinNode(store.engine(), recoverable)
        counting.serve(successor)
        balancer.targets = balancer.targets.map((target) => (target === port ? successor.port : target))
        node = now.node
      }
      await client.hears(50)
      const last = published
      while ((client.news.at(-1) ?? 0) < last - 1) await client.hears(1)
      const [first = 0] = client.news
      expect(client.news).toEqual(upTo(client.news.length).map((i) => first + i))
      expect(first).toBeLessThan(20)
      expect(client.events).toEqual(['open'])
      expect(client.heard).toEqual(upTo(client.heard.length))
      expect(counting.told.slice(0, client.heard.length)).toEqual(upTo(client.heard.length))
      expect(counting.ends).toEqual(Array(3).fill('1012 handed over'))
      if (transports) expect(new Set(client.transports)).toEqual(new Set(transports))
      console.log(`${name}: longest gap ${client.longestGap.toFixed(0)} ms`)
      client.socket.close()
    })
  },
)

test('a session whose server drains while the store is away goes on there, and moves when the store is back', async () => {
  const { store, nodes, balancer } = await startNodes(2, recoverable)
  const counting = new Counting()
  for (const node of nodes) counting.serve(node)
  const client = new Client(balancer.url, undefined)
  const { node } = await counting.next()
  await client.hears(10)
  const isDown = once(node.realtime, 'cluster')
  store.down()
  await isDown
  const drained = node.realtime.drain({ within: 60_000 })
  await client.hears(10)
  expect(counting.ends).toEqual([])
  const moved = counting.next()
  store.up()
  await drained
  const now = await moved
  expect([now.node === node, now.socket.recovered, counting.ends]).toEqual([
    false,
    true,
    ['1012 handed over'],
  ])
  await node.realtime.close({ within: 100 })
  await client.hears(10)
  expect(client.events).toEqual(['open'])
  expect(client.heard).toEqual(upTo(client.heard.length))
  client.socket.close()
})

test('a server is not drained before a full store has taken its sessions', async () => {
  let refuses = 3
  class FullEngine extends MemoryEngine {
    override async handOver(...args: Parameters<MemoryEngine['handOver']>): Promise<boolean> {
      if (refuses-- > 0) throw new Error('OOM')
      return super.handOver(...args)
    }
  }
  const store = new MemoryStore()
  const node = await joinNode(new FullEngine(store), recoverable)
  const client = new RawClient(node.url)
  await client.open()
  await node.connections.next()
  await node.realtime.drain({ within: 60_000 })
  expect(store.owner(Buffer.from(client.id).toString('base64url'))).toBe('waiting')
})

test.each([
  ['its client comes with its first messages', 0],
  ['its client has not read the welcome, and opens it again', Ask.open],
])('a session that is drained before it has a carrier moves: %s', async (_, ask) => {
  const { nodes } = await startNodes(2, recoverable)
  const [first, second] = nodes as [Node, Node]
  const client = new RawClient(first.url)
  await client.open([], { ask: Ask.open | Ask.standby })
  const { socket } = await first.connections.next()
  socket.send('one')
  const ended = once(socket, 'close')
  await first.realtime.drain({ within: 0 })
  expect((await ended)[0]).toBe(1012)
  const other = new RawClient(second.url)
  Object.assign(other, { id: client.id, key: client.key, epoch: 2 })
  await (ask === 0 ? other.send([text('two')]) : other.open())
  const { socket: next } = await second.connections.next()
  expect([next.id, next.recovered, other.received]).toEqual([socket.id, true, ['one']])
})

test('a session whose data cannot be written down is closed, and the application is warned and lives', async () => {
  const node = await joinNode(new MemoryStore().engine(), recoverable)
  for (let client = 0; client < 2; client++) await new RawClient(node.url).open()
  const ends: number[] = []
  for (let client = 0; client < 2; client++) {
    const { socket } = await node.connections.next()
    socket.data = { call: () => {} }
    socket.on('close', (code) => ends.push(code))
  }
  const warned = once(process, 'warning')
  const drained = node.realtime.drain({ within: 0 })
  expect((await warned)[0]).toMatchObject({
    code: 'EVERWIRE_DATA',
    message:
      'A session ends because its socket.data cannot be written down: () => {} could not be cloned. Keep there only what structuredClone takes.',
  })
  await drained
  await node.realtime.close({ within: 0 })
  expect(ends).toEqual([1012, 1012])
})
