/** `everwire/prometheus`: the statistics of a server as metrics in a registry of `prom-client`. */
import { Counter, Gauge, type Registry, register } from 'prom-client'
import type { ServerStats, WebSocketServer } from '../server/index.ts'
import { type Family, families } from './families.ts'

/** A registry of `prom-client`, of either content type. */
export type MetricsRegistry = Pick<Registry, 'getSingleMetric' | 'registerMetric'>

/** Options of `registerMetrics`. */
export interface MetricsOptions {
  /** The registry for the metrics. Default: the default registry of `prom-client`. */
  readonly registry?: MetricsRegistry | undefined
  /** The value of the label `server`. Necessary if several servers of this process share a registry. Default: no such label. */
  readonly server?: string | undefined
}

type Source = Pick<WebSocketServer, 'stats'>

/**
 * Registers metrics for a server. They are collected when the registry is asked for them: until then they cost nothing.
 * Returns a function that takes this server's values out again.
 */
export function registerMetrics(realtime: Source, options: MetricsOptions = {}): () => void {
  const { registry = register, server } = options
  const board = boardOf(registry)
  board.add(server ?? '', realtime)
  return () => board.delete(server ?? '', realtime)
}

/** The metrics in one registry, for any number of servers. */
class Board {
  /** The servers by the value of their label; empty for none. */
  readonly #sources = new Map<string, Source>()
  /** What the servers said in this turn: a registry asks all of its metrics in one. */
  #said: (readonly [server: string, stats: ServerStats])[] | undefined
  readonly metrics: readonly (Counter | Gauge)[]

  constructor(registry: MetricsRegistry) {
    this.metrics = families.map((family) => this.#metric(family, registry))
  }

  add(server: string, source: Source): void {
    const other = this.#sources.get(server)
    if (other && other !== source) {
      throw new Error(
        `The registry has metrics of another server ${server ? `named "${server}"` : 'without a name'}: give each server a name of its own, as in registerMetrics(realtime, { server: 'chat' })`,
      )
    }
    this.#sources.set(server, source)
  }

  delete(server: string, source: Source): void {
    if (this.#sources.get(server) === source) this.#sources.delete(server)
  }

  #metric(family: Family, registry: MetricsRegistry): Counter | Gauge {
    const { name, help, labels } = family
    const labelNames = ['server', ...labels]
    const collect = (): void => this.#collect(metric, family)
    const configuration = { name, help, labelNames, registers: [registry as Registry], collect }
    const metric: Counter | Gauge =
      family.type === 'counter' ? new Counter(configuration) : new Gauge(configuration)
    return metric
  }

  #collect(metric: Counter | Gauge, family: Family): void {
    metric.reset()
    for (const [server, stats] of this.#all()) {
      for (const [value, ...labelled] of family.values(stats)) {
        // As `maxMemory` may be. `prom-client` takes only finite numbers.
        if (!Number.isFinite(value)) continue
        const labels: Record<string, string> = server === '' ? {} : { server }
        for (const [index, label] of family.labels.entries()) labels[label] = labelled[index] ?? ''
        metric.inc(labels, value)
      }
    }
  }

  #all(): readonly (readonly [server: string, stats: ServerStats])[] {
    if (this.#said === undefined) {
      this.#said = Array.from(this.#sources, ([server, source]) => [server, source.stats()] as const)
      queueMicrotask(() => {
        this.#said = undefined
      })
    }
    return this.#said
  }
}

const boards = new WeakMap<MetricsRegistry, Board>()

/** The board of a registry. A registry that was cleared since gets another. */
function boardOf(registry: MetricsRegistry): Board {
  const [first] = families
  const known = boards.get(registry)
  if (known && registry.getSingleMetric(first?.name ?? '') === known.metrics[0]) return known
  const board = new Board(registry)
  boards.set(registry, board)
  return board
}
