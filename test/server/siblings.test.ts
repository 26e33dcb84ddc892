// What is said of requests for a session that is not here: other processes may serve the same address.
import cluster from 'node:cluster'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Status } from '../../shared/exchange.ts'
import { piece, RawClient, text } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'

test('a client that left before its session was opened is no sign of another process', async () => {
  const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const { isWorker } = cluster
  Object.assign(cluster, { isWorker: true })
  onTestFinished(() => {
    Object.assign(cluster, { isWorker })
    warnings.mockRestore()
  })
  const { url, realtime } = await serve()
  const farewell = piece('abort', Buffer.from('1001'))
  expect((await new RawClient(url).send([farewell], { ask: 0 })).head?.status).toBe(Status.unknown)
  expect([warnings.mock.calls.length, realtime.stats().sessions.unknown]).toEqual([0, 0])
  // Whoever asks for something is one.
  expect((await new RawClient(url).send([text('hello')], { ask: 0 })).head?.status).toBe(Status.unknown)
  expect([warnings.mock.calls.length, realtime.stats().sessions.unknown]).toEqual([1, 1])
  expect(warnings.mock.calls[0]?.[1]).toMatchObject({ code: 'EVERWIRE_SEVERAL_PROCESSES' })
})
