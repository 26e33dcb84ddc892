/** `everwire/redis`: what joins servers through Redis. */
import type { Engine } from '../cluster/engine.ts'
import { RedisEngine } from './engine.ts'
import { type RedisOptions, settingsOf } from './options.ts'

export type { RedisClient, RedisHistory, RedisOptions } from './options.ts'

/** The engine of a cluster on Redis. */
export function redisEngine(options: RedisOptions): Engine {
  return new RedisEngine(settingsOf(options, 'redisEngine()'))
}
