// When a socket of everwire/reopen begins again, by a clock of the test's own.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { WebSocketOptions } from '../../client/base/types.ts'
import type { Platform } from '../../client/socket/platform.ts'
import { type ReopenOptions, reopeningOn, watchOpen } from '../../client/socket/reopen.ts'

class Fake extends EventTarget {
  readyState = 1
  diary = []
}

const platform = reopeningOn({} as Platform)
let socket: Fake
let begun: boolean[]

beforeEach(() => {
  vi.useFakeTimers()
  socket = new Fake()
  begun = []
  watchOpen(socket)
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

function ends(reopen: ReopenOptions = {}, code = 1006) {
  const close = { code, reason: '', wasClean: false }
  const options = { reopen } as WebSocketOptions
  return platform.reopen?.(socket, close, options, (wanted) => begun.push(wanted))
}

/** How long the next pause is. */
function pause(reopen?: ReopenOptions): number {
  const start = performance.now()
  const before = begun.length
  ends(reopen)
  while (begun.length === before) vi.advanceTimersToNextTimer()
  return Math.round(performance.now() - start)
}

test('pauses grow to the longest and are between half and the whole of it', () => {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0)
  const reopen = { minDelay: 100, maxDelay: 1000 }
  expect([1, 2, 3, 4, 5, 6].map(() => pause(reopen))).toEqual([50, 100, 200, 400, 500, 500])
  random.mockReturnValue(0.5)
  expect(pause(reopen)).toBe(750)
})

test('a session that lasted begins with the shortest pause again, one that ended at once does not', () => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const reopen = { minDelay: 100, maxDelay: 1000 }
  pause(reopen)
  socket.dispatchEvent(new Event('open'))
  expect(pause(reopen)).toBe(100)
  socket.dispatchEvent(new Event('open'))
  vi.advanceTimersByTime(5000)
  expect(pause(reopen)).toBe(50)
})

test('offline it waits for the event online, with a rare try in between', () => {
  const page = new EventTarget()
  vi.stubGlobal('navigator', { onLine: false })
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  ends()
  vi.advanceTimersByTime(299_000)
  expect(begun).toEqual([])
  page.dispatchEvent(new Event('online'))
  expect(begun).toEqual([true])
  page.dispatchEvent(new Event('online'))
  vi.advanceTimersByTime(600_000)
  expect(begun).toEqual([true])
  ends()
  vi.advanceTimersByTime(301_000 + 2000)
  expect(begun).toEqual([true, true])
})

test('maxRetries ends it, and a pause that is closed begins nothing', () => {
  expect(ends({ maxRetries: 1 })).toBeDefined()
  expect(ends({ maxRetries: 1 })).toBeUndefined()
  vi.clearAllTimers()
  ends()?.close()
  expect(begun).toEqual([false])
  vi.advanceTimersByTime(100_000)
  expect(begun).toEqual([false])
})

test('a function for the codes that throws ends the socket, and its error is reported', () => {
  const fault = new Error('mine')
  const codes = () => {
    throw fault
  }
  expect(ends({ codes })).toBeUndefined()
  expect(() => vi.runAllTimers()).toThrow(fault)
})
