// The slots that the pages of an origin share, with the locks, the storage and the clock of the test. A page is a module of its own.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

type Slots = typeof import('../../client/page/slots.ts')
type Release = (inTheWay?: boolean) => void

const url = 'http://server.example/realtime?everwire=1'

/** The locks that all pages see. */
class Locks {
  readonly held = new Set<string>()

  /** Given as soon as the page next has a turn, until the promise that is returned is settled. */
  async request(name: string, _options: object, run: (lock: object | null) => unknown): Promise<void> {
    await undefined
    if (this.held.has(name)) {
      void run(null)
      return
    }
    this.held.add(name)
    await run({ name })
    this.held.delete(name)
  }

  async query(): Promise<{ held: { name: string }[] }> {
    await undefined
    return { held: [...this.held].map((name) => ({ name })) }
  }
}

class Storage {
  readonly entries = new Map<string, string>()
  getItem = (name: string): string | null => this.entries.get(name) ?? null
  setItem = (name: string, value: string): void => void this.entries.set(name, value)
  removeItem = (name: string): void => void this.entries.delete(name)
}

class Forbidden {
  getItem = (): never => {
    throw new DOMException('no', 'SecurityError')
  }
}

const page = { visibilityState: 'visible' }

async function open(): Promise<Slots> {
  vi.resetModules()
  return await import('../../client/page/slots.ts')
}

/** How many slots a page gets until it gets none. */
async function takeAll(
  slots: Slots,
  giveBack: () => void = () => {},
  remember = true,
  from = url,
): Promise<Release[]> {
  const all: Release[] = []
  for (;;) {
    const release = await settled(slots.slotTo(from, remember)(giveBack))
    if (!release) return all
    all.push(release)
  }
}

/** Nothing here lasts longer than a lease takes to settle. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  await vi.advanceTimersByTimeAsync(100)
  return await promise
}

let locks: Locks
let storage: Storage
/** Of the last answer. */
let protocol: string | undefined

