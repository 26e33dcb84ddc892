import { describe, expect, it, test } from 'vitest'
import { TakesNothing } from '../../cluster/base/engine.ts'
import { readEntry, writeEntry } from '../../cluster/topics/entry.ts'
import { withBug } from '../support/plant.ts'
import { Random } from '../support/random.ts'
import { Bench, type BenchNode } from './bench.ts'
import { bugs } from './planted.ts'
import { simulate, weathers } from './world.ts'

async function pair(...setting: ConstructorParameters<typeof Bench>): Promise<[Bench, BenchNode, BenchNode]> {
  const bench = new Bench(...setting)
  return [bench, await bench.node('a'), await bench.node('b')]
}

describe('a publication', () => {
  test('reaches the subscribers of all nodes once, and all in one order', async () => {
    const [bench, a, b] = await pair()
    const readers = [a.reader('news'), a.reader('news'), b.reader('news'), b.reader('other')]
    await bench.settle()
    a.topics.publish('news', 'from a')
    b.topics.publish('news', Buffer.from([1, 2]))
    a.topics.publish('news', 'ä€')
    a.topics.publish('news', Buffer.from([0xff]), { binary: false })
    await bench.settle()
    const [first, ...others] = readers.slice(0, 3).map(({ got }) => got)
    expect(first).toHaveLength(4)
    expect(first).toEqual(expect.arrayContaining(['from a', Buffer.from([1, 2]), 'ä€', '\ufffd']))
    for (const other of others) expect(other).toEqual(first)
    expect(readers[3]?.got).toEqual([])
    expect([a.gaps, b.gaps]).toEqual([[], []])
  })

  test('returns the number of those on this node who will get it', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    a.reader('news')
    b.reader('news')
    expect(a.topics.publish('news', 'x')).toBe(2)
    expect(a.topics.publish('news', 'x', { except: reader })).toBe(1)
    expect(a.topics.publish('news', 'x', {}, reader)).toBe(1)
    expect(a.topics.publish('nobody', 'x')).toBe(0)
    expect(a.broadcast('x')).toBe(2)
    expect(a.topics.disconnect('news', 4000, 'over')).toBe(2)
    await bench.settle()
    expect(a.topics.disconnect('news', 4000, 'over')).toBe(0)
  })

  test('may be changed by its caller at once', async () => {
    const [bench, a, b] = await pair()
    const reader = b.reader('news')
    const data = Buffer.from('before')
    a.topics.publish('news', data)
    data.fill('x')
    await bench.settle()
    expect(reader.got.map(String)).toEqual(['before'])
  })

  test('leaves out its publisher, and whom it says, as they were at the call', async () => {
    const [bench, a, b] = await pair()
    const [one, two, three] = [a.reader('news'), a.reader('news', 'muted'), a.reader('news')]
    const [elsewhere, muted] = [b.reader('news'), b.reader('news', 'muted')]
    await bench.settle()
    a.topics.publish('news', 'from one', {}, one)
    a.topics.publish('news', 'not for muted', { except: ['muted', three] })
    a.topics.delete('muted', two)
    a.topics.add('muted', one)
    await bench.settle()
    expect([one.got, two.got, three.got]).toEqual([['not for muted'], ['from one'], ['from one']])
    expect([elsewhere.got, muted.got]).toEqual([['from one', 'not for muted'], ['from one']])
  })

  test('does not reach who subscribes after the call, on this node', async () => {
    const [bench, a, b] = await pair()
    const early = b.reader('news')
    await bench.settle()
    a.topics.publish('news', '1')
    // This one is the next batch: the store gets it after the subscription.
    a.topics.publish('news', '2')
    const first = a.reader('news')
    a.topics.publish('news', '3')
    const second = a.reader('news')
    a.topics.publish('news', '4')
    await bench.settle()
    a.topics.publish('news', '5')
    await bench.settle()
    expect(early.got).toEqual(['1', '2', '3', '4', '5'])
    expect(first.got).toEqual(['3', '4', '5'])
    expect(second.got).toEqual(['4', '5'])
    expect(a.shared.isPending('news')).toBe(false)
  })

  test('does not reach who comes back after the call', async () => {
    const [bench, a] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    a.topics.publish('news', '1')
    a.topics.delete('news', reader)
    a.topics.add('news', reader)
    a.topics.publish('news', '2')
    await bench.settle()
    expect(reader.got).toEqual(['2'])
  })

  test('reaches once who comes from another node that had more than this one has', async () => {
    const [bench, a, b] = await pair()
    const [there, mover] = [b.reader('news'), a.reader('news')]
    await bench.settle()
    b.engine.drop()
    a.topics.publish('news', '1')
    await bench.settle()
    expect([there.got, mover.got]).toEqual([[], ['1']])
    const place = a.topics.placeOf('news')
    a.topics.delete('news', mover)
    b.topics.resume('news', mover, place)
    await bench.settle()
    a.topics.publish('news', '2')
    await bench.settle()
    a.topics.publish('news', '3')
    await bench.settle()
    expect([there.got, mover.got]).toEqual([
      ['1', '2', '3'],
      ['1', '2', '3'],
    ])
    expect(b.topics.isSettled(mover, ['news'])).toBe(true)
  })

  test('to all clients reaches all who are there, and no topic of the application', async () => {
    const [bench, a, b] = await pair()
    const topics = ['everyone', 'topic:everyone', 'json:"x"', '', '\ud800', '\ud801', 'ä']
    const readers = topics.map((topic) => b.reader(topic))
    await bench.settle()
    a.broadcast('to all')
    const late = a.reader()
    for (const topic of topics) a.topics.publish(topic, `to ${JSON.stringify(topic)}`)
    await bench.settle()
    a.broadcast('again')
    await bench.settle()
    for (const [i, { got }] of readers.entries())
      expect([...got].sort()).toEqual(['again', `to ${JSON.stringify(topics[i])}`, 'to all'].sort())
    expect(late.got).toEqual(['again'])
  })

  test('that closes the subscribers closes them on all nodes, after what was published before', async () => {
    const [bench, a, b] = await pair()
    const readers = [a.reader('news'), b.reader('news')]
    await bench.settle()
    a.topics.publish('news', 'goodbye')
    a.topics.disconnect('news', 4001, 'end')
    const late = a.reader('news')
    await bench.settle()
    for (const { got } of readers) expect(got).toEqual(['goodbye', 'closed 4001 end'])
    expect(late.got).toEqual([])
    b.topics.disconnect('news', undefined, undefined)
    await bench.settle()
    expect(late.got).toEqual(['closed undefined '])
  })

  test('is written in batches: one is under way, and what comes meanwhile is the next', async () => {
    const [bench, a] = await pair()
    for (let i = 0; i < 5; i++) a.topics.publish('news', `${i}`)
    a.topics.publish('other', 'x')
    expect(a.batches.map(({ entries }) => entries.length)).toEqual([1, 1])
    await bench.settle()
    expect(a.batches.map(({ entries }) => entries.length)).toEqual([1, 1, 4])
    const large = Buffer.alloc(40_000)
    for (let i = 0; i < 2_000; i++) a.topics.publish('small', '')
    await bench.settle()
    a.asked.length = 0
    for (let i = 0; i < 60; i++) a.topics.publish('large', large)
    await bench.settle()
    for (const { entries } of a.batches)
      expect(entries.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(1024 * 1024)
  })

  test('that the store has, but did not say so, is sent again with its numbers', async () => {
    const [bench, a, b] = await pair()
    const reader = b.reader('news')
    await bench.settle()
    a.engine.loseAnswer()
    a.topics.publish('news', '1')
    a.topics.publish('news', '2')
    await bench.settle()
    expect(reader.got).toEqual(['1'])
    await bench.pass(100)
    expect(reader.got).toEqual(['1', '2'])
    expect(a.batches.map(({ seq, entries }) => [seq, entries.length])).toEqual([
      [1, 1],
      [1, 1],
      [2, 1],
    ])
  })

  test('has a higher number than all before it, also when nothing has waited meanwhile', async () => {
    const [bench, a] = await pair()
    for (const topic of ['x', 'y', 'x', 'y']) {
      a.topics.publish(topic, 'one')
      a.topics.publish(topic, 'two')
      await bench.settle()
    }
    const ofX = a.asked.flatMap((one) => (one[0] === 'publish' && one[1] === 'topic:x' ? [one[2].seq] : []))
    expect(ofX).toEqual([...ofX].sort((one, other) => one - other))
    expect(new Set(ofX).size).toBe(4)
  })

  test('that the store never takes does not hold up the others for ever', async () => {
    const [bench, a, b] = await pair()
    const reader = b.reader('news')
    await bench.settle()
    for (let i = 0; i < 10; i++) a.engine.loseCall()
    a.topics.publish('news', 'refused')
    await bench.settle()
    a.topics.publish('news', 'next')
    await bench.pass(60_000)
    expect(reader.got).toEqual(['next'])
    expect(b.gaps).toEqual(['news'])
  })
})

