// What the doctor finds behind networks that are bad in one known way.
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ExamineOptions, Outcome, Report, TransportReport } from '../../doctor/node.ts'
import { type Faults, hostileNetwork } from '../../testing/index.ts'
import { held, lookThrough, ours, outcomes } from './setting.ts'

type Transport = TransportReport['transport']

async function behind(faults: Partial<Faults>, options: ExamineOptions = {}): Promise<Report> {
  const serving = await ours()
  const network = await hostileNetwork(serving.port, { seed: 1, ...faults })
  onTestFinished(() => network.close())
  return lookThrough(serving, `${network.url}/realtime`, options)
}

const works: Record<Transport, Outcome> = {
  websocket: 'works',
  stream: 'works',
  sse: 'works',
  polling: 'works',
}

/** Later than it happened, and not by much more than a busy machine needs. */
function expectAbout(found: number | undefined, ms: number): void {
  expect(found).toBeGreaterThanOrEqual(ms - 20)
  expect(found).toBeLessThan(ms + 1_000)
}

describe('WebSockets', () => {
  test.each([
    ['refused', 403, 'refused', { cause: 'status', status: 403 }],
    ['sent elsewhere', 'redirect', 'refused', { cause: 'redirect', status: 302 }],
    ['answered with a page', 'page', 'refused', { cause: 'page', status: 200 }],
    ['swallowed', 'swallow', 'swallowed', { cause: 'timeout' }],
    ['opened and mute', 'mute', 'silent', undefined],
  ] as const)('%s: HTTP carries', async (_, upgrade, outcome, hindrance) => {
    const report = await behind({ upgrade })
    expect(outcomes(report)).toEqual({ ...works, websocket: outcome })
    expect(report.transports.websocket.usable).toBe(false)
    if (hindrance) expect(report.transports.websocket.hindrance).toMatchObject(hindrance)
    expect(report.plan).toMatchObject({ starts: 'stream', fallsBackTo: ['sse', 'polling'] })
    expect(report.advice).toHaveLength(1)
  })

  test.each([
    ['to the client', 'mute to server', 'to client'],
    ['to the server', 'mute to client', 'to server'],
  ] as const)('open only %s, which is told apart', async (_, upgrade, carries) => {
    const { transports, plan } = await behind({ upgrade })
    expect(transports.websocket).toMatchObject({ outcome: 'one way', usable: false, carries })
    expect(plan.starts).toBe('stream')
  })

  test('cut after a while', async () => {
    const { transports, plan } = await behind({ cutWebSockets: 600 })
    expect(transports.websocket).toMatchObject({
      outcome: 'cut',
      usable: true,
      hindrance: { cause: 'reset' },
    })
    expectAbout(transports.websocket.cutAfter, 600)
    expect(transports.websocket.held).toBe(held / 4)
    expect(plan.starts).toBe('websocket')
  })
})

