// What `npm test` is told of the tests that failed: with it, the end of a run says what went wrong.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { Line } from '../../scripts/test-reporter.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs these files, by their names, and returns what was told of the tests, in the order of their names. */
function told(files: Record<string, string>): Line[] {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'everwire-reporter-')))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const report = join(folder, 'report')
  const args = ['run', '--root', folder, '--globals', `--reporter=${join(root, 'scripts/test-reporter.mjs')}`]
  spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: root,
    env: { ...process.env, EVERWIRE_TEST_REPORT: report },
  })
  const lines = readFileSync(report, 'utf8').trim().split('\n')
  return lines
    .map((line) => JSON.parse(line.replaceAll(folder, '')) as Line)
    .sort((a, b) => (a.test ?? '').localeCompare(b.test ?? ''))
}

test('each test, and of those that failed what they said, and where', () => {
  const lines = told({
    'tests.test.js': `
      test('a', () => {})
      test('b', () => expect(1).toBe(2))
      test.skip('c', () => {})
      test('d', () => { throw new Error('x'.repeat(10_000)) })`,
  })
  const file = '/tests.test.js'
  expect(lines).toEqual([
    { file, test: 'a', state: 'passed' },
    {
      file,
      test: 'b',
      state: 'failed',
      why: `expected 1 to be 2 // Object.is equality\n  at ${file}:3:33`,
    },
    { file, test: 'c', state: 'not run' },
    { file, test: 'd', state: 'failed', why: `${'x'.repeat(600)}…\n  at ${file}:5:31` },
  ])
})

test.each([
  ["throw new Error('no such thing')", '', /^no such thing\n {2}at \/file.test.js:\d+:\d+$/],
  ['', "beforeAll(() => { throw new Error('no server') })", /^no server\n {2}at \/file.test.js:\d+:\d+$/],
])('a file that cannot run, with %j and %j', (ahead, inside, why) => {
  const file = `${ahead}\ndescribe('a suite', () => { ${inside}\ntest('a', () => {}) })`
  const failed = told({ 'file.test.js': file }).filter(({ state }) => state === 'failed')
  expect(failed).toEqual([{ file: '/file.test.js', state: 'failed', why: expect.stringMatching(why) }])
})
