// The status page in browsers: its numbers follow what happens, and what the server says of it is seen.
import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from '../../client/node.ts'
import { type ServerOptions, WebSocketServer } from '../../server/index.ts'
import { type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { end } from '../support/serving.ts'
import { launchChromium, needs } from '../support/tools.ts'
import { inEachEngine } from './engines.ts'

interface Setting {
  readonly realtime: WebSocketServer
  /** Before the page alone. */
  readonly network: HostileNetwork
  readonly status: string
  readonly url: string
  /** Whether the guard lets anybody in. */
  isOpen: boolean
}

async function start(options: ServerOptions = {}): Promise<Setting> {
  const app = express()
  const realtime = new WebSocketServer({ noServer: true, ...options })
  app.use('/realtime', realtime.middleware)
  app.use('/status', (_request, response, next) => {
    if (setting.isOpen) next()
    else response.status(401).send('Sign in first')
  })
  app.use('/status', realtime.statusPage)
  const port = await listen(createServer(app))
  const network = await hostileNetwork(port)
  onTestFinished(async () => {
    await network.close()
    await end(realtime)
  })
  const url = `http://127.0.0.1:${port}/realtime`
  const setting: Setting = { realtime, network, status: `${network.url}/status`, url, isOpen: true }
  return setting
}

async function client(url: string, transport: 'websocket' | 'polling'): Promise<WebSocket> {
  const socket = new WebSocket(url, [], { transports: [transport], remember: false })
  socket.onerror = () => {}
  onTestFinished(() => socket.close())
  await once(socket, 'open')
  return socket
}

inEachEngine('the status page', (engine) => {
  test('shows clients as they come and go', async () => {
    const { status, url } = await start()
    const page = await engine().open()
    onTestFinished(async () => void (await page.close()))
    await page.goto(status)
    const text = (selector: string) =>
      page.evaluate((what) => document.querySelector(what)?.textContent ?? '', selector)
    await expect.poll(() => text('#state')).toBe('Live over WebSocket')
    expect(await text('#connected')).toBe('0')
    const one = await client(url, 'websocket')
    await client(url, 'polling')
    await expect.poll(() => text('#connected')).toBe('2')
    const legend = '#clients-chart .legend .polling dd'
    await expect.poll(() => text(legend)).toBe('1')
    one.close(4001, 'enough')
    await expect.poll(() => text('#connected')).toBe('1')
    expect(await text('#ended')).toContain('The client closed')
    expect(await text('#ended')).toContain('reason “enough”')
  })
})

needs('chromium', 'the status page in Chromium', () => {
  let browser: Browser
  let troubles: string[] = []

  beforeAll(async () => {
    browser = await launchChromium()
  })

  afterAll(() => browser?.close())

  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()))
    troubles = []
  })

  async function open(
    url: string,
    viewport = { width: 1280, height: 800 },
    colorScheme: 'light' | 'dark' = 'light',
  ): Promise<Page> {
    const page = await (await browser.newContext({ viewport, colorScheme })).newPage()
    page.setDefaultTimeout(0)
    page.on('pageerror', (error) => troubles.push(String(error)))
    page.on('console', (message) => {
      // What the browser itself says of a connection that was refused or cut no page can prevent.
      const ofNetwork = /^(Failed to load resource|WebSocket connection to)/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !ofNetwork) troubles.push(message.text())
    })
    await page.goto(url)
    await page.locator('#state[data-state=live]').waitFor()
    return page
  }

  const text = (page: Page, selector: string) => page.locator(selector).textContent()

  test('a session that loses its connection, comes back and ends', async () => {
    const { realtime, status, url } = await start()
    const direct = await hostileNetwork(Number(new URL(url).port))
    onTestFinished(() => direct.close())
    const page = await open(status)
    expect(await text(page, '#totals-title')).toMatch(/^Since \d/)
    await client(`${direct.url}/realtime`, 'websocket')
    await expect.poll(() => text(page, '#connected')).toBe('1')
    direct.set({ connections: 'refuse' })
    direct.cut()
    await page.getByText('Without a connection').waitFor()
    await expect.poll(() => text(page, '#resuming')).toBe('1')
    // An entry that is open stays open while its numbers change.
    await page.locator('#troubled summary').click()
    direct.set({ connections: 'pass' })
    await page.getByText('On WebSocket', { exact: true }).waitFor()
    await expect.poll(() => text(page, '#resuming')).toBe('0')
    expect(await page.locator('#troubled details[open] tbody tr').count()).toBe(2)
    await expect.poll(() => text(page, '#opened tbody tr:first-child')).toBe('WebSocket11')
    const [socket] = realtime.clients
    const markup = '<img src=x onerror="document.title = 1">'
    socket?.close(4002, markup)
    await page.locator('#ended li').waitFor()
    expect(await page.locator('#troubled li').count()).toBe(0)
    expect(await text(page, '#ended .facts')).toContain(`reason “${markup}”`)
    expect(await page.locator('img').count()).toBe(0)
    await expect.poll(() => text(page, '#gone tbody')).toBe('The application closed1')
    await page.getByLabel('Only what went wrong').check()
    expect(await page.locator('#ended li').isVisible()).toBe(false)
    await page.getByText('Nothing went wrong with the last clients').waitFor()
    expect(troubles).toEqual([])
  })

  test('messages a second, also in the chart, which keys move through', async () => {
    const { realtime, status, url } = await start()
    const page = await open(status, { width: 390, height: 844 })
    await client(url, 'websocket')
    const timer = setInterval(() => realtime.broadcast('x'.repeat(100)), 10)
    onTestFinished(() => clearInterval(timer))
    await expect.poll(async () => Number(await text(page, '#sent'))).toBeGreaterThan(5)
    expect(await text(page, '#sent-note')).toMatch(/^messages, [\d.]+ (B|KiB)\/s$/)
    const slider = page.getByRole('slider', { name: 'Moment in the chart of clients' })
    await expect.poll(async () => Number(await slider.getAttribute('max'))).toBeGreaterThan(1)
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/^now: WebSocket 1, Streaming 0, /)
    await slider.focus()
    await page.keyboard.press('Home')
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/^\d\d:\d\d:\d\d: WebSocket 0, /)
    expect(await page.locator('#clients-chart .cursor').count()).toBe(1)
    await page.keyboard.press('Escape')
    expect(await text(page, '#clients-chart .when')).toBe('now')
    // Nothing is wider than a phone.
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(troubles).toEqual([])
  })

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)('can be read: %s, %i pixels wide', async (colorScheme, width) => {
    const { realtime, status, url } = await start()
    const page = await open(status, { width, height: 800 }, colorScheme)
    const [trouble, other] = [await client(url, 'polling'), await client(url, 'websocket')]
    other.close(4001, 'A reason that takes a whole line and more of a phone that is held upright')
    for (const socket of realtime.clients) if (socket.transport === 'polling') socket.close(4002, 'Gone')
    await page.locator('#ended li').nth(1).waitFor()
    await page.locator('#ended summary').first().click()
    const { wide, lightness, faint, seen } = await page.evaluate(looked)
    expect(wide).toBe(width)
    expect(lightness > 0.5).toBe(colorScheme === 'light')
    expect(seen).toBeGreaterThan(40)
    // WCAG 2, 1.4.3.
    expect(faint).toEqual([])
    expect(troubles).toEqual([])
    trouble.close()
  })

  test('says when it is not let in any more, and goes on when it is', async () => {
    const setting = await start()
    const page = await open(setting.status)
    setting.isOpen = false
    setting.network.cut()
    const alert = page.getByRole('alert')
    await expect.poll(() => alert.textContent()).toContain('You are no longer let in (status 401)')
    expect(await page.locator('main[data-stale]').count()).toBe(1)
    setting.isOpen = true
    await page.locator('#state[data-state=live]').waitFor()
    expect(await alert.isHidden()).toBe(true)
    expect(troubles).toEqual([])
  })

  test('says when the server closes, and that it is gone', async () => {
    const { realtime, network, status } = await start()
    const page = await open(status)
    await realtime.close({ within: 1_000 })
    const alert = page.getByRole('alert')
    await expect.poll(() => alert.textContent()).toContain('closing or full')
    network.set({ connections: 'refuse' })
    network.cut()
    await expect.poll(() => alert.textContent()).toContain('does not answer')
    expect(troubles).toEqual([])
  })
})

/** In the page: how wide it is, how light its background, how many texts it shows, and those that differ too little from what is behind. */
function looked(): { wide: number; lightness: number; seen: number; faint: string[] } {
  const paper = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  if (!paper) throw new Error('There is no canvas')
  /** What is seen where these colours lie on each other, the last one on top. */
  const lightnessOf = (colours: string[]): number => {
    for (const colour of ['white', ...colours]) {
      paper.fillStyle = colour
      paper.fillRect(0, 0, 1, 1)
    }
    const [red = 0, green = 0, blue = 0] = [...paper.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const behind = (element: Element): string[] => [
    ...(element.parentElement ? behind(element.parentElement) : []),
    getComputedStyle(element).backgroundColor,
  ]
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const faint: string[] = []
  let seen = 0
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent?.trim()
    const element = texts.currentNode.parentElement
    if (!text || !element?.checkVisibility()) continue
    seen++
    const under = behind(element)
    const { color, fill } = getComputedStyle(element)
    const [one, other] = [lightnessOf(under), lightnessOf([...under, element.closest('svg') ? fill : color])]
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(1)}`)
  }
  return {
    wide: document.documentElement.scrollWidth,
    lightness: lightnessOf(behind(document.body)),
    seen,
    faint,
  }
}
