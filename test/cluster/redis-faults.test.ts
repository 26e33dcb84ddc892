// The engine on a Redis that pauses, restarts, is full or forgets.
import { expect, onTestFinished, test, vi } from 'vitest'
import { type Claim, TakesNothing } from '../../cluster/base/engine.ts'
import { freePort } from '../support/proxies.ts'
import { bodyOf, postRaw, RawClient, text } from '../support/raw-client.ts'
import { RedisServer } from '../support/redis.ts'
import { needs } from '../support/tools.ts'
import { End, engineOf, list, Publisher } from './ends.ts'
import { joinNode, type Node } from './nodes.ts'

const long = 60_000

needs('redis-server', 'a Redis that fails', () => {
  const start = async (args?: readonly string[]) => {
    const redis = await RedisServer.start(args)
    onTestFinished(() => redis.stop())
    return redis
  }

  test('a Redis that pauses is away until it goes on', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }, 100))
    await end.engine.subscribe('paused')
    redis.signal('SIGSTOP')
    await expect(end.engine.owner('x')).rejects.toThrow()
    await end.untilState('down')
    redis.signal('SIGCONT')
    await end.untilState('up')
    await new Publisher(end.engine, 'p').publish('paused', 'hello')
    await end.untilText('paused', 'hello')
    expect(await end.engine.owner('x')).toBe('nobody')
  })

  test('a Redis that starts anew without what it knew is told', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }))
    const place = await end.engine.subscribe('anew')
    const before = (await end.engine.claim('anew', 'a', long, 'proof')) as Claim
    await redis.end()
    await end.untilState('down')
    await redis.run()
    await end.untilState('fresh')
    expect(end.states).toEqual(['down', 'fresh'])
    expect(await end.engine.owner('anew')).toBe('nobody')
    expect(((await end.engine.claim('anew', 'b', long, 'proof')) as Claim).fence).toBeGreaterThan(
      before.fence,
    )
    await new Publisher(end.engine, 'p').publish('anew', 'hello')
    await end.untilText('anew', 'hello')
    expect((await end.engine.history('anew', place)).isGap).toBe(true)
  })

  test('a Redis that starts anew with what it knew is up', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }))
    const place = await end.engine.subscribe('kept')
    const publisher = new Publisher(end.engine, 'p')
    await publisher.publish('kept', '1')
    await redis.admin.sendCommand(['SAVE'])
    await redis.end()
    await end.untilState('down')
    await redis.run()
    await end.untilState('up')
    await publisher.publish('kept', '2')
    await end.untilText('kept', '2')
    const history = await end.engine.history('kept', place)
    expect([history.isGap, list('kept', history).map(({ text }) => text)]).toEqual([false, ['1', '2']])
  })

  test('a Redis that is full refuses what is new, and takes it once there is room', async () => {
    const redis = await start(['--maxmemory-policy', 'noeviction'])
    const end = await End.open(engineOf({ url: redis.url }))
    const place = await end.engine.subscribe('full')
    const publisher = new Publisher(end.engine, 'p')
    await publisher.publish('full', '1')
    await end.engine.claim('mine', 'a', long, 'proof')
    await redis.admin.configSet('maxmemory', '1')
    const batch = publisher.batch('full', '2', '3')
    await expect(batch()).rejects.toThrow(/OOM/)
    await expect(batch()).rejects.toThrow(TakesNothing)
    await expect(end.engine.claim('new', 'a', long, 'proof')).rejects.toThrow(/OOM/)
    // What is there goes on.
    await end.engine.beat({ name: 'a', address: '', version: '1' }, long)
    expect(await end.engine.keep('a', ['mine'], long)).toEqual([])
    await end.engine.release('mine', 'a', long)
    await end.engine.subscribe('another')
    await redis.admin.configSet('maxmemory', '0')
    await batch()
    await batch()
    await end.untilText('full', '3')
    expect(end.texts('full')).toEqual(['1', '2', '3'])
    expect(list('full', await end.engine.history('full', place)).map(({ text }) => text)).toEqual([
      '1',
      '2',
      '3',
    ])
    expect(end.states).toEqual([])
  })

  test('a Redis that has forgotten claims, and nothing else, ends no session', async () => {
    const redis = await start()
    const nodes = [await joinNode(engineOf({ url: redis.url })), await joinNode(engineOf({ url: redis.url }))]
    const [node, other] = nodes as [Node, Node]
    const client = new RawClient(node.url)
    expect((await client.open()).head?.status).toBe(0)
    const { socket } = await node.connections.next()
    const states = nodes.map(({ realtime }) => {
      const states: string[] = []
      realtime.on('cluster', ({ state }) => states.push(state))
      return states
    })
    const keys = await redis.admin.keys('ew:{s:*:owner')
    expect(keys.length).toBe(1)
    await redis.admin.del(keys)
    await redis.admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    // A node that has just joined knows no other one while Redis is away, and says so.
    await expect.poll(() => states.map((all) => all.at(-1))).toEqual(['up', 'up'])
    expect(socket.readyState).toBe(1)
    expect(await redis.admin.hGet(keys[0] as string, 'n')).toBe(node.member.name)
    const body = bodyOf(client.head({ serial: ++client.shortSerial }), [text('on')])
    expect((await postRaw(other.url, body)).head?.status).toBe(0)
  })

  test('a Redis that is emptied without a break is told with the next beat', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }))
    const beat = () => end.engine.beat({ name: 'a', address: '', version: '1' }, long)
    await beat()
    await beat()
    await redis.admin.flushAll()
    await expect(beat()).rejects.toThrow('It has lost what it had')
    await end.untilState('fresh')
    await beat()
    expect(end.states).toEqual(['down', 'fresh'])
  })

  test('a Redis that is emptied without a break does not make a session unknown', async () => {
    const redis = await start()
    const [end, other] = [
      await End.open(engineOf({ url: redis.url })),
      await End.open(engineOf({ url: redis.url })),
    ]
    expect(await end.engine.owner('x')).toBe('nobody')
    await redis.admin.flushAll()
    await expect(end.engine.owner('x')).rejects.toThrow('It has lost what it had')
    // Somebody has left another mark.
    await expect(other.engine.owner('x')).rejects.toThrow('It has lost what it had')
    await Promise.all([end.untilState('fresh'), other.untilState('fresh')])
    expect(await end.engine.owner('x')).toBe('nobody')
    expect(await other.engine.owner('x')).toBe('nobody')
  })

  test('nodes that find claims forgotten share their secret anew with those to come', async () => {
    const redis = await start()
    const node = await joinNode(engineOf({ url: redis.url }))
    const client = new RawClient(node.url)
    expect((await client.open()).head?.status).toBe(0)
    const secret = () => redis.admin.hGet('ew:{nodes}:common', 'secret')
    const before = await secret()
    await redis.admin.del(['ew:{nodes}:common', ...(await redis.admin.keys('ew:{s:*:owner'))])
    await redis.admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    await expect.poll(secret).toBe(before)
  })

  test('a Redis that has become a replica is left', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }))
    await redis.admin.replicaOf('127.0.0.1', await freePort())
    await expect(end.engine.claim('x', 'a', long, 'proof')).rejects.toThrow(/READONLY/)
    await end.untilState('down')
    await redis.admin.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    await end.untilState('up')
    expect(await end.engine.claim('x', 'a', long, 'proof')).toMatchObject({ node: 'a' })
  })

  test('entries that are too old are forgotten, and numbers of publishers, too', async () => {
    const redis = await start()
    const { engine } = await End.open(engineOf({ url: redis.url, history: { age: 1_000 } }))
    const publisher = new Publisher(engine, 'p')
    const place = await engine.subscribe('old')
    await publisher.publish('old', 'first')
    // The stream goes on, so that it does not expire as a whole.
    await expect
      .poll(async () => {
        await publisher.publish('old', 'next')
        return list('old', await engine.history('old', place)).some(({ text }) => text === 'first')
      })
      .toBe(false)
    expect((await engine.history('old', place)).isGap).toBe(true)
    await redis.admin.hSet('ew:{t:old}:senders', { ancient: '7 1000', recent: `7 ${Date.now()}` })
    await new Publisher(engine, 'new one').publish('old', 'x')
    expect(Object.keys(await redis.admin.hGetAll('ew:{t:old}:senders')).sort()).toEqual([
      'new one',
      'p',
      'recent',
    ])
  })

  test('the place of a topic that is quiet lives as long as somebody subscribes to it', async () => {
    const redis = await start()
    vi.useFakeTimers({ toFake: ['setInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const end = await End.open(engineOf({ url: redis.url }, 2 ** 29))
    await end.engine.subscribe('quiet')
    const keys = ['ew:{t:quiet}:meta', 'ew:{b:0}:born']
    for (const key of keys) await redis.admin.pExpire(key, long)
    vi.advanceTimersByTime(15 * 60_000)
    for (const key of keys) await expect.poll(() => redis.admin.pTTL(key)).toBeGreaterThan(long)
    // Emptied, and nobody else would notice.
    await redis.admin.flushAll()
    vi.advanceTimersByTime(15 * 60_000)
    await end.untilState('fresh')
    expect(end.states).toEqual(['down', 'fresh'])
  })

  test('what cannot be of everwire on a channel is left alone', async () => {
    const redis = await start()
    const end = await End.open(engineOf({ url: redis.url }))
    await end.engine.subscribe('topic')
    for (const text of ['', '\n', 'x', 'x y\n', 'x 1 5\nabc', 'x 1 -1\nabc', 'x 1 NaN\n'])
      await redis.admin.sPublish('ew:{t:topic}:published', text)
    await new Publisher(end.engine, 'p').publish('topic', 'hello')
    await end.untilText('topic', 'hello')
    expect(end.texts('topic')).toEqual(['hello'])
  })
})
