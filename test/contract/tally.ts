// Which cases ran on what, for the end of the output.
import type { Outcome } from './class-contract.ts'

interface Row {
  passed: number
  failed: number
  readonly differences: Set<string>
}

export class Tally {
  readonly #rows = new Map<string, Row>()

  count(name: string, { error, differences }: Outcome): void {
    const row = this.#rows.get(name) ?? { passed: 0, failed: 0, differences: new Set() }
    this.#rows.set(name, row)
    if (error === undefined) row.passed++
    else row.failed++
    for (const difference of differences) row.differences.add(difference)
  }

  print(): void {
    const lines = ['the class suite ran on']
    for (const [name, { passed, failed, differences }] of this.#rows) {
      lines.push(`  ${name}: ${passed} cases as expected${failed > 0 ? `, ${failed} FAILED` : ''}`)
      for (const difference of differences) lines.push(`    differs from the standard - ${difference}`)
    }
    console.log(lines.join('\n'))
  }
}
