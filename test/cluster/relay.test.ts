// Nodes that cannot reach each other pass requests on through Redis.
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Transport, WebSocket } from '../../client/node.ts'
import type { NodeSettings } from '../../cluster/node.ts'
import { RedisEngine } from '../../redis/engine.ts'
import { settingsOf } from '../../redis/options.ts'
import { freePort } from '../support/proxies.ts'
import { RawClient } from '../support/raw-client.ts'
import { RedisServer } from '../support/redis.ts'
import { roundRobin } from '../support/round-robin.ts'
import { needs } from '../support/tools.ts'
import { joinNode, type Node } from './nodes.ts'

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']

needs('redis-server', 'nodes that cannot reach each other', () => {
  let redis: RedisServer
  let prefixes = 0
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  /** Two nodes of a cluster of their own. */
  async function two(settings: Partial<NodeSettings>): Promise<[Node, Node]> {
    const prefix = `t${++prefixes}:`
    const engine = () => new RedisEngine(settingsOf({ url: redis.url, prefix }, 'test'))
    return [
      await joinNode(engine(), {}, undefined, settings),
      await joinNode(engine(), {}, undefined, settings),
    ]
  }

  async function balanced(nodes: readonly Node[]): Promise<string> {
    const balancer = await roundRobin(nodes.map(({ port }) => port))
    onTestFinished(() => balancer.close())
    return balancer.url
  }

  const hidden: Partial<NodeSettings> = { listen: false }

  describe.for([...all.map((one) => [one, [one]] as const), ['all transports', undefined] as const])(
    'over %s',
    ([name, transports]) => {
      test('messages arrive once and in order in both directions', async () => {
        const messages = 100
        const nodes = await two(hidden)
        for (const { realtime } of nodes)
          realtime.on('connection', (socket) => {
            for (let i = 0; i < messages; i++) socket.send(`own ${i}`)
            socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
          })
        // A WebSocket goes to the node that opens the session. The next test has one that comes again.
        const client = new WebSocket(await balanced(nodes), [], transports ? { transports } : {})
        const heard: string[] = []
        const big = 'x'.repeat(700_000)
        await new Promise<void>((resolve, reject) => {
          client.addEventListener('open', () => {
            for (let i = 0; i < messages; i++) client.send(`echo ${i}`)
            client.send(big)
          })
          client.addEventListener('message', ({ data }) => {
            heard.push(data)
            if (heard.length === 2 * messages + 1) resolve()
          })
          client.addEventListener('close', ({ code, reason }) => reject(new Error(`${code} ${reason}`)))
        })
        const numbers = Array.from({ length: messages }, (_, i) => i)
        expect(heard.filter((one) => one.startsWith('own'))).toEqual(numbers.map((i) => `own ${i}`))
        expect(heard.filter((one) => one.startsWith('echo'))).toEqual(numbers.map((i) => `echo ${i}`))
        expect(heard.at(-1)).toBe(big)
        const relayed = nodes.map(({ realtime }) => realtime.stats().cluster?.relayed ?? 0)
        if (name !== 'websocket' && name !== 'all transports') expect(Math.max(...relayed)).toBeGreaterThan(0)
        client.close()
      })
    },
  )

  test('a WebSocket that resumes at the wrong node goes through Redis', async () => {
    const nodes = await two(hidden)
    const [first, second] = nodes
    first.realtime.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
    const balancer = await roundRobin([first.port])
    onTestFinished(() => balancer.close())
    const client = new WebSocket(balancer.url, [], { transports: ['websocket'] })
    const echo = (text: string): Promise<void> =>
      new Promise((resolve) => {
        client.addEventListener('message', ({ data }) => data === text && resolve())
        client.send(text)
      })
    await new Promise((resolve) => client.addEventListener('open', resolve))
    await echo('direct')
    balancer.targets = [second.port]
    balancer.cut()
    await echo('relayed')
    expect(second.realtime.stats().cluster).toMatchObject({ relayed: 1, passing: 1 })
    expect(client.transport).toBe('websocket')
    const closed = new Promise((resolve) => client.addEventListener('close', ({ code }) => resolve(code)))
    client.close(4_321)
    expect(await closed).toBe(4_321)
  })

  test('an address that refuses connections is left for Redis', async () => {
    const [first, second] = await two({ address: `127.0.0.1:${await freePort()}` })
    const client = new RawClient(first.url)
    await client.open()
    Object.assign(client, { url: second.url })
    await client.send()
    await client.send()
    expect(second.realtime.stats().cluster).toMatchObject({ relayed: 2, passed: 2 })
  })

  test('without a relay they refuse, as before', async () => {
    const [first, second] = await two({ listen: false, relay: false })
    const client = new RawClient(first.url)
    await client.open()
    Object.assign(client, { url: second.url })
    expect((await client.send()).status).toBe(503)
  })
})
