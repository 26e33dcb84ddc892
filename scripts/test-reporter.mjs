// Writes the result of each test for `npm test` as a line of JSON at once, so that an aborted run has results too.
import { appendFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'

/**
 * No test or hook may take longer than the two minutes of `hangs` in vitest.config.ts. A run without any result for this time is
 * in an endless loop, which no time limit inside its process can end.
 */
const stuckAfter = 360_000
/** A difference of two long values would hide the other failures of a summary. */
const longest = 600

/**
 * @typedef {import('vitest/node').TestModule} TestModule
 * @typedef {import('vitest/node').TestCase} TestCase
 * @typedef {ReturnType<TestModule['errors']>[number]} TestError
 * @typedef {'passed' | 'failed' | 'not run'} State
 * @typedef {{ file: string, test?: string, state: State, why?: string }} Line one test, or a file that could not run
 */

/**
 * @param {readonly TestError[] | undefined} errors
 * @returns {string} what the first of them says, and where
 */
function tell([error] = []) {
  if (!error) return ''
  const said = stripVTControlCharacters(error.message)
  const [place] = error.stacks ?? []
  const message = said.length > longest ? `${said.slice(0, longest)}…` : said
  return place ? `${message}\n  at ${place.file}:${place.line}:${place.column}` : message
}

/**
 * @param {TestModule} module
 * @returns {readonly TestError[]} what the file, or a hook in it, threw
 */
function hookErrors(module) {
  return [module, ...module.children.allSuites()].flatMap((part) => [...part.errors()])
}

export default class Reporter {
  /** The running files, with the latest test that began in each. @type {Map<string, string | undefined>} */
  #running = new Map()
  /** @type {NodeJS.Timeout | undefined} */
  #watch

  /** @param {TestModule} module */
  onTestModuleQueued(module) {
    this.#running.set(module.moduleId, undefined)
    this.#heard()
  }

  /** @param {TestCase} test */
  onTestCaseReady(test) {
    // What vitest says of a test may come after what it says of its file.
    const { moduleId } = test.module
    if (this.#running.has(moduleId)) this.#running.set(moduleId, test.fullName)
    this.#heard()
  }

  /** @param {TestCase} test */
  onTestCaseResult(test) {
    this.#heard()
    const { state, errors } = test.result()
    this.#write({
      file: test.module.moduleId,
      test: test.fullName,
      state: state === 'passed' || state === 'failed' ? state : 'not run',
      ...(state === 'failed' && { why: tell(errors) }),
    })
  }

  /** @param {TestModule} module */
  onTestModuleEnd(module) {
    this.#heard()
    this.#running.delete(module.moduleId)
    const told = [...module.children.allTests('failed')].length > 0
    // A file that could not be loaded, or with a failed hook, counts as one failed test.
    if (module.state() === 'failed' && !told)
      this.#write({ file: module.moduleId, state: 'failed', why: tell(hookErrors(module)) })
  }

  onTestRunEnd() {
    clearTimeout(this.#watch)
  }

  #heard() {
    clearTimeout(this.#watch)
    this.#watch = setTimeout(() => this.#stuck(), stuckAfter)
  }

  #stuck() {
    for (const [file, test] of this.#running)
      this.#write({
        file,
        test: `did not end; the last test that is known to have begun: ${test ?? 'none'}`,
        state: 'failed',
      })
    // The group of `runGroup`: vitest, its workers and their child processes.
    process.kill(-process.pid, 'SIGKILL')
  }

  /** @param {Line} line */
  #write(line) {
    const { EVERWIRE_TEST_REPORT: report } = process.env
    if (report) appendFileSync(report, `${JSON.stringify(line)}\n`)
  }
}
