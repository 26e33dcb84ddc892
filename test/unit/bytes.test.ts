import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter, incomplete, Malformed } from '../../shared/bytes.ts'

const boundaries = Array.from({ length: 8 }, (_, n) => 2 ** (7 * n)).flatMap((n) => [n - 1, n, n + 1])

describe('numbers', () => {
  it.each([...boundaries, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53 - 2, 0])(
    '%d comes back, and is as long as it must be',
    (value) => {
      const to = new ByteWriter(1)
      to.number(value)
      const bytes = to.whole()
      let length = 1
      while (2 ** (7 * length) <= value) length++
      expect([bytes.length, to.size]).toEqual([length, length])
      const from = new ByteReader(bytes)
      expect(from.number()).toBe(value)
      expect(from.left).toBe(0)
    },
  )

  it('come back one after the other, and are unknown while cut', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        const to = new ByteWriter(1)
        for (const value of values) to.number(value)
        const bytes = to.whole()
        const from = new ByteReader(bytes)
        for (const value of values) expect(from.number()).toBe(value)
        expect(() => from.number()).toThrow(incomplete)
        const last = values.at(-1)
        if (last === undefined) return
        const alone = new ByteWriter()
        alone.number(last)
        for (let cut = 0; cut < alone.size; cut++) {
          expect(() => new ByteReader(alone.whole().subarray(0, cut)).number()).toThrow(incomplete)
        }
      }),
    )
  })

  it('beyond 2^53 - 1, and longer than eight bytes, are malformed', () => {
    expect(() => new ByteReader(Uint8Array.of(128, 128, 128, 128, 128, 128, 128, 16)).number()).toThrow(
      Malformed,
    )
    expect(() => new ByteReader(new Uint8Array(8).fill(255)).number()).toThrow(Malformed)
    expect(new ByteReader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15)).number()).toBe(2 ** 53 - 1)
  })
})

describe('strings of bytes', () => {
  it('come back whatever their sizes, and sizes expected', () => {
    const size = fc.oneof(fc.nat(64), fc.integer({ min: 4090, max: 4100 }), fc.nat(20_000))
    fc.assert(
      fc.property(fc.array(size, { maxLength: 12 }), fc.integer({ min: 1, max: 600 }), (sizes, expected) => {
        const to = new ByteWriter(expected)
        const all = sizes.map((length, i) => new Uint8Array(length).fill(i + 1))
        for (const bytes of all) {
          to.byte(7)
          to.bytes(bytes)
        }
        const expectedBytes = Buffer.concat(all.flatMap((bytes) => [Uint8Array.of(7), bytes]))
        expect(expectedBytes.equals(to.whole())).toBe(true)
        expect(to.size).toBe(to.whole().length)
      }),
    )
  })

  it('go on after having been looked at', () => {
    const to = new ByteWriter(4)
    to.bytes(Uint8Array.of(1, 2))
    expect([...to.whole()]).toEqual([1, 2])
    to.bytes(Uint8Array.of(3, 4, 5))
    expect([...to.whole()]).toEqual([1, 2, 3, 4, 5])
  })

  it('are not there before they are whole', () => {
    const from = new ByteReader(Uint8Array.of(1, 2, 3))
    expect(() => from.bytes(4)).toThrow(incomplete)
    expect(from.bytes(3)).toEqual(Uint8Array.of(1, 2, 3))
    expect(from.bytes(0)).toEqual(new Uint8Array(0))
    expect(() => from.byte()).toThrow(incomplete)
    expect(from.bytes(0)).toHaveLength(0)
  })
})
