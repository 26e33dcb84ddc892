// Chromium writes a red line into the console for each WebSocket that fails. What was learnt on one visit keeps that to one on the next.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { launchChromium, needs } from '../support/tools.ts'
import { type My, Site } from './site.ts'

/** In the page. */
declare const my: My

needs('chromium', 'the console in Chromium', () => {
  let browser: Browser

  beforeAll(async () => {
    await ensureBuilt()
    browser = await launchChromium()
  })

  afterAll(() => browser?.close())

  /** How long the client leaves WebSockets alone after each that failed, in ms. */
  const rests = (page: Page): Promise<number[]> =>
    page.evaluate(() =>
      my.socket.diary.flatMap((entry) =>
        entry.type === 'lesson' && entry.about === 'rest' ? entry.value : [],
      ),
    )

  test('where WebSockets are refused, a visit after the first has one line, and none for five minutes, on the next for ten', async () => {
    const site = await Site.start()
    site.network.set({ upgrade: 403 })
    const page = await browser.newPage()
    let lines = 0
    page.on('console', (message) => {
      if (message.type() === 'error' && message.text().startsWith('WebSocket connection to')) lines++
    })
    await page.goto(site.page({}))
    await expect.poll(() => lines).toBe(3)
    expect((await rests(page)).length).toBeLessThanOrEqual(3)
    for (const rest of [300_000, 600_000]) {
      // As if it were a day later: nothing rests any more.
      await page.goto(site.elsewhere)
      await page.evaluate(() => {
        const name = Object.keys(localStorage).find((key) => key.includes('ws:')) as string
        const kept = JSON.parse(localStorage[name])
        kept[0].websocket[1] -= 86_400_000
        localStorage[name] = JSON.stringify(kept)
      })
      lines = 0
      await page.goto(site.page({}))
      await expect.poll(() => rests(page)).toEqual([rest])
      expect(await page.evaluate(() => my.socket.transport)).toBe('stream')
      expect(lines).toBe(1)
    }
    await page.close()
    await site.close()
  })
})
