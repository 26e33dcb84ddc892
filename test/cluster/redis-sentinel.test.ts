// The engine on a Redis that Sentinel watches: a replica becomes the master.
import { createSentinel } from 'redis'
import { expect, onTestFinished, test } from 'vitest'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { freePort } from '../support/proxies.ts'
import { RedisServer } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { End, list, Publisher } from './ends.ts'

const long = 60_000

needs('redis-server', 'the engine with Sentinel', () => {
  test('goes on with the replica that became the master', async () => {
    const master = await RedisServer.start()
    onTestFinished(() => master.stop())
    const replica = await RedisServer.start(['--replicaof', '127.0.0.1', `${master.port}`])
    onTestFinished(() => replica.stop())
    await expect.poll(() => master.admin.info('replication')).toMatch(/slave0:.*state=online/)
    const sentinel = await RedisServer.startSentinel(master.port)
    onTestFinished(() => sentinel.stop())
    await expect.poll(() => sentinel.admin.sendCommand(['SENTINEL', 'REPLICAS', 'main'])).toHaveLength(1)

    const client = createSentinel({
      name: 'main',
      sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }],
    })
    const end = await End.open(new RedisEngine(settingsOf({ client }, 'test')))
    const place = await end.engine.subscribe('topic')
    const publisher = new Publisher(end.engine, 'p')
    await publisher.publish('topic', '1')
    await end.untilText('topic', '1')
    const claim = await end.engine.claim('session', 'a', long, 'proof')
    await master.admin.wait(1, 0)

    await sentinel.admin.sendCommand(['SENTINEL', 'FAILOVER', 'main'])
    await end.untilState('down')
    await end.untilState('up')
    const batch = publisher.batch('topic', '2')
    // The master of before answers until it has heard that it is a replica.
    const publish = async (): Promise<void> => {
      for (;;) {
        try {
          return await batch()
        } catch {
          await end.untilState('up')
        }
      }
    }
    await publish()
    await end.untilText('topic', '2')
    expect(await end.engine.owner('session')).toEqual(claim)
    const history = await end.engine.history('topic', place)
    expect([history.isGap, list('topic', history).map(({ text }) => text)]).toEqual([false, ['1', '2']])
  })

  test('no Sentinel: an error says so', async () => {
    const client = createSentinel({
      name: 'main',
      sentinelRootNodes: [{ host: '127.0.0.1', port: await freePort() }],
      maxCommandRediscovers: 1,
    })
    client.on('error', () => {})
    const engine = new RedisEngine(settingsOf({ client }, 'test'))
    await expect(engine.open({ published: () => {}, told: () => {}, connection: () => {} })).rejects.toThrow(
      /^Redis at the addresses of the given client cannot be reached/,
    )
  })
})
