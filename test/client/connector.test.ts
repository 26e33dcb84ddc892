import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Attempt, Carrier } from '../../client/carrier.ts'
import { Connector } from '../../client/connector.ts'
import type { Transport, WebSocketOptions } from '../../client/types.ts'
import { ByteReader } from '../../shared/bytes.ts'
import { Ask, readRequestHead } from '../../shared/exchange.ts'

const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }

/** A carrier that does what the test says. */
class FakeCarrier implements Carrier {
  readonly buffered = 0
  taken = false
  closed = false
  readonly ask: number
  readonly connector: Connector
  readonly link: Attempt

  constructor(connector: Connector, link: Attempt) {
    this.connector = connector
    this.link = link
    this.ask = readRequestHead(new ByteReader(connector.head(link, 0, 0).whole()))?.ask ?? -1
  }

  take(): void {
    this.taken = true
    this.link.sound = true
    this.connector.attach(this.link, { number: 0, offset: 0 })
  }

  flush(): void {}

  close(): void {
    this.closed = true
  }

  proves(): void {
    this.connector.proven(this.link, welcome)
    this.connector.settle()
  }

  ends(why = 'refused'): void {
    this.connector.lost(this.link, why)
  }
}

let carriers: FakeCarrier[] = []
let events: string[] = []

function connect(transports: Transport[], options: WebSocketOptions = {}): Connector {
  const connector: Connector = new Connector(
    transports,
    [],
    options,
    (client, link) => {
      const carrier = new FakeCarrier(client as Connector, link)
      carriers.push(carrier)
      return carrier
    },
    {
      opened: () => void events.push('open'),
      message: (data) => void events.push(`message ${data}`),
      closed: (code, reason, _clean, failed) => void events.push(`close ${code} ${reason} ${failed}`),
      transportChanged: () => void events.push(`transport ${connector.transport}`),
    },
  )
  return connector
}

/** What was tried so far: transport, epoch and what it asked for. */
function tried(): string[] {
  return carriers.map(({ link, ask }) => {
    const bits = [ask & Ask.open ? 'open' : '', ask & Ask.standby ? 'standby' : ''].filter(Boolean)
    return [link.transport, link.epoch, ...bits].join(' ')
  })
}

beforeEach(() => {
  vi.useFakeTimers()
  carriers = []
  events = []
})
afterEach(() => {
  expect(vi.getTimerCount()).toBeLessThan(10)
  vi.useRealTimers()
})

test('what fails is followed by the next at once', () => {
  connect(['websocket', 'stream', 'polling'])
  carriers[0]?.ends()
  carriers[1]?.ends()
  expect(tried()).toEqual(['websocket 1 open', 'stream 2 open', 'polling 3 open'])
  carriers[2]?.proves()
  expect(events).toEqual(['open'])
})

test('what is slow gets company, and is closed when another is first', () => {
  connect(['websocket', 'stream', 'polling'])
  vi.advanceTimersByTime(299)
  expect(tried()).toEqual(['websocket 1 open'])
  vi.advanceTimersByTime(1)
  vi.advanceTimersByTime(300)
  expect(tried()).toEqual(['websocket 1 open', 'stream 2 open standby', 'polling 3 open standby'])
  carriers[1]?.proves()
  expect(carriers.map(({ taken, closed }) => [taken, closed])).toEqual([
    [false, true],
    [true, false],
    [false, true],
  ])
  expect(events).toEqual(['open'])
})

test('all fail: one close with every reason, and nothing is left behind', () => {
  connect(['websocket', 'polling'])
  carriers[0]?.ends('refused')
  carriers[1]?.ends('401 Unauthorized')
  expect(events).toEqual(['close 1006 websocket: refused; polling: 401 Unauthorized true'])
  expect(vi.getTimerCount()).toBe(0)
})

test('an attempt that hangs is given up and closed', () => {
  connect(['websocket'], { connectTimeout: 5000 })
  vi.advanceTimersByTime(5000)
  expect(carriers[0]?.closed).toBe(true)
  expect(events).toEqual(['close 1006 websocket: timeout true'])
})

