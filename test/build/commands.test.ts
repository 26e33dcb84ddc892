// The commands of CONTRIBUTING.md that are TypeScript programs: what they do with an option that does not exist.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test.each(['simulate', 'fuzz', 'soak'])('%s says which option it does not know, and no more', (name) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`scripts/${name}.mjs`, '--bogus'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(stderr).toMatch(/^Unknown option '--bogus'/)
  expect(stderr).not.toContain('    at ')
  expect([status, stdout]).toEqual([2, ''])
})