test('what is published while the store is full waits for it', async () => {
  const [bench, a, b] = await pair()
  const reader = b.reader('news')
  await bench.settle()
  const publish = a.engine.publish.bind(a.engine)
  let refused = 0
  a.engine.publish = async (...args) => {
    if (refused++ < 30) throw new TakesNothing('full')
    return publish(...args)
  }
  a.topics.publish('news', 'one')
  await bench.pass(60_000)
  a.topics.publish('news', 'two')
  await bench.pass(180_000)
  expect(refused).toBeGreaterThan(30)
  expect([reader.got, b.gaps]).toEqual([['one', 'two'], []])
})

describe('a node', () => {
  test('listens to what has subscribers on it, and to nothing else', async () => {
    const [bench, a, b] = await pair()
    const [one, two] = [a.reader('news'), a.reader('news')]
    a.topics.publish('other', 'x')
    await bench.settle()
    expect(a.questions).toEqual(['subscribe topic:news', 'publish topic:other'])
    expect(b.asked).toEqual([])
    a.topics.delete('news', one)
    await bench.pass(5_000)
    a.topics.delete('news', two)
    await bench.pass(900)
    expect(a.questions).toHaveLength(2)
    await bench.pass(200)
    expect(a.questions).toEqual(['subscribe topic:news', 'publish topic:other', 'unsubscribe topic:news'])
    expect(bench.timers).toBe(0)
  })

  test('does not stop listening when somebody comes back within a second', async () => {
    const [bench, a, b] = await pair()
    const one = a.reader('news')
    await bench.settle()
    a.topics.delete('news', one)
    b.topics.publish('news', 'to nobody')
    await bench.pass(900)
    const two = a.reader('news')
    b.topics.publish('news', 'hello')
    await bench.pass(5_000)
    expect(a.questions).toEqual(['subscribe topic:news'])
    expect([one.got, two.got, a.gaps]).toEqual([[], ['hello'], []])
  })

  test('reads what it missed while its connection was down', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    b.topics.publish('news', '1')
    await bench.settle()
    a.engine.cut()
    b.topics.publish('news', '2')
    b.topics.publish('news', '3')
    await bench.settle()
    expect(reader.got).toEqual(['1'])
    a.engine.mend()
    b.topics.publish('news', '4')
    await bench.settle()
    expect([reader.got, a.gaps]).toEqual([['1', '2', '3', '4'], []])
  })

  test('reads what did not arrive when the next arrives, and takes nothing twice', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    a.engine.drop()
    b.topics.publish('news', '1')
    await bench.settle()
    a.engine.repeat()
    b.topics.publish('news', '2')
    await bench.settle()
    a.engine.delay()
    b.topics.publish('news', '3')
    await bench.settle()
    b.topics.publish('news', '4')
    await bench.settle()
    expect([reader.got, a.gaps]).toEqual([['1', '2', '3', '4'], []])
  })

  test('looks for what it published itself and what does not come back', async () => {
    const [bench, a] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    a.engine.drop()
    a.topics.publish('news', 'the last one')
    await bench.settle()
    expect([reader.got, a.shared.isPending('news')]).toEqual([[], true])
    await bench.pass(2_100)
    expect([reader.got, a.gaps, a.shared.isPending('news')]).toEqual([['the last one'], [], false])
    expect(bench.timers).toBe(0)
  })

  test('forgets what it published before it listened', async () => {
    const [bench, a] = await pair()
    a.topics.publish('news', 'to nobody')
    const reader = a.reader('news')
    await bench.settle()
    await bench.pass(5_000)
    expect([reader.got, a.gaps, a.shared.isPending('news'), bench.timers]).toEqual([[], [], false, 0])
  })

  test('tells a gap for what it missed and nobody kept, and goes on from what is left', async () => {
    const [bench, a, b] = await pair({ maxEntries: 2 })
    const reader = a.reader('news', 'other')
    await bench.settle()
    b.topics.publish('news', '0')
    await bench.settle()
    a.engine.cut()
    for (let i = 1; i < 6; i++) b.topics.publish('news', `${i}`)
    b.topics.publish('other', 'x')
    await bench.settle()
    a.engine.mend()
    await bench.settle()
    expect([reader.got.filter((one) => one !== 'x'), a.gaps]).toEqual([['0', '4', '5'], ['news']])
  })

  test('tells a gap for all topics when the store has lost what it knew', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news', 'other')
    await bench.settle()
    b.topics.publish('news', '1')
    await bench.settle()
    bench.store.lose()
    await bench.settle()
    expect([...a.gaps].sort()).toEqual(['news', 'other', undefined])
    b.topics.publish('news', '2')
    await bench.settle()
    expect(reader.got).toEqual(['1', '2'])
  })

  test('notices that a replica without the latest messages became the store', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    b.topics.publish('news', '1')
    await bench.settle()
    bench.store.lag()
    b.topics.publish('news', '2')
    b.topics.publish('news', '3')
    await bench.settle()
    a.engine.cut()
    // Nobody says so; and offsets have passed those of before when this node looks.
    bench.store.failOver(false)
    a.engine.cut()
    await bench.settle()
    b.topics.publish('news', '2 again')
    b.topics.publish('news', '3 again')
    b.topics.publish('news', '4')
    await bench.settle()
    a.engine.mend()
    await bench.settle()
    expect(a.gaps).toEqual(['news'])
    expect(reader.got.slice(0, 3)).toEqual(['1', '2', '3'])
    expect(reader.got.at(-1)).toBe('4')
    b.topics.publish('news', '5')
    await bench.settle()
    expect(reader.got.at(-1)).toBe('5')
  })

  test('tells a gap for what may have passed by before the store knew of a subscription', async () => {
    const [bench, a, b] = await pair()
    a.engine.cut()
    await bench.settle()
    const reader = a.reader('news')
    b.topics.publish('news', 'passes by')
    await bench.settle()
    a.engine.mend()
    await bench.settle()
    b.topics.publish('news', 'arrives')
    await bench.settle()
    expect(reader.got).toEqual(['arrives'])
    expect(a.gaps).toContain('news')
  })

  test('keeps what comes while it reads only up to a limit, and reads again', async () => {
    const bench = new Bench({ maxEntries: 10_000 })
    const [a, b] = [await bench.node('a'), await bench.node('b')]
    const reader = a.reader('news')
    await bench.settle()
    let open = (): void => {}
    a.gate = new Promise((resolve) => {
      open = resolve
    })
    a.engine.drop()
    for (let i = 0; i < 3_000; i++) {
      b.topics.publish('news', `${i}`)
      if (i % 100 === 0) await bench.settle()
    }
    await bench.settle()
    expect(reader.got).toEqual([])
    open()
    await bench.settle()
    expect(reader.got).toEqual(Array.from({ length: 3_000 }, (_, i) => `${i}`))
    expect([a.gaps, a.questions]).toEqual([
      [],
      ['subscribe topic:news', 'history topic:news', 'history topic:news'],
    ])
  })

  test('has at most 64 questions for histories under way', async () => {
    const [bench, a, b] = await pair()
    const topics = Array.from({ length: 200 }, (_, i) => `topic ${i}`)
    const reader = a.reader(...topics)
    await bench.settle()
    a.engine.cut()
    for (const topic of topics) b.topics.publish(topic, topic)
    await bench.settle()
    a.asked.length = 0
    a.shared.connection('up')
    expect(a.asked.filter(([what]) => what === 'history')).toHaveLength(64)
    a.shared.connection('down')
    a.engine.mend()
    await bench.settle()
    expect([...reader.got].sort()).toEqual([...topics].sort())
  })

  test('says nothing more after its end', async () => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    a.topics.delete('news', reader)
    a.topics.add('news', reader)
    b.topics.publish('news', 'x')
    a.shared.close()
    await bench.pass(10_000)
    expect([reader.got, bench.timers]).toEqual([[], 0])
  })

  test('can wait until all is published', async () => {
    const [bench, a] = await pair()
    await a.shared.published()
    a.engine.loseCall()
    a.topics.publish('news', 'x')
    let isPublished = false
    const published = a.shared.published().then(() => {
      isPublished = true
    })
    await bench.settle()
    expect(isPublished).toBe(false)
    await bench.pass(1_000)
    await published
    expect(a.shared.waiting).toEqual({ entries: 0, bytes: 0 })
  })
})

