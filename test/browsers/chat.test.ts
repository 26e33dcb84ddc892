// The chat example as people use it: its own server, pages in Chromium, and their buttons that make the network worse.
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ByteWriter } from '../../shared/bytes.ts'
import {
  Ask,
  idSize,
  keySize,
  subprotocol,
  subprotocolWithHead,
  writeRequestHead,
} from '../../shared/exchange.ts'
import { launchChromium, needs } from '../support/tools.ts'
import { type Chat, startChat, stopChat } from './chat-server.ts'
import { troublesOf } from './troubles.ts'

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })

needs('chromium', 'the chat in browsers', () => {
  let chat: Chat
  let browser: Browser
  let troubles: string[] = []

  beforeAll(async () => {
    chat = await startChat()
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    if (chat) expect(await stopChat(chat)).toBe(0)
  })

  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()))
    troubles = []
  })

  /** A visitor of their own, signed in. */
  async function come(name: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(0)
    troublesOf(page, troubles)
    await page.goto(chat.url)
    await page.getByLabel('Your name').fill(name)
    await page.getByRole('button', { name: 'Come in' }).click()
    await carriedBy(page, 'websocket')
    return page
  }

  const carriedBy = (page: Page, transport: string) =>
    page.locator(`#wire[data-transport=${transport}]`).waitFor({ state: 'attached' })

  const texts = (page: Page, selector: string) => page.locator(selector).allTextContents()

  async function say(page: Page, text: string) {
    await page.getByLabel('Message', { exact: true }).fill(text)
    await page.keyboard.press('Enter')
  }

  test('greets who sends their own name, shows HTML as text, and remembers over a reload', async () => {
    const ada = await come('ada')
    const bob = await come('bob')
    const markup = '<img src="x" onerror="document.title = 1">'
    await say(ada, 'ada')
    await say(ada, markup)
    await expect.poll(() => texts(ada, '.message.server .text')).toEqual(['hello ada'])
    await expect.poll(() => texts(bob, '.message .text')).toEqual(expect.arrayContaining(['ada', markup]))
    expect(await texts(bob, '.message.server')).toEqual([])

    await ada.reload()
    await expect.poll(() => texts(ada, '.message.mine .text')).toEqual(['ada', markup])
    expect(await ada.title()).toBe('everwire chat')
    await expect.poll(async () => Number(await ada.locator('#beats').textContent())).toBeGreaterThan(0)
    expect(troubles).toEqual([])
  })

  test('checks the network that each page is in, and can be stopped', async () => {
    const yuan = await come('quentin')
    const mei = await come('rosalind')
    const check = (page: Page) => page.getByRole('button', { name: 'Check this network' })
    const outcomes = (page: Page) =>
      page
        .locator('#check-transports li')
        .evaluateAll((items) => items.map((item) => (item as HTMLElement).dataset.outcome))

    await mei.getByLabel('Forbid WebSockets').check()
    await mei.getByLabel('Hold answers back').check()
    await carriedBy(mei, 'polling')
    // One after the other: two at once measure each other.
    for (const page of [yuan, mei]) {
      await check(page).click()
      await expect.poll(() => texts(page, '#check-transports b')).toHaveLength(4)
      await check(page).waitFor()
    }
    expect(await outcomes(yuan)).toEqual(['works', 'works', 'works', 'works'])
    expect(await texts(yuan, '#check-verdict li')).toContain('It connects over WebSocket.')
    expect(await outcomes(mei)).toEqual(['refused', 'buffered', 'buffered', 'works'])
    expect(await texts(mei, '#check-verdict h3')).toEqual(['What everwire does here', 'What can be done'])
    // The chat has seen nobody but the two.
    const came = (await texts(yuan, '.line')).filter((line) => line.endsWith('joined'))
    expect(came).toEqual(['rosalind joined'])

    await check(yuan).click()
    await yuan.getByRole('button', { name: 'Stop' }).click()
    await check(yuan).waitFor()
    expect(await texts(yuan, '#check-transports li:visible')).toEqual([])
    expect(troubles).toEqual([])
  })

  test.each(['light', 'dark'] as const)(
    'what to try and what comes of it are in view at once: %s',
    async (colorScheme) => {
      const viewport = { width: 1280, height: 800 }
      const page = await come(`desk-${colorScheme}`, { viewport, colorScheme })
      const inView = ['#legend', '#try', '#traffic', '#forbid-websocket', '#lost', '#verdict', 'header nav']
      const bottoms = async () => {
        for (const selector of inView) {
          const box = await page.locator(selector).boundingBox()
          expect([selector, (box?.y ?? -1) >= 0, (box?.y ?? 0) + (box?.height ?? 1e9) <= 800]).toEqual([
            selector,
            true,
            true,
          ])
        }
      }
      await bottoms()
      // What it says to do, and what then happens.
      expect(await page.locator('#try p').textContent()).toBe(
        'Turn on traffic, forbid WebSockets, and watch: 0 missing.',
      )
      await page.getByLabel('Send traffic').check()
      await page.getByLabel('Forbid WebSockets').check()
      await carriedBy(page, 'stream')
      const delivered = async () => Number(await page.locator('#counts [data-count=delivered]').textContent())
      await expect.poll(delivered).toBeGreaterThan(50)
      expect(await texts(page, '[data-count=missing]')).toEqual(['0', '0'])
      // The results of a check come below.
      await page.getByRole('button', { name: 'Check this network' }).click()
      await expect.poll(() => texts(page, '#check-transports b')).toHaveLength(4)
      await page.locator('#panel').evaluate((panel) => panel.scrollTo(0, 0))
      await bottoms()
      await page.getByRole('button', { name: 'Stop' }).click()
      expect(troubles).toEqual([])
    },
  )

  test.each(['light', 'dark'] as const)(
    'on a phone the last message stays in view when the panel opens: %s',
    async (colorScheme) => {
      const viewport = { width: 390, height: 844 }
      const page = await come(`phone-${colorScheme}`, { viewport, colorScheme })
      for (let i = 0; i < 20; i++) await say(page, `message ${i}`)
      const last = page.locator('.mine', { hasText: 'message 19' })
      const isInView = () =>
        last.evaluate((item) => {
          const { top, bottom } = item.getBoundingClientRect()
          const seen = document.querySelector('#scroller')?.getBoundingClientRect()
          return seen !== undefined && top >= seen.top && bottom <= seen.bottom
        })
      await expect.poll(isInView).toBe(true)
      await page.locator('#panel-button').click()
      await page.getByLabel('Send traffic').waitFor()
      await expect.poll(isInView).toBe(true)
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      expect(width).toBe(390)
      // Who reads older messages is left there.
      await page.locator('#panel-button').click()
      await page.locator('#scroller').evaluate((scroller) => scroller.scrollTo(0, 0))
      await expect.poll(isInView).toBe(false)
      await page.locator('#panel-button').click()
      await page.getByLabel('Send traffic').waitFor()
      expect(await isInView()).toBe(false)
      expect(troubles).toEqual([])
    },
  )

  test('sends whom it does not know back to the door', async () => {
    const eve = await come('eve')
    await eve.context().clearCookies()
    await eve.reload()
    await eve.getByLabel('Your name').waitFor()
    await eve.getByLabel('Your name').fill('<eve>')
    await eve.getByRole('button', { name: 'Come in' }).click()
    await expect.poll(() => eve.getByRole('alert').textContent()).toContain('letters')
    expect(troubles).toEqual([])
  })
})

