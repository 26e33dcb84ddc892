// 401 and 403 in the middle of a session: meant, or the mistake of somebody on the way?
import { describe, expect, test } from 'vitest'
import type { Transport } from '../../client/base/types.ts'
import type { Why } from '../../client/base/why.ts'
import { Flight } from './flight.ts'

const status = (number: number, text = ''): Why => ({ is: 'status', status: number, text })
const unauthorized = status(401, 'Unauthorized')

/** A session whose carrier was just lost, and for whose transports these are the answers from now on. */
class Refused extends Flight {
  answers: Partial<Record<Transport, Why>> = {}
  #answered = 1

  constructor(transports: readonly Transport[]) {
    super(transports)
    this.proven(1)
    this.link(1).sound = true
    this.pass(1000)
    this.lost(1)
  }

  /** Answers all that is dialed, for so long. */
  answer(ms: number): void {
    for (const end = this.now + ms; this.now < end && !this.session.done; this.pass(1)) {
      while (this.#answered < this.links.length && !this.session.done) {
        const link = this.link(++this.#answered)
        const why = this.answers[link.transport]
        if (why) this.lost(link.epoch, why)
      }
    }
  }

  get close(): object | undefined {
    for (let event = this.session.event(); event; event = this.session.event())
      if (event.type === 'close') return event
    return undefined
  }
}

const all: readonly Transport[] = ['websocket', 'stream', 'sse', 'polling']
const refused: Why = { is: 'refused', text: 'Unexpected server response: 401' }

describe('ends the session soon, with the status', () => {
  test.each<[string, readonly Transport[]]>([
    ['all transports', all],
    ['WebSocket and polling', ['websocket', 'polling']],
    ['HTTP transports', ['stream', 'sse', 'polling']],
    ['polling', ['polling']],
  ])('%s', (_, transports) => {
    const flight = new Refused(transports)
    flight.answers = {
      websocket: refused,
      stream: unauthorized,
      sse: unauthorized,
      polling: status(403, 'Forbidden'),
    }
    // One round at once, and two after pauses of at most 0.5 and 1 s.
    flight.answer(1600)
    const reason = transports.includes('stream') ? '401 Unauthorized' : '403 Forbidden'
    expect(flight.close).toMatchObject({ type: 'close', code: 1008, reason, clean: false })
  })

  test('over HTTP/2, whose statuses have no words', () => {
    const flight = new Refused(['polling'])
    flight.answers = { polling: status(401) }
    flight.answer(1600)
    expect(flight.close).toMatchObject({ code: 1008, reason: '401' })
  })

  test('counted from when the carrier in use was refused', () => {
    const flight = new Refused(['polling'])
    flight.proven(2)
    flight.lost(2, unauthorized)
    flight.pass(1001)
    flight.answers = { polling: unauthorized }
    flight.answer(1)
    expect(flight.close).toMatchObject({ code: 1008, reason: '401 Unauthorized' })
  })

  test('also while a carrier is in doubt that says nothing any more', () => {
    const flight = new Refused(['websocket', 'polling'])
    flight.answers = { websocket: refused }
    flight.answer(10)
    flight.proven(flight.links.length)
    flight.sign('visible')
    flight.answers = { websocket: refused, polling: unauthorized }
    flight.answer(5000)
    expect(flight.close).toMatchObject({ code: 1008, reason: '401 Unauthorized' })
  })
})

describe('does not end it', () => {
  test('once, or in one round on every transport', () => {
    const flight = new Refused(all)
    flight.answers = { websocket: refused, stream: unauthorized, sse: unauthorized, polling: unauthorized }
    flight.answer(1)
    expect(flight.links.length).toBe(5)
    flight.answers = { websocket: refused, stream: status(502) }
    flight.answer(8000)
    expect(flight.close).toBeUndefined()
  })

  test('a firewall that refuses WebSockets alone, while HTTP is out of order', () => {
    const flight = new Refused(all)
    const down = status(502)
    flight.answers = {
      websocket: { is: 'refused', text: 'Unexpected server response: 403' },
      stream: down,
      sse: down,
      polling: down,
    }
    flight.answer(20_000)
    expect(flight.close).toBeUndefined()
  })

  test('refusals between which the session was carried', () => {
    const flight = new Refused(['polling'])
    for (let time = 0; time < 10; time++) {
      flight.answers = { polling: unauthorized }
      flight.answer(1)
      flight.answers = {}
      flight.answer(1600)
      flight.proven(flight.links.length)
      flight.pass(1000)
      flight.lost(flight.links.length)
    }
    expect(flight.close).toBeUndefined()
  })

  test('answers between which there are others: an error page has no steady status', () => {
    const flight = new Refused(['polling'])
    for (let count = 2; count < 10; count++) {
      while (flight.links.length < count) flight.pass(1)
      flight.lost(count, count % 2 ? status(503) : unauthorized)
    }
    expect(flight.session.done).toBe(false)
  })

  test('another status, for as long as patience lasts', () => {
    const flight = new Refused(['polling'])
    for (const number of [400, 404, 407, 429, 500]) {
      flight.answers = { polling: status(number) }
      flight.answer(4000)
    }
    expect(flight.close).toBeUndefined()
  })

  test('in the opening each transport counts, and the end is that of a failed opening', () => {
    const flight = new Flight(['stream', 'polling'])
    flight.lost(1, unauthorized)
    flight.lost(2, unauthorized)
    expect(flight.done.at(-1)).toBe('give up stream: 401 Unauthorized; polling: 401 Unauthorized')
  })
})
