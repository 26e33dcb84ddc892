import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Network, networkTo } from '../../client/base/network-memory.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

class Store {
  readonly items = new Map<string, string>()

  getItem(key: string): string | null {
    return this.items.get(key) ?? null
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value)
  }
}

const heartbeat = 15_000

test('begins with short silences and doubles them as they get through, up to the heartbeat', () => {
  const network = new Network('', undefined)
  const wanted = [network.quiet]
  for (let i = 0; i < 5; i++) {
    network.wasQuiet(network.quiet, heartbeat)
    wanted.push(network.quiet)
  }
  expect(wanted).toEqual([4000, 8000, 15_000, 15_000, 15_000, 15_000])
  // What came sooner says nothing.
  const other = new Network('', undefined)
  other.wasQuiet(1000, heartbeat)
  expect(other.quiet).toBe(4000)
})

test('a silence that was cut is not waited for again; after a while a longer one is tried, ever more seldom', () => {
  const network = new Network('', undefined)
  expect(network.cut(9000, 2000)).toMatchObject({ about: 'quiet', value: 1500 })
  expect(network.quiet).toBe(1500)
  const untilLonger = () => {
    const before = network.quiet
    for (let i = 1; ; i++) {
      network.wasQuiet(before, heartbeat)
      if (network.quiet > before) return i
    }
  }
  expect(untilLonger()).toBe(16)
  expect(network.quiet).toBe(2250)
  network.cut(9000, 2000)
  expect(untilLonger()).toBe(32)
})

test('a cut in the middle of traffic says nothing about silence', () => {
  const network = new Network('', undefined)
  expect(network.cut(9000, 30)).toBeUndefined()
  expect(network.quiet).toBe(4000)
})

test('a stream that is cut twice at the same age is to end before it; once may be chance', () => {
  const network = new Network('', undefined)
  expect(network.cut(30_000, 10)).toBeUndefined()
  expect(network.cut(8000, 10)).toBeUndefined()
  expect(network.life).toBe(0)
  expect(network.cut(8200, 10)).toMatchObject({ about: 'life', value: 6150 })
  expect(network.life).toBe(6150)
})

test('what fared badly rests for ever longer, comes after the others, and fades', () => {
  const network = new Network('', undefined)
  expect(network.fares('websocket')).toBe('well')
  const rests = Array.from({ length: 13 }, () => network.failed('websocket', 1).value)
  const seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]
  expect(rests).toEqual(seconds.map((rest) => rest * 1000))
  expect(network.fares('websocket')).toBe('badly')
  expect(network.rest('websocket')).toBe(1_800_000)
  vi.advanceTimersByTime(1_800_000)
  expect(network.rest('websocket')).toBe(0)
  expect(network.fares('websocket')).toBe('badly')
  vi.advanceTimersByTime(24 * 3_600_000)
  expect(network.fares('websocket')).toBe('well')
})

test('a weak sign alone is nothing, and long service forgives all', () => {
  const network = new Network('', undefined)
  network.failed('websocket', 0.5)
  expect([network.fares('websocket'), network.rest('websocket')]).toEqual(['well', 0])
  network.failed('websocket', 0.5)
  expect(network.fares('websocket')).toBe('badly')
  network.worked('websocket')
  expect([network.fares('websocket'), network.rest('websocket')]).toEqual(['well', 0])
})

test('what failed on a visit before, too, is tried once, and then seldom, until it works or the network is another one', () => {
  const store = new Store()
  const visit = (later: number) => {
    vi.advanceTimersByTime(later)
    return new Network('key', store)
  }
  const rests = (network: Network) => [1, 1, 1].map((weight) => network.failed('websocket', weight).value)
  expect(rests(visit(0))).toEqual([1000, 2000, 4000])
  expect(rests(visit(60_000))).toEqual([300_000, 600_000, 1_200_000])
  // However long ago: it comes first again, and is tried.
  const dayLater = visit(24 * 3_600_000)
  expect(dayLater.fares('websocket')).toBe('well')
  expect(rests(dayLater)).toEqual([1_800_000, 1_800_000, 1_800_000])
  dayLater.moved()
  expect(rests(dayLater)).toEqual([1000, 2000, 4000])
  const worked = visit(60_000)
  worked.worked('websocket')
  expect(rests(worked)).toEqual([1000, 2000, 4000])
})

test('what was no reason to rest on a visit before is none on the next', () => {
  const store = new Store()
  new Network('key', store).failed('websocket', 0.5)
  vi.advanceTimersByTime(60_000)
  expect(new Network('key', store).failed('websocket', 1).value).toBeLessThan(2000)
})

test('is there on the next visit, and what was learnt of cuts and bodies only for a while', () => {
  const store = new Store()
  const before = new Network('key', store)
  before.failed('websocket', 1)
  before.refused(65_536)
  before.cut(9000, 2000)
  before.measured(40)
  before.refused(32_768)
  const after = new Network('key', store)
  expect(after.fares('websocket')).toBe('badly')
  expect([after.piece, after.quiet, after.roundTrip]).toEqual([32_768, 1500, 40])
  vi.advanceTimersByTime(1_800_000)
  const muchLater = new Network('key', store)
  expect([muchLater.piece, muchLater.quiet]).toEqual([Number.MAX_SAFE_INTEGER, 4000])
})

