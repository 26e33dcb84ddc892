// What every engine must do: the rules of cluster/base/engine.ts. No rule here knows what the store is.
import { expect, test } from 'vitest'
import type { Change, Claim, Engine, Place } from '../../cluster/base/engine.ts'
import { End, list, Publisher } from './ends.ts'

/** Makes engines on one store. `keeps`: so many entries the store keeps of a topic, at least, and not ten times as many. */
export interface EngineStore {
  engine(): Engine
  readonly keeps: number
}

let names = 0
/** What no other test uses: the store is the same one. */
const fresh = (what: string) => `${what}-${process.pid}-${++names}`

const long = 60_000
const nowhere: Place = { epoch: 'of another store', offset: 7 }

/** `changeHands`: another master takes over, with all that there is. Not every store can be made to do so. */
export function engineContract(store: () => EngineStore, changeHands?: () => Promise<void>): void {
  const open = () => End.open(store().engine())

  const claim = async ({ engine }: End, session: string, node: string, instead?: Claim): Promise<Claim> => {
    const got = await engine.claim(session, node, long, 'proof', instead)
    if (typeof got === 'string') throw new Error(`The session is ${got}`)
    return got
  }

  test('all nodes share the value that was proposed first', async () => {
    const [a, b] = [await open(), await open()]
    const name = fresh('secret')
    const values = await Promise.all([a, b, a, b].map(({ engine }, at) => engine.common(name, `value ${at}`)))
    expect(new Set(values).size).toBe(1)
    expect(await b.engine.common(name, 'too late')).toBe(values[0])
    expect(await b.engine.common(fresh('secret'), 'another')).toBe('another')
  })

  test('a node is known while its lease lasts, or until it leaves', async () => {
    const [a, b] = [await open(), await open()]
    const record = (what: string) => ({ name: fresh(what), address: `${what}:80`, version: '1.2' })
    const [stays, leaves, dies] = [record('stays'), record('leaves'), record('dies')]
    const names = async () => (await b.engine.nodes()).map(({ name }) => name)
    await a.engine.beat(leaves, long)
    await a.engine.beat(stays, 300)
    await a.engine.beat(stays, long)
    await a.engine.beat(dies, 300)
    expect(await b.engine.node(leaves.name)).toEqual(leaves)
    expect(await names()).toEqual(expect.arrayContaining([stays.name, leaves.name]))
    await a.engine.leave(leaves.name)
    expect(await b.engine.node(leaves.name)).toBeUndefined()
    expect(await names()).not.toContain(leaves.name)
    await expect.poll(() => b.engine.node(dies.name)).toBeUndefined()
    expect(await names()).not.toContain(dies.name)
    expect(await b.engine.node(stays.name)).toEqual(stays)
    expect(await b.engine.node(fresh('nobody'))).toBeUndefined()
  })

  test('what is told to a node arrives there, in order, and nowhere else', async () => {
    const [a, b] = [await open(), await open()]
    const [nameOfA, nameOfB] = [fresh('a'), fresh('b')]
    await a.engine.beat({ name: nameOfA, address: '', version: '1' }, long)
    await b.engine.beat({ name: nameOfB, address: '', version: '1' }, long)
    await a.engine.tell(fresh('nobody'), Buffer.from('to nobody'))
    await a.engine.tell(nameOfB, Buffer.from('one'))
    await a.engine.tell(nameOfB, Buffer.from('two'))
    await b.engine.tell(nameOfA, Buffer.from('back'))
    await b.until(() => b.told.length >= 2)
    await a.until(() => a.told.length >= 1)
    expect([b.told, a.told]).toEqual([['one', 'two'], ['back']])
  })

  test('a session has one owner, whoever asks and however often', async () => {
    const ends = await Promise.all([open(), open(), open()])
    const session = fresh('session')
    expect(await ends[0]?.engine.owner(session)).toBe('nobody')
    const claims = await Promise.all(
      ends.flatMap((end, at) => [claim(end, session, `node ${at}`), claim(end, session, `node ${at}`)]),
    )
    expect(new Set(claims.map(({ node, fence }) => `${node} ${fence}`)).size).toBe(1)
    for (const { engine } of ends) expect(await engine.owner(session)).toEqual(claims[0])
  })

  test('a claim is taken over from the one that was named, and from no later one', async () => {
    const [a, b] = [await open(), await open()]
    const session = fresh('session')
    const first = await claim(a, session, 'a')
    const second = await claim(b, session, 'b', first)
    expect(second.node).toBe('b')
    // The same question again, as after a lost answer.
    expect(await claim(b, session, 'b', first)).toEqual(second)
    expect(await claim(a, session, 'c', first)).toEqual(second)
    expect(await claim(a, session, 'a')).toEqual(second)
    const third = await claim(a, session, 'a', second)
    expect(await claim(b, session, 'b', { node: 'a', fence: first.fence })).toEqual(third)
    expect(third.fence > second.fence && second.fence > first.fence).toBe(true)
  })

  test('each owner has a higher fence, also after the claim before was given up or has ended', async () => {
    const { engine } = await open()
    const session = fresh('session')
    const fences: number[] = []
    for (const node of ['a', 'b', 'a', 'c']) {
      const got = (await engine.claim(session, node, long, 'proof')) as Claim
      fences.push(got.fence)
      await engine.release(session, node, 0)
      expect(await engine.owner(session)).toBe('nobody')
    }
    fences.push(((await engine.claim(session, 'd', 20, 'proof')) as Claim).fence)
    await expect.poll(() => engine.owner(session)).toBe('nobody')
    fences.push(((await engine.claim(session, 'e', long, 'proof')) as Claim).fence)
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b))
  })

  test('a session that has ended is nobody’s, until that is forgotten', async () => {
    const [a, b] = [await open(), await open()]
    const [session, other] = [fresh('session'), fresh('session')]
    const got = await claim(a, session, 'a')
    await b.engine.release(session, 'b', long)
    expect(await b.engine.owner(session)).toEqual(got)
    await a.engine.release(session, 'a', long)
    expect(await b.engine.owner(session)).toBe('ended')
    expect(await b.engine.claim(session, 'b', long, 'proof')).toBe('ended')
    expect(await b.engine.claim(session, 'b', long, 'proof', got)).toBe('ended')
    await a.engine.release(session, 'a', 0)
    expect(await b.engine.owner(session)).toBe('ended')
    await claim(a, other, 'a')
    await a.engine.release(other, 'a', 50)
    await expect.poll(() => b.engine.owner(other)).toBe('nobody')
    expect((await claim(b, other, 'b')).node).toBe('b')
  })

  test('a session that was handed over waits for whoever has the proof, with all that was handed over', async () => {
    const [a, b] = [await open(), await open()]
    const session = fresh('session')
    const state = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i))
    const first = await claim(a, session, 'a')
    expect(await b.engine.handOver(session, 'b', { proof: 'proof', state }, long)).toBe(false)
    expect(await a.engine.handOver(session, 'a', { proof: 'proof', state }, long)).toBe(true)
    // The answer may have been lost.
    expect(await a.engine.handOver(session, 'a', { proof: 'another proof', state }, long)).toBe(false)
    expect(await a.engine.handOver(session, 'a', { proof: 'proof', state: Buffer.from('x') }, long)).toBe(
      true,
    )
    expect(await b.engine.owner(session)).toBe('waiting')
    expect(await a.engine.keep('a', [session], long)).toEqual([session])
    expect(await b.engine.claim(session, 'b', long, 'another proof')).toBe('ended')
    expect(await b.engine.owner(session)).toBe('waiting')
    const second = await claim(b, session, 'b')
    expect([second.node, second.fence > first.fence]).toEqual(['b', true])
    expect(Buffer.compare(second.state ?? new Uint8Array(), state)).toBe(0)
    expect(await a.engine.owner(session)).toEqual({ node: 'b', fence: second.fence })
    // Until that has arrived, the node gets it again, and so does the next one if the node dies.
    expect((await claim(b, session, 'b')).state?.length).toBe(state.length)
    // Nobody else does, whichever node asks for him.
    for (const [end, node, instead] of [
      [b, 'b'],
      [a, 'c', { node: 'b', fence: second.fence }],
    ] as const)
      expect(await end.engine.claim(session, node, long, 'another proof', instead)).toBe('ended')
    expect(await a.engine.claim(session, 'c', long, 'another proof')).toEqual({
      node: 'b',
      fence: second.fence,
    })
    const third = await claim(a, session, 'c', { node: 'b', fence: second.fence })
    expect([third.node, third.state?.length]).toEqual(['c', state.length])
    expect(await a.engine.keep('c', [session], long)).toEqual([])
    expect(await claim(a, session, 'c')).toEqual({ node: 'c', fence: third.fence })
    expect(await a.engine.claim(session, 'c', long, 'another proof')).toEqual({
      node: 'c',
      fence: third.fence,
    })
  })

  test('a session that was handed over is forgotten if nobody comes', async () => {
    const { engine } = await open()
    const session = fresh('session')
    await engine.claim(session, 'a', long, 'proof')
    expect(await engine.handOver(session, 'a', { proof: 'proof', state: Buffer.from('x') }, 50)).toBe(true)
    await expect.poll(() => engine.owner(session)).toBe('nobody')
    const got = (await engine.claim(session, 'b', long, 'any')) as Claim
    expect([got.node, got.state]).toEqual(['b', undefined])
  })

  if (changeHands)
    test('what was handed over before the store changed hands is for nobody but a node that had it later', async () => {
      const [a, b] = [await open(), await open()]
      const [waits, given, taken, late] = ['waits', 'given', 'taken', 'late'].map(fresh) as [
        string,
        string,
        string,
        string,
      ]
      const claims = new Map<string, Claim>()
      const parcel = { proof: 'proof', state: Buffer.from('all of it') }
      for (const session of [waits, given, taken, late]) claims.set(session, await claim(a, session, 'a'))
      for (const session of [waits, given, taken])
        expect(await a.engine.handOver(session, 'a', parcel, long)).toBe(true)
      const of = (session: string) => claims.get(session) as Claim
      for (const session of [given, taken]) claims.set(session, await claim(b, session, 'b'))
      expect(await b.engine.keep('b', [taken], long)).toEqual([])
      await changeHands()
      expect(await a.engine.handOver(late, 'a', parcel, long)).toBe(true)

      const { engine } = await open()
      const asks = (session: string, instead?: Claim, had?: number) =>
        engine.claim(session, 'c', long, 'proof', instead, had)
      expect([await asks(waits), await asks(waits)]).toEqual(['stale', 'stale'])
      // Whoever handed it over does not know what happened since.
      expect(await asks(waits, undefined, of(waits).fence)).toBe('stale')
      expect(await a.engine.handOver(waits, 'a', parcel, long)).toBe(false)
      expect(await engine.owner(waits)).toBe('waiting')
      expect(await asks(given, of(given))).toBe('stale')
      expect(await engine.owner(given)).toEqual({ node: 'b', fence: of(given).fence })
      // Whoever was given it all the same has not gone on with it.
      expect(await b.engine.claim(given, 'b', long, 'proof')).toBe('stale')
      expect(await asks(taken, of(taken))).toMatchObject({ node: 'c' })
      expect((await asks(late)) as Claim).toMatchObject({ node: 'c', state: Buffer.from('all of it') })

      expect((await b.engine.claim(given, 'b', long, 'proof', undefined, of(given).fence)) as Claim).toEqual({
        ...of(given),
        state: Buffer.from('all of it'),
      })
      const back = (await asks(waits, undefined, of(waits).fence + 1)) as Claim
      expect(back.node).toBe('c')
      expect(await engine.claim(waits, 'd', long, 'proof', back)).toBe('stale')
      expect(await engine.keep('c', [waits], long)).toEqual([])
      const next = (await engine.claim(waits, 'd', long, 'proof', back)) as Claim
      expect([next.node, next.state]).toEqual(['d', undefined])
    })

  /** A change, as an owner makes it. */
  const change = (
    session: string,
    { fence }: Claim,
    set: Record<string, string>,
    over: { whole?: string; drop?: string[] } = {},
  ): Change => ({
    session,
    fence,
    whole: over.whole,
    drop: over.drop ?? [],
    set: new Map(Object.entries(set)),
  })

  const recordIn = (claim: Claim) =>
    Object.fromEntries(
      [...(claim.record ?? [])].map(([field, value]) => [field, Buffer.from(value).toString()]),
    )

  test('what an owner has stored comes to the node that takes the session over, until that one stores it as a whole', async () => {
    const [a, b] = [await open(), await open()]
    const session = fresh('session')
    const first = await claim(a, session, 'a')
    expect(first.record).toBeUndefined()
    const store = (end: End, node: string, ...changes: Change[]) => end.engine.store(node, changes, long)
    expect(
      await store(a, 'a', change(session, first, { one: '1', two: 'b', three: '' }, { whole: 'proof' })),
    ).toEqual(['stored'])
    expect(await store(a, 'a', change(session, first, { two: 'ä\0', four: '4' }, { drop: ['one'] }))).toEqual(
      ['stored'],
    )
    const stored = { two: 'ä\0', three: '', four: '4' }
    // Its owner lives: nobody gets it, nor the owner itself.
    expect((await claim(a, session, 'a')).record).toBeUndefined()
    expect((await claim(b, session, 'b')).record).toBeUndefined()
    // Whoever takes it over needs the proof.
    expect(await b.engine.claim(session, 'b', long, 'of somebody else', first)).toBe('ended')
    const second = await claim(b, session, 'b', first)
    expect(second).toMatchObject({ node: 'b' })
    expect(second.fence).toBeGreaterThan(first.fence)
    expect(recordIn(second)).toEqual(stored)
    // The answer may have been lost.
    expect(recordIn(await claim(b, session, 'b'))).toEqual(stored)
    expect(await b.engine.claim(session, 'b', long, 'of somebody else')).toBe('ended')
    expect(await store(b, 'b', change(session, second, { five: '5' }, { whole: 'proof' }))).toEqual([
      'stored',
    ])
    expect((await claim(b, session, 'b')).record).toBeUndefined()
    expect(recordIn(await claim(a, session, 'c', second))).toEqual({ five: '5' })
  })

  test('who does not have a session any more stores nothing of it, and learns so', async () => {
    const [a, b] = [await open(), await open()]
    const [taken, ended, handed, kept, nobodys] = ['taken', 'ended', 'handed', 'kept', 'nobodys'].map(
      fresh,
    ) as [string, string, string, string, string]
    const claims = new Map<string, Claim>()
    for (const session of [taken, ended, handed, kept]) claims.set(session, await claim(a, session, 'a'))
    const of = (session: string): Claim => claims.get(session) ?? { node: 'a', fence: 1 }
    const whole = (session: string, claimed = of(session)) =>
      change(session, claimed, { it: 'old' }, { whole: 'proof' })
    const all = [taken, ended, handed, kept, nobodys]
    await a.engine.store(
      'a',
      [taken, ended, handed, kept].map((session) => whole(session)),
      long,
    )
    const later = await claim(b, taken, 'b', of(taken))
    await a.engine.release(ended, 'a', long)
    const parcel = { proof: 'proof', state: Buffer.from('all of it') }
    expect(await a.engine.handOver(handed, 'a', parcel, long)).toBe(true)
    const results = await a.engine.store(
      'a',
      all.map((session) => change(session, of(session), { it: 'new' })),
      long,
    )
    expect(results).toEqual(['lost', 'lost', 'lost', 'stored', 'unknown'])
    expect(recordIn(later)).toEqual({ it: 'old' })
    // What was handed over has taken the place of what was stored.
    const received = await claim(b, handed, 'b')
    expect(received.record).toBeUndefined()
    expect(Buffer.from(received.state as Uint8Array).toString()).toBe('all of it')
    // The number of an earlier claim of the same node is no longer good.
    expect(await b.engine.store('b', [whole(taken, { ...later, fence: later.fence - 1 })], long)).toEqual([
      'unknown',
    ])
    expect(recordIn(await claim(b, kept, 'b', of(kept)))).toEqual({ it: 'new' })
  })

  test('what is stored of hundreds of sessions at a time is stored of each', async () => {
    const [a, b] = [await open(), await open()]
    const sessions = Array.from({ length: 350 }, (_, at) => fresh(`many ${at}`))
    const claims = await Promise.all(sessions.map((session) => claim(a, session, 'a')))
    const changes = sessions.map((session, at) =>
      change(session, claims[at] as Claim, { name: session, large: 'x'.repeat(at * 10) }, { whole: 'proof' }),
    )
    expect(new Set(await a.engine.store('a', changes, long))).toEqual(new Set(['stored']))
    const taken = await Promise.all(sessions.map((session, at) => claim(b, session, 'b', claims[at])))
    for (const [at, session] of sessions.entries())
      expect(recordIn(taken[at] as Claim)).toEqual({ name: session, large: 'x'.repeat(at * 10) })
  })

  test('a claim that is kept outlives one that is not', async () => {
    const { engine } = await open()
    const [kept, left] = [fresh('session'), fresh('session')]
    for (const session of [kept, left]) await engine.claim(session, 'a', 1_000, 'proof')
    expect(await engine.keep('a', [kept], long)).toEqual([])
    await expect.poll(() => engine.owner(left)).toBe('nobody')
    expect(await engine.owner(kept)).toMatchObject({ node: 'a' })
    expect(await engine.keep('a', [left, kept], long)).toEqual([left])
  })

  test('a claim that is renewed has a higher number: whoever takes it over by the old one comes too late', async () => {
    const [a, b] = [await open(), await open()]
    const [one, other, strange] = [fresh('session'), fresh('session'), fresh('session')]
    const before = await claim(a, one, 'a')
    await claim(a, other, 'a')
    await claim(b, strange, 'b')
    const numbers = await a.engine.renew('a', [one, strange, fresh('session')], long)
    expect([...numbers.keys()]).toEqual([one])
    const fence = numbers.get(one) as number
    expect(fence).toBeGreaterThan(before.fence)
    expect(await b.engine.owner(one)).toEqual({ node: 'a', fence })
    expect(await b.engine.claim(one, 'b', long, 'proof', before)).toEqual({ node: 'a', fence })
    expect((await claim(b, one, 'b', { node: 'a', fence })).node).toBe('b')
    expect(await a.engine.owner(strange)).toMatchObject({ node: 'b' })
  })

  test('who keeps thousands of claims hears which of them it has lost', async () => {
    const [a, b] = [await open(), await open()]
    const sessions = Array.from({ length: 3_000 }, () => fresh('session'))
    await Promise.all(sessions.map((session) => a.engine.claim(session, 'a', long, 'proof')))
    const gone = sessions.filter((_, at) => at % 100 === 7)
    for (const session of gone) await b.engine.release(session, 'a', 0)
    const strange = gone.filter((_, at) => at % 2 === 0)
    for (const session of strange) await b.engine.claim(session, 'b', long, 'proof')
    expect([...(await a.engine.keep('a', sessions, long))].sort()).toEqual([...gone].sort())
    // Those of others are theirs, and as long as they said.
    for (const session of strange) expect(await a.engine.owner(session)).toMatchObject({ node: 'b' })
    expect(await a.engine.keep('a', [], long)).toEqual([])
  })

  test('all subscribers get the same entries at the same places', async () => {
    const ends = await Promise.all([open(), open(), open()])
    const topic = fresh('topic')
    const places = await Promise.all(ends.map(({ engine }) => engine.subscribe(topic)))
    await Promise.all(
      ends.map(async ({ engine }, who) => {
        const publisher = new Publisher(engine, fresh('publisher'))
        for (let i = 0; i < 40; i += 2) await publisher.publish(topic, `${who}: ${i}`, `${who}: ${i + 1}`)
      }),
    )
    for (const end of ends) await end.until(() => end.published.length >= 120)
    const first = ends[0] as End
    for (const end of ends) expect(end.published).toEqual(first.published)
    expect(first.published.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 120 }, (_, i) => (places[0]?.offset ?? 0) + 1 + i),
    )
    for (let who = 0; who < 3; who++)
      expect(first.texts(topic).filter((text) => text.startsWith(`${who}`))).toEqual(
        Array.from({ length: 40 }, (_, i) => `${who}: ${i}`),
      )
  })

  test('a batch that comes again is not added again, nor is its first part', async () => {
    const { engine } = await open()
    const topic = fresh('topic')
    const place = await engine.subscribe(topic)
    const publisher = fresh('publisher')
    const send = (seq: number, ...texts: string[]) =>
      engine.publish(topic, { publisher, seq, entries: texts.map((text) => Buffer.from(text)) })
    await send(10, 'a', 'b')
    await send(10, 'a', 'b')
    await send(10, 'a', 'b', 'c')
    await send(12, 'c', 'd')
    await send(11, 'b')
    // A number may be left out, and another publisher counts for itself.
    await send(20, 'e')
    await engine.publish(topic, { publisher: fresh('publisher'), seq: 1, entries: [Buffer.from('f')] })
    const history = await engine.history(topic, place)
    expect(list(topic, history).map(({ text }) => text)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect(history.isGap).toBe(false)
  })

  test('what a node publishes after it asked to subscribe comes after its place', async () => {
    const end = await open()
    const publisher = new Publisher(end.engine, fresh('publisher'))
    for (let round = 0; round < 20; round++) {
      const topic = fresh('topic')
      if (round % 2) await publisher.publish(topic, 'before')
      const subscribed = end.engine.subscribe(topic)
      const published = publisher.publish(topic, 'after')
      const place = await subscribed
      await published
      await end.untilText(topic, 'after')
      expect(end.texts(topic)).toEqual(['after'])
      expect(end.published.at(-1)).toMatchObject({ epoch: place.epoch, offset: place.offset + 1 })
    }
  })

  test('nothing is missing between the place and what comes', async () => {
    const [a, b] = [await open(), await open()]
    const publisher = new Publisher(a.engine, fresh('publisher'))
    for (let round = 0; round < 20; round++) {
      const topic = fresh('topic')
      let isOver = false
      const publishing = (async () => {
        for (let i = 1; !isOver; i++) await publisher.publish(topic, `${i}`)
        await publisher.publish(topic, 'last')
      })()
      const place = await b.engine.subscribe(topic)
      isOver = true
      await publishing
      await b.untilText(topic, 'last')
      const got = b.published.filter((one) => one.topic === topic)
      expect(got.map(({ offset }) => offset)).toEqual(got.map((_, at) => place.offset + 1 + at))
      await b.engine.unsubscribe(topic)
    }
  })

  test('a node gets what it subscribes to and nothing else', async () => {
    const [a, b] = [await open(), await open()]
    const [wanted, other] = [fresh('topic'), fresh('topic')]
    const publisher = new Publisher(a.engine, fresh('publisher'))
    await b.engine.subscribe(wanted)
    await b.engine.subscribe(other)
    await b.engine.unsubscribe(other)
    await publisher.publish(other, 'unwanted')
    await publisher.publish(wanted, 'one')
    await b.untilText(wanted, 'one')
    // Given up and wanted again, at once.
    const given = b.engine.unsubscribe(wanted)
    const place = await b.engine.subscribe(wanted)
    await given
    await publisher.publish(wanted, 'two')
    await b.untilText(wanted, 'two')
    expect(b.published.map(({ text }) => text)).toEqual(['one', 'two'])
    expect(b.published.at(-1)?.offset).toBe(place.offset + 1)
    expect(a.published).toEqual([])
  })

  test('a history says what came after a place, and whether something is missing', async () => {
    const { engine } = await open()
    const topic = fresh('topic')
    const publisher = new Publisher(engine, fresh('publisher'))
    const start = await engine.subscribe(topic)
    expect(await engine.history(topic, start)).toEqual({
      from: { epoch: start.epoch, offset: start.offset + 1 },
      entries: [],
      isGap: false,
    })
    await publisher.publish(topic, 'a', 'b', 'c')
    const textsAfter = async (place: Place) => {
      const history = await engine.history(topic, place)
      return [history.isGap, history.from.offset - start.offset, list(topic, history).map(({ text }) => text)]
    }
    expect(await textsAfter(start)).toEqual([false, 1, ['a', 'b', 'c']])
    expect(await textsAfter({ ...start, offset: start.offset + 2 })).toEqual([false, 3, ['c']])
    expect(await textsAfter({ ...start, offset: start.offset + 3 })).toEqual([false, 4, []])
    expect(await textsAfter(nowhere)).toEqual([true, 1, ['a', 'b', 'c']])
    const empty = await engine.history(fresh('topic'), nowhere)
    expect([empty.isGap, empty.entries]).toEqual([true, []])
    expect(empty.from.epoch).not.toBe(nowhere.epoch)
  })

  test('a history keeps so many entries, and tells of the gap before them', async () => {
    const { engine } = await open()
    const { keeps } = store()
    const topic = fresh('topic')
    const publisher = new Publisher(engine, fresh('publisher'))
    const start = await engine.subscribe(topic)
    const count = keeps * 10
    for (let i = 1; i <= count; i += 20)
      await publisher.publish(topic, ...Array.from({ length: 20 }, (_, at) => `${i + at}`))
    const history = await engine.history(topic, start)
    const got = list(topic, history)
    expect(history.isGap).toBe(true)
    expect(got.length).toBeGreaterThanOrEqual(keeps)
    expect(got.length).toBeLessThan(count)
    expect(got.map(({ text }) => text)).toEqual(got.map((_, at) => `${count - got.length + 1 + at}`))
    expect(history.from.offset).toBe(start.offset + count - got.length + 1)
    const late = await engine.history(topic, { ...start, offset: start.offset + count - 5 })
    expect([late.isGap, late.entries.length]).toEqual([false, 5])
  })

  test('who is the first or the last node of a topic is told so, and a repetition is known', async () => {
    const [a, b] = [await open(), await open()]
    const [topic, other] = [fresh('topic'), fresh('topic')]
    const [one, two] = [fresh('one'), fresh('two')]
    expect(await a.engine.occupy(topic, one)).toEqual({ nodes: 1, isNew: true })
    expect(await a.engine.occupy(topic, one)).toEqual({ nodes: 1, isNew: false })
    expect(await b.engine.occupy(topic, two)).toEqual({ nodes: 2, isNew: true })
    expect(await b.engine.occupy(other, two)).toEqual({ nodes: 1, isNew: true })
    expect(await a.engine.vacate(topic, one)).toEqual({ nodes: 1, isNew: true })
    expect(await a.engine.vacate(topic, one)).toEqual({ nodes: 1, isNew: false })
    expect(await b.engine.vacate(topic, two)).toEqual({ nodes: 0, isNew: true })
    expect(await b.engine.vacate(topic, two)).toEqual({ nodes: 0, isNew: false })
    expect(await a.engine.vacate(fresh('unknown'), one)).toEqual({ nodes: 0, isNew: false })
    const many = await Promise.all([a, b, a, b].map(({ engine }, at) => engine.occupy(topic, `${one} ${at}`)))
    expect(many.map(({ nodes }) => nodes).sort()).toEqual([1, 2, 3, 4])
  })

  test('a node that is dead is taken out of all its topics, once', async () => {
    const [a, b] = [await open(), await open()]
    const [dead, alive] = [fresh('dead'), fresh('alive}\n"')]
    const topics = Array.from({ length: 300 }, () => fresh('topic "ü\n{}"'))
    await Promise.all(topics.map((topic) => a.engine.occupy(topic, dead)))
    const shared = topics.slice(0, 100)
    await Promise.all(shared.map((topic) => b.engine.occupy(topic, alive)))
    const occupants = await b.engine.occupants()
    expect(occupants).toEqual(expect.arrayContaining([dead, alive]))
    expect(new Set(occupants).size).toBe(occupants.length)
    const both = await Promise.all([a, b].map(({ engine }) => engine.vacateAll(dead)))
    expect(both.flat().sort()).toEqual(topics.slice(100).sort())
    expect(await b.engine.occupants()).not.toContain(dead)
    expect(await b.engine.occupy(shared[0] as string, dead)).toEqual({ nodes: 2, isNew: true })
    expect((await b.engine.vacateAll(alive)).length).toBe(99)
    expect(await b.engine.vacateAll(fresh('nobody'))).toEqual([])
  })

  test('entries are bytes: none, all of them, and many', async () => {
    const [a, b] = [await open(), await open()]
    const topic = fresh('topic')
    const publisher = new Publisher(a.engine, fresh('publisher'))
    const place = await b.engine.subscribe(topic)
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1')
    const texts = ['', all, '\n', '', all.repeat(4_096), '1 2 3\n']
    await publisher.publish(topic, ...texts)
    await publisher.publish(topic, 'last')
    await b.untilText(topic, 'last')
    const kept = await a.engine.history(topic, place)
    expect([...texts, 'last'].every((text, at) => b.texts(topic)[at] === text)).toBe(true)
    expect([...texts, 'last'].every((text, at) => list(topic, kept)[at]?.text === text)).toBe(true)
  })

  test('any text is a topic, a session, a publisher and a node', async () => {
    const { engine } = await open()
    const strange = ['}', '{', '{}', '{a}{b}', '}x{', ' ', 'a b', 'ü€😀', 'a\nb', 'a\0b', 'x'.repeat(2_000)]
    for (const text of ['', ...strange]) {
      const topic = text && `${text}${fresh('')}`
      const place = await engine.subscribe(topic)
      await engine.publish(topic, { publisher: text, seq: Date.now(), entries: [Buffer.from('hello')] })
      expect(list(topic, await engine.history(topic, place)).map((one) => one.text)).toEqual(['hello'])
    }
    for (const text of strange) {
      const session = `${text}${fresh('')}`
      const got = (await engine.claim(session, text, long, 'proof')) as Claim
      expect(got.node).toBe(text)
      expect(await engine.keep(text, [session], long)).toEqual([])
      expect(await engine.owner(session)).toEqual(got)
      await engine.beat({ name: session, address: text, version: text }, long)
      expect(await engine.node(session)).toEqual({ name: session, address: text, version: text })
      await engine.leave(session)
    }
  })

  test('an engine that is closed rejects, and can be opened again', async () => {
    const engine = store().engine()
    const first = await End.open(engine)
    const topic = fresh('topic')
    await engine.subscribe(topic)
    await engine.close()
    await expect(engine.owner('x')).rejects.toThrow()
    await expect(
      engine.publish(topic, { publisher: 'p', seq: 1, entries: [Buffer.from('a')] }),
    ).rejects.toThrow()
    const second = await End.open(engine)
    const other = fresh('topic')
    await engine.subscribe(other)
    const publisher = new Publisher(engine, fresh('publisher'))
    await publisher.publish(topic, 'to nobody')
    await publisher.publish(other, 'here')
    await second.untilText(other, 'here')
    expect([first.published, second.published.length, second.states]).toEqual([[], 1, []])
  })
}
