// The pilot as a table: in which phase, what happens, what is to be done, and when it looks again.
import { describe, expect, test } from 'vitest'
import type { Transport } from '../../client/base/types.ts'
import type { Why } from '../../client/base/why.ts'
import { never } from '../../shared/link.ts'
import { Random } from '../support/random.ts'
import { Flight, refused } from './flight.ts'

/** How a flight gets into each phase. WebSocket is the first carrier, sound, and has carried for a second. */
const phases = {
  opening: () => new Flight(),
  carried() {
    const flight = new Flight()
    flight.proven(1)
    flight.link(1).sound = true
    flight.pass(1000)
    return flight
  },
  doubted() {
    const flight = phases.carried()
    flight.sign('visible')
    return flight
  },
  alone() {
    const flight = phases.carried()
    flight.lost(1, { is: 'superseded' })
    return flight
  },
  away() {
    const flight = phases.carried()
    flight.sign('away')
    return flight
  },
  over() {
    const flight = new Flight()
    flight.lost(1)
    flight.lost(2)
    return flight
  },
}

interface Row {
  readonly when: string
  readonly happens: (flight: Flight) => void
  readonly does: readonly string[]
  readonly phase: Flight['pilot']['phase']['is']
  /** Milliseconds from then to the next look. */
  readonly looks: number
}

