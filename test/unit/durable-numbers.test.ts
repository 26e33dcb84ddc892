// Under which number the application is told of a message, when a session goes from server to server in durable mode.

import { serialize } from 'node:v8'
import { describe, expect, test } from 'vitest'
import { DurableSession } from '../../server/durable/durable-session.ts'
import { readRecord } from '../../server/durable/record.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { closeMessage } from '../../shared/message.ts'
import type { Snapshot } from '../../shared/snapshot.ts'

const nothing = { add: () => {} }

/** A server that goes on with a session. Its listeners are `async`; which of them are done the test says. */
class Server {
  readonly session: DurableSession
  #link: Link
  /** The application has been told of these messages, under these numbers. */
  readonly told: [text: string, number: number][] = []

  constructor(from?: Snapshot) {
    this.session = DurableSession.make({ ...defaultLimits }, 0, nothing, nothing, from)
    this.#link = new Link(this.session.epoch + 1, 250)
    this.session.attach(this.#link, this.session.acknowledged, 0)
    this.#link.got = this.session.received.number
  }

  /** The client sends what it does not know to have arrived. */
  hears(last: number): this {
    for (let number = this.session.received.number + 1; number <= last; number++)
      this.session.receive(this.#link, 'text', Buffer.from(`m${number}`), 0)
    return this
  }

  hearsClose(): this {
    this.session.receive(this.#link, 'close', closeMessage(1000, 'bye').data as string, 0)
    return this
  }

  /** The application is told of so many messages. */
  tells(count = Number.POSITIVE_INFINITY): this {
    for (let at = 0; at < count; at++) {
      const event = this.session.event()
      if (!event) break
      if (event.type !== 'message') continue
      this.told.push([Buffer.from(event.data as Uint8Array).toString(), this.session.told])
      this.session.handle()
    }
    return this
  }

  done(...numbers: number[]): this {
    for (const number of numbers) this.session.handled(number)
    return this
  }

  /** It stores the session. */
  stores(): this {
    this.session.stored(this.session.numbers.taken, this.session.numbers.last, 0)
    return this
  }

  /** It stores the session and dies: another one reads what is stored. */
  dies(): Server {
    const { base, epoch, taken, ownClose, over, last } = this.session.numbers
    const undelivered = this.session.undelivered()
    const written = this.session.written(base + 1, last)
    const record = readRecord(
      new Map([
        ['h', Buffer.from(JSON.stringify([base, epoch, [taken, ownClose, over, true, []]]))],
        ['d', serialize({ proof: '', protocol: '', binaryType: 'nodebuffer', undelivered, data: {} })],
        [`${base + 1}`, written],
      ]),
    )
    return new Server(record?.snapshot)
  }

  /** It hands the session over. */
  drains(): Server {
    return new Server(structuredClone(this.session.snapshot()))
  }
}

/** What another version, or a server without durable mode, has handed over: the client does not send these messages again. */
function handedOver(inNumber: number, first: number): Server {
  const texts = Array.from({ length: inNumber - first + 1 }, (_, at) => `m${first + at}`)
  const undelivered = texts.map(
    (one) => ({ type: 'message', binary: false, data: Buffer.from(one) }) as const,
  )
  return new Server({
    ...new DurableSession({ ...defaultLimits }, 0).snapshot(),
    inNumber,
    undelivered,
    epoch: 1,
  })
}

const numbered = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => [`m${first + at}`, first + at])

const ways = ['dies', 'drains'] as const

describe.for(ways)('a server %s', (way) => {
  test('what it was not done with is told again, with all that followed, under the same numbers', () => {
    const first = new Server().hears(5).tells(4).done(1, 3).stores()
    expect(first.told).toEqual(numbered(1, 4))
    expect(first.session.received.number).toBe(1)
    const next = first[way]()
    expect(next.session.received.number).toBe(1)
    expect(next.session.told).toBe(1)
    expect(next.hears(6).tells().told).toEqual(numbered(2, 6))
  })

  test('what it has not told is told under its number', () => {
    const next = new Server().hears(5).tells(2).done(1, 2)[way]()
    expect(next.hears(5).tells().told).toEqual(numbered(3, 5))
  })

  test('a message that has come in part comes once', () => {
    const first = new Server().hears(2).tells()
    first.session.receiveAt({ number: 2, offset: 0 }, 'text', Buffer.from('m'), true, 0)
    const next = first.done(2)[way]()
    expect(next.session.received).toEqual({ number: 0, offset: 0 })
    expect(next.hears(3).tells().told).toEqual(numbered(1, 3))
  })

  describe.for(ways)('and the next one %s', (then) => {
    test.for([
      [[], 3],
      [[3], 4],
      [[4], 3],
      [[4, 5], 3],
      [[3, 5], 4],
      [[3, 4, 5], 6],
    ] as const)('what came with the session: of 3, 4, 5 and 6 these are done: %o', ([done, from]) => {
      const second = handedOver(5, 3)
        .hears(6)
        .tells()
        .done(...done)
        .stores()
      expect(second.told).toEqual(numbered(3, 6))
      const third = second[way]()
      expect(third.hears(7).tells().told).toEqual(numbered(from, 7))
      const fourth = third.done(from + 1)[then]()
      expect(fourth.hears(8).tells().told).toEqual(numbered(from, 8))
    })

    test('what came with the session and was not told', () => {
      const third = handedOver(5, 3).tells(1).done(3)[way]()
      expect(third.tells(1).told).toEqual(numbered(4, 4))
      expect(third[then]().hears(6).tells().told).toEqual(numbered(4, 6))
    })
  })
})

test('the end of a session without a close has no number', () => {
  const server = new Server().hears(2).tells(1)
  server.session.abortArrived(1006, 'connection lost')
  expect(server.session.told).toBe(1)
  expect(server.tells().told).toEqual(numbered(1, 2))
})

describe('the client has closed, and the application is not done with a message before', () => {
  test('the close is neither answered nor stored', () => {
    const first = new Server().hears(2).hearsClose().tells().done(1).stores()
    expect(first.session.received.number).toBe(1)
    expect(first.session.peek(first.session.link as Link)).toBeUndefined()
    const next = first.dies()
    expect(next.session.closing).toBe(false)
    expect(next.hears(2).hearsClose().tells().told).toEqual(numbered(2, 2))
    next.done(2).stores()
    expect(next.session.received.number).toBe(3)
    expect(next.session.over).toBe(true)
    expect(next.session.peek(next.session.link as Link)?.kind).toBe('close')
    expect(next.dies().session.over).toBe(true)
  })

  test('an own close that was there before leaves', () => {
    const first = new Server().hears(1).tells()
    first.session.close(1000, '', 0)
    first.hears(2).hearsClose().tells().stores()
    expect(first.session.peek(first.session.link as Link)?.kind).toBe('close')
    const next = first.dies()
    expect(next.session.closing).toBe(true)
    expect(next.session.over).toBe(false)
  })
})
