// The slots that the pages of an origin share, with the locks, the storage and the clock of the test. A page is a module of its own.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

type Slots = typeof import('../../client/page/slots.ts')
type Release = () => void

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
async function takeAll(slots: Slots, giveBack: () => void = () => {}, remember = true): Promise<Release[]> {
  const all: Release[] = []
  for (;;) {
    const release = await settled(slots.slotTo(url, remember, giveBack))
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

beforeEach(() => {
  vi.useFakeTimers()
  locks = new Locks()
  storage = new Storage()
  page.visibilityState = 'visible'
  vi.stubGlobal('document', page)
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
      Promise.all(pages.flatMap((one) => [1, 2, 3].map(() => one.slotTo(url, true, () => {})))),
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
    expect(await settled(one.slotTo('http://other.example/', true, () => {}))).toBeDefined()
  })

  test('whoever is no longer seen is asked for the slot of those that are, and for no other', async () => {
    const one = await open()
    const asked: number[] = []
    for (let i = 0; i < 4; i++) await settled(one.slotTo(url, true, () => asked.push(i)))
    one.unseen()
    expect(asked).toEqual([3])
  })

  test('whoever is no longer seen when it is given has none', async () => {
    const one = await open()
    const three = [1, 2, 3].map(() => one.slotTo(url, true, () => {}))
    await settled(Promise.all(three))
    const fourth = one.slotTo(url, true, () => {})
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

  test('where the last answer came over HTTP/2 there is no end of them', async () => {
    vi.spyOn(performance, 'getEntriesByName').mockImplementation((name) =>
      name === url ? ([{ nextHopProtocol: 'http/1.1' }, { nextHopProtocol: 'h2' }] as never) : [],
    )
    const one = await open()
    for (let i = 0; i < 20; i++) expect(await one.slotTo(url, true, () => {})).toBeDefined()
    expect([locks.held.size, storage.entries.size]).toEqual([0, 0])
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