describe('HTTP', () => {
  test('answers collected until they are whole: streams do not work, long-polling does', async () => {
    const report = await behind({ buffer: true, upgrade: 403 })
    expect(outcomes(report)).toEqual({
      websocket: 'refused',
      stream: 'buffered',
      sse: 'buffered',
      polling: 'works',
    })
    expect(report.transports.stream.late).toBeGreaterThan(held * 0.9)
    expect(report.plan).toMatchObject({ starts: 'polling', fallsBackTo: [] })
    expect(report.advice.join()).toContain('proxy_buffering')
  })

  test('answers collected and given up after a while', async () => {
    const report = await behind({ buffer: true, answerLimit: 700 })
    expect(outcomes(report)).toEqual({ ...works, stream: 'buffered', sse: 'buffered', polling: 'cut' })
    const { stream, polling } = report.transports
    for (const one of [stream, polling]) expect(one.hindrance).toMatchObject({ status: 504 })
    expectAbout(polling.cutAfter, 700)
    expect(polling.held).toBe(held / 4)
  })

  test('answers that last too long are cut', async () => {
    const report = await behind({ answerLimit: 700 })
    expect(outcomes(report)).toEqual({ ...works, stream: 'cut', sse: 'cut', polling: 'cut' })
    for (const name of ['stream', 'sse', 'polling'] as const) {
      expect(report.transports[name].usable).toBe(true)
      expectAbout(report.transports[name].cutAfter, 700)
    }
    expect(report.transports.stream.hindrance?.cause).toBe('reset')
    expect(report.advice.join()).toContain('proxy_read_timeout')
    // Too little to be worth it.
    expect(report.plan.life).toBeUndefined()
  })

  test('silence is cut, and what is not silent goes on', async () => {
    const report = await behind({ idleLimit: 550 })
    expect(outcomes(report)).toEqual({ ...works, websocket: 'cut', polling: 'cut' })
    expect(report.transports.websocket.says).toContain('of silence')
    expectAbout(report.transports.polling.cutAfter, 550)
    expect(report.plan.quiet).toBeUndefined()
  })

  test('silence is cut later, and the plan says how often the client wants to hear something', async () => {
    // A WebSocket is silent for 1500 ms then, an answer for 2000.
    const report = await behind({ idleLimit: 1_750 }, { duration: 4_500 })
    expect(outcomes(report)).toEqual({ ...works, polling: 'cut' })
    expect(report.plan.quiet).toBeGreaterThanOrEqual(1_750 * 0.75 - 20)
    expect(report.plan.quiet).toBeLessThan(1_750)
    expect(report.plan.life).toBeUndefined()
  })

  test('long answers are cut, and the plan says when the client ends them', async () => {
    const report = await behind({ answerLimit: 3_000 }, { duration: 6_500 })
    expect(outcomes(report)).toEqual({ ...works, stream: 'cut', sse: 'cut', polling: 'cut' })
    expect(report.plan.life).toBeGreaterThanOrEqual(2_250 - 20)
    expect(report.plan.life).toBeLessThan(3_000)
    expect(report.plan.quiet).toBeUndefined()
  })

  test('bodies have a limit', async () => {
    const report = await behind({ maxBody: 100_000 })
    expect(outcomes(report)).toEqual(works)
    const { arrived = 0, refused = 0, hindrance } = report.bodies ?? {}
    expect(arrived).toBeLessThanOrEqual(100_000)
    expect(refused).toBeGreaterThan(100_000)
    expect(refused - arrived).toBeLessThan(20_000)
    expect(hindrance?.status).toBe(413)
    expect(report.plan.pieces).toBe(64 * 1024)
  })

  test.each([{ strip: true }, { gzip: true }, { repeatPosts: 1 }])(
    'nothing is wrong with %o',
    async (faults) => {
      const report = await behind(faults)
      expect(outcomes(report)).toEqual(works)
      expect(report.advice).toEqual([])
    },
  )

  test('one answer lost is chance, and asked for again', async () => {
    const serving = await ours()
    const network = await hostileNetwork(serving.port, { seed: 1, loseAnswers: 1 })
    onTestFinished(() => network.close())
    const struck: string[] = []
    network.on('fault', (_, { request }) => {
      struck.push(request)
      if (request.startsWith('POST')) network.clear()
    })
    const { server, transports } = await lookThrough(serving, `${network.url}/realtime`)
    expect(struck.filter((request) => request.startsWith('POST'))).toHaveLength(1)
    expect(server.kind).toBe('everwire')
    expect(transports.polling.outcome).toBe('works')
  })

  test('the way is long', async () => {
    const { transports } = await behind({ delay: 40 })
    for (const { roundTrip } of [transports.websocket, transports.polling]) {
      expect(roundTrip).toBeGreaterThanOrEqual(80)
    }
  })
})

describe('nothing', () => {
  test.each([
    ['a page to sign in', { captive: 'page' }, 'other', 'page', 'captive portal'],
    ['sent to a page to sign in', { captive: 'redirect' }, 'other', 'redirect', 'captive portal'],
    ['error pages', { errorPages: 1 }, 'other', 'status', 'the server is down'],
    ['every answer lost', { loseAnswers: 1 }, 'nobody', 'reset', 'cuts every connection'],
    ['every connection reset', { connections: 'refuse' }, 'nobody', 'reset', 'cuts every connection'],
    ['every connection swallowed', { connections: 'swallow' }, 'nobody', 'timeout', 'firewall'],
  ] as const)('gets through: %s', async (_, faults, kind, cause, advice) => {
    const report = await behind(faults)
    expect(report.server).toMatchObject({ kind, hindrance: { cause } })
    expect(report.plan.starts).toBeNull()
    for (const { usable } of Object.values(report.transports)) expect(usable).toBe(false)
    expect(report.advice.join()).toContain(advice)
  })
})
