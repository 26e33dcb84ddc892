// The programs some tests need beside Node, and what becomes of a test where they cannot be had.
import { type Browser, chromium } from 'playwright-core'
import { describe, test } from 'vitest'
import { findTool, type Tool } from '../../scripts/tools.mjs'

const chromiumPath = (): string | undefined => findTool('chromium')

/**
 * A describe() for tests that need such programs. Where one is missing they are skipped, by name and with the
 * reason; with CI set, that is a failure. Start the program in beforeAll or in the test, not in the body.
 */
export function needs(tools: Tool | readonly Tool[], name: string, body: () => void): void {
  const missing = [tools].flat().filter((tool) => !findTool(tool))
  const reason = missing.map((tool) => `no ${tool}`).join(', ')
  if (missing.length === 0) {
    describe(name, body)
  } else if (process.env.CI) {
    describe(name, () => {
      test(`cannot run: ${reason}`, () => {
        throw new Error(`With CI set every test must run; there is ${reason} on this machine.`)
      })
    })
  } else {
    // The one place that may skip: `npm test` names what it skipped.
    describe.skip(`${name} (not run: ${reason})`, body)
  }
}

/**
 * What Chromium does for its own window, of which no test sees anything: each window loads two popups of the address bar as pages,
 * and keeps a process for the next page. Together they cost more than the page of a test.
 */
const ofTheWindow = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'SpareRendererForSitePerProcess']

/** What the driver turns off. Chromium heeds only the last list that it is given, so that ours has to contain the driver's. */
const byTheDriver = [
  'AvoidUnnecessaryBeforeUnloadCheckSync',
  'DestroyProfileOnBrowserClose',
  'HttpsUpgrades',
  'HttpsFirstBalancedModeAutoEnable',
  'LensOverlay',
  'MediaRouter',
  'PaintHolding',
  'ThirdPartyStoragePartitioning',
  'AvoidCorsURLLoaderRestartOnRedirect',
  'OptimizationHints',
  'NetworkTimeServiceQuerying',
  'AimEnabled',
  'PreconnectToSearch',
]

/** A Chromium of its own with a fresh profile; close it where you opened it. `without`: of what the driver would say. */
export function launchChromium(
  extraArgs: readonly string[] = [],
  without: readonly string[] = [],
): Promise<Browser> {
  const executablePath = chromiumPath()
  if (!executablePath) throw new Error('There is no chromium: put the tests that use it inside needs().')
  return chromium.launch({
    executablePath,
    // Whoever waits for it has a limit, and that is enough.
    timeout: 0,
    ignoreDefaultArgs: [...without],
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--disable-features=${[...byTheDriver, ...ofTheWindow].join()}`,
      ...extraArgs,
    ],
  })
}
