/** Runs the rules, several at a time, and says of each what was found. */
import type { Rule } from './rule.ts'
import { Trial } from './trial.ts'
import { Deviation, LeftOut } from './verdict.ts'

export type Finding = {
  readonly name: string
  readonly section: string
  readonly says: string
  readonly took: number
} & (
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'failed'; readonly expected: string; readonly came: string }
  | { readonly outcome: 'left out'; readonly because: string }
)

export interface RunOptions {
  readonly url: URL
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Called after each rule. */
  readonly onFinding?: (finding: Finding) => void
}

/** They wait more than they work. */
const beside = 12

/** The findings in the order of the rules. */
export async function runRules(rules: readonly Rule[], options: RunOptions): Promise<readonly Finding[]> {
  const found = new Map<Rule, Finding>()
  const runOne = async (rule: Rule): Promise<void> => {
    const finding = await judge(rule, options)
    found.set(rule, finding)
    options.onFinding?.(finding)
  }
  const waiting = rules.filter(({ alone }) => !alone)
  const lane = async (): Promise<void> => {
    for (let rule = waiting.shift(); rule; rule = waiting.shift()) {
      options.signal?.throwIfAborted()
      await runOne(rule)
    }
  }
  await Promise.all(Array.from({ length: beside }, lane))
  for (const rule of rules) if (rule.alone) await runOne(rule)
  return rules.flatMap((rule) => found.get(rule) ?? [])
}

async function judge(rule: Rule, { url, timeout, headers }: RunOptions): Promise<Finding> {
  const { name, section, says } = rule
  const trial = new Trial(url, timeout, headers)
  const begun = performance.now()
  const about = (): { name: string; section: string; says: string; took: number } => ({
    name,
    section,
    says,
    took: Math.round(performance.now() - begun),
  })
  try {
    await rule.run(trial)
    return { ...about(), outcome: 'ok' }
  } catch (error) {
    if (error instanceof LeftOut) return { ...about(), outcome: 'left out', because: error.message }
    if (error instanceof Deviation)
      return { ...about(), outcome: 'failed', expected: error.expected, came: error.came }
    // One answer that the suite cannot read at all must not cost the findings about the others.
    return { ...about(), outcome: 'failed', expected: 'an answer that can be read', came: String(error) }
  } finally {
    trial.end()
  }
}
