// The status page of a server of a cluster, in Chromium.
import { createServer } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../cluster/memory.ts'
import { joinNode, type Node } from '../cluster/nodes.ts'
import { listen } from '../support/http.ts'
import { RawClient } from '../support/raw-client.ts'
import { serve } from '../support/serving.ts'
import { launchChromium, needs } from '../support/tools.ts'
import { troublesOf } from './troubles.ts'

needs('chromium', 'the status page of a cluster', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  async function open(realtime: Node['realtime'], viewport = { width: 1280, height: 900 }): Promise<Page> {
    const site = createServer(realtime.statusPage)
    const port = await listen(site)
    const context = await browser.newContext({ viewport })
    const page = await context.newPage()
    page.setDefaultTimeout(0)
    const troubles = troublesOf(page)
    onTestFinished(async () => {
      await context.close()
      site.closeAllConnections()
      site.close()
      expect(troubles).toEqual([])
    })
    await page.goto(`http://127.0.0.1:${port}/status`)
    await page.locator('#state[data-state=live]').waitFor()
    return page
  }

  const text = (page: Page, selector: string) => page.locator(selector).innerText()

  /** The cells of the server's line. */
  const line = (page: Page, { member }: Node) =>
    page.locator('#nodes tbody tr', { hasText: member.name }).locator('td').allInnerTexts()

  test('shows the servers, what goes between them, and whether the store answers', async () => {
    const store = new MemoryStore()
    const first = await joinNode(store.engine())
    const second = await joinNode(store.engine(), {}, undefined, { listen: false })
    const page = await open(first.realtime)
    await expect.poll(() => line(page, second)).toEqual(['', 'through Redis', '1.0', '0', '0', '0'])
    expect(await line(page, first)).toEqual(['this one', first.member.address, '1.0', '0', '–', '–'])
    expect(await text(page, '#store')).toBe('Redis answers')
    // A session of the second server that asks the first one.
    const client = new RawClient(second.url)
    await client.open()
    const { socket } = await second.connections.next()
    Object.assign(client, { url: first.url })
    await client.send()
    const held = client.poll()
    await expect.poll(() => line(page, second)).toEqual(['', 'through Redis', '1.0', '1', '1', '0'])
    expect(await text(page, '#forwarded')).toBe('1 now, 1 since the start')
    expect(await text(page, '#relayed')).toBe('1 of them through Redis')
    socket.send('hello')
    await held
    // A topic, and a store that is away.
    await new RawClient(first.url).open()
    const own = (await first.connections.next()).socket
    own.subscribe('news')
    await expect.poll(() => text(page, '#heard')).toBe('1 topic heard, 0 behind')
    store.down()
    first.realtime.publish('news', '123')
    await expect.poll(() => text(page, '#store')).toMatch(/^Redis does not answer: The store cannot/)
    await expect.poll(() => text(page, '#unpublished')).toMatch(/^1 message to be published, /)
    store.up()
    await expect.poll(() => text(page, '#store')).toBe('Redis answers')
    await second.realtime.drain({ within: 0 })
    await expect.poll(async () => (await line(page, second))[0]).toBe('drains')
  })

  test('fits on a phone', async () => {
    const store = new MemoryStore()
    const node = await joinNode(store.engine())
    const page = await open(node.realtime, { width: 360, height: 740 })
    await expect.poll(() => line(page, node)).toHaveLength(6)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  })

  test('a server alone shows no cluster', async () => {
    const page = await open((await serve()).realtime)
    await expect.poll(() => text(page, '#connected')).toBe('0')
    expect(await page.locator('#cluster').isVisible()).toBe(false)
  })
})
