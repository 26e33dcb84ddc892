// docs/TESTING.md names every fault, in its table and in an example.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { noFaults } from '../../testing/faults.ts'

const text = readFileSync(new URL('../../docs/TESTING.md', import.meta.url), 'utf8')

test('every fault is documented, and none that there is not', () => {
  const rows = [...text.matchAll(/^\| `(\w+)` \| .* \| .* \|$/gm)].map(([, name]) => name)
  const events = ['connection', 'request', 'data', 'fault', 'end']
  expect(rows.filter((name) => !events.includes(String(name))).sort()).toEqual(Object.keys(noFaults).sort())
})

test('every fault has an example', () => {
  const examples = text.slice(text.indexOf('## One example of each'))
  for (const name of Object.keys(noFaults)) expect(examples).toMatch(new RegExp(`^// .*\\b${name}\\b`, 'm'))
})
