import { describe, expect, test } from 'vitest'
import { complaints, type Ends, judgeHeap, MiB } from '../soak/judge.ts'
import { Ledger } from '../soak/ledger.ts'
import { planted } from '../soak/plant.ts'
import { readSettings } from '../soak/settings.ts'
import { Tally } from '../soak/tally.ts'
import { compose, read, type Word } from '../soak/words.ts'

describe('the ledger', () => {
  const faultsOf = (...numbers: number[]): (string | undefined)[] => {
    const ledger = new Ledger()
    return numbers
      .map((number) => ledger.take(number))
      .map((fault) => fault && `${fault.count} ${fault.kind}`)
  }

  test('has nothing against what comes once and in order', () => {
    expect(faultsOf(1, 2, 3)).toEqual([undefined, undefined, undefined])
  })

  test('finds what is lost, doubled and out of order', () => {
    expect(faultsOf(1, 4, 5)).toEqual([undefined, '2 lost', undefined])
    expect(faultsOf(1, 2, 2, 3)).toEqual([undefined, undefined, '1 twice', undefined])
    expect(faultsOf(1, 3, 2, 4)).toEqual([undefined, '1 lost', '1 disorder', undefined])
  })

  test('finds what is missing at the end', () => {
    const ledger = new Ledger(5)
    ledger.take(5)
    expect(ledger.ended(6)).toBeUndefined()
    expect(ledger.ended(8)).toMatchObject({ kind: 'lost', count: 2 })
    expect(ledger.ended(5)).toMatchObject({ kind: 'twice', count: 1 })
  })
})

describe('a word', () => {
  const word: Word = { kind: 'say', number: 7, about: 0, size: 5000, binary: false }

  test.each([false, true])('is read as it was composed; binary: %s', (binary) => {
    expect(read(Buffer.from(compose({ ...word, binary })), binary)).toEqual({ ...word, binary })
  })

  test('is not read if anything of it changed', () => {
    const data = Buffer.from(compose(word))
    const changed = Buffer.from(data)
    changed[4000] = 10
    const ofAnother = Buffer.concat([
      data.subarray(0, 20),
      Buffer.from(compose({ ...word, number: 8 })).subarray(20),
    ])
    for (const wrong of [changed, ofAnother, data.subarray(1), data.subarray(0, -1), Buffer.alloc(0)])
      expect(read(wrong, false)).toBeUndefined()
    expect(read(data, true)).toBeUndefined()
  })
})

test.each([
  ['drop', { lost: 1 }],
  ['double', { twice: 1 }],
  ['swap', { lost: 1, disorder: 1 }],
  ['spoil', { spoilt: 1, lost: 1 }],
] as const)('a planted fault is found: %s', (plant, expected) => {
  const { counts, ...tally } = talliedWith(plant)
  expect({ ...counts.faults, ...tally }).toEqual({ lost: 0, twice: 0, disorder: 0, spoilt: 0, ...expected })
})

function talliedWith(plant: 'drop' | 'double' | 'swap' | 'spoil'): { counts: Tally['counts'] } {
  const tally = new Tally(() => {})
  const ledger = new Ledger()
  const take = planted(plant, (word) => {
    const fault = word ? ledger.take(word.number) : ({ kind: 'spoilt', count: 1, what: '' } as const)
    tally.fault(fault, () => undefined)
  })
  for (let number = 1; number <= 10; number++) take({ kind: 'own', number, about: 0, size: 0, binary: false })
  return { counts: tally.counts }
}

describe('the heap', () => {
  const samples = (heap: (i: number) => number) =>
    Array.from({ length: 240 }, (_, i) => ({ at: i * 30, heap: heap(i) * MiB }))

  test('is flat if it grew in the first half only, whatever single samples say', () => {
    const found = judgeHeap(samples((i) => (i === 200 ? 500 : Math.min(20 + i, 60))))
    expect(found).toMatchObject({ before: 60, after: 60, flat: true })
  })

  test('is not if it grows all the time', () => {
    const found = judgeHeap(samples((i) => 60 + i * 0.1))
    expect(found).toMatchObject({ flat: false })
    expect(found?.slope).toBeCloseTo(12)
  })
})

describe('a run', () => {
  const counts = (given: object = {}) => ({
    ...new Tally(() => {}).counts,
    ...{ opened: 5, ended: 5, sent: 9, received: 9 },
    ...given,
  })
  const well: Ends = {
    server: counts(),
    clients: counts(),
    leftOnServer: 0,
    leftOnClients: 0,
    heap: undefined,
  }

  test('that went well gives no cause for complaint', () => {
    expect(complaints(well)).toEqual([])
  })

  test.each([
    { server: counts({ faults: { lost: 1, twice: 0, disorder: 0, spoilt: 0 } }) },
    { clients: counts({ unexpected: { '1006 connection lost': 1 } }) },
    { server: counts({ received: 8 }) },
    { server: counts({ ended: 4 }) },
    { leftOnServer: 1 },
    { heap: { before: 60, after: 70, allowed: 65, slope: 20, flat: false } },
  ])('that did not does: %o', (wrong) => {
    expect(complaints({ ...well, ...wrong })).toHaveLength(1)
  })
})

test('what cannot be meant is refused by its name', () => {
  expect(readSettings(['--sessions', '300', '--life', '5-10'])).toMatchObject({
    sessions: 300,
    life: [5, 10],
  })
  for (const [name, value] of [
    ['sessions', '0'],
    ['sessions', '1.5'],
    ['life', '10-5'],
    ['plant', 'x'],
  ] as const)
    expect(() => readSettings([`--${name}`, value])).toThrow(`--${name}`)
})