test('a lost carrier is resumed at once on the best transport, without open', () => {
  connect(['websocket', 'polling'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(3000)
  carriers[0]?.ends('closed 1006')
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2'])
  carriers[1]?.ends()
  expect(tried().at(-1)).toBe('polling 3')
  carriers[2]?.proves()
  expect(events).toEqual(['open', 'transport null', 'transport polling'])
})

test('rounds that fail are repeated after growing pauses until patience ends', () => {
  connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(1000)
  carriers[0]?.ends()
  const tries: number[] = []
  for (let ms = 0; ms < 40_000 && events.length < 3; ms++) {
    if (carriers.at(-1)?.closed === false) {
      tries.push(ms)
      carriers.at(-1)?.ends()
    }
    vi.advanceTimersByTime(1)
  }
  expect(events).toEqual(['open', 'transport null', 'close 1006 connection lost false'])
  expect(tries[0]).toBe(0)
  expect(tries[1]).toBeLessThanOrEqual(100)
  expect(tries.length).toBeGreaterThan(8)
  expect(tries.length).toBeLessThan(25)
  expect(vi.getTimerCount()).toBe(0)
})

test('a better transport is proven beside the worse one, then takes over', () => {
  const connector = connect(['websocket', 'polling'])
  carriers[0]?.ends()
  carriers[1]?.proves()
  vi.advanceTimersByTime(1000)
  expect(tried().at(-1)).toBe('websocket 3 standby')
  expect(connector.transport).toBe('polling')
  carriers[2]?.proves()
  expect(connector.transport).toBe('websocket')
  expect(carriers[1]?.closed).toBe(false)
  vi.advanceTimersByTime(2000)
  expect(carriers[1]?.closed).toBe(true)
  expect(events).toEqual(['open', 'transport websocket'])
  vi.advanceTimersByTime(10_000)
  expect(carriers.length).toBe(3)
})

test('a better transport that goes on failing is tried ever more seldom, but never given up', () => {
  connect(['websocket', 'polling'])
  carriers[0]?.ends()
  carriers[1]?.proves()
  const tries: number[] = []
  for (let second = 0; second < 400; second++) {
    carriers[1]?.connector.session.heard(Math.floor(performance.now()))
    vi.advanceTimersByTime(1000)
    if (carriers.at(-1)?.closed === false && carriers.length > 2) {
      tries.push(second)
      carriers.at(-1)?.ends()
    }
  }
  const pauses = tries.slice(1).map((at, i) => at - (tries[i] ?? 0))
  expect(pauses.slice(0, 4)).toEqual([2, 4, 8, 16])
  expect(Math.max(...pauses)).toBe(60)
  expect(events).toEqual(['open'])
})

test('being offline is no evidence: when all failed, the best is tried first again', () => {
  connect(['websocket', 'polling'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(3000)
  carriers[0]?.ends()
  for (let i = 0; i < 8; i++) {
    carriers.at(-1)?.ends()
    vi.advanceTimersByTime(1000)
  }
  const rounds = tried()
    .slice(1)
    .map((text) => text.split(' ')[0])
  expect(new Set(rounds.filter((_, i) => i % 2 === 0))).toEqual(new Set(['websocket']))
})

test('a transport that is lost soon again and again comes after the others for a while', () => {
  connect(['websocket', 'polling'])
  carriers[0]?.proves()
  for (let i = 0; i < 2; i++) {
    vi.advanceTimersByTime(400)
    carriers.at(-1)?.ends()
    carriers.at(-1)?.proves()
  }
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2', 'polling 3'])
  vi.advanceTimersByTime(1000)
  expect(tried().at(-1)).toBe('websocket 4 standby')
})

test('a transport that seemed to get through and did not rests for long', () => {
  connect(['stream', 'polling'])
  carriers[0]?.proves()
  carriers[0]!.link.sound = false
  vi.advanceTimersByTime(2000)
  carriers[0]?.ends('held back')
  carriers[1]?.proves()
  vi.advanceTimersByTime(15_000)
  expect(tried()).toEqual(['stream 1 open', 'polling 2'])
})

test('what was given up on the way says nothing any more', () => {
  const connector = connect(['websocket', 'polling'])
  vi.advanceTimersByTime(300)
  carriers[1]?.proves()
  carriers[0]?.proves()
  expect(connector.transport).toBe('polling')
  expect(carriers[0]?.taken).toBe(false)
})

test('a silent carrier is asked, then left', () => {
  connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(24_999)
  expect(carriers.length).toBe(1)
  vi.advanceTimersByTime(1)
  expect(carriers[0]?.closed).toBe(true)
  expect(tried().at(-1)).toBe('websocket 2')
})
