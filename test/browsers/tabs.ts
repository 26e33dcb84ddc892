// Tabs as people have them: one is seen, the others are hidden, and may be frozen. What drives tests makes every page
// believe that it is seen and has the focus, so these are driven past it. The driver also has the browser send it a copy of
// every frame of a WebSocket, which costs several times what the frame costs the page.
import type { Browser, CDPSession } from 'playwright-core'
import { launchChromium } from '../support/tools.ts'
import { evaluateBy, type Page } from './engine.ts'

/** Saves power with hidden pages and keeps those that are left, which tests usually do not want. */
export function launchForTabs(extraArgs: readonly string[] = []): Promise<Browser> {
  return launchChromium(
    // Timers that follow timers have a turn each minute: after five minutes, and here after a second.
    ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1', ...extraArgs],
    [
      '--disable-back-forward-cache',
      '--disable-background-timer-throttling',
      '--disable-backgrounding-occluded-windows',
      '--disable-renderer-backgrounding',
    ],
  )
}

/** An answer, or an event of a page. */
interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly frame?: { readonly parentId?: string; readonly loaderId: string } }
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

/** The tabs of one visitor: they share what the browser keeps for an origin. */
export class Tabs {
  readonly #cdp: CDPSession
  readonly #context: string
  readonly #waiting = new Map<number, (answer: Message) => void>()
  readonly #tabs = new Map<string, Tab>()
  #count = 0

  private constructor(cdp: CDPSession, context: string) {
    this.#cdp = cdp
    this.#context = context
    cdp.on('Target.receivedMessageFromTarget', ({ sessionId, message }) => {
      const said = JSON.parse(message) as Message
      const { id = 0, method, params } = said
      this.#waiting.get(id)?.(said)
      this.#waiting.delete(id)
      const frame = method === 'Page.frameNavigated' ? params?.frame : undefined
      if (frame && !frame.parentId) this.#tabs.get(sessionId)?.navigated(frame.loaderId)
    })
  }

  static async of(browser: Browser): Promise<Tabs> {
    const cdp = await browser.newBrowserCDPSession()
    const { browserContextId } = await cdp.send('Target.createBrowserContext')
    return new Tabs(cdp, browserContextId)
  }

  /** In front of the others. `before`: runs in each of its pages before anything else. */
  async open(url: string, before?: () => void): Promise<Tab> {
    const given = { url: 'about:blank', browserContextId: this.#context }
    const { targetId } = await this.#cdp.send('Target.createTarget', given)
    const { sessionId } = await this.#cdp.send('Target.attachToTarget', { targetId, flatten: false })
    const tab = new Tab({
      send: (method, params) => this.#send(sessionId, method, params),
      front: () => this.#cdp.send('Target.activateTarget', { targetId }),
      close: () => this.#cdp.send('Target.closeTarget', { targetId }),
    })
    this.#tabs.set(sessionId, tab)
    await tab.prepare(before)
    await tab.go(url)
    return tab
  }

  async close(): Promise<void> {
    await this.#cdp.send('Target.disposeBrowserContext', { browserContextId: this.#context })
    await this.#cdp.detach()
  }

  async #send(sessionId: string, method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#count
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve))
    const message = JSON.stringify({ id, method, params })
    await this.#cdp.send('Target.sendMessageToTarget', { sessionId, message })
    const { result, error } = await answered
    if (error) throw new Error(`${method}: ${error.message}`)
    return result
  }
}

interface Wire {
  send(method: string, params?: object): Promise<unknown>
  front(): Promise<unknown>
  close(): Promise<unknown>
}

interface Navigated {
  readonly loaderId?: string
  readonly errorText?: string
}

interface Evaluated {
  readonly result: { readonly value?: unknown }
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string } }
}

/** In milliseconds: a page with a turn answers in a tenth of this. */
const atOnce = 100

export class Tab {
  readonly #wire: Wire
  /** The longest that the page took to tell what it had at hand. */
  #slowest = 0
  /** The browser's name of the load that brought the page that is there. */
  #loader: string | undefined
  #navigated: () => void = () => {}

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Runs a function in the page that is there now. It sees nothing but the page and what it is given. */
  readonly run: Page['evaluate'] = evaluateBy(async (expression) => {
    const options = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = (await this.#wire.send('Runtime.evaluate', options)) as Evaluated
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'failed in the page')
    return result.value
  })

  /** As `run`, of something that the page need not wait for. */
  async look<T>(what: () => T): Promise<Awaited<T>> {
    const began = performance.now()
    const seen = await this.run(what)
    this.#slowest = Math.max(this.#slowest, performance.now() - began)
    return seen
  }

  /**
   * A busy machine gave the page no turn, or this process none, while somebody looked at it. How long something takes then, and
   * which answers seem late, says nothing about the page.
   */
  get wasKeptWaiting(): boolean {
    return this.#slowest > atOnce
  }

  async prepare(before: (() => void) | undefined): Promise<void> {
    await this.#wire.send('Page.enable')
    const source = `(${before})()`
    if (before) await this.#wire.send('Page.addScriptToEvaluateOnNewDocument', { source })
  }

  /** Until its page is loaded. */
  go(url: string): Promise<void> {
    return this.#navigate('Page.navigate', { url })
  }

  reload(): Promise<void> {
    return this.#navigate('Page.reload')
  }

  /** One page back in its history. */
  async back(): Promise<void> {
    const { currentIndex, entries } = (await this.#wire.send('Page.getNavigationHistory')) as {
      readonly currentIndex: number
      readonly entries: readonly { readonly id: number }[]
    }
    const entry = entries[currentIndex - 1]
    await this.#navigate('Page.navigateToHistoryEntry', { entryId: entry?.id })
  }

  /** Another page has taken the place of the one that was there. */
  navigated(loader: string): void {
    this.#loader = loader
    this.#navigated()
  }

  /** Nothing is asked of the page that goes: to run anything in it would end its life in the back/forward cache. */
  async #navigate(method: string, params?: object): Promise<void> {
    const before = this.#loader
    const { loaderId, errorText } = (await this.#wire.send(method, params)) as Navigated
    if (errorText) throw new Error(errorText)
    // The browser may still tell of the empty page that a new tab begins with. What runs in that page may never be answered.
    const isThere = () => (loaderId ? this.#loader === loaderId : this.#loader !== before)
    while (!isThere())
      await new Promise<void>((resolve) => {
        this.#navigated = resolve
      })
    await this.run(
      () =>
        document.readyState === 'complete' ||
        new Promise((loaded) => addEventListener('load', loaded, { once: true })).then(() => true),
    )
  }

  front(): Promise<unknown> {
    return this.#wire.front()
  }

  /** As the browser does with hidden pages to save power: no task of theirs runs. */
  freeze(frozen: boolean): Promise<unknown> {
    return this.#wire.send('Page.setWebLifecycleState', { state: frozen ? 'frozen' : 'active' })
  }

  async offline(offline: boolean): Promise<void> {
    await this.#wire.send('Network.enable')
    const unlimited = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
    await this.#wire.send('Network.emulateNetworkConditions', { offline, ...unlimited })
  }

  close(): Promise<unknown> {
    return this.#wire.close()
  }
}
