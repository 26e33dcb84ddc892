// What the doctor finds behind networks that are bad in one known way.
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ExamineOptions, Outcome, Progress, Report, TransportReport } from '../../doctor/node.ts'
import { type Connection, type Faults, type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { held, lookThrough, ours, outcomes } from './setting.ts'

type Transport = TransportReport['transport']

async function behind(
  faults: Partial<Faults>,
  options: ExamineOptions = {},
  watch: (network: HostileNetwork) => void = () => {},
): Promise<Report> {
  const serving = await ours()
  const network = await hostileNetwork(serving.port, { seed: 1, ...faults })
  onTestFinished(() => network.close())
  watch(network)
  return lookThrough(serving, `${network.url}/realtime`, options)
}

const works: Record<Transport, Outcome> = {
  websocket: 'works',
  stream: 'works',
  sse: 'works',
  polling: 'works',
}

/** What the network itself measured, from a request to the fault that struck it, and how long the doctor took for each step. */
class Stopwatch {
  readonly watch = (network: HostileNetwork): void => {
    const requested = new Map<Connection, number>()
    network.on('request', (connection) => requested.set(connection, performance.now()))
    network.on('fault', (name, connection) => {
      if (name !== this.#fault) return
      this.#struck = Math.min(this.#struck, performance.now() - (requested.get(connection) ?? 0))
    })
  }
  readonly onProgress = ({ says }: Progress): void => {
    this.#begun ??= performance.now()
    this.#told.set(says, performance.now() - this.#begun)
  }
  readonly #fault: keyof Faults
  #begun: number | undefined
  #struck = Number.POSITIVE_INFINITY
  readonly #told = new Map<string, number>()

  constructor(fault: keyof Faults) {
    this.#fault = fault
  }

  /** Not before it happened, and not after the doctor told of this step. */
  expectBetween(found: number | undefined, ms: number, step: string): void {
    expect(this.#struck).toBeGreaterThanOrEqual(ms - 1)
    // What is found is rounded.
    expect(found).toBeGreaterThanOrEqual(Math.floor(this.#struck) - 1)
    expect(found).toBeLessThanOrEqual(Math.ceil(this.#told.get(step) ?? 0))
  }
}

/** Cuts the WebSocket so long after the answer to its ping of this number, counted from 1. */
function cutAfterPing(network: HostileNetwork, number: number, ms: number): void {
  // The handshake comes first.
  let left = number + 1
  network.on('data', (connection, direction) => {
    if (!connection.webSocket) return
    if (direction === 'to server') left--
    else if (left === 0) network.set({ cutWebSockets: ms })
  })
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
    const clock = new Stopwatch('cutWebSockets')
    // After five round trips it is silent for a quarter of the time, and then for three.
    const { transports, plan } = await behind({}, clock, (network) => {
      clock.watch(network)
      cutAfterPing(network, 6, 500)
    })
    expect(transports.websocket).toMatchObject({
      outcome: 'cut',
      usable: true,
      hindrance: { cause: 'reset' },
    })
    clock.expectBetween(transports.websocket.cutAfter, held / 4 + 500, 'WebSocket')
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
    const clock = new Stopwatch('answerLimit')
    const report = await behind({ buffer: true, answerLimit: 700 }, clock, clock.watch)
    expect(outcomes(report)).toEqual({ ...works, stream: 'buffered', sse: 'buffered', polling: 'cut' })
    const { stream, polling } = report.transports
    for (const one of [stream, polling]) expect(one.hindrance).toMatchObject({ status: 504 })
    clock.expectBetween(polling.cutAfter, 700, 'Long-polling, held')
    expect(polling.held).toBe(held / 4)
  })

  test('answers that last too long are cut', async () => {
    const clock = new Stopwatch('answerLimit')
    const report = await behind({ answerLimit: 700 }, clock, clock.watch)
    expect(outcomes(report)).toEqual({ ...works, stream: 'cut', sse: 'cut', polling: 'cut' })
    const steps = { stream: 'Streaming', sse: 'Event stream', polling: 'Long-polling, held' } as const
    for (const name of ['stream', 'sse', 'polling'] as const) {
      expect(report.transports[name].usable).toBe(true)
      clock.expectBetween(report.transports[name].cutAfter, 700, steps[name])
    }
    expect(report.transports.stream.hindrance?.cause).toBe('reset')
    expect(report.advice.join()).toContain('proxy_read_timeout')
    // Too little to be worth it.
    expect(report.plan.life).toBeUndefined()
  })

  test('silence is cut, and what is not silent goes on', async () => {
    const clock = new Stopwatch('idleLimit')
    const report = await behind({ idleLimit: 550 }, clock, clock.watch)
    expect(outcomes(report)).toEqual({ ...works, websocket: 'cut', polling: 'cut' })
    expect(report.transports.websocket.says).toContain('of silence')
    clock.expectBetween(report.transports.polling.cutAfter, 550, 'Long-polling, held')
    expect(report.plan.quiet).toBeUndefined()
  })

  test('silence is cut later, and the plan says how often the client wants to hear something', async () => {
    // A WebSocket is silent for 1500 ms then, an answer for 2000.
    const report = await behind({ idleLimit: 1_750 }, { duration: 4_500 })
    expect(outcomes(report)).toEqual({ ...works, polling: 'cut' })
    expect(report.plan.quiet).toBeGreaterThanOrEqual(1_750 * 0.75 - 20)
    expect(report.plan.quiet).toBeLessThanOrEqual((report.transports.polling.cutAfter ?? 0) * 0.75)
    expect(report.plan.life).toBeUndefined()
  })

  test('long answers are cut, and the plan says when the client ends them', async () => {
    const report = await behind({ answerLimit: 3_000 }, { duration: 6_500 })
    expect(outcomes(report)).toEqual({ ...works, stream: 'cut', sse: 'cut', polling: 'cut' })
    expect(report.plan.life).toBeGreaterThanOrEqual(2_250 - 20)
    expect(report.plan.life).toBeLessThanOrEqual((report.transports.stream.cutAfter ?? 0) * 0.75)
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
