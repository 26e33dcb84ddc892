// What the engine on Redis needs of a server and of a client, and what it says if it does not have that.
import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { redisPublisher } from '../../redis/index.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { freePort } from '../support/proxies.ts'
import { RedisServer } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { End, engineOf, Publisher } from './ends.ts'

const long = 60_000

test('a server that has not joined is closed in order, also if nothing else keeps its process', async () => {
  await ensureBuilt()
  const script = `
    import { redisCluster } from 'everwire/redis'
    import { WebSocketServer } from 'everwire/server'
    const cluster = redisCluster({ url: 'redis://127.0.0.1:${await freePort()}' })
    const realtime = new WebSocketServer({ noServer: true, cluster })
    realtime.publish('news', 'waits')
    await realtime.close({ within: 0 })
    console.log('closed')`
  const program = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  expect((await program).stdout).toBe('closed\n')
})

needs('redis-server', 'opening', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  const nothing = { published: () => {}, told: () => {}, connection: () => {} }

  test('no Redis: an error says where, and no password; later it works', async () => {
    const port = await freePort()
    const engine = engineOf({ url: `redis://me:secret@127.0.0.1:${port}/2` })
    const error: Error = await engine.open(nothing).catch((error) => error)
    expect(error.message).toBe(
      `Redis at 127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
    )
    const late = await RedisServer.start(['--user', 'me', 'on', '>secret', '~*', '&*', '+@all'], port)
    onTestFinished(() => late.stop())
    await End.open(engine)
    expect(await engine.owner('x')).toBe('nobody')
  })

  test('an engine that is closed while it opens leaves no connection', async () => {
    const own = await RedisServer.start()
    onTestFinished(() => own.stop())
    const connections = async () =>
      `${await own.admin.sendCommand(['CLIENT', 'LIST'])}`.trim().split('\n').length
    const engine = engineOf({ url: own.url })
    const opening = engine.open(nothing)
    await engine.close()
    await expect(opening).rejects.toThrow('The engine was closed')
    // A process that finds nothing to publish.
    await redisPublisher({ url: own.url }).close()
    await End.open(engineOf({ url: own.url }))
    await expect.poll(connections).toBe(3)
  })

  test('a Redis Cluster that has slots without a master is opened', async () => {
    const coverage = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no']
    const own = await RedisServer.start(coverage)
    onTestFinished(() => own.stop())
    await own.admin.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '8191'])
    await expect.poll(() => own.admin.clusterInfo()).toMatch(/cluster_state:ok/)
    const client = createCluster({ rootNodes: [{ url: own.url }] })
    expect((await End.open(engineOf({ client }))).states).toEqual([])
  })

  test('a wrong password: the error says so', async () => {
    await redis.admin.sendCommand(['ACL', 'SETUSER', 'me', 'on', '>right', '~*', '&*', '+@all'])
    const engine = engineOf({ url: `redis://me:wrong@127.0.0.1:${redis.port}` })
    const error: Error = await engine.open(nothing).catch((error) => error)
    expect(error.message).toMatch(/cannot be reached: WRONGPASS/)
    expect(error.message).not.toContain('wrong@')
  })

  test('a Redis that is too old: the error says which version is there and which is needed', async () => {
    const old = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        for (const command of String(chunk).match(/^(HELLO|CLIENT|INFO|CONFIG)$/gm) ?? []) {
          const info = 'redis_version:6.2.14\r\n'
          if (command === 'HELLO') socket.write('%1\r\n$5\r\nproto\r\n:3\r\n')
          else if (command === 'INFO') socket.write(`$${info.length}\r\n${info}\r\n`)
          else socket.write('-ERR unknown command\r\n')
        }
      })
    })
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void old.close())
    const { port } = old.address() as { port: number }
    await expect(engineOf({ url: `redis://127.0.0.1:${port}` }).open(nothing)).rejects.toThrow(
      `Redis at 127.0.0.1:${port} has version 6.2.14: everwire needs 7.0 or later`,
    )
  })

  test('a Redis that drops keys when it is full: one warning names the policy', async () => {
    const warnings: Error[] = []
    const hear = (warning: Error) => warnings.push(warning)
    process.on('warning', hear)
    onTestFinished(() => void process.off('warning', hear))
    await redis.admin.configSet('maxmemory-policy', 'volatile-lru')
    const engine = engineOf({ url: redis.url })
    const end = await End.open(engine)
    await engine.close()
    await engine.open(nothing)
    await redis.admin.configSet('maxmemory-policy', 'noeviction')
    await End.open(engineOf({ url: redis.url }))
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('maxmemory-policy volatile-lru'),
    ])
    expect(end.states).toEqual([])
  })

  test('a user who may neither see the configuration nor the version', async () => {
    const rights = ['~ew:*', '&ew:*', '+@all', '-config', '-info']
    await redis.admin.sendCommand(['ACL', 'SETUSER', 'poor', 'on', '>pass', ...rights])
    const end = await End.open(engineOf({ url: `redis://poor:pass@127.0.0.1:${redis.port}` }))
    expect(await end.engine.claim('poor', 'a', long, 'proof')).toMatchObject({ node: 'a' })
  })

  test('a client that was handed over is copied, with its options, and left alone', async () => {
    const client = createClient({
      url: redis.url,
      database: 3,
      name: 'mine',
      keyPrefix: 'application:',
      RESP: 2,
      pingInterval: 5,
      socket: { socketTimeout: 60_000 },
      commandOptions: { typeMapping: { 36: Buffer } },
    })
    const engine = engineOf({ client, prefix: 'chat:' })
    const end = await End.open(engine)
    expect(client.isOpen).toBe(false)
    client.on('error', () => {})
    await client.connect()
    await engine.subscribe('topic')
    await new Publisher(engine, 'p').publish('topic', 'hello')
    await end.untilText('topic', 'hello')
    expect(await engine.claim('mine', 'a', long, 'proof')).toMatchObject({ node: 'a' })
    await redis.admin.select(3)
    expect(await redis.admin.exists(['chat:{t:topic}:meta', 'chat:{b:0}:born'])).toBe(2)
    await redis.admin.select(0)
    await engine.close()
    expect([client.isOpen, end.states]).toEqual([true, []])
    client.destroy()
  })
})
