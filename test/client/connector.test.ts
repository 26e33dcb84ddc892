import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Carrier, CarrierLink } from '../../client/base/carrier.ts'
import { now } from '../../client/base/clock.ts'
import { Network } from '../../client/base/network-memory.ts'
import type { Transport, WebSocketOptions } from '../../client/base/types.ts'
import { Connector } from '../../client/pilot/connector.ts'
import { ByteReader } from '../../shared/bytes.ts'
import { Ask, BodyReader, readRequestHead } from '../../shared/exchange.ts'
import { textMessage } from '../../shared/message.ts'
import { encodeText } from '../../shared/text.ts'

const welcome = { got: 0, start: 0, protocol: '', heartbeat: 15_000, patience: 30_000, maxBody: 65_536 }

/** A carrier that does what the test says. */
class FakeCarrier implements Carrier {
  readonly buffered = 0
  taken = false
  closed = false
  readonly ask: number
  /** All that it says first. */
  readonly head: string
  readonly connector: Connector
  readonly link: CarrierLink

  constructor(connector: Connector, link: CarrierLink) {
    this.connector = connector
    this.link = link
    const head = connector.head(link, 0, 0).whole()
    this.ask = readRequestHead(new ByteReader(head))?.ask ?? -1
    this.head = String.fromCharCode(...head)
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

  /** As every carrier does it: what arrives is reported, then the session is to go on. */
  hears(): void {
    this.connector.pilot.heard(this.link, now())
    this.connector.settle()
  }

  isAnswered(): void {
    this.connector.pilot.heard(this.link, now())
    this.connector.pilot.answered(this.link, now())
    this.connector.settle()
  }

  /** For one of the reasons without words of their own, or in these words. */
  ends(why = 'refused'): void {
    this.connector.lost(this.link, why === 'held back' ? { is: 'held back' } : { is: 'network', text: why })
  }
}

let carriers: FakeCarrier[] = []
let events: string[] = []
let farewells: Uint8Array[] = []
let network: Network

function connect(transports: Transport[], options: WebSocketOptions = {}): Connector {
  const connector: Connector = new Connector(
    transports,
    [],
    options,
    network,
    {
      open: (client, link) => {
        const carrier = new FakeCarrier(client as Connector, link)
        carriers.push(carrier)
        return carrier
      },
      farewell: (body) => void farewells.push(body),
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
  farewells = []
  network = new Network('', undefined)
  network.quiet = welcome.heartbeat
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
  expect(tries[1]).toBeLessThanOrEqual(500)
  expect(tries.length).toBeGreaterThan(8)
  expect(tries.length).toBeLessThan(40)
  expect(vi.getTimerCount()).toBe(0)
})

test('between two rounds nothing rings: what was owed on the carrier before is not waited for', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  send(connector)
  carriers[0]?.ends()
  const set = vi.spyOn(globalThis, 'setTimeout')
  vi.advanceTimersByTime(2500)
  // The attempt to resume hangs.
  expect(set.mock.calls.length).toBeLessThan(10)
  set.mockRestore()
})

test('on a line that has proven slow an attempt to resume gets the time that what is before it takes', () => {
  connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(1000)
  network.slower()
  network.slower()
  carriers[0]?.ends()
  vi.advanceTimersByTime(8000)
  expect(carriers.map(({ closed }) => closed)).toEqual([true, false])
  vi.advanceTimersByTime(500)
  expect(carriers[1]?.closed).toBe(true)
})

test('patience without end is waited for in peace', () => {
  const connector = connect(['websocket'], { patience: Number.MAX_SAFE_INTEGER })
  carriers[0]?.proves()
  vi.advanceTimersByTime(1000)
  carriers[0]?.ends()
  vi.advanceTimersByTime(40_000)
  const looks = vi.spyOn(connector.session, 'handleTimeout')
  vi.advanceTimersByTime(1000)
  expect(looks).not.toHaveBeenCalled()
  expect(events).toEqual(['open', 'transport null'])
  connector.fail('the test is over')
})

test('a time that is no limit is none: Infinity for one attempt, and for the next beside it', () => {
  connect(['websocket', 'polling'], {
    connectTimeout: Number.POSITIVE_INFINITY,
    raceDelay: Number.POSITIVE_INFINITY,
  })
  connect(['websocket', 'polling'], { raceDelay: { start: Number.POSITIVE_INFINITY } })
  vi.advanceTimersByTime(9000)
  expect(tried()).toEqual(['websocket 1 open', 'websocket 1 open'])
  expect(events).toEqual([])
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
  for (let second = 0; second < 8000; second++) {
    carriers[1]?.connector.session.heard(Math.floor(performance.now()))
    vi.advanceTimersByTime(1000)
    if (carriers.at(-1)?.closed === false && carriers.length > 2) {
      tries.push(second)
      carriers.at(-1)?.ends()
    }
  }
  const pauses = tries.slice(1).map((at, i) => at - (tries[i] ?? 0))
  expect(pauses.slice(0, 4)).toEqual([2, 4, 8, 16])
  // Each failure counts once, also when something else wins later.
  expect(tries.length).toBeLessThan(16)
  for (const [i, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(pauses[i - 1] ?? 0)
  expect(pauses.slice(-2)).toEqual([1800, 1800])
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
    vi.advanceTimersByTime(600)
    carriers.at(-1)?.ends()
    carriers.at(-1)?.proves()
  }
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2', 'polling 3'])
  vi.advanceTimersByTime(1000)
  expect(tried().at(-1)).toBe('websocket 4 standby')
})

test('a stream that is held back: others come first, and it is proven beside them before it is used again', () => {
  const connector = connect(['stream', 'sse', 'polling'])
  carriers[0]?.proves()
  carriers[0]!.link.sound = false
  vi.advanceTimersByTime(500)
  carriers[0]?.ends('held back')
  // One kind of stream is held back like the other.
  expect(tried()).toEqual(['stream 1 open', 'polling 2'])
  carriers[1]?.proves()
  vi.advanceTimersByTime(1000)
  expect(tried().slice(2)).toEqual(['stream 3 standby'])
  expect(connector.transport).toBe('polling')
})

test('what was given up on the way says nothing any more', () => {
  const connector = connect(['websocket', 'polling'])
  vi.advanceTimersByTime(300)
  carriers[1]?.proves()
  carriers[0]?.proves()
  expect(connector.transport).toBe('polling')
  expect(carriers[0]?.taken).toBe(false)
})

test('a silent carrier is asked, then another is tried beside it, and left only when that one is proven', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(welcome.heartbeat + 999)
  expect(carriers[0]?.link.pingOwed).toBeUndefined()
  vi.advanceTimersByTime(1)
  expect(carriers[0]?.link.pingOwed).toBe('')
  vi.advanceTimersByTime(300)
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2 standby'])
  expect(connector.transport).toBe('websocket')
  carriers[1]?.proves()
  expect(carriers[0]?.closed).toBe(false)
  vi.advanceTimersByTime(2000)
  expect(carriers[0]?.closed).toBe(true)
  expect(events).toEqual(['open', 'transport websocket'])
})

test('a silent carrier that speaks again is kept, and what was tried beside it closed', () => {
  connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(welcome.heartbeat + 1300)
  expect(carriers.length).toBe(2)
  carriers[0]?.hears()
  expect(carriers[1]?.closed).toBe(true)
  carriers[0]?.isAnswered()
  vi.advanceTimersByTime(welcome.heartbeat)
  expect(carriers.length).toBe(2)
  expect(events).toEqual(['open'])
})

test('a carrier that stays silent while nothing else gets through is dropped at last, and sought again', () => {
  connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(welcome.heartbeat + 1000 + 15_000)
  expect(carriers[0]?.closed).toBe(true)
  expect(events).toEqual(['open', 'transport null'])
  carriers.at(-1)?.proves()
  expect(events).toEqual(['open', 'transport null', 'transport websocket'])
})

/** Sends a message over the carrier in use, as a carrier does. */
function send(connector: Connector, text = 'x'): void {
  connector.send(textMessage(text, text.length))
  const { link } = carriers.findLast(({ taken }) => taken)!
  while (connector.session.poll(link));
  connector.settle()
}

test('a message that is not acknowledged in time is a doubt, and an acknowledgement ends it', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  send(connector)
  vi.advanceTimersByTime(999)
  // Others may go on arriving: that says nothing about the way there.
  carriers[0]?.hears()
  vi.advanceTimersByTime(1)
  connector.settle()
  vi.advanceTimersByTime(300)
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2 standby'])
  carriers[0]?.hears()
  expect(carriers[1]?.closed).toBe(false)
  connector.session.ackArrived({ number: 1, offset: 0 }, 0)
  connector.settle()
  expect(carriers[1]?.closed).toBe(true)
  expect(connector.diary.entries.filter(({ type }) => type === 'sign')).toMatchObject([
    { sign: 'unanswered' },
  ])
})

