import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Control, readWelcome } from '../../shared/control.ts'
import {
  decodeServerControl as decodeControl,
  encodeServerControl as encodeControl,
} from '../../shared/server-control.ts'

const number = fc.nat({ max: 999_999_999_999_999 })
const payload = fc.string({ maxLength: 125, unit: fc.nat(255).map((code) => String.fromCharCode(code)) })
const wireCode = fc.oneof(fc.constantFrom(1000, 1001, 1002, 1014), fc.integer({ min: 3000, max: 4999 }))
const control: fc.Arbitrary<Control> = fc.oneof(
  fc.record({ kind: fc.constant('ack' as const), number }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), payload }),
  fc.record({
    kind: fc.constantFrom('close' as const, 'abort' as const),
    code: wireCode,
    reason: fc.string(),
  }),
  fc.record({ kind: fc.constant('take' as const), got: number, start: number }),
  fc.constant({ kind: 'superseded' as const }),
  fc.constant({ kind: 'close' as const, code: 1005, reason: '' }),
  fc.constant({ kind: 'abort' as const, code: 1006, reason: 'gone' }),
  fc.record(
    {
      kind: fc.constant('welcome' as const),
      got: number,
      start: number,
      protocol: fc.string(),
      heartbeat: number,
      patience: number,
      maxBody: fc.integer({ min: 256 }),
    },
    { requiredKeys: ['kind', 'got', 'protocol', 'heartbeat', 'patience', 'maxBody'] },
  ),
)

it('every control comes back, and is no escaped text', () => {
  fc.assert(
    fc.property(control, (said) => {
      const text = encodeControl(said)
      expect(text[0]).toBe('\0')
      expect(text[1]).not.toBe('\0')
      expect(decodeControl(text)).toEqual(said)
    }),
    { numRuns: 1000 },
  )
})

it('any text at all is read or refused, and never throws', () => {
  const letter = fc.constantFrom(...'apqcxtsw\0z')
  fc.assert(
    fc.property(letter, fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' })), (first, rest) => {
      const said = decodeControl(`\0${first}${rest}`)
      if (!said) return
      const again = decodeControl(encodeControl(said))
      // An expect() costs many times what it looks at: only what differs is shown.
      if (JSON.stringify(again) !== JSON.stringify(said)) expect(again).toEqual(said)
    }),
    { numRuns: 2000 },
  )
})

describe('refused', () => {
  it.each([
    '\0',
    '\0a',
    '\0a-1',
    '\0a1.5',
    '\0a1e3',
    '\0a 1',
    '\0a1234567890123456',
    `\0p${'x'.repeat(126)}`,
    `\0q${'x'.repeat(126)}`,
    '\0p€',
    '\0q€',
    `\0c1000,${'x'.repeat(124)}`,
    `\0x1000,${'€'.repeat(42)}`,
    '\0c1005,',
    '\0c1006,',
    '\0c999,',
    '\0c5000,',
    '\0c1000',
    '\0c,',
    '\0x',
    '\0x1005,',
    '\0t1',
    '\0t1,',
    '\0t1,2,3',
    '\0s1',
    '\0w',
    '\0w{}',
    '\0wnull',
    '\0w[]',
    '\0z',
  ])('%j', (text) => expect(decodeControl(text)).toBeUndefined())
})

it('a welcome with a start that is no number is refused, unknown members are not', () => {
  const good = { got: 1, protocol: '', heartbeat: 1, patience: 1, maxBody: 256 }
  expect(readWelcome(JSON.stringify({ ...good, start: '1' }))).toBeUndefined()
  expect(readWelcome(JSON.stringify({ ...good, got: -1 }))).toBeUndefined()
  expect(readWelcome(JSON.stringify({ ...good, maxBody: 255 }))).toBeUndefined()
  expect(readWelcome(JSON.stringify({ ...good, later: [] }))).toMatchObject(good)
  expect(decodeControl(`\0w${JSON.stringify({ ...good, kind: 'close' })}`)?.kind).toBe('welcome')
})
