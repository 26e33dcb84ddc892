/** Tries every transport against a server and reports the results. The entries bring the runtime. */
import type { Transport } from '../client/base/types.ts'
import { largestBody } from './body-probe.ts'
import { WakingClock } from './fair-clock.ts'
import { type HttpResult, httpProbe, plainGet, type Site } from './http-probe.ts'
import { longestPause } from './overdue.ts'
import { advise, plan, serverReport } from './plan.ts'
import type { Platform } from './platform.ts'
import {
  type ExamineOptions,
  type Report,
  type TransportReport,
  transportNames,
  transports,
} from './report.ts'
import { socketProbe } from './socket-probe.ts'
import { pollingReport, socketReport, streamReport, unclear } from './verdict.ts'
import { Witness } from './witness.ts'

const defaultDuration = 10_000
const shortestDuration = 1_000
/** A server holds a probe no longer than this with the default timeout; more time would not help. */
const longestDuration = 58_000
const defaultTimeout = 4_000
/** Time for connecting, and for the steps that follow. */
const margin = 2_500
/** From this duration on, more steps of holding are worth their time. */
const manyHolds = 20_000
/** One failure may be chance, and one pause may hide the result. */
const tries = 3
/** A second look at a stream of this length outlasts most pauses. */
const secondLook = 4_000
const trips = 5

export async function examineWith(
  platform: Platform,
  address: string | URL,
  options: ExamineOptions = {},
): Promise<Report> {
  const { duration = defaultDuration, timeout = defaultTimeout, signal } = options
  signal?.throwIfAborted()
  const url = httpAddress(address, platform.base())
  const over = new AbortController()
  const site: Site = {
    platform,
    url,
    timeout,
    clock: new WakingClock(() => platform.hidden()),
    witness: undefined,
    signal: signal ? AbortSignal.any([signal, over.signal]) : over.signal,
  }
  try {
    const report = await new Examination(site, duration, options).run()
    signal?.throwIfAborted()
    return report
  } finally {
    over.abort()
    site.clock.stop()
  }
}

class Examination {
  readonly #site: Site
  /** The first exchange. It has no other exchange to compare with. */
  readonly #knocked: Promise<HttpResult>
  readonly #longest: number
  readonly #deadline: number
  readonly #began = new Date().toISOString()
  readonly #begun = performance.now()
  readonly #tell: ExamineOptions['onProgress']
  readonly #found: Partial<Record<Transport, TransportReport>> = {}
  readonly #lanes: Lanes
  #steps = 2
  #done = 0

  constructor(site: Site, duration: number, { onProgress }: ExamineOptions) {
    this.#knocked = knock(site)
    this.#site = { ...site, witness: new Witness(() => this.#isAnswered(site), site.signal) }
    const longest = Math.min(duration - margin, longestDuration - site.timeout)
    this.#longest = Math.round(Math.max(longest, shortestDuration))
    this.#deadline = site.clock.now + this.#longest
    this.#tell = onProgress
    this.#lanes = new Lanes(site.platform.lanes)
  }

  async run(): Promise<Report> {
    const site = this.#site
    this.#say('connecting')
    // Browsers do not count an open WebSocket among the connections to a host.
    const socket = this.#step(transportNames.websocket, async () => {
      const isOurs = async (): Promise<boolean> => (await this.#knocked).ours
      const silences = [this.#longest / 4, (this.#longest * 3) / 4].map(Math.round)
      const result = await socketProbe(site, { silences, isOurs })
      this.#found.websocket = socketReport(result, site.timeout)
      return result
    })
    const first = await this.#knocked
    this.#done++
    this.#say(
      first.ours ? 'an everwire server answers' : (first.hindrance?.says ?? 'no everwire server answers'),
    )
    const bodies = first.ours && !first.unknown ? await this.#overHttp(first) : undefined
    if (!bodies) this.#withoutProbes(first)
    const webSocket = await socket
    const handshake = this.#found.websocket?.hindrance
    const ordinary = first.ours && handshake?.status !== undefined ? await plainGet(site) : undefined
    const found = this.#found as Record<Transport, TransportReport>
    const server = serverReport(first, webSocket)
    const findings = { url: site.url, server, transports: found, bodies, ordinary }
    return {
      url: site.url,
      began: this.#began,
      took: Math.round(performance.now() - this.#begun),
      server,
      transports: Object.fromEntries(transports.map((name) => [name, found[name]])) as typeof found,
      ...(bodies && { bodies }),
      plan: plan(findings),
      advice: advise(findings),
    }
  }