test('while heartbeats come the timer never rings, and messages that follow each other closely seldom move it', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  const settle = vi.spyOn(connector, 'settle')
  for (let beat = 0; beat < 20; beat++) {
    vi.advanceTimersByTime(welcome.heartbeat)
    carriers[0]?.hears()
  }
  expect(settle).toHaveBeenCalledTimes(20)
  const set = vi.spyOn(globalThis, 'setTimeout')
  for (let message = 0; message < 1000; message++) {
    vi.advanceTimersByTime(10)
    carriers[0]?.hears()
  }
  expect(set.mock.calls.length).toBeLessThan(12)
})

test('a timer that comes late has been throttled, or the machine slept: asked first, given up only after that', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  const { now } = performance
  const late = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 3_600_000)
  try {
    vi.advanceTimersByTime(welcome.heartbeat + 1000)
    expect(connector.diary.entries.at(-1)).toMatchObject({ type: 'sign', sign: 'wake' })
    expect(carriers[0]?.link.pingOwed).toBe('')
    expect([carriers.length, carriers[0]?.closed]).toEqual([1, false])
    carriers[0]?.isAnswered()
    carriers[0]?.hears()
    connector.settle()
    vi.advanceTimersByTime(welcome.heartbeat)
    expect([carriers.length, carriers[0]?.closed]).toEqual([1, false])
    expect(events).toEqual(['open'])
  } finally {
    late.mockRestore()
  }
})