test('large bodies that fail while small ones pass: the third time is no chance, and each that is as large settles it', () => {
  const network = new Network('', undefined)
  const unknown = Number.MAX_SAFE_INTEGER
  expect([network.passed(8000, 200_000), network.passed(8000, 190_000), network.piece]).toEqual([
    undefined,
    undefined,
    unknown,
  ])
  expect(network.passed(8000, 200_000)).toMatchObject({ about: 'piece', value: 95_000 })
  // Smaller, and it still fails: that is known at once.
  expect(network.passed(8000, 95_000)).toMatchObject({ about: 'piece', value: 47_500 })
  expect([network.passed(47_600, 0), network.passed(8000, 47_600), network.piece]).toEqual([
    undefined,
    undefined,
    47_500,
  ])
})

test('large bodies that fail now and then, as small ones do, are no matter of size', () => {
  const network = new Network('', undefined)
  for (let i = 0; i < 20; i++) {
    network.passed(8000, 200_000)
    network.passed(8000, 200_000)
    network.passed(100_000, 0)
    network.passed(200_000, 0)
  }
  expect(network.piece).toBe(Number.MAX_SAFE_INTEGER)
})

test('another network: what failed before says nothing here, and is kept for the next visit', () => {
  const store = new Store()
  const network = new Network('key', store)
  network.failed('websocket', 1)
  network.moved()
  expect(network.fares('websocket')).toBe('well')
  expect(new Network('key', store).fares('websocket')).toBe('badly')
})

test.each([
  'no JSON',
  'null',
  '7',
  '{}',
  '{"fares":null}',
  '{"fares":{"websocket":null}}',
  '{"fares":{"websocket":["much",1,1]}}',
  '{"fares":{"websocket":{"weight":1,"at":1}}}',
  '{"fares":{"websocket":[1,-1,1]}}',
  '{"fares":{},"quiet":5}',
  '{"fares":{},"piece":["x",1]}',
  '{"fares":{},"life":[-5,1]}',
  '{"fares":{},"life":[1e300,1]}',
  '{"fares":{},"quiet":[0,1]}',
  '{"fares":{},"quiet":[1e300,1]}',
  '{"fares":{},"piece":[0,1]}',
  '{"fares":{},"roundTrip":1e12}',
  '{"fares":""}',
  '{"fares":7}',
  '{"fares":{"websocket":7}}',
  '[7,7]',
  '[null,{}]',
  '[{"websocket":null},{}]',
  '[{"websocket":["much",1,1]},{}]',
  '[{"websocket":{"weight":1,"at":1}},{}]',
  '[{"websocket":[1,-1,1]},{}]',
  '[{"websocket":"1"},{}]',
  '[{},{"quiet":5}]',
  '[{},{"piece":["2000",1]}]',
  '[{},{"life":[-5,1]}]',
  '[{},{"life":[1e300,1]}]',
  '[{},{"quiet":[0,1]}]',
  '[{},{"quiet":[1e300,1]}]',
  '[{},{"piece":[0,1]}]',
  '[{},{"roundTrip":[1e12]}]',
])('what is kept and makes no sense is as if it were not: %s', (text) => {
  const store = new Store()
  vi.setSystemTime(1000)
  store.setItem('key', text)
  const network = new Network('key', store)
  expect([network.quiet, network.life, network.fares('websocket')]).toEqual([4000, 0, 'well'])
  expect([network.piece, network.roundTrip]).toEqual([Number.MAX_SAFE_INTEGER, undefined])
  expect(network.failed('websocket', 1).value).toBe(1000)
})

test('a clock that is set back rules nothing out, and what was learnt before is not kept for ever', () => {
  const network = new Network('', undefined)
  for (let i = 0; i < 4; i++) network.failed('websocket', 1)
  network.refused(65_536)
  vi.setSystemTime(Date.now() - 365 * 24 * 3_600_000)
  expect([network.fares('websocket'), network.rest('websocket')]).toEqual(['well', 0])
  expect(network.piece).toBe(Number.MAX_SAFE_INTEGER)
})

test('an answer that waited while the machine slept does not make every other one early', () => {
  const network = new Network('', undefined)
  network.measured(50)
  network.measured(8 * 3_600_000)
  expect(network.roundTrip).toBeLessThan(3000)
  const first = new Network('', undefined)
  first.measured(8 * 3_600_000)
  expect(first.roundTrip).toBe(10_000)
})

test('a place that throws, to be asked for or to be used, is no place', () => {
  const throws = () => {
    throw new DOMException('', 'SecurityError')
  }
  expect(networkTo('ws://forbidden.example', throws).failed('sse', 1).value).toBe(1000)
  const network = new Network('key', { getItem: throws, setItem: throws })
  expect(network.failed('websocket', 1).value).toBe(1000)
})

test('all sockets to an origin share one, those to another have theirs', () => {
  const none = () => undefined
  expect(networkTo('ws://one.example', none)).toBe(networkTo('ws://one.example', none))
  expect(networkTo('ws://one.example', none)).not.toBe(networkTo('ws://two.example', none))
})

test('round trips are smoothed; a pace that proved slow is believed, up to a point', () => {
  const network = new Network('', undefined)
  expect(network.roundTrip).toBeUndefined()
  network.measured(100)
  network.measured(300)
  expect(network.roundTrip).toBe(150)
  expect(network.pace).toBe(256)
  network.took(100_000, 10_000)
  expect(network.pace).toBeCloseTo(5, 1)
  network.took(100_000, 10)
  expect(network.pace).toBe(256)
  for (let i = 0; i < 10; i++) network.slower()
  expect(network.pace).toBe(1)
})
