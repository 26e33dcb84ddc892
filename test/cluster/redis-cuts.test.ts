// The engine on Redis when its connection is cut: each call, at each end of its way.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Claim, Place } from '../../cluster/base/engine.ts'
import * as scripts from '../../redis/scripts.ts'
import { RedisServer } from '../support/redis.ts'
import { RedisProxy } from '../support/redis-proxy.ts'
import { needs } from '../support/tools.ts'
import { End, engineOf, list, Publisher } from './ends.ts'

const long = 60_000

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
    renew: {
      words: [scripts.renew.sha],
      prepare: ({ engine }, id) => engine.claim(id, 'a', long, 'proof'),
      run: ({ engine }, id) => engine.renew('a', [id, `${id} of nobody`], long),
      holds: async ({ engine }, id, answer) =>
        expect(await engine.owner(id)).toEqual({ node: 'a', fence: (answer as Map<string, number>).get(id) }),
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

  test('a node that takes long to listen to its topics again says meanwhile that it lives', async () => {
    const url = `redis://127.0.0.1:${proxy.port}`
    // Nothing else may come behind what is held back.
    const end = await End.open(engineOf({ url }, long))
    const [key, name] = ['ew:{nodes}:records', 'listens to many topics']
    await end.engine.beat(beat(name), 600)
    await end.engine.subscribe('one of many')
    const holding = proxy.holdAt('ssubscribe')
    proxy.cut()
    const goOn = await holding
    for (let time = 0; time < 3; time++) {
      await redis.admin.hDel(key, name)
      await expect.poll(() => redis.admin.hGet(key, name)).not.toBe(null)
    }
    expect(end.states).toEqual(['down'])
    goOn()
    await end.untilState('up')
  })
})
