/** `npx everwire conformance URL`: which rules of docs/PROTOCOL.md a server keeps. */

import { Answering } from './http.ts'
import { rules } from './rules/index.ts'
import { type Finding, runRules } from './run.ts'
import { Trial } from './trial.ts'
import { Deviation } from './verdict.ts'

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

/** There is nothing to examine: no rule of that name, or nobody at that address. */
export class NothingToExamine extends Error {}

/** Runs the rules that `only` names. */
export async function conformance({ only, ...options }: ConformanceOptions): Promise<ConformanceReport> {
  const chosen = rules.filter(
    ({ name, section }) => !only || name.includes(only) || section.split(', ').includes(only),
  )
  if (chosen.length === 0) throw new NothingToExamine(`No rule and no section is called "${only}"`)
  await reach(options)
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

/** Whatever the answer is: without one every rule would fail for the same reason. */
async function reach({ url, timeout, headers }: ConformanceOptions): Promise<void> {
  const trial = new Trial(url, timeout, headers)
  try {
    await new Answering(trial, trial.address('1'), { method: 'GET' }).begun()
  } catch (error) {
    if (!(error instanceof Deviation)) throw error
    throw new NothingToExamine(`Nobody answers at ${url.href}: ${error.came}`)
  } finally {
    trial.end()
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
  const echoes = found.filter(({ name }) => name.startsWith('echo-'))
  if (echoes.length > 0 && echoes.every(({ outcome }) => outcome === 'failed'))
    lines.push(
      '',
      'No message came back. Is this an echo server? Its application must send each message back.',
    )
  return `${lines.join('\n')}\n\n${ok} ok, ${failed} failed${more} in ${(took / 1000).toFixed(1)} s\n`
}
