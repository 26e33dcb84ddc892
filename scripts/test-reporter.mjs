// Writes the result of each test for `npm test` as a line of JSON at once, so that an aborted run has results too.
import { appendFileSync } from 'node:fs'

/**
 * No test or hook may take longer than the two minutes of `hangs` in vitest.config.ts. A run without any result for this time is
 * in an endless loop, which no time limit inside its process can end.
 */
const stuckAfter = 360_000

/**
 * @typedef {import('vitest/node').TestModule} TestModule
 * @typedef {import('vitest/node').TestCase} TestCase
 * @typedef {{ file: string, test?: string, state: 'passed' | 'failed' | 'not run' }} Line one test, or a file that could not run
 */

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
    const { state } = test.result()
    this.#write({
      file: test.module.moduleId,
      test: test.fullName,
      state: state === 'passed' || state === 'failed' ? state : 'not run',
    })
  }

  /** @param {TestModule} module */
  onTestModuleEnd(module) {
    this.#heard()
    this.#running.delete(module.moduleId)
    const told = [...module.children.allTests('failed')].length > 0
    // A file that could not be loaded, or with a failed hook, counts as one failed test.
    if (module.state() === 'failed' && !told) this.#write({ file: module.moduleId, state: 'failed' })
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
