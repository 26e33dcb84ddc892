import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter, incomplete, Malformed } from '../../shared/bytes.ts'
import { hear, writeControls, writeMessages } from '../../shared/carry.ts'
import {
  type AnswerHead,
  BodyReader,
  type BodyRecord,
  type RequestHead,
  readAnswerHead,
  readRequestHead,
  writeAnswerHead,
  writeRecord,
  writeRequestHead,
} from '../../shared/exchange.ts'
import { type Kind, kinds } from '../../shared/frame.ts'
import { defaultLimits } from '../../shared/limits.ts'
import { Link } from '../../shared/link.ts'
import { binaryMessage, textMessage } from '../../shared/message.ts'
import { Session } from '../../shared/session.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

const boundary = fc.nat({ max: 7 }).chain((n) => fc.integer({ min: 2 ** (7 * n) - 1, max: 2 ** (7 * n) + 1 }))
const number = fc.oneof(boundary, fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const position = fc.record({ number, offset: number })
const requestHead: fc.Arbitrary<RequestHead> = fc.record({
  ask: fc.nat(255),
  id: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  key: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  epoch: number,
  serial: number,
  quiet: number,
  life: number,
  has: position,
  at: position,
})
const answerHead: fc.Arbitrary<AnswerHead> = fc.record({ status: fc.nat(255), has: position, at: position })
const record: fc.Arbitrary<BodyRecord> = fc.record({
  kind: fc.constantFrom(...kinds.slice(1)) as fc.Arbitrary<Kind>,
  more: fc.boolean(),
  payload: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 127, maxLength: 129 })),
})

