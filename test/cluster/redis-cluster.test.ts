// The engine on a Redis Cluster of three masters.
import { createCluster } from 'redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RedisEngine } from '../../redis/engine.ts'
import { slotOf } from '../../redis/keys.ts'
import { settingsOf } from '../../redis/options.ts'
import { type RedisServer, startRedisCluster } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { End, list, Publisher } from './ends.ts'
import { engineContract } from './engine.contract.ts'

needs('redis-server', 'the engine on a Redis Cluster', () => {
  let servers: RedisServer[]
  beforeAll(async () => {
    servers = await startRedisCluster()
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()))
  })

  const engineOf = (heartbeat?: number) => {
    const client = createCluster({ rootNodes: servers.map(({ url }) => ({ url })) })
    return new RedisEngine({ ...settingsOf({ client, history: { messages: 50 } }, 'test'), heartbeat })
  }

  engineContract(() => ({ keeps: 50, engine: engineOf }))

  test('a slot is where Redis says', async () => {
    const { admin } = servers[0] as RedisServer
    for (const key of ['ew:{t:a}:meta', 'ew:{t:ü€😀 {x}:log', `ew:{s:7}:${'x'.repeat(100)}:owner`])
      expect(slotOf(key)).toBe(await admin.clusterKeySlot(key))
  })

  /** Moves the slot of a key, with what it holds, to another master. */
  async function move(key: string): Promise<void> {
    const slot = slotOf(key)
    const ids = await Promise.all(servers.map(({ admin }) => admin.clusterMyId()))
    const has = await Promise.all(servers.map(({ admin }) => admin.clusterSlots()))
    const owner = has[0]?.find(({ from, to }) => from <= slot && slot <= to)?.master
    const at = servers.findIndex(({ port }) => port === owner?.port)
    const [from, to] = [servers[at], servers[(at + 1) % 3]] as [RedisServer, RedisServer]
    const [fromId, toId] = [ids[at], ids[(at + 1) % 3]] as [string, string]
    await to.admin.clusterSetSlot(slot, 'IMPORTING', fromId)
    await from.admin.clusterSetSlot(slot, 'MIGRATING', toId)
    const keys = await from.admin.clusterGetKeysInSlot(slot, 100)
    if (keys.length > 0)
      await from.admin.sendCommand(['MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '5000', 'KEYS', ...keys])
    for (const { admin } of [to, from]) await admin.clusterSetSlot(slot, 'NODE', toId)
  }

  test('a topic whose slot moves to another master goes on, without a gap', async () => {
    const [a, b] = [await End.open(engineOf()), await End.open(engineOf())]
    const place = await a.engine.subscribe('moves')
    const publisher = new Publisher(b.engine, 'p')
    await publisher.publish('moves', '1')
    for (let i = 2; i < 12; i += 2) {
      await move('ew:{t:moves}:meta')
      await publisher.publish('moves', `${i}`)
      await publisher.publish('moves', `${i + 1}`)
    }
    await a.untilText('moves', '11')
    expect(a.texts('moves')).toEqual(Array.from({ length: 11 }, (_, i) => `${i + 1}`))
    expect(a.published.map(({ offset }) => offset - place.offset)).toEqual(a.texts('moves').map(Number))
    expect([a.states, b.states]).toEqual([[], []])
  })

  test('a node whose channel moves to another master still hears', async () => {
    const end = await End.open(engineOf())
    await end.engine.beat({ name: 'moved', address: '', version: '1' }, 60_000)
    await move('ew:{n:moved}:told')
    // What is told while the channel moves is lost, as it may be.
    for (let i = 0; end.told.length === 0; i++) await end.engine.tell('moved', Buffer.from(`${i}`))
    expect(end.states).toEqual([])
  })

  test.each([0, 1, 2])('master %i loses what it knew: that is told', async (at) => {
    const end = await End.open(engineOf())
    const server = servers[at] as RedisServer
    await server.end()
    await end.untilState('down')
    await server.run()
    await end.untilState('fresh', 'up')
    expect(end.states).toEqual(['down', 'fresh'])
  })

  test('a master that is away is told, and comes back', async () => {
    const end = await End.open(engineOf(200))
    const topics = Array.from({ length: 30 }, (_, i) => `topic ${i}`)
    const places = await Promise.all(topics.map((topic) => end.engine.subscribe(topic)))
    const publisher = new Publisher(end.engine, 'p')
    for (const topic of topics) await publisher.publish(topic, '1')
    const server = servers[1] as RedisServer
    await server.admin.sendCommand(['SAVE'])
    await server.end()
    await end.untilState('down')
    await server.run()
    await end.untilState('up')
    for (const [at, topic] of topics.entries()) {
      await publisher.publish(topic, '2')
      const history = await end.engine.history(topic, places[at] as never)
      expect([topic, history.isGap, list(topic, history).map(({ text }) => text)]).toEqual([
        topic,
        false,
        ['1', '2'],
      ])
      await end.untilText(topic, '2')
    }
  })
})
