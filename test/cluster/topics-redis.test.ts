// Topics of two nodes on a real Redis, while their connections are cut again and again.
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { ClusterTopics, defaultLimits } from '../../cluster/topics/topics.ts'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import * as scripts from '../../redis/scripts.ts'
import { Topics } from '../../server/messages/topics.ts'
import type { Message } from '../../shared/message.ts'
import { RedisServer } from '../support/redis.ts'
import { RedisProxy } from '../support/redis-proxy.ts'
import { needs } from '../support/tools.ts'

const messages = 2_000
const cutEvery = 100

/** A client that writes down what it gets. */
class Reader {
  readonly readyState = 1
  readonly got: string[] = []
  #ends = 0
  #whenEnded: () => void = () => {}
  readonly ended = new Promise<void>((resolve) => {
    this.#whenEnded = resolve
  })

  close(): void {}

  deliver({ data }: Message): void {
    this.got.push(String(data))
    if (this.got.at(-1)?.endsWith('end') && ++this.#ends === 2) this.#whenEnded()
  }
}

interface Node {
  readonly name: string
  readonly topics: Topics
  readonly shared: ClusterTopics
  readonly proxy: RedisProxy
  readonly gaps: unknown[]
}

needs('redis-server', 'topics on Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  async function start(name: string): Promise<Node> {
    const proxy = await RedisProxy.start(redis.port)
    const settings = settingsOf(
      { url: `redis://127.0.0.1:${proxy.port}`, history: { messages: 10_000 } },
      'test',
    )
    const engine = new RedisEngine(settings)
    const topics = new Topics()
    const gaps: unknown[] = []
    const shared: ClusterTopics = new ClusterTopics({
      ...defaultLimits,
      engine,
      name,
      host: {
        deliver: (topic = '', data, binary, except, sender) =>
          topics.deliver(topic, topics.of(topic), data, binary, except, sender),
        disconnect: () => 0,
        gap: (topic) => void gaps.push(topic),
      },
      after: (ms, ring) => {
        const timer = setTimeout(ring, ms)
        return () => clearTimeout(timer)
      },
      random: Math.random,
    })
    topics.join(shared)
    await engine.open({
      published: (topic, entries) => shared.arrived(topic, entries),
      told: () => {},
      connection: (state) => shared.connection(state),
    })
    shared.connection('up')
    onTestFinished(async () => {
      shared.close()
      await engine.close()
      await proxy.stop()
    })
    return { name, topics, shared, proxy, gaps }
  }

  /** Cuts a node's connections at its next batch: before Redis has it, or before the node knows that Redis has it. */
  const cutNext = ({ proxy }: Node, isBefore: boolean): void => {
    void proxy.cutAt([scripts.publish.sha], isBefore ? 'command' : 'answer')
  }

  test('all messages arrive once and in one order on both nodes', async () => {
    const nodes = [await start('a'), await start('b')]
    const readers = nodes.map(({ topics }) => {
      const reader = new Reader()
      topics.add('news', reader)
      return reader
    })
    // Both nodes listen when each has heard the other.
    while (nodes.some(({ shared }) => !shared.placeOf('news'))) await new Promise(setImmediate)
    for (let i = 1; i <= messages; i++) {
      for (const { name, topics } of nodes) topics.publish('news', `${name} ${i}`)
      if (i % cutEvery === 0 && i < messages)
        cutNext(nodes[(i / cutEvery) % 2] as Node, (i / cutEvery) % 4 < 2)
      await new Promise(setImmediate)
    }
    await Promise.all(nodes.map(({ shared }) => shared.published()))
    for (const { name, topics } of nodes) topics.publish('news', `${name} end`)
    await Promise.all(readers.map(({ ended }) => ended))
    const [first, second] = readers.map(({ got }) => got) as [string[], string[]]
    expect(first).toEqual(second)
    for (const { name, gaps } of nodes) {
      const published = Array.from({ length: messages }, (_, i) => `${name} ${i + 1}`)
      expect(first.filter((one) => one.startsWith(name))).toEqual([...published, `${name} end`])
      expect(gaps).toEqual([])
    }
  })
})
