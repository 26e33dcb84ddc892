// `npm run versions`: runs all tests with each supported version of Node, one after the other; with the first also every TypeScript.
// `npm run versions -- 22 24 test/server`: these versions, these tests.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ensureVersionsInstalled, envOf, findNode, versions } from './node-versions.mjs'
import { root } from './run.mjs'

const given = process.argv.slice(2)
const isVersion = /** @param {string} text */ (text) => /^\d+$/.test(text)
const filters = given.filter((text) => !isVersion(text))
const wanted = given.some(isVersion) ? given.filter(isVersion).map(Number) : versions
const unknown = wanted.filter((version) => !versions.includes(version))
if (unknown.length > 0) {
  console.error(`There is no Node ${unknown.join(', ')} to test with, only ${versions.join(', ')}`)
  process.exit(2)
}

/**
 * Runs `npm test` with this Node.
 * @param {string} program
 * @param {boolean} everyTypeScript whether the declarations are compiled by every version of TypeScript
 * @returns {Promise<{ ok: boolean, lines: string[] }>} `lines`: what has failed or did not run, and the sum
 */
function test(program, everyTypeScript) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [join(root, 'scripts/test.mjs'), ...filters], {
      cwd: root,
      env: {
        ...process.env,
        ...envOf(program),
        EVERWIRE_THIS_NODE_ALONE: '1',
        ...(everyTypeScript && { EVERWIRE_EVERY_TYPESCRIPT: '1' }),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    /** @type {string[]} */
    const lines = []
    createInterface({ input: child.stdout }).on('line', (line) => {
      console.log(line)
      if (/^ {2}(failed|not run): |^\d+ passed, \d+ failed$/.test(line)) lines.push(line.trim())
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ ok: code === 0, lines }))
  })
}

ensureVersionsInstalled()
/** @type {string[]} */
const summary = []
for (const version of wanted) {
  const program = findNode(version)
  if (!program) {
    if (process.env.CI) process.exitCode = 1
    summary.push(`Node ${version}: not run, npm has no such program for this machine`)
    continue
  }
  const { ok, lines } = await test(program, version === wanted[0])
  if (!ok) process.exitCode = 1
  summary.push(`Node ${version}: ${lines.pop() ?? 'broke off'}`, ...lines.map((line) => `  ${line}`))
}
console.log(`\n${summary.join('\n')}`)
