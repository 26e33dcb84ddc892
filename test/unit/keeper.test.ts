// What the durable mode gives to the store, and when, with a store that a test answers for.
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { SessionChange } from '../../server/base/cluster.ts'
import { Keeper, type Kept } from '../../server/durable/durable.ts'
import { DurableSession } from '../../server/durable/durable-session.ts'
import type { Places } from '../../server/durable/record.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'

const nothing = { add: () => {} }

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

class Store {
  /** While it is undefined, the store cannot be reached. */
  answer: 'stored' | undefined
  places: Places = []
  readonly changes: SessionChange[] = []
  readonly session = DurableSession.make({ ...defaultLimits }, 0, nothing, nothing, undefined)
  readonly keeper: Keeper
  readonly kept: Kept

  constructor() {
    this.keeper = new Keeper({
      store: async (changes) => {
        this.changes.push(...changes)
        await undefined
        const { answer } = this
        if (!answer) throw new Error('Redis cannot be reached')
        return changes.map(() => answer)
      },
      proofOf: () => 'proof',
      placesOf: () => this.places,
    })
    const socket = {
      id: 'id',
      protocol: '',
      isAnnounced: true,
      shownType: 'nodebuffer',
      shownData: {},
      stored: () => {},
      notKept: () => expect.fail('not kept'),
    } as const
    this.kept = this.keeper.keep(socket, this.session, true)
  }

  /** So much time passes, and something changes that often. */
  async pass(milliseconds: number, every = Number.POSITIVE_INFINITY): Promise<number> {
    let most = 0
    for (let at = 0; at < milliseconds; at += 10) {
      if (at % every === 0) this.kept.changed()
      vi.advanceTimersByTime(10)
      await turn()
      most = Math.max(most, vi.getTimerCount())
    }
    return most
  }
}

test.for([
  ['nothing changes', []],
  ['a topic has no place', [['news', undefined]]],
] as const)('while the store is away one timer waits, and the pause grows: %s', async ([, places]) => {
  const store = new Store()
  store.places = places as unknown as Places
  store.kept.changed()
  expect(await store.pass(30_000)).toBe(1)
  // After 0, 100, 300, 700, 1,500 ms, and then each second.
  expect(store.changes).toHaveLength(33)
})

test('while the store is away it is not asked more often because much changes', async () => {
  const store = new Store()
  expect(await store.pass(30_000, 10)).toBe(1)
  expect(store.changes).toHaveLength(33)
})

test('when the store is back, what changed meanwhile is stored once, and the next change at once', async () => {
  const store = new Store()
  await store.pass(5_000, 10)
  const { length } = store.changes
  store.answer = 'stored'
  store.session.send({ kind: 'text', data: Buffer.from('one'), size: 3 } as never)
  store.kept.changed()
  await store.pass(1_000)
  expect(store.changes.slice(length).map(({ whole, set }) => [whole, set.has('1')])).toEqual([
    ['proof', true],
  ])
  store.session.send({ kind: 'text', data: Buffer.from('two'), size: 3 } as never)
  store.kept.changed()
  await turn()
  expect(store.changes.slice(length).map(({ whole }) => whole)).toEqual(['proof', undefined])
  expect(vi.getTimerCount()).toBe(0)
})

test('a store that comes back empty is given all at once', async () => {
  const store = new Store()
  await store.pass(5_000, 10)
  const { length } = store.changes
  store.answer = 'stored'
  store.keeper.storeAnew()
  await turn()
  expect(store.changes.slice(length).map(({ whole }) => whole)).toEqual(['proof'])
})

test('a session that is over has no timer', async () => {
  const store = new Store()
  store.places = [['news', undefined]]
  await store.pass(1_000, 10)
  store.kept.close()
  expect(vi.getTimerCount()).toBe(0)
})

test('a query that a listener returns is run once', async () => {
  const store = new Store()
  let runs = 0
  // biome-ignore lint/suspicious/noThenProperty: so are the queries of some libraries.
  const query = { then: (resolve: (value: unknown) => void) => resolve(++runs) }
  store.kept.told([query as unknown as PromiseLike<void>])
  await turn()
  expect(runs).toBe(1)
  expect(store.session.isHandling).toBe(false)
})

test('a message is done when the promises of all its listeners are settled, also if one is rejected at once', async () => {
  const store = new Store()
  store.answer = 'stored'
  const link = new Link(1, 250)
  store.session.attach(link, { number: 0, offset: 0 }, 0)
  store.session.receive(link, 'text', Buffer.from('one'), 0)
  store.session.event()
  let taken = -1
  // By default this is the end of the process.
  const listener = () => {
    taken = store.changes.length + store.session.numbers.taken
  }
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener)
  try {
    let done = (): void => {}
    store.kept.told([Promise.reject('a fault'), new Promise<void>((resolve) => (done = resolve))])
    await turn()
    await turn()
    expect(taken).toBe(0)
    expect(store.session.numbers.taken).toBe(0)
    done()
    await turn()
    await turn()
    expect(store.session.numbers.taken).toBe(1)
    store.session.receive(link, 'text', Buffer.from('two'), 0)
    store.session.event()
    store.kept.told([Promise.reject('a fault')])
    const { length } = store.changes
    await turn()
    // What was said of the second message by the time of the fault: nothing.
    expect(taken).toBe(length + 1)
    await turn()
    expect(store.session.numbers.taken).toBe(2)
  } finally {
    process.removeListener('unhandledRejection', listener)
    for (const one of others) process.on('unhandledRejection', one)
  }
})