describe('the chat by HTTP', () => {
  let chat: Chat
  let cookie: string

  beforeAll(async () => {
    chat = await startChat()
    const answer = await post(`${chat.url}/sign-in`, { name: ' yuan ' })
    expect(await answer.json()).toEqual({ name: 'yuan' })
    cookie = answer.headers.get('set-cookie') ?? ''
  })

  afterAll(async () => {
    expect(await stopChat(chat, 'SIGINT')).toBe(0)
  })

  function head(ask: number): Uint8Array {
    const zero = { number: 0, offset: 0 }
    const to = new ByteWriter(64)
    const id = crypto.getRandomValues(new Uint8Array(idSize))
    const key = crypto.getRandomValues(new Uint8Array(keySize))
    writeRequestHead(to, {
      ask: ask | Ask.open,
      id,
      key,
      epoch: 1,
      serial: 1,
      quiet: 0,
      life: 0,
      has: zero,
      at: zero,
    })
    return to.whole()
  }

  async function exchange(ask: number, token: string): Promise<[number, string]> {
    const headers = { Cookie: token }
    const body = Buffer.from(head(ask))
    const answer = await fetch(`${chat.url}/realtime?everwire=1`, { method: 'POST', headers, body })
    return [answer.status, answer.status === 200 ? '' : await answer.text()]
  }

  async function upgrade(token: string, protocols: string): Promise<[number, string]> {
    const asking = request(`${chat.url}/realtime`, {
      headers: {
        Cookie: token,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version': '13',
        ...(protocols && { 'Sec-WebSocket-Protocol': protocols }),
      },
    })
    asking.end()
    return new Promise((resolve, reject) => {
      asking.on('error', reject)
      asking.on('upgrade', (answer, socket) => {
        socket.destroy()
        resolve([answer.statusCode ?? 0, ''])
      })
      asking.on('response', async (answer) => {
        resolve([answer.statusCode ?? 0, Buffer.concat(await answer.toArray()).toString()])
      })
    })
  }

  const transports: Record<string, (token: string) => Promise<[number, string]>> = {
    'a plain WebSocket': (token) => upgrade(token, ''),
    websocket: (token) => {
      const said = Buffer.from(head(0)).toString('base64url')
      return upgrade(token, `${subprotocol}, ${subprotocolWithHead}${said}`)
    },
    stream: (token) => exchange(Ask.hold | Ask.stream, token),
    sse: (token) => exchange(Ask.ticket, token),
    polling: (token) => exchange(0, token),
  }

  test.each(Object.entries(transports))('lets nobody in without a right token: %s', async (name, connect) => {
    const [pair = ''] = cookie.split(';')
    const [key, token = ''] = pair.split('=')
    const [body = '', signature = ''] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ id: 'x', name: 'yuan', expires: 1e15 })).toString('base64url')
    const wrong = ['', `${key}=`, `${key}=${body}`, `${key}=${body}.`, `${key}=${forged}.${signature}`]
    for (const one of wrong) {
      const [status, reason] = await connect(one)
      expect([one, status]).toEqual([one, 401])
      expect(reason).toContain('token')
    }
    if (name !== 'stream')
      expect((await connect(pair))[0]).toBe(name.toLowerCase().includes('websocket') ? 101 : 200)
  })

  test('keeps its cookie from scripts and other sites, and its page to itself', async () => {
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/)
    const page = await fetch(chat.url)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(await page.text()).not.toMatch(/<script>|<style|style=|https?:\/\//)
  })

  test('has everything that its page links to', async () => {
    const page = await (await fetch(chat.url)).text()
    const links = [...page.matchAll(/<a href="([^"]+)"/g)].map(([, link]) => link)
    expect(links.length).toBeGreaterThan(3)
    for (const link of links) {
      const answer = await fetch(`${chat.url}/${link}`)
      expect([link, answer.status, answer.headers.get('content-type')]).toEqual([
        link,
        200,
        'text/plain; charset=utf-8',
      ])
    }
    expect((await fetch(`${chat.url}/source/../../package.json`)).status).toBe(404)
    expect((await fetch(`${chat.url}/source/..%2f..%2fpackage.json`)).status).not.toBe(200)
  })

  test('takes only names that are names, and each once', async () => {
    for (const name of ['', ' ', '<b>', 'x'.repeat(25), 'a\u0000b', 5, {}]) {
      const answer = await post(`${chat.url}/sign-in`, { name })
      expect([name, answer.status]).toEqual([name, name === 5 ? 200 : 400])
    }
    const socket = request(`${chat.url}/realtime?everwire=1`, { method: 'POST', headers: { Cookie: cookie } })
    socket.end(head(0))
    await once(socket, 'response')
    const again = await post(`${chat.url}/sign-in`, { name: 'YUAN' })
    expect(again.status).toBe(409)
    expect(await again.json()).toMatchObject({ suggestion: expect.stringMatching(/^YUAN \d+$/) })
  })

  test('answers what it cannot read with an error of its own', async () => {
    const headers = { 'Content-Type': 'application/json' }
    const broken = await fetch(`${chat.url}/sign-in`, { method: 'POST', headers, body: '{' })
    expect(broken.status).toBe(400)
    expect((await post(`${chat.url}/network`, { cut: true })).status).toBe(401)
  })

  test('takes the next port if its own is taken', async () => {
    const other = createServer().listen(0)
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const second = await startChat(port)
    expect(Number(new URL(second.url).port)).toBeGreaterThan(port)
    expect(await stopChat(second)).toBe(0)
    other.close()
  })
})
