// What many clients are to a server that comes back: no crowd at its door.
import { expect, test } from 'vitest'
import { restart } from './restart.ts'

const clients = 2000
const median = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[times.length >> 1] as number

test.each([
  [10_000, 2000],
  [30_000, 2000],
])('away for %i ms', (away, soon) => {
  const { requests, found } = restart({ clients, away, seed: 7 })
  const seconds = away / 1000
  expect(found.every((ms) => ms >= 0 && ms <= 5100)).toBe(true)
  expect(median(found)).toBeLessThan(soon)
  // Once with all transports, and then each second fewer, until nobody asks more often than every five seconds or so.
  expect(requests[0]).toBeLessThan(8 * clients)
  for (const count of requests.slice(4, seconds)) expect(count).toBeLessThan(0.7 * clients)
  for (const count of requests.slice(seconds)) expect(count).toBeLessThan(0.6 * clients)
  const whole = requests.slice(0, seconds).reduce((sum, count) => sum + count, 0)
  expect(whole / clients).toBeLessThan(away === 10_000 ? 14 : 22)
})
