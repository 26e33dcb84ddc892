// The dashboard, the alerts and the document name metrics, labels and values that a server really has.
import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { registerMetrics } from '../../prometheus/index.ts'
import { joinNode } from '../cluster/nodes.ts'
import { scrape } from './scrape.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly datasource: { readonly uid: string }
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly targets: readonly {
    readonly refId: string
    readonly expr: string
    readonly legendFormat: string
  }[]
}

interface Dashboard {
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] }
}

const dashboard = JSON.parse(read('examples/monitoring/grafana.json')) as Dashboard
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
const alerts = [...read('examples/monitoring/alerts.yml').matchAll(/^ +expr: (.*)$/gm)].map(
  ([, expr = '']) => expr,
)

/** The values of each label of each metric, from a scrape of a server that has nobody, in a cluster. */
async function registered(): Promise<Map<string, Map<string, Set<string>>>> {
  const registry = new Registry()
  const { realtime } = await joinNode(new MemoryStore().engine())
  registerMetrics(realtime, { registry, server: 'chat' })
  const metrics = new Map<string, Map<string, Set<string>>>()
  for (const [name, { values }] of Object.entries(await scrape(registry))) {
    const labels = new Map<string, Set<string>>()
    // There is no status before the first refusal.
    if (name === 'everwire_refused_total') labels.set('status', new Set(['429', '503']))
    for (const [, label = '', value = ''] of Object.keys(values)
      .join(',')
      .matchAll(/(\w+)="([^"]*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value))
    }
    metrics.set(name, labels)
  }
  return metrics
}

/** Labels that Prometheus itself adds. */
const ofPrometheus = ['job', 'instance']

test.each([...expressions, ...alerts])('%s', async (expression) => {
  const metrics = await registered()
  const used = [...expression.matchAll(/(everwire_\w+)(?:\{([^}]*)\})?/g)]
  expect(used.length).toBeGreaterThan(0)
  const known = new Set(ofPrometheus)
  for (const [, name = '', matchers = ''] of used) {
    const labels = metrics.get(name)
    expect([name, labels !== undefined]).toEqual([name, true])
    for (const label of labels?.keys() ?? []) known.add(label)
    for (const [, label = '', operator, wanted = ''] of matchers.matchAll(/(\w+)(=~?)"([^"]*)"/g)) {
      if (ofPrometheus.includes(label)) continue
      const values = [...(labels?.get(label) ?? [])]
      const matches = values.filter((value) =>
        operator === '=' ? value === wanted : new RegExp(`^(?:${wanted})$`).test(value),
      )
      expect([name, label, wanted, matches.length > 0]).toEqual([name, label, wanted, true])
    }
    // Prometheus: a counter is looked at by its rate, a gauge is not.
    const before = expression.slice(0, expression.indexOf(name))
    if (used.length === 1) expect(/(rate|increase)\($/.test(before)).toBe(name.endsWith('_total'))
  }
  for (const [, grouped = ''] of expression.matchAll(/by \(([^)]*)\)/g)) {
    for (const label of grouped.split(', ')) expect([...known]).toContain(label)
  }
  const count = (sign: string): number => expression.split(sign).length
  expect(count('(')).toBe(count(')'))
})

test('each metric is on the dashboard, and in the document, which names no other', async () => {
  const names = [...(await registered()).keys()].sort()
  const inDashboard = new Set(expressions.join(' ').match(/everwire_\w+/g))
  expect([...inDashboard].sort()).toEqual(names)
  const document = read('docs/MONITORING.md')
  expect([...new Set(document.match(/everwire_[a-z_]+/g))].sort()).toEqual(names)
  for (const [, name] of read('examples/monitoring/alerts.yml').matchAll(/alert: (\w+)/g)) {
    expect(document).toContain(`\`${name}\``)
  }
})

test('the dashboard is one that Grafana can import', () => {
  const { panels, templating, uid, schemaVersion } = dashboard
  expect([uid, schemaVersion]).toEqual(['everwire', 39])
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const variables = templating.list.map(({ name }) => name)
  const used = [...JSON.stringify(panels).matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name)
  const builtIn = ['__rate_interval']
  for (const name of used) expect([...variables, ...builtIn]).toContain(name)
  const taken = new Set<string>()
  for (const { title, targets, datasource, gridPos } of panels) {
    expect(datasource.uid).toBe(`$${'{datasource}'}`)
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    for (const { legendFormat } of targets) expect([title, legendFormat]).not.toEqual([title, ''])
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([title, taken.has(`${x} ${y}`)]).toEqual([title, false])
        taken.add(`${x} ${y}`)
      }
    }
  }
})