describe('while the store is away', () => {
  const full = async (limits: object): Promise<[Bench, BenchNode, BenchNode]> => {
    const bench = new Bench()
    const nodes: [BenchNode, BenchNode] = [await bench.node('a', limits), await bench.node('b')]
    await bench.settle()
    return [bench, ...nodes]
  }

  test('publications wait, and arrive in order', async () => {
    const [bench, a, b] = await pair()
    const readers = [a.reader('news'), b.reader('news')]
    await bench.settle()
    bench.store.down()
    await bench.settle()
    for (let i = 0; i < 5; i++) a.topics.publish('news', `${i}`)
    await bench.pass(60_000)
    for (const { got } of readers) expect(got).toEqual([])
    bench.store.up()
    await bench.settle()
    for (const { got } of readers) expect(got).toEqual(['0', '1', '2', '3', '4'])
    expect([a.gaps, b.gaps]).toEqual([[], []])
  })

  test('the oldest of the topic are dropped, and a gap stands in their place', async () => {
    const [bench, a, b] = await full({ maxWaitingEntries: 3 })
    const told: unknown[] = []
    for (const node of [a, b]) {
      const reader = node.reader('news', 'other')
      reader.got.push = (one) => told.push([node, one])
      node.gaps.push = (topic) => told.push([node, 'gap', topic])
    }
    await bench.settle()
    bench.store.down()
    await bench.settle()
    for (let i = 0; i < 10; i++) a.topics.publish('news', `${i}`)
    expect(a.shared.waiting.entries).toBe(3)
    bench.store.up()
    await bench.settle()
    for (const node of [a, b])
      expect(told.filter((one) => (one as unknown[])[0] === node)).toEqual([
        [node, 'gap', 'news'],
        [node, '8'],
        [node, '9'],
      ])
    expect(a.shared.waiting).toEqual({ entries: 0, bytes: 0 })
  })

  test('what was on its way is dropped without a gap if the store has it', async () => {
    const [bench, a, b] = await full({ maxWaitingEntries: 2 })
    const reader = b.reader('news')
    await bench.settle()
    a.engine.loseAnswer()
    a.topics.publish('news', '0')
    await bench.settle()
    a.engine.cut()
    await bench.settle()
    for (let i = 1; i < 3; i++) a.topics.publish('news', `${i}`)
    a.engine.mend()
    await bench.settle()
    expect(reader.got).toEqual(['0', '2'])
    expect(b.gaps).toEqual(['news'])
  })

  test('bytes are counted, and one that is larger than all waits if it is alone', async () => {
    const [bench, a, b] = await full({ maxWaiting: 1_000 })
    const reader = b.reader('large', 'small')
    await bench.settle()
    bench.store.down()
    await bench.settle()
    const large = 'x'.repeat(5_000)
    a.topics.publish('large', large)
    expect(a.shared.waiting.bytes).toBeGreaterThan(5_000)
    bench.store.up()
    await bench.settle()
    expect(reader.got).toEqual([large])
    bench.store.down()
    await bench.settle()
    a.topics.publish('small', 'first')
    a.topics.publish('large', large)
    expect(a.shared.waiting.bytes).toBeLessThan(1_000)
    bench.store.up()
    await bench.settle()
    expect(reader.got).toEqual([large, 'first'])
    expect(b.gaps).toEqual(['large'])
  })

  test('topics that wait longest give way to others', async () => {
    const [bench, a, b] = await full({ maxWaitingEntries: 4 })
    const reader = b.reader('one', 'two', 'three')
    await bench.settle()
    bench.store.down()
    await bench.settle()
    for (let i = 0; i < 3; i++) a.topics.publish('one', `one ${i}`)
    a.topics.publish('two', 'two')
    a.topics.publish('three', 'three')
    bench.store.up()
    await bench.settle()
    expect([...reader.got].sort()).toEqual(['one 2', 'three', 'two'])
    expect(b.gaps).toEqual(['one'])
  })

  test('of many topics one gap is told for all', async () => {
    const [bench, a, b] = await full({ maxWaitingEntries: 10 })
    const topics = Array.from({ length: 50 }, (_, i) => `topic ${i}`)
    const reader = b.reader(...topics)
    await bench.settle()
    bench.store.down()
    await bench.settle()
    for (const topic of topics) a.topics.publish(topic, topic)
    expect(a.shared.waiting.entries).toBeLessThanOrEqual(10)
    bench.store.up()
    await bench.settle()
    const missing = topics.filter((topic) => !reader.got.includes(topic))
    expect(missing.length).toBeGreaterThan(30)
    expect(b.gaps).toEqual(expect.arrayContaining(missing))
    a.topics.publish('topic 0', 'after')
    await bench.settle()
    expect(reader.got.at(-1)).toBe('after')
  })

  test('who published is remembered only up to a limit, and then a gap is told', async () => {
    const [bench, a] = await full({ maxWaitingEntries: 2 })
    const reader = a.reader('news')
    await bench.settle()
    // The store takes everything, and nothing comes back.
    for (let i = 0; i < 8; i++) {
      a.engine.drop()
      a.topics.publish('news', `${i}`)
      await bench.settle()
    }
    a.engine.heal()
    a.topics.publish('news', 'last')
    await bench.settle()
    expect(reader.got.at(-1)).toBe('last')
    expect(a.gaps.length + reader.got.length).toBe(9)
    expect(a.gaps.length).toBeGreaterThan(0)
  })
})

