// The engine on a Redis with TLS and a password.
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { RedisServer } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { engineContract } from './engine.contract.ts'

needs('redis-server', 'the engine on Redis with TLS and a password', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.startSecure()
  })
  afterAll(() => redis.stop())

  engineContract(() => {
    const client = createClient({ url: redis.url, socket: { tls: true, rejectUnauthorized: false } })
    const settings = settingsOf({ client, history: { messages: 50 } }, 'test')
    return { keeps: 50, engine: () => new RedisEngine(settings) }
  })

  test('a certificate that nobody trusts is refused', async () => {
    const engine = new RedisEngine(settingsOf({ url: redis.url }, 'test'))
    const error: Error = await engine
      .open({ published: () => {}, told: () => {}, connection: () => {} })
      .catch((error) => error)
    expect(error.message).toMatch(/^Redis at 127\.0\.0\.1:\d+ cannot be reached: self-signed certificate$/)
  })
})
