import { expect, test } from 'vitest'
import { Fifo } from '../../shared/fifo.ts'

test('gives out in order what was put in, whatever comes between', () => {
  const fifo = new Fifo<number>()
  let put = 0
  let got = 0
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < (round * 7) % 40; i++) fifo.push(put++)
    for (let i = 0; i < (round * 5) % 40 && fifo.length > 0; i++) expect(fifo.shift()).toBe(got++)
    expect(fifo.length).toBe(put - got)
    expect(fifo.at(0)).toBe(put === got ? undefined : got)
    expect(fifo.at(fifo.length - 1)).toBe(put === got ? undefined : put - 1)
    expect(fifo.at(fifo.length)).toBeUndefined()
  }
})

test('an empty one gives nothing, and goes on', () => {
  const fifo = new Fifo<string>()
  expect(fifo.shift()).toBeUndefined()
  expect(fifo.length).toBe(0)
  fifo.push('a')
  expect([fifo.shift(), fifo.shift(), fifo.length]).toEqual(['a', undefined, 0])
})

test('keeps nothing that was taken out, and moves what stays once for as many as have gone', () => {
  const moved: number[] = []
  const splice = Array.prototype.splice
  const fifo = new Fifo<object>()
  for (let i = 0; i < 100_000; i++) fifo.push({})
  Array.prototype.splice = function (this: unknown[], ...args: [number, number]) {
    moved.push(this.length - args[1])
    return Reflect.apply(splice, this, args) as unknown[]
  }
  try {
    while (fifo.shift());
  } finally {
    Array.prototype.splice = splice
  }
  expect(moved.reduce((sum, one) => sum + one, 0)).toBeLessThan(100_000)
})