describe('an entry', () => {
  const said = [
    { kind: 'message', binary: false, except: [], data: Buffer.from('ä€') },
    { kind: 'message', binary: true, except: ['one', '\ud800'], data: Buffer.from([0, 255]) },
    { kind: 'message', binary: true, except: [], data: Buffer.alloc(0) },
    { kind: 'disconnect', code: 4000, reason: 'ö' },
    { kind: 'disconnect', code: undefined, reason: '' },
    { kind: 'gap' },
    { kind: 'gaps' },
  ] as const

  test.each(said)('is read as it was written: $kind', (one) => {
    for (const seq of [1, 2 ** 32, 2 ** 48 - 1]) {
      const entry = { publisher: 'node ö', seq, said: one }
      expect(readEntry(writeEntry(entry))).toEqual(entry)
    }
  })

  test('that is damaged says something or nothing, and throws nothing', () => {
    const random = new Random(7)
    for (let i = 0; i < 20_000; i++) {
      const bytes = writeEntry({ publisher: 'node', seq: i, said: random.one(said) })
      readEntry(i % 2 ? random.mutated(bytes) : random.bytes(40))
    }
  })

  test.each([
    ['of another version', (bytes: Buffer) => bytes.fill(2, 0, 1)],
    ['of another kind', (bytes: Buffer) => bytes.fill(200, 1, 2)],
    ['without an end', (bytes: Buffer) => bytes.subarray(0, 12)],
    ['of nothing', () => Buffer.alloc(0)],
  ])('%s is a gap, and the next is read', async (_, spoil) => {
    const [bench, a, b] = await pair()
    const reader = a.reader('news')
    await bench.settle()
    const entry = writeEntry({ publisher: 'newer', seq: 1, said: said[0] })
    const published = b.engine.publish('topic:news', { publisher: 'newer', seq: 1, entries: [spoil(entry)] })
    await bench.settle()
    await published
    b.topics.publish('news', 'next')
    await bench.settle()
    expect([reader.got, a.gaps]).toEqual([['next'], ['news']])
    a.engine.cut()
    a.engine.mend()
    await bench.settle()
    expect([reader.got, a.gaps]).toEqual([['next'], ['news']])
  })
})