test('a large message may take its time', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  send(connector, 'x'.repeat(320_000))
  vi.advanceTimersByTime(2500)
  expect(carriers.length).toBe(1)
  vi.advanceTimersByTime(100)
  expect(carriers.length).toBe(2)
  carriers[1]?.proves()
  // It may be slow rather than dead: the next one may take four times as long.
  send(connector)
  vi.advanceTimersByTime(6200)
  expect(carriers.length).toBe(2)
  vi.advanceTimersByTime(200)
  expect(carriers.length).toBe(3)
})

test('much is under way, and another connection is slow as well: the line is busy, and nothing begins again', () => {
  network.measured(50)
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  send(connector, 'x'.repeat(1_000_000))
  // Its bytes may take 3.9 s at the pace that is assumed, and the answer a second more.
  vi.advanceTimersByTime(4906 + 250)
  expect(tried().at(-1)).toBe('websocket 2 standby')
  vi.advanceTimersByTime(2000)
  carriers[1]?.proves()
  expect([carriers[1]?.taken, carriers[1]?.closed, connector.transport]).toEqual([false, true, 'websocket'])
  expect(connector.diary.entries.at(-1)).toMatchObject({ epoch: 2, why: 'the line is busy' })
  // Twice found slower, by the doubt and by the attempt: it is given that much more time.
  for (let i = 0; i < 5; i++) {
    vi.advanceTimersByTime(11_000)
    carriers[0]?.hears()
  }
  expect(carriers.length).toBe(2)
  connector.session.ackArrived({ number: 1, offset: 0 }, 0)
  connector.settle()
  expect(events).toEqual(['open'])
})

test('much is under way, and another connection is quick: the one in use is dead, and left', () => {
  network.measured(50)
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  send(connector, 'x'.repeat(1_000_000))
  vi.advanceTimersByTime(4906 + 250 + 150)
  carriers[1]?.proves()
  expect([carriers[1]?.taken, connector.transport]).toEqual([true, 'websocket'])
})

test('a large message that still leaves is no doubt', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  let buffered = 900_000
  Object.defineProperty(carriers[0], 'buffered', { get: () => buffered })
  send(connector, 'x'.repeat(900_000))
  // It leaves, but slowly: with nothing but time passing it would be in doubt after 4.5 seconds.
  for (; buffered > 100_000; buffered -= 50_000) vi.advanceTimersByTime(1000)
  expect(carriers.length).toBe(1)
})

test('a server that has paused owes no acknowledgement', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  connector.pilot.paused = true
  send(connector)
  vi.advanceTimersByTime(10_000)
  expect(carriers.length).toBe(1)
  connector.pilot.paused = false
  connector.settle()
  vi.advanceTimersByTime(1300)
  expect(carriers.length).toBe(2)
})

test('a page that is seen again: asked, and what is tried beside it takes nothing away before it is in use', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  connector.sign('visible')
  expect(carriers[0]?.link.pingOwed).toBe('')
  vi.advanceTimersByTime(300)
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2 standby'])
  carriers[0]?.isAnswered()
  expect(carriers[1]?.closed).toBe(true)
  expect([connector.transport, events]).toEqual(['websocket', ['open']])
})

test('a change of network: another carrier at once, whatever failed before, and the old one if it answers first', () => {
  const connector = connect(['websocket', 'polling'])
  carriers[0]?.ends()
  carriers[1]?.proves()
  connector.sign('network')
  expect(tried().slice(2)).toEqual(['websocket 3'])
  expect(carriers[1]?.link.pingOwed).toBe('')
  carriers[1]?.isAnswered()
  expect(carriers[2]?.closed).toBe(true)
  expect(connector.transport).toBe('polling')
})

test('online again in the middle of a pause: tried at once', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(1000)
  carriers[0]?.ends()
  for (let i = 0; i < 6; i++) {
    carriers.at(-1)?.ends()
    vi.advanceTimersByTime(2000)
  }
  const before = carriers.length
  carriers.at(-1)?.ends()
  connector.sign('online')
  expect(carriers.length).toBe(before + 1)
})

