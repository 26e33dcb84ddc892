// Tells `npm test` what each test came to, one line of JSON each, as soon as it is known: a run that is ended half-way has a result, too.
import { appendFileSync } from 'node:fs'

/**
 * No test and no hook may take longer than the two minutes of `hangs` in vitest.config.ts. So a run that says nothing for so long holds a loop
 * that never yields, which no time limit inside its process can end.
 */
const stuckAfter = 360_000

/**
 * @typedef {import('vitest/node').TestModule} TestModule
 * @typedef {import('vitest/node').TestCase} TestCase
 * @typedef {{ file: string, test?: string, state: 'passed' | 'failed' | 'not run' }} Line one test, or a file that could not run
 */

export default class Reporter {
  /** The files under way, and in each the test that began last. @type {Map<string, string | undefined>} */
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
    this.#running.set(test.module.moduleId, test.fullName)
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
    // A file that could not be loaded, or a hook that failed, is one failed test.
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
    // The group that `runGroup` made: vitest, its workers, and what they started.
    process.kill(-process.pid, 'SIGKILL')
  }

  /** @param {Line} line */
  #write(line) {
    const { EVERWIRE_TEST_REPORT: report } = process.env
    if (report) appendFileSync(report, `${JSON.stringify(line)}\n`)
  }
}