function bodyOf(head: AnswerHead, records: readonly BodyRecord[]): Uint8Array {
  const to = new ByteWriter()
  writeAnswerHead(to, head)
  for (const { kind, payload, more } of records) writeRecord(to, kind, payload, more)
  return to.whole()
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

describe('heads', () => {
  it('of requests come back, and are unknown while cut at any byte', () => {
    fc.assert(
      fc.property(requestHead, (head) => {
        const to = new ByteWriter(1)
        writeRequestHead(to, head)
        const bytes = to.whole()
        const from = new ByteReader(bytes)
        expect(readRequestHead(from)).toEqual(head)
        expect(from.left).toBe(0)
        for (let cut = 0; cut < bytes.length; cut++) {
          expect(() => readRequestHead(new ByteReader(bytes.subarray(0, cut)))).toThrow(incomplete)
        }
      }),
    )
  })

  it('that do not begin with the mark are not ours', () => {
    const page = encodeText('<!doctype html>')
    expect(() => readAnswerHead(new ByteReader(page))).toThrow(Malformed)
    expect(() => new BodyReader(readAnswerHead, 100).push(page.subarray(0, 1))).toThrow(Malformed)
  })
})

describe('bodies', () => {
  it('come back cut in two at every byte', () => {
    fc.assert(
      fc.property(answerHead, fc.array(record, { maxLength: 4 }), (head, records) => {
        const body = bodyOf(head, records)
        const whole = new BodyReader(readAnswerHead, 1000)
        expect(whole.push(body)).toEqual(records)
        expect(whole.head).toEqual(head)
        expect(whole.complete).toBe(true)
        // Bytes are compared, and once for each cut: to compare records costs many times what reading them does.
        const different = Array.from({ length: body.length + 1 }, (_, cut) => cut).filter((cut) => {
          const reader = new BodyReader(readAnswerHead, 1000)
          const first = reader.push(body.subarray(0, cut))
          const read = [...first, ...reader.push(body.subarray(cut))]
          return !reader.complete || !reader.head || !sameBytes(bodyOf(reader.head, read), body)
        })
        expect(different, 'where it was cut and came back otherwise').toEqual([])
      }),
      { numRuns: 30 },
    )
  })

  it('come back in any chunks, whatever is done to a chunk afterwards', () => {
    fc.assert(
      fc.property(
        answerHead,
        fc.array(record, { maxLength: 8 }),
        fc.infiniteStream(fc.nat(40)),
        (head, records, sizes) => {
          const body = bodyOf(head, records)
          const reader = new BodyReader(readAnswerHead, 1000)
          const read: BodyRecord[] = []
          for (let at = 0; at < body.length; ) {
            const chunk = body.slice(at, at + (sizes.next().value ?? 1))
            at += chunk.length
            const got = reader.push(chunk)
            read.push(...got.map((one) => ({ ...one, payload: one.payload.slice() })))
            expect(reader.complete).toBe(reader.head !== undefined && at === endOf(reader, read))
          }
          expect(read).toEqual(records)
          expect(reader.complete).toBe(true)
        },
      ),
    )
  })

  /** Where the head and the records that were read end. */
  function endOf(reader: BodyReader<AnswerHead>, read: readonly BodyRecord[]): number {
    return bodyOf(reader.head as AnswerHead, read).length
  }

  it('are not complete while a record is cut', () => {
    const body = bodyOf({ status: 0, has: { number: 1, offset: 0 }, at: { number: 0, offset: 0 } }, [
      { kind: 'text', more: false, payload: new Uint8Array(5) },
    ])
    const reader = new BodyReader(readAnswerHead, 1000)
    reader.push(body.subarray(0, -1))
    expect(reader.complete).toBe(false)
    expect(reader.head).toBeDefined()
  })

  it('of any bytes are read or malformed, and nothing else is thrown', () => {
    const valid = fc
      .tuple(answerHead, fc.array(record, { maxLength: 4 }))
      .map(([head, records]) => bodyOf(head, records))
    const mutated = fc
      .tuple(valid, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }))
      .map(([body, changes]) => {
        const copy = body.slice()
        for (const [at, value] of changes) copy[at % copy.length] = value
        return copy
      })
    const marked = fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.of(0xe1, ...bytes))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), marked, mutated), fc.boolean(), (bytes, request) => {
        const reader = new BodyReader<unknown>(request ? readRequestHead : readAnswerHead, 256)
        try {
          let taken = 0
          for (const { payload } of reader.push(bytes)) taken += payload.length
          expect(taken).toBeLessThanOrEqual(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('with a record larger than allowed are refused before it has come', () => {
    const to = new ByteWriter()
    writeAnswerHead(to, { status: 0, has: { number: 0, offset: 0 }, at: { number: 0, offset: 0 } })
    to.byte(2)
    to.number(101)
    expect(() => new BodyReader(readAnswerHead, 100).push(to.whole())).toThrow(Malformed)
  })

  it('in single bytes cost work in proportion to their size', () => {
    const size = 1 << 20
    const body = bodyOf({ status: 0, has: { number: 0, offset: 0 }, at: { number: 0, offset: 0 } }, [
      { kind: 'binary', more: false, payload: new Uint8Array(size).fill(1) },
    ])
    // Bytes that are copied, as a measure of work that needs no clock.
    let copied = 0
    const set = Uint8Array.prototype.set
    Uint8Array.prototype.set = function (this: Uint8Array, source: ArrayLike<number>, at?: number): void {
      copied += source.length
      set.call(this, source, at)
    }
    let records: BodyRecord[] = []
    try {
      const reader = new BodyReader(readAnswerHead, size)
      for (let at = 0; at < body.length; at++) records = reader.push(body.subarray(at, at + 1))
    } finally {
      Uint8Array.prototype.set = set
    }
    expect(records[0]?.payload.length).toBe(size)
    expect(copied).toBeLessThan(4 * size)
  })
})

describe('messages in pieces', () => {
  it('arrive whole, under any budget, from bodies that are lost, repeated and overtaken', () => {
    const size = fc.oneof(fc.nat(10), fc.nat(2000))
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 12 }),
        fc.integer({ min: 100, max: 600 }),
        fc.infiniteStream(fc.constantFrom('arrives', 'arrives', 'arrives', 'lost', 'twice', 'late')),
        (sizes, budget, fates) => {
          const one = new Session(defaultLimits, 0)
          const other = new Session(defaultLimits, 0)
          const link = new Link(1, 0)
          one.attach(link, one.acknowledged, 0)
          for (const [i, length] of sizes.entries()) {
            one.send(
              i % 2 === 0
                ? binaryMessage(new Uint8Array(length).fill(i))
                : textMessage('é'.repeat(length), length * 2),
            )
          }
          const late: (() => void)[] = []
          for (let tries = 0; one.lastNumber > one.acknowledged.number; tries++) {
            expect(tries).toBeLessThan(2000)
            one.acknowledge(other.received)
            one.resend(link)
            const to = new ByteWriter()
            writeAnswerHead(to, {
              status: 0,
              has: one.received,
              at: { number: link.sent, offset: link.sentOffset },
            })
            writeMessages(to, one, link, budget)
            expect(to.size).toBeLessThanOrEqual(Math.max(budget, 64 + 64) + 20)
            const body = to.whole()
            const arrive = (): void => {
              const reader = new BodyReader(readAnswerHead, 1 << 20)
              const records = reader.push(body)
              const { at } = reader.head as AnswerHead
              const place = { ...at }
              for (const record of records) hear(other, link, record, 0, place)
            }
            const fate = fates.next().value
            if (fate === 'late') late.push(arrive)
            else if (fate !== 'lost') arrive()
            if (fate === 'twice') arrive()
            if (tries % 5 === 4) for (const again of late.splice(0).reverse()) again()
          }
          for (const [i, length] of sizes.entries()) {
            const event = other.event()
            if (event?.type !== 'message') throw new Error('a message is missing')
            expect(event.binary).toBe(i % 2 === 0)
            const data = event.data as Uint8Array
            if (event.binary) expect(sameBytes(data, new Uint8Array(length).fill(i))).toBe(true)
            else expect(decodeText(data)).toBe('é'.repeat(length))
          }
          expect(other.event()).toBeUndefined()
        },
      ),
      { numRuns: 200 },
    )
  })

  it('keep a close whole', () => {
    const session = new Session(defaultLimits, 0)
    const link = new Link(1, 0)
    session.attach(link, session.acknowledged, 0)
    session.close(4000, 'x'.repeat(123), 0)
    const to = new ByteWriter()
    expect(writeMessages(to, session, link, 10)).toBe(false)
    expect(to.size).toBe(2 + 5 + 123 + 1)
  })

  it('leave a close to the next body where this one has no room for all of it', () => {
    const session = new Session(defaultLimits, 0)
    const link = new Link(1, 0)
    session.attach(link, session.acknowledged, 0)
    session.send(binaryMessage(new Uint8Array(200)))
    session.close(4000, 'x'.repeat(123), 0)
    const to = new ByteWriter()
    expect(writeMessages(to, session, link, 300)).toBe(true)
    expect(to.size).toBe(203)
    const next = new ByteWriter()
    expect(writeMessages(next, session, link, 300)).toBe(false)
    // The kind, the length in two bytes, "4000," and the reason.
    expect(next.size).toBe(131)
  })

  it('leave room for what else is written', () => {
    const session = new Session(defaultLimits, 0)
    const link = new Link(1, 0)
    session.attach(link, session.acknowledged, 0)
    link.pingOwed = 'é'
    session.abort(1006, '', 0)
    const to = new ByteWriter()
    writeControls(to, session, link)
    expect([...to.whole()]).toEqual([6, 5, ...encodeText('1006,'), 4, 2, 0xc3, 0xa9])
  })
})
