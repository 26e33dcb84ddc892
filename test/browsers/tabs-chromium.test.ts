// Many tabs of one site, where no WebSocket gets through: a browser has six connections for all of them together, and yet every
// tab loads, and gets its messages.
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { OwnTime } from '../support/own-time.ts'
import { needs } from '../support/tools.ts'
import { type My, Site } from './site.ts'
import { launchForTabs, type Tab, Tabs } from './tabs.ts'

/** In the page. */
declare const my: My

const count = 10
/** Three for any page, and one for the page that is seen. */
const budget = 4
/** A hidden page acts once a second; in milliseconds of this process's own time, on a machine that takes none to open a page. */
const late = 2500
/** Even on a machine that is busy: where exchanges are stuck, nothing goes on for as long as `never`. */
const stuck = 30_000
/** Were the connections of the browser used up, only the end of an exchange would free one: that is not seen here. */
const never = 600_000

const messages = (tab: Tab): Promise<string[]> => tab.look(() => my.messages)

needs('chromium', 'many tabs in Chromium', () => {
  let browser: Browser
  let site: Site
  let tabs: Tabs

  beforeAll(async () => {
    await ensureBuilt()
    browser = await launchForTabs()
  })

  afterAll(() => browser?.close())

  beforeEach(async () => {
    tabs = await Tabs.of(browser)
    site = await Site.start({ heartbeat: never, patience: never })
    site.network.set({ upgrade: 403 })
  })

  afterEach(async () => {
    await tabs.close()
    await site.close()
  })

  /** Sends it to all of them, and waits until each has it. */
  async function broadcast(text: string, all: readonly Tab[]): Promise<void> {
    for (const { socket } of site.servers) if (socket.readyState === 1) socket.send(text)
    for (const tab of all) await expect.poll(() => messages(tab)).toContain(text)
  }

  /** Five, each when the one before has come, and each in an exchange that is held: nothing waits until the tab asks. */
  async function getsAtOnce(number: number, tab: Tab): Promise<void> {
    const { socket } = await site.client(number)
    const before = (await messages(tab)).length
    for (let i = 1; i <= 5; i++) {
      // The one that brought the message before may have ended with it.
      await expect.poll(() => site.holds(socket)).toBe(true)
      socket.send(`to ${number}: ${before + i}`)
      // At the end of this turn.
      await new Promise(setImmediate)
      expect(socket.bufferedAmount).toBe(0)
      await expect.poll(() => messages(tab)).toHaveLength(before + i)
    }
  }

  describe.each([
    ['with Web Locks', undefined],
    // As for a page that did not come over TLS.
    ['without Web Locks', () => void delete (Navigator.prototype as { locks?: unknown }).locks],
  ] as const)('%s', (_name, before) => {
    test.each(['stream', 'sse', 'polling'] as const)('ten tabs over %s', async (transport) => {
      const all: Tab[] = []
      const clock = new OwnTime()
      onTestFinished(() => clock.stop())
      // The first page shares its connections with nobody: it tells what the machine makes of the browser now.
      let alone = 0
      const busy = () => all.some(({ wasKeptWaiting }) => wasKeptWaiting)
      const inTime = (began: number) =>
        expect(clock.now - began).toBeLessThan(busy() ? stuck : late + 3 * alone)
      for (let i = 1; i <= count; i++) {
        const began = clock.now
        const tab = await tabs.open(site.page({ transports: ['websocket', transport] }), before)
        all.push(tab)
        await expect.poll(() => tab.look(() => my.events)).toContain('open')
        if (i === 1) alone = clock.now - began
        inTime(began)
      }
      await site.client(count)
      for (const text of ['one', 'two', 'three', 'four']) {
        const began = clock.now
        await broadcast(text, all)
        inTime(began)
      }
      expect(site.mostHeld).toBeGreaterThan(1)
      expect(site.mostHeld).toBeLessThanOrEqual(budget)

      // Whichever tab is looked at need not wait.
      for (const number of [count - 1, count]) {
        const tab = all[number - 1] as Tab
        await tab.front()
        await expect.poll(() => site.held).toBe(budget)
        await broadcast(`${number} is seen`, all)
        await getsAtOnce(number, tab)
      }

      // Once there are few enough none has to wait.
      for (const tab of all.splice(0, count - 3)) await tab.close()
      await expect.poll(() => site.held).toBe(3)
      await broadcast('the rest', all)
      for (const [i, tab] of all.entries()) await getsAtOnce(count - 2 + i, tab)
      expect(site.mostHeld).toBeLessThanOrEqual(budget)

      for (const tab of all) {
        expect(await tab.run(() => my.events)).toEqual(['pageshow', 'open'])
        expect(await tab.run(() => my.transports)).toEqual([])
        // Nobody ever doubted a connection, but for a look at it when its page was seen again; and where the machine gave
        // somebody no turn for so long that an answer was late, which nobody can tell from silence.
        const signs = await tab.run(() =>
          my.socket.diary.flatMap((entry) => ('sign' in entry ? entry.sign : [])),
        )
        const expected = ['visible', ...(busy() ? ['silent', 'unanswered'] : [])]
        expect(signs.filter((sign) => !expected.includes(sign))).toEqual([])
        const got = await messages(tab)
        expect(new Set(got).size).toBe(got.length)
        expect(got.slice(0, 4)).toEqual(['one', 'two', 'three', 'four'])
      }
      expect(site.servers.length).toBe(count)
    })
  })
})
