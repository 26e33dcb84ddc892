// What a message costs Redis that goes through it: the figures of docs/CLUSTER.md.
import { expect, onTestFinished, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { RedisServer } from '../support/redis.ts'
import { roundRobin } from '../support/round-robin.ts'
import { needs } from '../support/tools.ts'
import { joinNode } from './nodes.ts'

const rounds = 200

/** The most bytes of an echo of 64 bytes that Redis may get, and the most publications. */
const costs: readonly (readonly [Transport, number, number])[] = [
  ['websocket', 450, 2.5],
  ['stream', 1_250, 3.5],
  ['sse', 1_250, 3.5],
  ['polling', 1_150, 2.5],
]

needs('redis-server', 'a message that goes through Redis', () => {
  test.for(costs)('costs so much over %s', async ([transport, mostBytes, mostPublications]) => {
    const redis = await RedisServer.start()
    onTestFinished(() => redis.stop())
    const engine = () => new RedisEngine(settingsOf({ url: redis.url }, 'test'))
    // They do not say often that they live: that is no part of a message.
    const settings = { listen: false, lease: 600_000 } as const
    const nodes = [
      await joinNode(engine(), {}, undefined, settings),
      await joinNode(engine(), {}, undefined, settings),
    ]
    nodes[0]?.realtime.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const [owner, other] = nodes.map(({ port }) => port) as [number, number]
    const balancer = await roundRobin([owner])
    onTestFinished(() => balancer.close())
    const client = new WebSocket(balancer.url, [], { transports: [transport] })
    const echo = async (text: string): Promise<void> => {
      const heard = new Promise((resolve) => client.addEventListener('message', resolve, { once: true }))
      client.send(text)
      await heard
    }
    await new Promise((resolve) => client.addEventListener('open', resolve))
    await echo('first')
    balancer.targets = [other]
    balancer.cut()
    await echo('through the other one')
    const spent = async () => {
      const info = `${await redis.admin.info('stats')}${await redis.admin.info('commandstats')}`
      const of = (pattern: RegExp): number => Number(pattern.exec(info)?.[1] ?? 0)
      return {
        bytes: of(/total_net_input_bytes:(\d+)/),
        publications: of(/cmdstat_spublish:calls=(\d+)/),
      }
    }
    const before = await spent()
    for (let i = 0; i < rounds; i++) await echo('x'.repeat(64))
    const after = await spent()
    const bytes = (after.bytes - before.bytes) / rounds
    const publications = (after.publications - before.publications) / rounds
    console.log(`${transport}: ${bytes.toFixed(0)} bytes, ${publications.toFixed(1)} publications`)
    expect(bytes).toBeLessThan(mostBytes)
    expect(publications).toBeLessThan(mostPublications)
    expect(publications).toBeGreaterThan(1.9)
    client.close()
  })
})
