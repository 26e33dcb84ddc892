// What a scrape says, as Prometheus reads it.
import type { Registry } from 'prom-client'

export interface Scraped {
  readonly type: string
  readonly help: string
  /** Value by labels: `''` for none, else as `from="websocket",to="polling"`. */
  readonly values: Readonly<Record<string, number>>
}

/** The text format of Prometheus, version 0.0.4, as far as names, labels and values go. */
export async function scrape(registry: Registry): Promise<Record<string, Scraped>> {
  const families: Record<string, { type: string; help: string; values: Record<string, number> }> = {}
  for (const line of (await registry.metrics()).split('\n')) {
    const [, word, ofMetric = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    const [, name = '', labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (word === 'HELP') families[ofMetric] = { type: '', help: rest, values: {} }
    const family = families[word ? ofMetric : name]
    if (line !== '' && family === undefined) throw new Error(`No metric has the line ${line}`)
    if (word === 'TYPE' && family) family.type = rest
    if (value !== undefined && family) family.values[labels] = Number(value)
  }
  return families
}

/** The values of a scrape that are not 0, by metric. */
export async function nonzero(registry: Registry): Promise<Record<string, Record<string, number>>> {
  const told: Record<string, Record<string, number>> = {}
  for (const [name, { values }] of Object.entries(await scrape(registry))) {
    const some = Object.entries(values).filter(([, value]) => value !== 0)
    if (some.length > 0) told[name] = Object.fromEntries(some)
  }
  return told
}
