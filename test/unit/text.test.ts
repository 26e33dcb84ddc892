import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isClientCode, isWireCode } from '../../shared/codes.ts'
import { decodeText, encodeText } from '../../shared/text.ts'

const anyUnits = fc
  .array(
    fc.oneof(
      fc.nat(0xffff),
      fc.integer({ min: 0xd7fe, max: 0xe001 }),
      fc.constantFrom(0x7f, 0x80, 0x7ff, 0x800),
    ),
  )
  .map((units) => String.fromCharCode(...units))

it('text comes back, with U+FFFD for lone surrogates and with its byte order mark', () => {
  fc.assert(
    fc.property(anyUnits, (text) => {
      expect(decodeText(encodeText(text))).toBe(Buffer.from(text).toString())
    }),
  )
  expect(decodeText(encodeText('\ufeffx'))).toBe('\ufeffx')
})

it.each([
  ['a lone continuation', [0x80]],
  ['a cut sequence', [0xe2, 0x82]],
  ['an overlong form', [0xc0, 0x80]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
])('%s is not UTF-8', (_, bytes) => {
  expect(decodeText(Uint8Array.from(bytes))).toBeUndefined()
})

it('close codes: what an application may send, and what may be on the wire', () => {
  const all = Array.from({ length: 6000 }, (_, code) => code)
  expect(all.filter(isClientCode)).toEqual(
    all.filter((code) => code === 1000 || (code >= 3000 && code < 5000)),
  )
  expect(all.filter((code) => code < 3000 && isWireCode(code))).toEqual([
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
  ])
  expect(all.filter((code) => code >= 3000 && isWireCode(code))).toEqual(all.slice(3000, 5000))
})
