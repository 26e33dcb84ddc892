/** `npx everwire conformance URL`: which rules of docs/PROTOCOL.md a server keeps. */

import { rules } from './rules/index.ts'
import { type Finding, runRules } from './run.ts'

export interface ConformanceOptions {
  readonly url: URL
  /** Part of the names of the rules to run, or a section's number; without it all are run. */
  readonly only?: string
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface ConformanceReport {
  readonly url: string
  readonly ok: number
  readonly failed: number
  readonly leftOut: number
  readonly took: number
  readonly rules: readonly Finding[]
}

/** Runs the rules that `only` names. Returns undefined if there are none. */
export async function conformance({
  only,
  ...options
}: ConformanceOptions): Promise<ConformanceReport | undefined> {
  const chosen = rules.filter(
    ({ name, section }) => !only || name.includes(only) || section.split(', ').includes(only),
  )
  if (chosen.length === 0) return undefined
  const begun = performance.now()
  const found = await runRules(chosen, options)
  const count = (outcome: Finding['outcome']): number => found.filter((one) => one.outcome === outcome).length
  return {
    url: options.url.href,
    ok: count('ok'),
    failed: count('failed'),
    leftOut: count('left out'),
    took: Math.round(performance.now() - begun),
    rules: found,
  }
}

/** The report for a terminal: a line for each rule, then the sum. */
export function printed({ rules: found, ok, failed, leftOut, took }: ConformanceReport): string {
  const lines = found.flatMap((finding) => {
    const { name, section, says, outcome } = finding
    const title = `${name} (${section})`
    if (outcome === 'ok') return [`ok    ${title}`]
    if (outcome === 'left out') return [`-     ${title}: not seen, because ${finding.because}`]
    const { expected, came } = finding
    return [`FAIL  ${title}: ${says}`, `        expected ${expected}`, `        came     ${came}`]
  })
  const more = leftOut > 0 ? `, ${leftOut} not seen` : ''
  return `${lines.join('\n')}\n\n${ok} ok, ${failed} failed${more} in ${(took / 1000).toFixed(1)} s\n`
}
