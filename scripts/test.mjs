// `npm test`: runs everything in a fresh clone and prints one number. With arguments only the matching vitest files.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative, sep } from 'node:path'
import { envOf, findNode, newest } from './node-versions.mjs'
import { endLeftovers } from './processes.mjs'
import { ensureTestsInstalled, root, runGroup, toolScript } from './run.mjs'
import { installTools } from './tools.mjs'

const filters = process.argv.slice(2)
/** The tests that also run with the newest Node: what a user's own program does with both ends. All run in `npm run versions`. */
const withNewest = ['test/unit', 'test/client', 'test/contract', 'test/server']
/** @type {{ group: string, name: string, state: import('./test-reporter.mjs').State, why?: string }[]} */
const results = []

/**
 * Runs one check and counts it as one test.
 * @param {string} group
 * @param {string} name
 * @param {() => import('./run.mjs').Result | Promise<import('./run.mjs').Result>} check
 */
async function step(group, name, check) {
  const start = Date.now()
  const { ok, output } = await check()
  results.push({ group, name, state: ok ? 'passed' : 'failed' })
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${group}: ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
  if (!ok || group === 'size') console.log(output)
  return ok
}

async function runChecks() {
  const { checks } = await import('./check.mjs')
  for (const { name, run } of checks) await step('check', name, run)
}

async function runBuild() {
  const { build } = await import('./build.mjs')
  return step('build', 'dist', () =>
    build().then(
      () => ({ ok: true, output: '' }),
      (error) => ({ ok: false, output: String(error.message) }),
    ),
  )
}

async function runPackageChecks() {
  const { checkPackage, checkSize } = await import('./check-package.mjs')
  await step('size', 'dist/everwire.js', checkSize)
  await checkPackage((name, check, group = 'package') => step(group, name, check))
}

/**
 * @param {string[]} filters
 * @param {{ program?: string, prefix?: string }} [node] the Node to run with, and what its groups are called
 */
async function runVitest(filters, { program = process.execPath, prefix = '' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-test-'))
  const report = join(folder, 'report')
  writeFileSync(report, '')
  const mark = `EVERWIRE_TEST_RUN=${process.pid}-${Date.now()}`
  const [name = '', value = ''] = mark.split('=')
  try {
    const args = ['run', '--retry=0', '--reporter=default', '--reporter=./scripts/test-reporter.mjs']
    const env = { [name]: value, EVERWIRE_TEST_REPORT: report, ...envOf(program) }
    const { ok, pid } = await runGroup(toolScript('vitest'), [...args, ...filters], env, program)
    const anyFailed = readReport(report, prefix)
    if (!ok && !anyFailed)
      results.push({ group: `${prefix}vitest`, name: 'ended with an error, see above', state: 'failed' })
    await step(`${prefix}processes`, 'none left behind', async () => {
      const left = await endLeftovers(pid, mark)
      return { ok: left.length === 0, output: left.join('\n') }
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a share of the tests with the newest Node, unless that is the running one, or scripts/versions.mjs runs all of them with it. */
async function runVitestWithNewest() {
  const [running] = process.versions.node.split('.')
  if (Number(running) === newest || process.env.EVERWIRE_THIS_NODE_ALONE) return
  const prefix = `Node ${newest}: `
  const program = findNode(newest)
  if (program) await runVitest(withNewest, { program, prefix })
  else results.push({ group: `${prefix}vitest`, name: 'npm has no such program here', state: 'not run' })
}

/**
 * @param {string} path the file that scripts/test-reporter.mjs wrote
 * @param {string} prefix what each group's name begins with
 * @returns {boolean} whether any test failed
 */
function readReport(path, prefix) {
  let anyFailed = false
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (!line) continue
    const {
      file,
      test = 'could not run',
      state,
      why,
    } = /** @type {import('./test-reporter.mjs').Line} */ (JSON.parse(line))
    const place = relative(root, file).replaceAll(sep, '/')
    const group = prefix + place.split('/').slice(0, -1).slice(0, 2).join('/')
    results.push({ group, name: `${basename(place)}: ${test}`, state, ...(why && { why }) })
    anyFailed ||= state === 'failed'
  }
  return anyFailed
}

function summarize() {
  // With CI set, a test that did not run counts as failed.
  const failing = process.env.CI && filters.length === 0 ? ['failed', 'not run'] : ['failed']
  /** @param {typeof results} list */
  const count = (list) => {
    const passed = list.filter(({ state }) => state === 'passed').length
    const failed = list.filter(({ state }) => failing.includes(state)).length
    return { passed, failed, notRun: list.length - passed - failed }
  }
  console.log('\nsummary')
  for (const group of new Set(results.map((result) => result.group))) {
    const { passed, failed, notRun } = count(results.filter((result) => result.group === group))
    console.log(`  ${group}: ${passed} passed, ${failed} failed${notRun ? `, ${notRun} not run` : ''}`)
  }
  for (const { group, name, state, why } of results) {
    if (state === 'passed') continue
    console.log(`  ${state}: ${group}: ${name}`)
    if (why) console.log(why.replaceAll(/^/gm, '      '))
  }
  const { passed, failed } = count(results)
  process.exitCode = failed > 0 ? 1 : 0
  console.log(`${passed} passed, ${failed} failed`)
}

async function runAll() {
  ensureTestsInstalled()
  installTools()
  if (filters.length === 0) await runChecks()
  const built = await runBuild()
  if (filters.length === 0) {
    if (built) await runPackageChecks()
    else results.push({ group: 'package', name: 'every check, as there is no dist', state: 'failed' })
  }
  await runVitest(filters)
  if (filters.length === 0) await runVitestWithNewest()
}

try {
  await runAll()
} catch (error) {
  console.log(error)
  results.push({ group: 'run', name: 'broke off, see above', state: 'failed' })
}
summarize()