const silence = 16_000
const table: Record<keyof typeof phases, readonly Row[]> = {
  opening: [
    { when: 'nothing yet', happens: () => {}, does: [], phase: 'opening', looks: 300 },
    {
      when: 'the first is slow: the next beside it',
      happens: (flight) => flight.pass(300),
      does: ['dial polling 2 open standby'],
      phase: 'opening',
      looks: 9700,
    },
    {
      when: 'the first has failed: the next at once',
      happens: (flight) => flight.lost(1),
      does: ['close 1: refused, by the network', 'dial polling 2 open'],
      phase: 'opening',
      looks: 10_000,
    },
    {
      when: 'all have failed',
      happens(flight) {
        flight.lost(1, { is: 'status', status: 403, text: 'Forbidden' })
        flight.lost(2)
      },
      does: [
        'close 1: 403 Forbidden, by the network',
        'dial polling 2 open',
        'close 2: refused, by the network',
        'give up websocket: 403 Forbidden; polling: refused',
      ],
      phase: 'over',
      looks: never,
    },
    {
      when: 'all hang',
      happens: (flight) => flight.pass(10_300),
      does: [
        'dial polling 2 open standby',
        'close 1: timeout, by the client',
        'close 2: timeout, by the client',
        'give up websocket: timeout; polling: timeout',
      ],
      phase: 'over',
      looks: never,
    },
    {
      when: 'the first is proven',
      happens: (flight) => flight.proven(1),
      does: ['take 1'],
      phase: 'carried',
      looks: silence,
    },
    {
      when: 'another is proven: what failed is learnt, a better one is sought',
      happens(flight) {
        flight.lost(1)
        flight.proven(2)
      },
      does: ['close 1: refused, by the network', 'dial polling 2 open', 'learn websocket 1', 'take 2'],
      phase: 'carried',
      looks: 1000,
    },
    {
      when: 'one is proven while another hangs',
      happens(flight) {
        flight.pass(300)
        flight.proven(2)
      },
      does: ['dial polling 2 open standby', 'close 1: another was first, by the client', 'take 2'],
      phase: 'carried',
      looks: 1000,
    },
    {
      when: 'another network: begun anew',
      happens: (flight) => flight.sign('network'),
      does: ['note network', 'close 1: network, by the client', 'dial websocket 2 open'],
      phase: 'opening',
      looks: 300,
    },
    {
      when: 'seen',
      happens: (flight) => flight.sign('visible'),
      does: ['note visible'],
      phase: 'opening',
      looks: 300,
    },
    {
      when: 'away and back',
      happens(flight) {
        flight.sign('away')
        flight.sign('back')
      },
      does: ['note away', 'close 1: page away, by the client', 'note back', 'dial websocket 2 open'],
      phase: 'opening',
      looks: 300,
    },
    {
      when: 'the page leaves',
      happens: (flight) => flight.sign('leaving'),
      does: ['note leaving', 'farewell 2', 'close 1: closed, by the client'],
      phase: 'over',
      looks: never,
    },
  ],
  carried: [
    { when: 'nothing', happens: () => {}, does: [], phase: 'carried', looks: silence - 1000 },
    {
      when: 'something is heard',
      happens: (flight) => flight.heard(1),
      does: [],
      phase: 'carried',
      looks: silence,
    },
    {
      when: 'it is silent: asked, and another soon',
      happens: (flight) => flight.pass(silence - 1000),
      does: ['note silent', 'expire'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'time passed unseen: the machine slept',
      happens(flight) {
        flight.now += 3_600_000
        flight.drain()
      },
      does: ['note wake', 'expire'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'a message is not acknowledged in time',
      happens(flight) {
        flight.send(1)
        flight.pass(1000)
      },
      does: ['note unanswered'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'a paused server owes nothing',
      happens(flight) {
        flight.pilot.paused = true
        flight.send(1)
        flight.pass(1000)
      },
      does: [],
      phase: 'carried',
      looks: silence - 2000,
    },
    {
      when: 'seen again',
      happens: (flight) => flight.sign('visible'),
      does: ['note visible'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'another network: another carrier at once',
      happens: (flight) => flight.sign('online'),
      does: ['note online', 'dial websocket 2 doubt'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'it never went both ways: another transport at once',
      happens(flight) {
        flight.link(1).sound = false
        flight.sign('visible')
      },
      does: ['note visible', 'learn websocket 1', 'dial polling 2 doubt'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'away',
      happens: (flight) => flight.sign('away'),
      does: ['note away', 'close 1: page away, by the client'],
      phase: 'away',
      looks: never,
    },
    {
      when: 'the page leaves: what was said still goes out',
      happens: (flight) => flight.sign('leaving'),
      does: ['note leaving', 'farewell 2'],
      phase: 'carried',
      looks: silence - 1000,
    },
    {
      when: 'the session is over',
      happens(flight) {
        flight.session.abortArrived(1000, '')
        flight.drain()
      },
      does: ['close 1: closed, by the client'],
      phase: 'over',
      looks: never,
    },
  ],
  doubted: [
    { when: 'nothing yet', happens: () => {}, does: [], phase: 'doubted', looks: 300 },
    {
      when: 'no answer comes: another beside it',
      happens: (flight) => flight.pass(300),
      does: ['dial websocket 2 doubt standby'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'an answer: the other is not needed',
      happens(flight) {
        flight.pass(300)
        flight.answered(1)
      },
      does: ['dial websocket 2 doubt standby', 'close 2: not needed, by the client'],
      phase: 'carried',
      looks: silence,
    },
    {
      when: 'anything else is no answer',
      happens: (flight) => flight.heard(1),
      does: [],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'the other is proven, and the older left for two seconds',
      happens(flight) {
        flight.pass(300)
        flight.proven(2)
        flight.link(2).sound = true
        flight.pass(2000)
      },
      does: [
        'dial websocket 2 doubt standby',
        'take 2',
        'learn websocket 0.5',
        'close 1: visible, by the client',
      ],
      phase: 'carried',
      looks: silence - 2000,
    },
    {
      when: 'what was left ends by itself: nothing follows',
      happens(flight) {
        flight.pass(300)
        flight.proven(2)
        flight.done = []
        flight.lost(1, { is: 'ended', code: 1006, text: '' })
      },
      does: ['close 1: closed 1006, by the network'],
      phase: 'carried',
      looks: silence,
    },
    {
      when: 'the other fails: the next',
      happens(flight) {
        flight.pass(300)
        flight.lost(2)
      },
      does: [
        'dial websocket 2 doubt standby',
        'close 2: refused, by the network',
        'dial polling 3 doubt standby',
      ],
      phase: 'doubted',
      looks: 3000,
    },
    {
      when: 'it is lost: the other goes on',
      happens(flight) {
        flight.pass(300)
        flight.lost(1)
      },
      does: [
        'dial websocket 2 doubt standby',
        'close 1: refused, by the network',
        'learn websocket 0.5',
        'change',
      ],
      phase: 'alone',
      looks: 300,
    },
    {
      when: 'another sign of the same',
      happens: (flight) => flight.sign('visible'),
      does: ['note visible'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'another network: at once',
      happens: (flight) => flight.sign('network'),
      does: ['note network', 'dial websocket 2 doubt'],
      phase: 'doubted',
      looks: 300,
    },
    {
      when: 'away',
      happens: (flight) => flight.sign('away'),
      does: ['note away', 'close 1: page away, by the client'],
      phase: 'away',
      looks: never,
    },
  ],
  alone: [
    { when: 'nothing yet', happens: () => {}, does: [], phase: 'alone', looks: 300 },
    {
      when: 'another is proven',
      happens: (flight) => flight.proven(2),
      does: ['take 2'],
      phase: 'carried',
      looks: silence,
    },
    {
      when: 'all fail: another round after a pause',
      happens(flight) {
        flight.lost(2)
        flight.lost(3)
      },
      does: ['close 2: refused, by the network', 'dial polling 3 resume', 'close 3: refused, by the network'],
      phase: 'alone',
      looks: 500,
    },
    {
      when: 'all fail, and then there is reason to hope',
      happens(flight) {
        flight.lost(2)
        flight.lost(3)
        flight.done = []
        flight.sign('online')
      },
      does: ['note online', 'dial websocket 4 resume'],
      phase: 'alone',
      looks: 300,
    },
    {
      when: 'patience ends',
      happens(flight) {
        flight.pass(29_000)
        for (const { epoch, state } of flight.links) if (state === 'tried') flight.lost(epoch)
        flight.done = []
        flight.pass(1000)
        flight.done = flight.done.filter((text) => text === 'expire')
      },
      does: ['expire'],
      phase: 'over',
      looks: never,
    },
    {
      when: 'away, and back',
      happens(flight) {
        flight.sign('away')
        flight.sign('back')
      },
      does: ['note away', 'close 2: page away, by the client', 'note back', 'dial websocket 3 resume'],
      phase: 'alone',
      looks: 300,
    },
  ],
  away: [
    {
      when: 'time passes',
      happens: (flight) => flight.pass(86_400_000),
      does: [],
      phase: 'away',
      looks: never,
    },
    { when: 'a sign', happens: (flight) => flight.sign('online'), does: [], phase: 'away', looks: never },
    {
      when: 'back: patience begins now',
      happens(flight) {
        flight.pass(86_400_000)
        flight.sign('back')
      },
      does: ['note back', 'change', 'dial websocket 2 resume'],
      phase: 'alone',
      looks: 300,
    },
  ],
  over: (['visible', 'online', 'away', 'back', 'leaving'] as const).map((sign) => ({
    when: sign,
    happens: (flight) => flight.sign(sign),
    does: [],
    phase: 'over',
    looks: never,
  })),
}

for (const [before, rows] of Object.entries(table))
  describe(before, () => {
    test.each(rows)('$when', ({ happens, does, phase, looks }) => {
      const flight = phases[before as keyof typeof phases]()
      expect(flight.pilot.phase.is).toBe(before)
      flight.done = []
      happens(flight)
      expect(flight.done).toEqual(does)
      expect(flight.pilot.phase.is).toBe(phase)
      expect(flight.pilot.next - flight.now).toBe(looks)
    })
  })

/** Every reason: its words, who ended it where the network is said to have, and what is learnt of WebSocket. */
const reasons: Record<Why['is'], readonly [why: Why, words: string, by?: 'server', learnt?: 'nothing']> = {
  status: [{ is: 'status', status: 413, text: '' }, '413'],
  ended: [{ is: 'ended', code: 1006, text: '' }, 'closed 1006'],
  refused: [refused, 'refused'],
  network: [{ is: 'network', text: 'Failed to fetch' }, 'Failed to fetch'],
  sign: [{ is: 'sign', text: 'online' }, 'online'],
  'held back': [{ is: 'held back' }, 'held back'],
  'gave way': [{ is: 'gave way' }, 'gave way'],
  superseded: [{ is: 'superseded' }, 'superseded', 'server', 'nothing'],
  timeout: [{ is: 'timeout' }, 'timeout'],
  redirected: [{ is: 'redirected' }, 'redirected'],
  truncated: [{ is: 'truncated' }, 'truncated'],
  'ended early': [{ is: 'ended early' }, 'ended early'],
  'not ours': [{ is: 'not ours' }, 'not ours'],
  'not taken': [{ is: 'not taken' }, 'not taken'],
  'not allowed': [{ is: 'not allowed', text: '' }, 'not allowed'],
  silent: [{ is: 'silent' }, 'silent'],
  faulty: [{ is: 'faulty' }, 'faulty'],
  'another was first': [{ is: 'another was first' }, 'another was first'],
  'not needed': [{ is: 'not needed' }, 'not needed'],
  'in doubt': [{ is: 'in doubt' }, 'in doubt'],
  'the line is busy': [{ is: 'the line is busy' }, 'the line is busy'],
  left: [{ is: 'left' }, 'left'],
  'page away': [{ is: 'page away' }, 'page away'],
  closed: [{ is: 'closed' }, 'closed'],
}

test.each(Object.entries(reasons))('lost: %s', (_is, [why, words, by = 'network', learnt]) => {
  const flight = phases.carried()
  flight.done = []
  flight.lost(1, why)
  expect(flight.done).toEqual([
    `close 1: ${words}, by the ${by}`,
    ...(learnt === 'nothing' ? [] : ['learn websocket 0.5']),
    'change',
    'dial websocket 2 resume',
  ])
})

describe('what was learnt decides', () => {
  test('a carrier that lived long has shown that its transport works; one that did not get through, that it does not', () => {
    const flight = phases.carried()
    flight.pass(10_000)
    flight.done = []
    flight.lost(1)
    expect(flight.done).toContain('learn websocket 0')
    flight.lost(2)
    flight.proven(3)
    flight.link(3).sound = true
    expect(flight.done).toContain('learn websocket 1')
    flight.lost(3)
    flight.pass(500)
    expect(flight.done.at(-1)).toBe('dial polling 4 resume')
  })

  test('a stream that is held back: event streams are, too', () => {
    const flight = new Flight(['stream', 'sse', 'polling'])
    flight.proven(1)
    flight.done = []
    flight.lost(1, { is: 'held back' })
    expect(flight.done).toEqual([
      'close 1: held back, by the network',
      'learn stream 1',
      'learn sse 1',
      'change',
      'dial polling 2 resume',
    ])
  })

  test('who was lost at once again and again waits longer each time', () => {
    const flight = new Flight(['websocket'])
    flight.proven(1)
    const pauses: number[] = []
    for (let epoch = 1; epoch < 9; epoch++) {
      flight.lost(epoch)
      pauses.push(flight.links.length > epoch ? 0 : flight.pilot.next - flight.now)
      flight.pass(pauses.at(-1) as number)
    }
    expect(pauses).toEqual([0, 500, 1000, 2000, 4000, 5000, 5000, 5000])
  })
})

test('who is lost soon after it was proven waits longer each time, and not at all when one has lived long', () => {
  const flight = new Flight(['websocket'])
  /** The pauses before the next attempts, when each carrier lives for so long. */
  const pauses = (ms: number, times: number): number[] =>
    Array.from({ length: times }, () => {
      const epoch = flight.links.length
      flight.proven(epoch)
      flight.pass(ms)
      flight.lost(epoch)
      const pause = flight.links.length > epoch ? 0 : flight.pilot.next - flight.now
      flight.pass(pause)
      return pause
    })
  // A request that is refused, and its repetition.
  expect(pauses(320, 8)).toEqual([0, 500, 1000, 2000, 4000, 5000, 5000, 5000])
  expect(pauses(2000, 1)).toEqual([5000])
  expect(pauses(2001, 2)).toEqual([0, 0])
})

describe('calm, while nothing gets through', () => {
  const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
  const unavailable: Why = { is: 'status', status: 503, text: '' }

  /** It was open, and then each attempt fails at once until so much time has passed: when there was one, and over what. */
  function outage(flight: Flight, ms: number): { at: number; over: Transport }[] {
    flight.proven(1)
    flight.link(1).sound = true
    flight.pass(1000)
    const seen = flight.links.length
    const attempts: { at: number; over: Transport }[] = []
    const began = flight.now
    flight.lost(1)
    while (flight.now < began + ms && flight.pilot.phase.is === 'alone') {
      for (const link of flight.links.slice(seen + attempts.length)) {
        attempts.push({ at: flight.now - began, over: link.transport })
        flight.lost(link.epoch)
      }
      if (flight.links.length === seen + attempts.length)
        flight.pass(Math.min(flight.pilot.next, began + ms) - flight.now)
    }
    return attempts
  }

  test('all transports at once, then one at a time, the best in every other turn; the pauses grow to five seconds', () => {
    expect(outage(new Flight(all), 29_000)).toEqual([
      { at: 0, over: 'websocket' },
      { at: 0, over: 'stream' },
      { at: 0, over: 'sse' },
      { at: 0, over: 'polling' },
      { at: 500, over: 'websocket' },
      { at: 1500, over: 'stream' },
      { at: 3500, over: 'websocket' },
      { at: 7500, over: 'sse' },
      { at: 12_500, over: 'websocket' },
      { at: 17_500, over: 'polling' },
      { at: 22_500, over: 'websocket' },
      { at: 27_500, over: 'websocket' },
    ])
  })

  test('at most 25 attempts in 30 seconds, whatever the chance; found soon after the server is back', () => {
    const random = new Random(1)
    const found: Record<10 | 30, number[]> = { 10: [], 30: [] }
    for (let run = 0; run < 500; run++) {
      const flight = new Flight(all, { patience: 60_000 }, () => random.below(2 ** 20) / 2 ** 20)
      const attempts = outage(flight, 40_000).map(({ at }) => at)
      expect(attempts.filter((at) => at < 30_000).length).toBeLessThanOrEqual(25)
      for (const seconds of [10, 30] as const)
        found[seconds].push((attempts.find((at) => at >= seconds * 1000) as number) - seconds * 1000)
    }
    const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1]
    expect(median(found[10])).toBeLessThan(2000)
    expect(median(found[30])).toBeLessThan(2000)
    expect(Math.max(...found[30])).toBeLessThanOrEqual(5000)
  })

  test('the pauses are as the option says', () => {
    const options = { reconnectionDelay: { min: 100, max: 300 } }
    const attempts = outage(new Flight(['websocket'], options), 1000)
    expect(attempts.map(({ at }) => at)).toEqual([0, 100, 300, 600, 900])
  })

  test('a server that says when to come again is not asked before, over any transport', () => {
    const flight = new Flight(['stream', 'polling'])
    flight.proven(1)
    flight.link(1).sound = true
    flight.pass(1000)
    flight.done = []
    flight.lost(1, { ...unavailable, retryAfter: 7000 })
    expect(flight.done).toEqual(['close 1: 503, by the network', 'learn stream 0.5', 'change'])
    expect(flight.pilot.next - flight.now).toBe(7000 + 250)
    flight.sign('online')
    expect(flight.pilot.next - flight.now).toBe(7000 + 250)
    flight.pass(7250)
    expect(flight.done.at(-1)).toBe('dial stream 2 resume')
  })

  test('in opening, too, as long as that is within patience', () => {
    const flight = new Flight(['websocket', 'stream', 'polling'])
    flight.lost(1)
    flight.lost(2, { ...unavailable, retryAfter: 10_000 })
    expect(flight.pilot.phase.is).toBe('opening')
    flight.done = []
    flight.pass(10_000 + 500)
    expect(flight.done).toEqual(['dial websocket 3 open'])
    flight.lost(3)
    flight.lost(4, { ...unavailable, retryAfter: 25_000 })
    expect(flight.done.at(-1)).toBe('give up websocket: refused; stream: 503')
  })

  test('in opening, each time over all transports: only one of them may tell when to come again', () => {
    const flight = new Flight(['websocket', 'stream'])
    for (let epoch = 1; epoch < 12; epoch += 2) {
      flight.lost(epoch)
      flight.lost(epoch + 1, { ...unavailable, retryAfter: 2000 })
      expect(flight.pilot.phase.is).toBe('opening')
      flight.pass(flight.pilot.next - flight.now)
      expect(flight.done.at(-1)).toBe(`dial websocket ${epoch + 2} open`)
    }
  })

  test('in opening, also when another transport fails only after that time', () => {
    const flight = new Flight(['websocket', 'stream'])
    flight.pass(300)
    flight.lost(2, { ...unavailable, retryAfter: 1000 })
    flight.pass(2000)
    flight.lost(1)
    expect(flight.pilot.phase.is).toBe('opening')
    expect(flight.done.at(-1)).toBe('dial websocket 3 open')
  })

  test('a better transport is not tried before, either', () => {
    const flight = new Flight(['stream', 'polling'])
    flight.lost(1)
    flight.proven(2)
    flight.link(2).sound = true
    flight.network.moved()
    flight.pass(1000)
    flight.lost(3, { ...unavailable, retryAfter: 60_000 })
    flight.network.moved()
    flight.done = []
    for (let second = 0; second < 59; second++) {
      flight.pass(1000)
      flight.answered(2)
    }
    expect(flight.done.filter((text) => text.startsWith('dial'))).toEqual([])
  })

  test.each([-5000, 0, Number.NaN])('a time to come again of %i is none', (retryAfter) => {
    const flight = new Flight(['stream', 'polling'])
    flight.lost(1, { ...unavailable, retryAfter })
    expect(flight.done.at(-1)).toBe('dial polling 2 open')
    flight.lost(2, { ...unavailable, retryAfter })
    expect(flight.pilot.phase.is).toBe('over')
  })

  test('offline in opening: the browser can be wrong, so all transports are tried', () => {
    const flight = new Flight(['websocket', 'polling'])
    flight.offline = true
    flight.lost(1)
    expect(flight.done.at(-1)).toBe('dial polling 2 open')
  })

  test('offline: one look at once, others rarely, and all at once when it is over', () => {
    const flight = new Flight(all)
    flight.proven(1)
    flight.link(1).sound = true
    flight.pass(1000)
    flight.offline = true
    flight.done = []
    flight.lost(1)
    flight.lost(2)
    expect(flight.pilot.next - flight.now).toBe(20_000)
    flight.pass(20_000)
    flight.lost(3)
    expect(flight.done.filter((text) => text.startsWith('dial'))).toEqual([
      'dial websocket 2 resume',
      'dial websocket 3 resume',
    ])
    flight.offline = false
    flight.sign('online')
    expect(flight.done.at(-1)).toBe('dial websocket 4 resume')
    flight.lost(4)
    expect(flight.done.at(-1)).toBe('dial stream 5 resume')
  })
})

describe('a better transport', () => {
  /** Polling carries it; WebSocket was refused and rests for a second. */
  function onPolling(): Flight {
    const flight = new Flight()
    flight.lost(1)
    flight.proven(2)
    flight.link(2).sound = true
    flight.done = []
    return flight
  }

  test('is tried when it has rested, beside what is in use, and takes over', () => {
    const flight = onPolling()
    flight.network.moved()
    flight.pass(1000)
    flight.proven(3)
    flight.pass(2000)
    expect(flight.done).toEqual(['dial websocket 3 better standby', 'take 3', 'close 2: left, by the client'])
  })

  test('that fails is one more failure, and what is in use stays', () => {
    const flight = onPolling()
    flight.network.moved()
    flight.pass(1000)
    flight.lost(3)
    expect(flight.done).toEqual([
      'dial websocket 3 better standby',
      'close 3: refused, by the network',
      'learn websocket 1',
    ])
    expect(flight.pilot.phase).toMatchObject({ is: 'carried', on: { epoch: 2 } })
  })
})

test('the line is busy: another that took long as well is not taken, and nothing begins again', () => {
  const flight = new Flight(['websocket'])
  flight.proven(1)
  flight.link(1).sound = true
  flight.send(1_000_000)
  // Its bytes may take 3.9 s at the pace that is assumed, and the answer a second more; the other begins 0.3 s later.
  flight.pass(4906 + 300)
  flight.done = []
  flight.pass(2000)
  flight.proven(2)
  expect(flight.done).toEqual(['close 2: the line is busy, by the client'])
  expect(flight.pilot.phase).toMatchObject({ is: 'carried', on: { epoch: 1 } })
})

describe('a large message is announced, and nothing comes', () => {
  const large = 24 * 2 ** 20
  /** The server waits for two heartbeats and its patience; half of the patience and a heartbeat are left to resume. */
  const most = 15_000 + 30_000 / 2

  /** On a WebSocket that is sound; a small message owes an answer. */
  function announced(bytes: number, pace = 256): Flight {
    const flight = new Flight(['websocket'])
    flight.network.pace = pace
    flight.proven(1)
    flight.link(1).sound = true
    flight.pass(1000)
    flight.announced(1, bytes)
    flight.send(4)
    flight.done = []
    return flight
  }

  const asked = ['note unanswered', 'dial websocket 2 doubt standby']

  test('the carrier is asked in time to resume, however large the message', () => {
    const flight = announced(large)
    flight.pass(most - 1)
    expect(flight.done).toEqual([])
    flight.pass(301)
    expect(flight.done).toEqual(asked)
  })

  test('so it is when the network was slow before', () => {
    const flight = announced(102_400, 1)
    flight.pass(most - 1)
    expect(flight.done).toEqual([])
    // The small message takes its time, too, at that pace.
    flight.pass(401)
    expect(flight.done).toEqual(asked)
  })

  test('a message that takes less has less time', () => {
    const flight = announced(2_560_000)
    flight.pass(9999)
    expect(flight.done).toEqual([])
    flight.pass(301)
    expect(flight.done).toEqual(asked)
  })

  test('one that was begun again over another carrier has all its time, as the network is known by then', () => {
    const flight = announced(10_000_000)
    flight.pass(most + 300)
    flight.proven(2)
    flight.link(2).sound = true
    flight.announced(2, 10_000_000)
    flight.send(4)
    flight.done = []
    flight.pass(156_000)
    expect(flight.done).toEqual(['close 1: unanswered, by the client'])
    flight.pass(300)
    expect(flight.done.slice(1)).toEqual(['note unanswered'])
  })

  test('over a carrier that is not in use it says nothing', () => {
    const opening = new Flight(['websocket'])
    opening.announced(1, large)
    opening.proven(1)
    expect(opening.pilot.next).toBe(silence)
    const flight = phases.doubted()
    flight.pass(300)
    const { heardAt } = flight.session
    flight.announced(2, large)
    expect(flight.session.heardAt).toBe(heardAt)
  })

  test('on a line that was found busy it is asked again, in time', () => {
    const flight = announced(large)
    flight.pass(most + 300)
    flight.pass(2000)
    flight.proven(2)
    expect(flight.done.slice(2)).toEqual(['close 2: the line is busy, by the client'])
    flight.done = []
    flight.pass(most - 1)
    expect(flight.done).toEqual([])
    flight.pass(301)
    expect(flight.done).toEqual(['note unanswered', 'dial websocket 3 doubt standby'])
  })
})

test('deadlines: the earliest is next; all that have come when it is late are taken, each once', () => {
  const flight = new Flight(['websocket', 'stream', 'polling'])
  const { pilot } = flight
  const looks = () => pilot.next - flight.now
  const later = (ms: number) => {
    flight.now += ms
    flight.drain()
  }
  flight.pass(600)
  expect(flight.done).toEqual([
    'dial websocket 1 open',
    'dial stream 2 open standby',
    'dial polling 3 open standby',
  ])
  flight.done = []
  expect(looks()).toBe(10_000 - 600)
  later(9800)
  expect(flight.done).toEqual(['close 1: timeout, by the client', 'close 2: timeout, by the client'])
  expect(looks()).toBe(200)
  later(199)
  expect(flight.done.length).toBe(2)
})
