// The engine on one Redis server.
import { afterAll, beforeAll } from 'vitest'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { RedisServer } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { engineContract } from './engine.contract.ts'

needs('redis-server', 'the engine on Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  engineContract(
    () => ({
      keeps: 50,
      engine: () => new RedisEngine(settingsOf({ url: redis.url, history: { messages: 50 } }, 'test')),
    }),
    async () => {
      await redis.admin.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
      await redis.admin.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    },
  )
})
