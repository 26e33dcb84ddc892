/** `everwire/redis`: what joins servers through Redis. */
import { randomBytes } from 'node:crypto'
import { clusterOf } from '../cluster/node.ts'
import { Publisher } from '../cluster/publisher.ts'
import type { Cluster } from '../server/base/cluster.ts'
import { RedisEngine } from './engine.ts'
import {
  nodeSettingsOf,
  publisherSettingsOf,
  type RedisClusterOptions,
  type RedisPublisherOptions,
} from './options.ts'

export type { Publisher } from '../cluster/publisher.ts'
export type {
  RedisClient,
  RedisClusterOptions,
  RedisHistory,
  RedisOptions,
  RedisPublisherOptions,
} from './options.ts'

/**
 * Joins servers through Redis: `new WebSocketServer({ cluster: redisCluster({ url: 'redis://localhost' }) })`. Any request may then
 * reach any of the servers, and `publish` reaches the subscribers of all of them. Each server needs a cluster of its own.
 */
export function redisCluster(options: RedisClusterOptions): Cluster {
  const { redis, node } = nodeSettingsOf(options)
  return clusterOf(() => new RedisEngine(redis), node)
}

/**
 * Publishes to the topics of a cluster from a process that has no clients: a worker, a cron job. What is published waits while
 * Redis cannot be reached.
 */
export function redisPublisher(options: RedisPublisherOptions): Publisher {
  const { redis, limits } = publisherSettingsOf(options)
  return new Publisher(new RedisEngine(redis), randomBytes(9).toString('base64url'), limits)
}