beforeEach(() => {
  vi.useFakeTimers()
  locks = new Locks()
  storage = new Storage()
  protocol = undefined
  page.visibilityState = 'visible'
  vi.stubGlobal('document', page)
  vi.spyOn(performance, 'getEntriesByName').mockImplementation((name) =>
    name === url && protocol
      ? ([
          { name, nextHopProtocol: 'http/1.1' },
          { name, nextHopProtocol: protocol },
        ] as never)
      : [],
  )
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe.each([
  ['locks', true],
  ['leases', false],
])('with %s', (_name, withLocks) => {
  beforeEach(() => {
    vi.stubGlobal('navigator', withLocks ? { locks } : {})
    vi.stubGlobal('localStorage', storage)
  })

  test('pages that are not seen have three together, one that is seen a fourth', async () => {
    page.visibilityState = 'hidden'
    expect((await takeAll(await open())).length).toBe(3)
    expect((await takeAll(await open())).length).toBe(0)
    page.visibilityState = 'visible'
    expect((await takeAll(await open())).length).toBe(1)
    expect((await takeAll(await open())).length).toBe(0)
  })

  test('what one gives back another gets', async () => {
    const [release] = await takeAll(await open())
    const other = await open()
    expect(await takeAll(other)).toEqual([])
    release?.()
    release?.()
    expect((await takeAll(other)).length).toBe(1)
  })

  test('two at once do not get the same', async () => {
    const pages = [await open(), await open(), await open()]
    const slots = await settled(
      Promise.all(pages.flatMap((one) => [1, 2, 3].map(() => one.slotTo(url, true)(() => {})))),
    )
    const had = slots.filter((release) => release).length
    expect(had).toBeGreaterThan(0)
    expect(had).toBeLessThanOrEqual(4)
    for (const release of slots) release?.()
    expect((await takeAll(await open())).length).toBe(4)
  })

  test('another origin has slots of its own', async () => {
    const one = await open()
    expect((await takeAll(one)).length).toBe(4)
    expect(await settled(one.slotTo('http://other.example/', true)(() => {}))).toBeDefined()
  })

  test('whoever is no longer seen is asked for the slot of those that are, and for no other', async () => {
    const one = await open()
    const asked: number[] = []
    for (let i = 0; i < 4; i++) await settled(one.slotTo(url, true)(() => asked.push(i)))
    one.unseen()
    expect(asked).toEqual([3])
  })

  test('whoever is no longer seen when it is given has none', async () => {
    const one = await open()
    const three = [1, 2, 3].map(() => one.slotTo(url, true)(() => {}))
    await settled(Promise.all(three))
    const fourth = one.slotTo(url, true)(() => {})
    page.visibilityState = 'hidden'
    expect(await settled(fourth)).toBe(undefined)
    page.visibilityState = 'visible'
    expect((await takeAll(await open())).length).toBe(1)
  })

  test('a page that is frozen has none any more', async () => {
    const one = await open()
    const releases = await takeAll(one)
    one.frozen()
    const other = await open()
    expect((await takeAll(other)).length).toBe(4)
    for (const release of releases) release()
    expect(await takeAll(await open())).toEqual([])
    one.frozen()
  })

  test('where the last answer came over HTTP/2 there are more', async () => {
    protocol = 'h2'
    expect((await takeAll(await open())).length).toBe(32)
    page.visibilityState = 'hidden'
    for (const held of [locks.held, storage.entries]) held.clear()
    expect((await takeAll(await open())).length).toBe(31)
  })
})

describe('where more than four may pass', () => {
  const secure = 'https://server.example/realtime?everwire=1'
  let tell: (entries: readonly object[]) => void
  let observed = false

  beforeEach(() => {
    vi.stubGlobal('navigator', { locks })
    vi.stubGlobal('localStorage', storage)
    vi.stubGlobal(
      'PerformanceObserver',
      class {
        constructor(told: (list: { getEntries(): readonly object[] }, observer: object) => void) {
          tell = (entries) => told({ getEntries: () => entries }, this)
        }

        observe(): void {
          observed = true
        }

        disconnect(): void {
          observed = false
        }
      },
    )
  })

  const takes = async (one: Slots, remember = true): Promise<Release[]> =>
    await takeAll(one, () => {}, remember, secure)

  /** One of so many is given back, because a short exchange waits; then that is answered. */
  async function gaveWay(
    one: Slots,
    taken: number,
    requestStart: number | undefined,
    took = 5,
    remember = true,
  ) {
    const releases: (Release | undefined)[] = []
    for (let i = 0; i < taken; i++) releases.push(await settled(one.slotTo(secure, remember)(() => {})))
    const at = performance.now()
    releases.pop()?.(true)
    await vi.advanceTimersByTimeAsync(took)
    tell([
      {
        name: secure,
        startTime: at - 500,
        requestStart: requestStart === undefined ? 0 : at + requestStart,
        responseEnd: at + took,
        nextHopProtocol: '',
      },
    ])
    await vi.advanceTimersByTimeAsync(1)
    for (const release of releases) release?.()
    await vi.advanceTimersByTimeAsync(1)
  }

  test('nobody knows the protocol: over TLS more are tried, and no more once it is known', async () => {
    const one = await open()
    expect(await settled(one.slotTo(secure, true)(() => {}))).toBeDefined()
    for (let i = 0; i < 7; i++) await settled(one.slotTo(secure, true)(() => {}))
    expect(locks.held.size).toBe(8)
    tell([
      { name: 'https://server.example/picture', nextHopProtocol: 'h2' },
      { name: secure, nextHopProtocol: 'http/1.1' },
      { name: 'https://other.example/?everwire=1', nextHopProtocol: 'h2' },
    ])
    expect(await settled(one.slotTo(secure, true)(() => {}))).toBe(undefined)
  })

  test.each([
    ['http/1.1', false],
    ['h2', true],
    ['h3', true],
    ['', true],
  ])('a page is told of further answers after one over %o: %o', async (nextHopProtocol, told) => {
    await settled((await open()).slotTo(secure, true)(() => {}))
    tell([{ name: 'https://server.example/picture', nextHopProtocol: 'http/1.1' }])
    expect(observed).toBe(true)
    tell([{ name: secure, nextHopProtocol }])
    expect(observed).toBe(told)
  })

  test.each([
    [1, 0],
    [2, 1],
    [4, 3],
    [5, 3],
    [10, 8],
  ])('%i were taken when one was in the way: %i from then on, for every page', async (taken, left) => {
    await gaveWay(await open(), taken, 1)
    expect(locks.held.size).toBe(0)
    expect((await takes(await open())).length).toBe(left)
  })

  test('one more is tried from time to time', async () => {
    await gaveWay(await open(), 10, 1)
    const one = await open()
    for (const count of [9, 10, 11]) {
      await vi.advanceTimersByTimeAsync(120_000)
      const releases = await takes(one)
      expect(releases.length).toBe(count)
      for (const release of releases) release()
    }
  })

  test.each([
    ['which had left before', -1, 5, 32],
    ['of which the page knows only when it ended: at once', undefined, 5, 3],
    ['of which the page knows only when it ended: later', undefined, 300, 32],
  ])('a short exchange %s', async (_name, requestStart, took, left) => {
    await gaveWay(await open(), 5, requestStart, took)
    expect((await takes(await open())).length).toBe(left)
  })

  test('where nothing is to be remembered only this page knows', async () => {
    const one = await open()
    await gaveWay(one, 5, 1, 5, false)
    expect(storage.entries.size).toBe(0)
    expect((await takes(one, false)).length).toBe(3)
  })

  test('what somebody else wrote there is no budget', async () => {
    storage.setItem('everwire https://server.example budget', 'something else')
    expect((await takes(await open())).length).toBe(32)
  })
})

describe('leases', () => {
  beforeEach(() => {
    vi.stubGlobal('navigator', {})
    vi.stubGlobal('localStorage', storage)
  })

  test('are gone when they are given back, and not written where nothing is to be remembered', async () => {
    const releases = await takeAll(await open())
    expect(storage.entries.size).toBe(4)
    for (const release of releases) release()
    expect(storage.entries.size).toBe(0)
    expect((await takeAll(await open(), () => {}, false)).length).toBe(4)
    expect(storage.entries.size).toBe(0)
  })

  test('of a page that has crashed run out', async () => {
    await takeAll(await open())
    vi.clearAllTimers()
    await vi.advanceTimersByTimeAsync(80_000)
    expect(await takeAll(await open())).toEqual([])
    await vi.advanceTimersByTimeAsync(11_000)
    expect((await takeAll(await open())).length).toBe(4)
  })

  test('are asked back before they run out', async () => {
    let asked = 0
    const releases = await takeAll(await open(), () => asked++)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(asked).toBe(4)
    for (const release of releases) release()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('from a time to come, as the clock has it now, do not count', async () => {
    for (let i = 0; i < 4; i++)
      storage.setItem(`everwire http://server.example ${i}`, `${Date.now() + 91_000} x`)
    expect((await takeAll(await open())).length).toBe(4)
  })

  test('are given back, too, where storage throws from some time on', async () => {
    const one = await open()
    const releases = await takeAll(one)
    for (const name of ['getItem', 'removeItem'] as const)
      storage[name] = () => {
        throw new DOMException('no', 'SecurityError')
      }
    for (const release of releases) release()
    expect(vi.getTimerCount()).toBe(0)
    expect((await takeAll(one)).length).toBe(4)
  })

  test('do not end what another page took after them', async () => {
    const [first] = await takeAll(await open())
    await vi.advanceTimersByTimeAsync(91_000)
    expect((await takeAll(await open())).length).toBe(4)
    const before = [...storage.entries]
    first?.()
    expect([...storage.entries]).toEqual(before)
  })
})

test.each([
  ['nothing at all', undefined, undefined],
  [
    'locks and a storage that are forbidden',
    { locks: { request: () => Promise.reject(new Error('no')) } },
    new Forbidden(),
  ],
])('with %s the sockets of a page share', async (_name, navigator, localStorage) => {
  vi.stubGlobal('navigator', navigator)
  vi.stubGlobal('localStorage', localStorage)
  const one = await open()
  expect((await takeAll(one)).length).toBe(4)
  one.frozen()
  expect((await takeAll(one)).length).toBe(4)
})