const runs = Number(process.env.EVERWIRE_RUNS ?? 150)
const runsOfChance = 20
const runsForBugs = 500

/** Nothing that awaits: while it counts no timer fires, so a limit could not end it. */
const work = { timeout: 0 }

/** How often each must have come to pass in every weather's runs together. */
const reached = {
  received: 50_000,
  missing: 5_000,
  'told a gap': 5_000,
  'common order': 10_000,
  cut: 500,
  down: 200,
  lose: 200,
  trim: 200,
  'lose answer': 1_000,
  'lose call': 500,
  repeat: 500,
  drop: 500,
  delay: 1_000,
  'fail over': 200,
}

describe('schedules decided by a seed', () => {
  it('bring every message once and in order, or tell a gap in its place', work, async () => {
    const counts = new Map<string, number>()
    for (const weather of weathers)
      for (let seed = 1; seed <= runs; seed++) await simulate(seed, weather, counts)
    const missed = Object.entries(reached).filter(([name, least]) => (counts.get(name) ?? 0) < least)
    expect(missed.map(([name, least]) => [name, counts.get(name), least])).toEqual([])
  })

  it('do so under another seed each time', work, async () => {
    const seed = Number(process.env.EVERWIRE_SEED ?? Date.now() % 2 ** 31)
    console.log(`EVERWIRE_SEED=${seed}`)
    for (const weather of weathers) for (let i = 0; i < runsOfChance; i++) await simulate(seed + i, weather)
  })

  it.each(bugs)('find a bug: a node $name', work, async (bug) => {
    const world = await withBug<typeof import('./world.ts')>('test/cluster/world.ts', bug)
    const weather = world.weathers.find(({ name }) => name === bug.weather)
    let found: string | undefined
    for (let seed = 1; seed <= runsForBugs && !found; seed++)
      await world.simulate(seed, weather as (typeof weathers)[number]).catch((error: Error) => {
        found = error.message
      })
    expect(found, bug.name).toMatch(/seed/)
  })
})
