// The engine on Redis when the connection or Redis fails: each call, at each end of its way.
import { createServer } from 'node:net'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Claim, Place } from '../../cluster/engine.ts'
import { RedisEngine } from '../../redis/engine.ts'
import { type RedisOptions, settingsOf } from '../../redis/options.ts'
import * as scripts from '../../redis/scripts.ts'
import { freePort } from '../support/proxies.ts'
import { RedisServer } from '../support/redis.ts'
import { RedisProxy } from '../support/redis-proxy.ts'
import { needs } from '../support/tools.ts'
import { End, list, Publisher } from './ends.ts'

const long = 60_000

function engineOf(options: RedisOptions, heartbeat?: number): RedisEngine {
  return new RedisEngine({ ...settingsOf(options, 'test'), heartbeat })
}

/** Resolves when the call is successful; each attempt fails while Redis cannot be reached. */
async function retried<T>(end: End, call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch {
      await end.untilState('up', 'fresh')
    }
  }
}

needs('redis-server', 'a connection that is cut', () => {
  let redis: RedisServer
  let proxy: RedisProxy
  beforeAll(async () => {
    redis = await RedisServer.start()
    proxy = await RedisProxy.start(redis.port)
  })
  afterAll(async () => {
    await proxy.stop()
    await redis.stop()
  })

  const open = () => End.open(engineOf({ url: `redis://127.0.0.1:${proxy.port}` }))

  const textsOf = async ({ engine }: End, topic: string, place: Place) =>
    list(topic, await engine.history(topic, place)).map(({ text }) => text)

  interface Call {
    readonly words: readonly string[]
    prepare?(end: End, id: string): Promise<unknown>
    run(end: End, id: string): Promise<unknown>
    /** What holds after the call was made again. */
    holds(end: End, id: string, answer: unknown, prepared: unknown): Promise<void>
  }

  const beat = (name: string) => ({ name, address: 'here:1', version: '1' })
  const entries = [Buffer.from('a'), Buffer.from('b')]

  const calls: Readonly<Record<string, Call>> = {
    common: {
      words: [scripts.common.sha],
      run: ({ engine }, id) => engine.common(id, 'mine'),
      holds: async ({ engine }, id, answer) => {
        expect([answer, await engine.common(id, 'other')]).toEqual(['mine', 'mine'])
      },
    },
    beat: {
      words: [scripts.beat.sha, 'ssubscribe'],
      run: ({ engine }, id) => engine.beat(beat(id), long),
      holds: async (end, id) => {
        expect(await end.engine.node(id)).toEqual(beat(id))
        await end.engine.tell(id, Buffer.from('hello'))
        await end.until(() => end.told.includes('hello'))
      },
    },
    leave: {
      words: [scripts.leave.sha],
      prepare: ({ engine }, id) => engine.beat(beat(id), long),
      run: ({ engine }, id) => engine.leave(id),
      holds: async ({ engine }, id) => expect(await engine.node(id)).toBeUndefined(),
    },
    nodes: {
      words: [scripts.nodes.sha],
      prepare: ({ engine }, id) => engine.beat(beat(id), long),
      run: ({ engine }) => engine.nodes(),
      holds: async (_, id, answer) => expect(answer).toContainEqual(beat(id)),
    },
    tell: {
      words: ['SPUBLISH'],
      run: ({ engine }, id) => engine.tell(id, Buffer.from('hello')),
      holds: async (_end, _id, answer) => expect(answer).toBeUndefined(),
    },
    claim: {
      words: [scripts.claim.sha],
      run: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      holds: async ({ engine }, id, answer) => {
        expect(answer).toMatchObject({ node: 'a' })
        expect(await engine.owner(id)).toEqual(answer)
      },
    },
    'claim instead of another': {
      words: [scripts.claim.sha],
      prepare: ({ engine }, id) => engine.claim(id, 'dead', long, 'proof'),
      run: async ({ engine }, id) => {
        const owner = (await engine.owner(id)) as Claim
        return engine.claim(id, 'a', long, 'proof', owner.node === 'dead' ? owner : undefined)
      },
      holds: async ({ engine }, id, answer, prepared) => {
        expect(answer).toMatchObject({ node: 'a' })
        expect((answer as Claim).fence).toBeGreaterThan((prepared as Claim).fence)
        expect(await engine.owner(id)).toEqual(answer)
      },
    },
    owner: {
      words: ['\r\nHMGET\r\n'],
      prepare: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      run: ({ engine }, id) => engine.owner(id),
      holds: async (_end, _id, answer, prepared) => expect(answer).toEqual(prepared),
    },
    'hand over': {
      words: [scripts.handOver.sha],
      prepare: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      run: ({ engine }, id) =>
        engine.handOver(id, 'a', { proof: 'proof', state: Buffer.from('state') }, long),
      holds: async ({ engine }, id, answer) => {
        expect([answer, await engine.owner(id)]).toEqual([true, 'waiting'])
        const claim = (await engine.claim(id, 'b', long, 'proof')) as Claim
        expect(Buffer.from(claim.state ?? []).toString()).toBe('state')
      },
    },
    'claim what was handed over': {
      words: [scripts.claim.sha],
      prepare: async ({ engine }, id) => {
        await engine.claim(id, 'a', long, 'proof')
        await engine.handOver(id, 'a', { proof: 'proof', state: Buffer.from('state') }, long)
      },
      run: ({ engine }, id) => engine.claim(id, 'b', long, 'proof'),
      holds: async (_end, _id, answer) =>
        expect(Buffer.from((answer as Claim).state ?? []).toString()).toBe('state'),
    },
    keep: {
      words: [scripts.keep.sha],
      prepare: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      run: ({ engine }, id) => engine.keep('a', [id, `${id} of nobody`], long),
      holds: async (_end, id, answer) => expect(answer).toEqual([`${id} of nobody`]),
    },
    release: {
      words: [scripts.release.sha],
      prepare: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      run: ({ engine }, id) => engine.release(id, 'a', long),
      holds: async ({ engine }, id) => expect(await engine.owner(id)).toBe('ended'),
    },
    publish: {
      words: [scripts.publish.sha],
      prepare: ({ engine }, id) => engine.subscribe(id),
      run: ({ engine }, id) => engine.publish(id, { publisher: 'p', seq: 1, entries }),
      holds: async (end, id, _answer, place) => {
        expect(await textsOf(end, id, place as Place)).toEqual(['a', 'b'])
      },
    },
    'subscribe, its place': subscribeCutAt([scripts.last.sha]),
    'subscribe, the channel': subscribeCutAt(['ssubscribe']),
    'subscribe, what came meanwhile': subscribeCutAt([scripts.history.sha]),
    unsubscribe: {
      words: ['sunsubscribe'],
      prepare: ({ engine }, id) => engine.subscribe(id),
      run: ({ engine }, id) => engine.unsubscribe(id),
      holds: async (end, id) => {
        await end.untilState('up')
        await end.engine.subscribe(`${id} too`)
        await new Publisher(end.engine, 'p').publish(id, 'unwanted')
        await new Publisher(end.engine, 'p').publish(`${id} too`, 'wanted')
        await end.untilText(`${id} too`, 'wanted')
        expect(end.published.map(({ text }) => text)).toEqual(['wanted'])
      },
    },
    history: {
      words: [scripts.history.sha],
      prepare: async ({ engine }, id) => {
        const place = await engine.subscribe(id)
        await engine.publish(id, { publisher: 'p', seq: 1, entries })
        return place
      },
      run: async (end, id) => textsOf(end, id, { epoch: 'none', offset: 0 }),
      holds: async (_end, _id, answer) => expect(answer).toEqual(['a', 'b']),
    },
  }

  function subscribeCutAt(words: readonly string[]): Call {
    return {
      words,
      run: ({ engine }, id) => engine.subscribe(id),
      holds: async (end, id) => {
        await new Publisher(end.engine, 'p').publish(id, 'hello')
        await end.untilText(id, 'hello')
        expect(end.texts(id)).toEqual(['hello'])
      },
    }
  }

  describe.each(Object.entries(calls))('%s', (name, { words, prepare, run, holds }) => {
    test.each(['command', 'answer'] as const)('before the %s arrives', async (when) => {
      const end = await open()
      // So that Redis knows the scripts, and has them by their names.
      await run(end, `${name} before`).catch(() => {})
      end.published.length = 0
      const id = `${name}, ${when}`
      const prepared = await prepare?.(end, id)
      const cut = proxy.cutAt(words, when)
      const first = run(end, id)
      // `unsubscribe` has done its work if the connection is gone.
      await Promise.all([first.catch(() => {}), cut])
      await end.untilState('down', 'up')
      const answer = await retried(end, () => run(end, id))
      await holds(end, id, answer, prepared)
      await end.untilState('up')
      expect(end.states).toEqual(['down', 'up'])
    })
  })

  test('what was published meanwhile is in the history when the connection is up', async () => {
    const end = await open()
    const other = await End.open(engineOf({ url: redis.url }))
    const publisher = new Publisher(other.engine, 'other')
    const place = await end.engine.subscribe('meanwhile')
    await publisher.publish('meanwhile', '1')
    await end.untilText('meanwhile', '1')
    proxy.cut()
    await end.untilState('down')
    await expect(end.engine.owner('x')).rejects.toThrow(/Redis at 127\.0\.0\.1:\d+ cannot be reached/)
    await publisher.publish('meanwhile', '2')
    await end.untilState('up')
    await publisher.publish('meanwhile', '3')
    await end.untilText('meanwhile', '3')
    expect(end.texts('meanwhile')).toEqual(['1', '3'])
    expect(await textsOf(end, 'meanwhile', place)).toEqual(['1', '2', '3'])
  })

  test('what is published before Redis listens for a node arrives there, after the node knows its place', async () => {
    const end = await open()
    const other = await End.open(engineOf({ url: redis.url }))
    const publisher = new Publisher(other.engine, 'other')
    await publisher.publish('late', '1')
    await end.engine.subscribe('late before')
    const held = proxy.holdAt('ssubscribe')
    const subscribed = end.engine.subscribe('late')
    const release = await held
    // The place has been read when another call of the same connection is answered.
    await end.engine.owner('x')
    await publisher.publish('late', '2', '3')
    release()
    const place = await subscribed
    expect(end.published).toEqual([])
    await end.untilText('late', '3')
    expect(end.published.map(({ offset, text }) => [offset - place.offset, text])).toEqual([
      [1, '2'],
      [2, '3'],
    ])
  })

  test('a script that Redis does not know changes no order', async () => {
    const end = await open()
    const publisher = new Publisher(end.engine, 'p')
    await redis.admin.scriptFlush()
    await publisher.publish('another', 'x')
    const subscribed = end.engine.subscribe('flushed')
    await publisher.publish('flushed', 'after')
    await subscribed
    await end.untilText('flushed', 'after')
  })

  test('a connection that Redis ends is opened again, the one that listens, too', async () => {
    const end = await open()
    await end.engine.subscribe('killed')
    await redis.admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'PUBSUB'])
    await end.untilState('down')
    await end.untilState('up')
    await new Publisher(end.engine, 'p').publish('killed', 'hello')
    await end.untilText('killed', 'hello')
  })

  test('many subscriptions stand again', async () => {
    const end = await open()
    const topics = Array.from({ length: 1_000 }, (_, i) => `many ${i}`)
    await Promise.all(topics.map((topic) => end.engine.subscribe(topic)))
    proxy.cut()
    await end.untilState('down')
    await end.untilState('up')
    const publisher = new Publisher(end.engine, 'p')
    await Promise.all(topics.map((topic) => publisher.publish(topic, `to ${topic}`)))
    await end.until(() => end.published.length >= 1_000)
    expect(new Set(end.published.map(({ text }) => text)).size).toBe(1_000)
  })

  test('a topic whose entries Redis has forgotten, not its place, begins another epoch', async () => {
    const end = await open()
    const place = await end.engine.subscribe('back')
    const publisher = new Publisher(end.engine, 'p')
    await publisher.publish('back', '1', '2', '3')
    await end.untilText('back', '3')
    // As a replica may be that becomes the master.
    await redis.admin.hSet('ew:{t:back}:meta', 'o', '1')
    await redis.admin.del('ew:{t:back}:log')
    proxy.cut()
    await end.untilState('down')
    await end.untilState('up')
    await publisher.publish('back', '4')
    await end.untilText('back', '4')
    expect(end.published.at(-1)?.epoch).not.toBe(place.epoch)
    const history = await end.engine.history('back', { ...place, offset: place.offset + 3 })
    expect([history.isGap, list('back', history).map(({ text }) => text)]).toEqual([true, ['4']])
  })

  test('an engine that is closed while Redis is away ends', async () => {
    const end = await open()
    proxy.cut()
    await end.untilState('down')
    await end.engine.close()
    expect(end.states).toEqual(['down'])
    await expect(end.engine.nodes()).rejects.toThrow('The engine is not open')
  })

  test('all keys expire', async () => {
    const end = await open()
    await end.engine.beat(beat('expires'), long)
    await end.engine.claim('expires', 'a', long, 'proof')
    await end.engine.claim('expires too', 'a', long, 'proof')
    await end.engine.release('expires too', 'a', long)
    await end.engine.common('expires', 'x')
    await end.engine.subscribe('expires')
    await end.engine.subscribe('expires too')
    await end.engine.history('expires three', { epoch: '', offset: 0 })
    await new Publisher(end.engine, 'p').publish('expires', 'x')
    const keys: string[] = []
    for await (const some of redis.admin.scanIterator()) keys.push(...some)
    expect(keys.length).toBeGreaterThan(8)
    for (const key of keys)
      expect([key, await redis.admin.pTTL(key)]).toEqual([key, expect.toSatisfy((ttl) => ttl > 0)])
  })
})

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
    await expect(batch()).rejects.toThrow(/OOM/)
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