  /** A short exchange for the witness. If the first exchange failed, no exchange can serve as a comparison. */
  async #isAnswered(site: Site): Promise<boolean> {
    return (await this.#knocked).ours && (await knock({ ...site, timeout: longestPause })).ours
  }

  async #overHttp(first: HttpResult): Promise<Report['bodies']> {
    const site = this.#site
    const time = this.#longest
    const parts = time > manyHolds ? [8, 4, 2, 1] : [4, 1]
    const holds = parts.map((part) => Math.round(time / part))
    const shorts = this.#step('round trips', () => this.#lanes.run(() => this.#shorts()))
    const streamed = async (transport: 'stream' | 'sse'): Promise<void> => {
      const [result, asked] = await this.#lanes.run(() => this.#stream(transport))
      this.#found[transport] = streamReport(transport, result, asked)
    }
    const held = holds.map((hold) =>
      this.#step(`${transportNames.polling}, held`, () =>
        this.#lanes.run(() => httpProbe(site, { kind: 'held', time: hold })),
      ),
    )
    const streams = (['stream', 'sse'] as const).map((transport) =>
      this.#step(transportNames[transport], () => streamed(transport)),
    )
    const bodies = this.#step('the size of bodies', () =>
      this.#lanes.run(async () => {
        // Large bodies would delay the exchanges whose time is measured.
        await shorts
        return largestBody(site, first.welcome?.maxBody ?? 0, this.#deadline)
      }),
    )
    const all = [...(await Promise.all(held)).entries()].map(([i, result]) => ({
      asked: holds[i] as number,
      result,
    }))
    this.#found.polling = pollingReport(first, await shorts, all)
    await Promise.all(streams)
    return bodies
  }

  /** Probes a stream. Returns the result, and the time for which the server was to hold the stream. */
  async #stream(kind: 'stream' | 'sse'): Promise<[HttpResult, number]> {
    for (let time = this.#longest, left = tries; ; ) {
      const result = await httpProbe(this.#site, { kind, time })
      const why = unclear(result, time)
      if (!why || --left === 0 || this.#site.signal.aborted) return [result, time]
      if (why === 'late') time = Math.max(time, Math.min(time * 2, secondLook))
    }
  }

  async #shorts(): Promise<HttpResult[]> {
    const results: HttpResult[] = []
    while (results.length < trips) results.push(await httpProbe(this.#site, { kind: 'short' }))
    return results
  }

  /** Reports on the HTTP transports if only the first exchange was possible. */
  #withoutProbes(first: HttpResult): void {
    this.#found.polling = pollingReport(first, [], [])
    for (const transport of ['stream', 'sse'] as const) {
      this.#found[transport] = first.ours
        ? { transport, outcome: 'unknown', usable: false, says: 'the server does not answer probes' }
        : { ...this.#found.polling, transport }
    }
  }

  async #step<T>(says: string, run: () => Promise<T>): Promise<T> {
    if (this.#done > 0) this.#steps++
    const result = await run()
    this.#done++
    this.#say(says)
    return result
  }

  #say(says: string): void {
    // Do not report steps that end only because the examination was aborted.
    if (!this.#site.signal.aborted)
      this.#tell?.({ done: this.#done, of: this.#steps, says, transports: { ...this.#found } })
  }
}

/** Sends a short exchange, and again if it fails by chance. */
async function knock(site: Site): Promise<HttpResult> {
  for (let left = tries; ; ) {
    const result = await httpProbe(site, { kind: 'short' })
    // An answer would be the same again, and a timeout has already taken long enough.
    const chance = ['reset', 'hidden'].includes(result.hindrance?.cause ?? '')
    if (!chance || --left === 0 || site.signal.aborted) return result
  }
}

/** Runs a limited number of tasks at a time, because browsers have few connections to one host. */
class Lanes {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}

/** Throws a TypeError if the address cannot be that of a server. */
export function httpAddress(address: string | URL, base: string | undefined): string {
  const url = new URL(address, base)
  url.protocol = url.protocol.replace('ws', 'http')
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`Not a server address: ${address}`)
  url.hash = ''
  return url.href
}
