// A mistake of the application in a listener of its own reaches the application, and costs the server nothing of its cluster.
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryEngine, MemoryStore } from '../../cluster/memory.ts'
import { clusterOf } from '../../cluster/node.ts'
import { defaultLimits } from '../../cluster/topics/topics.ts'
import { redisCluster } from '../../redis/index.ts'
import { WebSocketServer } from '../../server/index.ts'
import { uncaught } from '../support/faults.ts'
import { RedisServer } from '../support/redis.ts'
import { end } from '../support/serving.ts'
import { needs } from '../support/tools.ts'

/** Tells each time that its node says that it lives. */
class Heard extends MemoryEngine {
  beaten: () => void = () => {}

  override async beat(...args: Parameters<MemoryEngine['beat']>): Promise<void> {
    await super.beat(...args)
    this.beaten()
  }

  beats(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.beaten = () => {
        if (--count === 0) resolve()
      }
    })
  }
}

test('a listener for cluster that throws: the server goes on to say that it lives', async () => {
  const engine = new Heard(new MemoryStore())
  const settings = { ...defaultLimits, atStart: 'wait', lease: 300, listen: false, relay: true } as const
  const realtime = new WebSocketServer({ noServer: true, cluster: clusterOf(() => engine, settings) })
  onTestFinished(() => end(realtime))
  const states: string[] = []
  realtime.on('cluster', ({ state }) => {
    states.push(state)
    if (state === 'up') throw new Error('a mistake')
  })
  expect((await uncaught()).message).toBe('a mistake')
  await engine.beats(3)
  expect(states).toEqual(['up'])
})

needs('redis-server', 'on Redis', () => {
  test('a listener for cluster that throws: the server connects again', async () => {
    const redis = await RedisServer.start()
    onTestFinished(() => redis.stop())
    const realtime = new WebSocketServer({ noServer: true, cluster: redisCluster({ url: redis.url }) })
    onTestFinished(() => end(realtime))
    await once(realtime, 'cluster')
    const isUp = new Promise<void>((resolve) => {
      realtime.on('cluster', ({ state }) => {
        if (state === 'down') throw new Error('a mistake')
        resolve()
      })
    })
    const thrown = uncaught()
    await redis.end()
    expect((await thrown).message).toBe('a mistake')
    await redis.run()
    await isUp
  })
})
