// A Chromium with one page for each contestant, and what its main thread does there.
import puppeteer from 'puppeteer-core'
import { findTool } from '../../scripts/tools.mjs'
import { startProcess } from '../processes.mjs'
import { reason } from '../runner.mjs'

export const native = 'native'
export const contenders = [
  { row: native, library: 'native', transport: 'websocket' },
  ...rows('socket.io', ['websocket', 'polling']),
  ...rows('sockjs', ['websocket', 'xhr-streaming', 'xhr-polling']),
  ...rows('everwire', ['websocket', 'stream', 'sse', 'polling']),
]
export const peers = ['socket.io, polling', 'sockjs, xhr-streaming', 'sockjs, xhr-polling']
export const fallbacks = ['stream', 'sse', 'polling'].map((transport) => `everwire, ${transport}`)

function rows(library, transports) {
  return transports.map((transport) => ({ row: `${library}, ${transport}`, library, transport }))
}

/** Opens a page for each contender, gets it ready with `prepare`, and runs `work` with those that are; faults go to `table`. */
export async function withPages({ table, options, prepare }, work) {
  const executablePath = findTool('chromium')
  if (!executablePath) {
    table.fault(native, 'there is no chromium on this machine')
    return
  }
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
  ]
  // Otherwise the browser tells its driver of each request and each frame, and the page's thread has to prepare that.
  const browser = await puppeteer.launch({ executablePath, headless: true, args, networkEnabled: false })
  const pages = new Map()
  try {
    for (const contender of contenders) {
      try {
        const page = await ChromiumPage.open(browser, contender, options)
        pages.set(contender.row, page)
        await prepare(page)
      } catch (error) {
        table.fault(contender.row, reason(error))
        await pages.get(contender.row)?.stopServer()
        pages.delete(contender.row)
      }
    }
    await work(
      contenders.filter(({ row }) => pages.has(row)),
      ({ row }) => pages.get(row),
      browser,
    )
  } finally {
    await Promise.all([browser.close(), ...[...pages.values()].map((page) => page.stopServer())])
  }
}

class ChromiumPage {
  #page
  #devtools
  #server
  #to

  static async open(browser, { library, transport }, { addresses = 1 } = {}) {
    const opened = new ChromiumPage()
    opened.#server = startProcess('whole/server.mjs', [library, 'echo', '{}'])
    try {
      const port = await opened.#server.call('listen', { addresses })
      opened.#to = { host: '127.0.0.1', port, transport }
      // A context of its own is a process of its own, in a window that is seen.
      opened.#page = await (await browser.createBrowserContext()).newPage()
      await opened.#page.goto(`http://127.0.0.1:${port}/bench/browser/page.html?library=${library}`)
      await opened.#page.evaluate(() => globalThis.driver.then((driver) => void driver))
      opened.#devtools = await opened.#page.createCDPSession()
      // CPU time of the main thread: what else runs on this machine does not count.
      await opened.#devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
    } catch (error) {
      await opened.#server.stop()
      throw error
    }
    return opened
  }

  stopServer() {
    return this.#server.stop()
  }

  /** Opens connections; with `apart` each to an address of its own, because a browser has six connections to each. */
  async open(count, { apart = false } = {}) {
    const open = async (driver, number, to, each) => {
      await driver.open(number, (i) => (each ? { ...to, host: `127.0.0.${2 + i}` } : to), 4)
    }
    await this.#evaluate(open, count, this.#to, apart)
  }

  /** Runs a function in the page, with its driver. */
  #evaluate(what, ...args) {
    return this.#page.evaluate(
      `driver.then((driver) => (${what})(${['driver', ...args.map(toSource)].join(', ')}))`,
    )
  }

  echo(options) {
    return this.#evaluate((driver, given) => driver.echo(given), options)
  }

  /** Echoes, and what each took of the main thread, in µs of CPU time. */
  async cost(options) {
    await this.#page.bringToFront()
    const before = await this.metrics()
    const found = await this.echo(options)
    const after = await this.metrics()
    const each = (key) => ((after[key] - before[key]) * 1e6) / found.messages
    return { ...found, task: each('TaskDuration'), script: each('ScriptDuration') }
  }

  async metrics() {
    const { metrics } = await this.#devtools.send('Performance.getMetrics')
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]))
  }

  /** In bytes, after a thorough collection. */
  async heap() {
    for (let i = 0; i < 3; i++) await this.#devtools.send('HeapProfiler.collectGarbage')
    return (await this.metrics()).JSHeapUsedSize
  }

  /** Leaves a mark in a trace. */
  mark(name) {
    return this.#page.evaluate((text) => performance.mark(text) && undefined, name)
  }
}

function toSource(value) {
  return value === undefined ? 'undefined' : JSON.stringify(value)
}
