/** Starts the server and the clients, asks them from time to time, and sees them to their end. */
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { ClientsSettings, ClientsStatus } from './clients.ts'
import { complaints, type HeapVerdict, judgeHeap, type Sample } from './judge.ts'
import { type Part, startPart, type Use } from './processes.ts'
import type { ServerStatus } from './server.ts'
import type { Settings } from './settings.ts'
import { type Counts, sum } from './tally.ts'

export interface View {
  readonly seconds: number
  readonly status: ServerStatus
  readonly clients: Counts
  readonly open: number
  readonly server: Use
  readonly use: readonly Use[]
  /** Shares of one core since the view before. */
  readonly cpu: { readonly server: number; readonly clients: number }
}

export interface Result {
  readonly settings: Settings
  /** What is wrong; empty if all is well. */
  readonly complaints: readonly string[]
  /** How many messages were lost, came twice, out of order, or changed: at both ends together. */
  readonly faults: Counts['faults']
  readonly heap: HeapVerdict | undefined
  /** MiB at the half and at the end. */
  readonly heapAt: { readonly half: number; readonly end: number } | undefined
  readonly server: Counts
  readonly clients: Counts
  readonly cuts: number
  readonly outages: number
  readonly minutes: number
}

/** Longer than the longest outage and any patience: what has not ended by then does not end. */
const endWithin = 300_000

export class Run {
  readonly #settings: Settings
  readonly #tell: (text: string) => void
  readonly #parts: Part[] = []
  readonly #began = performance.now()
  readonly #samples: Sample[] = []
  readonly #stop = new AbortController()
  #last: View | undefined

  constructor(settings: Settings, tell: (text: string) => void) {
    this.#settings = settings
    this.#tell = tell
  }

  /** Ends it early; what was seen until then is judged. */
  interrupt(): void {
    this.#stop.abort()
  }

  async run(show: (view: View) => void): Promise<Result> {
    try {
      return await this.#run(show)
    } finally {
      await Promise.all(this.#parts.map((part) => part.stop()))
    }
  }

  async #run(show: (view: View) => void): Promise<Result> {
    const { processes, minutes, every } = this.#settings
    checkFiles(this.#settings)
    const server = this.#start('server', this.#settings)
    const ports = await server.call<number[]>('open')
    const clients = Array.from({ length: processes }, (_, index) =>
      this.#start('clients', { settings: this.#settings, ports, index } satisfies ClientsSettings),
    )
    await Promise.all(clients.map((part) => part.call('enter')))
    const { signal } = this.#stop
    for (let i = 1; i <= Math.ceil((minutes * 60) / every) && !signal.aborted; i++) {
      const next = this.#began + Math.min(i * every, minutes * 60) * 1000
      await wait(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {})
      show(await this.#look(server, clients))
    }
    await this.#finish(server, clients)
    show(await this.#look(server, clients))
    return this.#result(this.#last as View)
  }

  #start(name: string, params: unknown): Part {
    const part = startPart(name, params, this.#tell)
    this.#parts.push(part)
    return part
  }

  async #look(server: Part, clients: readonly Part[]): Promise<View> {
    const seconds = (performance.now() - this.#began) / 1000
    const [status, serverUse, statuses, uses] = await Promise.all([
      server.call<ServerStatus>('status'),
      server.call<Use>('use'),
      Promise.all(clients.map((part) => part.call<ClientsStatus>('status'))),
      Promise.all(clients.map((part) => part.call<Use>('use'))),
    ])
    const last = this.#last
    const share = (now: readonly Use[], before: readonly Use[]): number =>
      (total(now) - total(before)) / 1e6 / (seconds - (last?.seconds ?? 0))
    const view: View = {
      seconds,
      status,
      clients: sum(statuses.map(({ counts }) => counts)),
      open: statuses.reduce((all, { open }) => all + open, 0),
      server: serverUse,
      use: uses,
      cpu: { server: share([serverUse], last ? [last.server] : []), clients: share(uses, last?.use ?? []) },
    }
    this.#last = view
    if (view.open > 0) this.#samples.push({ at: seconds, heap: serverUse.heap })
    return view
  }

  async #finish(server: Part, clients: readonly Part[]): Promise<void> {
    await server.call('calm')
    await Promise.all(clients.map((part) => part.call('finish')))
    const end = performance.now() + endWithin
    while (performance.now() < end) {
      const { clients: left } = await server.call<ServerStatus>('status')
      const statuses = await Promise.all(clients.map((part) => part.call<ClientsStatus>('status')))
      if (left === 0 && statuses.every(({ open }) => open === 0)) return
      await wait(250)
    }
  }

  #result({ status, clients, open, seconds }: View): Result {
    const heap = judgeHeap(this.#samples)
    const { counts: server, cuts, outages } = status
    const ends = { server, clients, leftOnServer: status.clients, leftOnClients: open, heap }
    const MiB = 1024 * 1024
    const half = this.#samples[Math.floor(this.#samples.length / 2)]
    const last = this.#samples.at(-1)
    return {
      settings: this.#settings,
      complaints: complaints(ends),
      faults: sum([server, clients]).faults,
      heap,
      heapAt: half && last && { half: half.heap / MiB, end: last.heap / MiB },
      server,
      clients,
      cuts,
      outages,
      minutes: seconds / 60,
    }
  }
}

function total(uses: readonly Use[]): number {
  return uses.reduce((all, { cpu }) => all + cpu, 0)
}

/** A session over HTTP has two connections at times, and a new one before an old one is gone. */
function checkFiles({ sessions }: Settings): void {
  const needed = sessions * 2.5 + 200
  // Node takes as many as it may have at most.
  const limit = /^Max open files\s+\d+\s+(\d+)/m.exec(limits())?.[1]
  if (limit !== undefined && Number(limit) < needed)
    throw new Error(
      `A process may open ${limit} files here, and ${needed} are needed: ulimit -Hn, or fewer --sessions`,
    )
}

function limits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
