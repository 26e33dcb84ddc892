// What the doctor finds where something pauses, or all is slow: that is neither held back nor cut.
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WakingClock } from '../../doctor/fair-clock.ts'
import type { ExamineOptions, Report } from '../../doctor/node.ts'
import { type Faults, hostileNetwork } from '../../testing/index.ts'
import { look, outcomes } from './setting.ts'

const works = { websocket: 'works', stream: 'works', sse: 'works', polling: 'works' }
const buffered = { ...works, stream: 'buffered', sse: 'buffered' }

/** Longer than a stream is held, and many times what should come at once may take. */
const pause = 2_500

/** Nothing else happens in this thread meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** A server with an event loop of its own. */
async function serverApart(): Promise<{ port: number; block: (ms: number) => void }> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
    import('everwire/server').then(({ WebSocketServer }) => {
      const realtime = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/realtime' })
      realtime.on('listening', () => parentPort.postMessage(realtime.address().port))
    })
    parentPort.on('message', ${block})`,
    { eval: true },
  )
  onTestFinished(async () => void (await worker.terminate()))
  const [port] = (await once(worker, 'message')) as [number]
  return { port, block: (ms) => worker.postMessage(ms) }
}

/** Who pauses, once, when the first piece of the event stream has left the server. */
type Who = 'the doctor' | 'the server' | 'nobody'

async function examineWhile(
  who: Who,
  faults: Partial<Faults>,
  options: ExamineOptions = {},
): Promise<Report> {
  const server = await serverApart()
  const network = await hostileNetwork(server.port, { seed: 1, ...faults })
  onTestFinished(() => network.close())
  let paused = who === 'nobody'
  network.on('data', async (connection, direction) => {
    if (paused || direction !== 'to client' || !connection.request.startsWith('GET')) return
    if (connection.webSocket) return
    paused = true
    if (who === 'the server') return server.block(pause)
    // It is on its way, and other exchanges may be.
    await nextTurn()
    block(pause)
  })
  const report = await look(`${network.url}/realtime`, options)
  expect(paused).toBe(true)
  return report
}

describe.each(['the doctor', 'the server'] as const)('%s pauses', (who) => {
  test('on a good network: all is well', async () => {
    const report = await examineWhile(who, {})
    expect(outcomes(report)).toEqual(works)
    expect(report.advice).toEqual([])
  })

  test('on a network that holds answers back: that is found', async () => {
    expect(outcomes(await examineWhile(who, { buffer: true }))).toEqual(buffered)
  })
})

test('a line on which everything takes long does not hold streams back', async () => {
  // The first piece comes after four of them: later than a stream's beginning is late on a good line.
  const report = await examineWhile('nobody', { delay: 300 }, { timeout: 4_000 })
  expect(outcomes(report)).toEqual(works)
  expect(report.transports.stream.first).toBeGreaterThan(1_000)
})

test('a long line that holds answers back is found out', async () => {
  const report = await examineWhile('nobody', { delay: 200, buffer: true }, { timeout: 4_000 })
  expect(outcomes(report)).toEqual(buffered)
})

test.each([
  [false, 'counts little of a turn that is late'],
  [true, 'counts all of it in a page that nobody sees: there it is the timers that are late'],
])('the clock for what is overdue (hidden: %s) %s', async (hidden) => {
  const clock = new WakingClock(() => hidden)
  onTestFinished(() => clock.stop())
  block(1_000)
  await new Promise<void>((resolve) => void clock.after(0, resolve))
  if (hidden) expect(clock.now).toBeGreaterThanOrEqual(1_000)
  else expect(clock.now).toBeLessThan(10)
})
