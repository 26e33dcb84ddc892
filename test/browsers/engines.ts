// The engines that tests run in, each behind the same few words: a suite is written once, and runs in all of them. They take
// certificates that nobody has signed.
import puppeteer from 'puppeteer-core'
import { afterAll, beforeAll } from 'vitest'
import { findTool, type Tool } from '../../scripts/tools.mjs'
import { launchChromium, needs } from '../support/tools.ts'
import { type Engine, type EngineName, evaluateBy, type Page } from './engine.ts'
import { reusing } from './reuse.ts'
import { Tabs } from './tabs.ts'
import { launchWebKit } from './webkit.ts'

interface Kind {
  readonly name: EngineName
  readonly tools: readonly Tool[]
  launch(): Promise<Engine>
}

async function chromium(): Promise<Engine> {
  const browser = await launchChromium(['--js-flags=--expose-gc', '--ignore-certificate-errors'])
  return {
    async open() {
      // A context of its own: it shares nothing with other pages.
      const tabs = await Tabs.of(browser)
      const tab = await tabs.open('about:blank')
      return { goto: (url) => tab.go(url), evaluate: tab.run, close: () => tabs.close() }
    },
    close: () => browser.close(),
  }
}

async function firefox(): Promise<Engine> {
  const executablePath = findTool('firefox-esr')
  if (!executablePath) throw new Error('There is no firefox-esr: put the tests that use it inside needs().')
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    timeout: 0,
    acceptInsecureCerts: true,
    // No test looks at requests from outside. The driver would be told of each request, and would have the browser keep all bodies:
    // a browser without room for them refuses that.
    networkEnabled: false,
    extraPrefsFirefox: { 'remote.network.maxTotalDataSize': 1 },
  })
  return {
    async open() {
      const context = await browser.createBrowserContext()
      // In a window of its own: a tab behind another one is hidden.
      const page = await context.newPage({ type: 'window' })
      page.setDefaultTimeout(0)
      return {
        goto: (url) => page.goto(url),
        evaluate: evaluateBy((expression) => page.evaluate(expression)),
        close: () => context.close(),
      }
    },
    close: () => browser.close(),
  }
}

const kinds: readonly Kind[] = [
  { name: 'Chromium', tools: ['chromium'], launch: chromium },
  { name: 'Firefox', tools: ['firefox-esr'], launch: firefox },
  { name: 'WebKitGTK', tools: ['WebKitWebDriver', 'Xvfb'], launch: launchWebKit },
]

/** A describe() for each engine, in which that engine runs; `body` is given how to get at it. */
export function inEachEngine(name: string, body: (engine: () => Engine, name: EngineName) => void): void {
  for (const kind of kinds) {
    needs(kind.tools, `${name} in ${kind.name}`, () => {
      let engine: Engine
      beforeAll(async () => {
        const { open, close } = await kind.launch()
        engine = { open: reusing(open), close }
      })
      afterAll(() => engine?.close())
      body(() => engine, kind.name)
    })
  }
}

/** Runs a script of ours in the page. */
export function addScript(page: Page, text: string): Promise<unknown> {
  return page.evaluate((content) => {
    const script = document.createElement('script')
    script.textContent = content
    document.head.append(script)
  }, text)
}