test('a page in the back/forward cache has no carrier, resumes when it is back, and patience begins then', () => {
  const connector = connect(['websocket'])
  carriers[0]?.proves()
  vi.advanceTimersByTime(1000)
  connector.sign('away')
  expect(carriers[0]?.closed).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(60_000)
  expect(carriers.length).toBe(1)
  connector.sign('back')
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2'])
  carriers[1]?.proves()
  expect(events).toEqual(['open', 'transport null', 'transport websocket'])
})

test('whoever leaves says so with a request that lasts longer than the page', () => {
  const connector = connect(['websocket', 'polling'])
  carriers[0]?.proves()
  connector.sign('leaving')
  const reader = new BodyReader(readRequestHead, 1000)
  const records = reader.push(farewells[0] ?? new Uint8Array())
  expect(reader.head).toMatchObject({ ask: 0, epoch: 2 })
  expect(records).toMatchObject([{ kind: 'abort', payload: encodeText('1001,') }])
  expect(carriers[0]?.closed).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('close() while connecting tells the server too, which may have let it in; where only WebSocket may be used it cannot', () => {
  connect(['websocket', 'polling']).close(1000, '')
  expect(farewells.length).toBe(1)
  connect(['websocket']).close(1000, '')
  expect(farewells.length).toBe(1)
  expect(events).toEqual(['close 1006 closed true', 'close 1006 closed true'])
})

test('the race delay follows from round trips, within bounds; a number is that', () => {
  const begun = (options: WebSocketOptions, ms: number) => {
    carriers = []
    connect(['websocket', 'polling'], options)
    vi.advanceTimersByTime(ms - 1)
    expect(carriers.length).toBe(1)
    vi.advanceTimersByTime(1)
    expect(carriers.length).toBe(2)
    for (const { connector, link } of carriers) connector.lost(link, { is: 'network', text: 'enough' })
  }
  begun({}, 300)
  begun({ raceDelay: { start: 70 } }, 70)
  network.measured(50)
  begun({}, 250)
  begun({ raceDelay: { max: 200 } }, 200)
  network.measured(50_000)
  begun({}, 1500)
  begun({ raceDelay: 20 }, 20)
})

test('the diary says what was tried, why, how far it got and who ended it', () => {
  const connector = connect(['websocket', 'polling'])
  vi.advanceTimersByTime(20)
  carriers[0]?.ends('403 Forbidden')
  vi.advanceTimersByTime(30)
  carriers[1]?.proves()
  expect(connector.diary.entries).toMatchObject([
    {
      type: 'carrier',
      transport: 'websocket',
      epoch: 1,
      purpose: 'open',
      ended: 20,
      by: 'network',
      why: '403 Forbidden',
    },
    { type: 'carrier', transport: 'polling', epoch: 2, purpose: 'open', proven: 30 },
    { type: 'lesson', about: 'rest', transport: 'websocket', value: 1000 },
  ])
  for (let i = 0; i < 100; i++) connector.sign('visible')
  expect(connector.diary.entries.length).toBe(64)
  expect(connector.diary.entries[0]).toMatchObject({ epoch: 1 })
})

test('a server that asks for a token while the client races does not take the token from the race', async () => {
  let answer: (token: string) => void = () => {}
  let asked = 0
  const token = () => (asked++ ? new Promise<string>((resolve) => (answer = resolve)) : 'first')
  const connector = connect(['websocket', 'stream'], { token })
  await vi.advanceTimersByTimeAsync(0)
  const [first] = carriers as [FakeCarrier]
  connector.askToken(first.link)
  await vi.advanceTimersByTimeAsync(300)
  expect(carriers.map(({ head }) => head.endsWith('first'))).toEqual([true, true])
  answer('second')
  await vi.advanceTimersByTimeAsync(0)
  expect(first.link.tokenOwed).toBe('second')
  // One that is too long is none, and is not what the client says next time.
  connector.askToken(first.link)
  answer('x'.repeat(5000))
  await vi.advanceTimersByTimeAsync(0)
  expect(first.link.tokenOwed).toBe('')
  expect(connector.head(carriers[1]?.link as CarrierLink, 0, 0).size).toBeLessThan(1000)
})

test('what throws while it settles stops nothing that comes later', () => {
  const connector = connect(['websocket', 'polling'])
  carriers[0]?.proves()
  const flush = vi.spyOn(carriers[0] as FakeCarrier, 'flush').mockImplementationOnce(() => {
    throw new Error('planted')
  })
  expect(() => connector.settle()).toThrow('planted')
  send(connector, 'a')
  expect(flush).toHaveBeenCalledTimes(3)
  carriers[0]?.ends()
  expect(tried()).toEqual(['websocket 1 open', 'websocket 2'])
  expect(events).toEqual(['open', 'transport null'])
})
