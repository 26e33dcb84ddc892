// What happens to a page does not happen to its session: kept and shown again, hidden, frozen, offline. And when it is gone the
// server knows at once.
import { setTimeout as lasts } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { DiaryEntry, WebSocketOptions } from '../../client/browser.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { OwnTime } from '../support/own-time.ts'
import { ownServerClock } from '../support/server-clock.ts'
import { needs } from '../support/tools.ts'
import { type My, Site } from './site.ts'
import { launchForTabs, type Tab, Tabs } from './tabs.ts'

/** In the page. */
declare const my: My

/** What only a deadline would show is not seen before the test has ended. */
const never = 600_000
const transports = ['websocket', 'stream', 'sse', 'polling'] as const

const events = (tab: Tab): Promise<string[]> => tab.run(() => my.events)
const messages = (tab: Tab): Promise<string[]> => tab.look(() => my.messages)
const diary = (tab: Tab): Promise<DiaryEntry[]> => tab.run(() => my.socket.diary)
const opened = (tab: Tab) => expect.poll(() => events(tab)).toContain('open')
const numbered = (name: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${name} ${from + i}`)

async function signs(tab: Tab): Promise<string[]> {
  return (await diary(tab)).flatMap((entry) => (entry.type === 'sign' ? entry.sign : []))
}

function carriers(entries: readonly DiaryEntry[]) {
  return entries.filter((entry) => entry.type === 'carrier')
}

needs('chromium', 'the life of a page in Chromium', () => {
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
  })

  afterEach(async () => {
    await tabs.close()
    await site.close()
  })

  async function open(options: WebSocketOptions, path?: string): Promise<Tab> {
    const tab = await tabs.open(site.page(options, path))
    if (!path) await opened(tab)
    return tab
  }

  describe.each(transports)('over %s', (transport) => {
    const options = { transports: [transport] }

    test('away and back: nothing seen, nothing lost', async () => {
      site = await Site.start()
      const tab = await open(options)
      const server = await site.client(1)
      for (const text of numbered('server', 1, 3)) server.socket.send(text)
      await expect.poll(() => messages(tab)).toHaveLength(3)
      // The last of them are on their way when the page goes.
      await tab.run(() => {
        for (let i = 1; i <= 3; i++) my.socket.send(`client ${i}`)
        addEventListener('pagehide', () => my.socket.send('client 4'), { once: true })
      })
      for (const text of numbered('server', 4, 6)) server.socket.send(text)
      await tab.go(site.elsewhere)
      for (const text of numbered('server', 7, 9)) server.socket.send(text)
      await tab.back()
      await expect.poll(() => messages(tab)).toHaveLength(9)
      await tab.run(() => my.socket.send('client 5'))
      await server.untilMessages(5)
      expect(await messages(tab)).toEqual(numbered('server', 1, 9))
      expect(server.messages).toEqual(numbered('client', 1, 5))
      expect(await events(tab)).toEqual([
        'pageshow',
        'open',
        'pagehide persisted',
        'freeze',
        'resume',
        'pageshow persisted',
      ])
      // Where the machine gave the page no turn an answer was late, which the page cannot tell from a dead connection.
      const late = tab.wasKeptWaiting ? ['unanswered', 'silent'] : []
      expect((await signs(tab)).filter((sign) => !late.includes(sign))).toEqual(['away', 'back'])
      expect(await tab.run(() => my.socket.transport)).toBe(transport)
      expect([server.life, site.servers.length]).toEqual([[], 1])
    })

    test('away for longer than the server has patience: one close, on return', async () => {
      site = await Site.start()
      const tab = await open(options)
      const server = await site.client(1)
      if (transport !== 'websocket') await expect.poll(() => site.held).toBe(1)
      await tab.go(site.elsewhere)
      // Of a client that has nothing open just then the server knows only by its silence: 65 s with the defaults.
      const moveOn = ownServerClock()
      const step = 5000
      let waited = 0
      for (; server.life.length === 0 && waited < 65_000 + step; waited += step) await moveOn(step)
      expect(server.life).toEqual(['close 1006 connection lost'])
      await tab.back()
      await expect.poll(() => events(tab)).toContain('close 1006 unknown session')
      expect((await events(tab)).slice(-2)).toEqual(['pageshow persisted', 'close 1006 unknown session'])
    })

    test.each<[string, (tab: Tab) => Promise<unknown>]>([
      ['closed', (tab) => tab.close()],
      ['loaded anew', (tab) => tab.reload()],
      ['left, where pages are not kept', (tab) => tab.go(site.elsewhere)],
    ])('the page is %s: 1001 at once', async (_how, leave) => {
      site = await Site.start({ heartbeat: never, patience: never })
      const tab = await open(options)
      const server = await site.client(1)
      await tab.run(() => {
        // Chromium does not keep pages that listen for this.
        addEventListener('unload', () => {})
        my.socket.send('before')
      })
      await server.untilMessages(1)
      await Promise.all([leave(tab), server.untilClosed()])
      expect(server.life).toEqual([expect.stringMatching(/^close 1001/)])
    })

    test('offline in the middle of a conversation: goes on when it is online again', async () => {
      site = await Site.start()
      const tab = await open(options)
      const server = await site.client(1)
      await tab.run(() => {
        let count = 0
        setInterval(() => count < 100 && my.socket.send(`client ${++count}`), 10)
      })
      for (const text of numbered('server', 1, 50)) server.socket.send(text)
      await server.untilMessages(20)
      await tab.offline(true)
      await expect.poll(() => events(tab)).toContain('offline')
      for (const text of numbered('server', 51, 100)) server.socket.send(text)
      // An open WebSocket goes on here. For the others one look is taken, and hardly another: the browser says that it is no use.
      if (transport !== 'websocket') {
        await expect.poll(() => tab.run(() => my.socket.transport)).toBe(null)
        await expect.poll(async () => carriers(await diary(tab)).length).toBeGreaterThan(1)
      }
      await tab.offline(false)
      await server.untilMessages(100)
      await expect.poll(() => messages(tab)).toHaveLength(100)
      const entries = await diary(tab)
      const last = entries.findLastIndex((entry) => 'sign' in entry && entry.sign === 'online')
      const online = entries[last] as DiaryEntry
      const next = entries.slice(last).find(({ type }) => type === 'carrier') as DiaryEntry
      // The sign itself begins the next attempt, in the same task; a pause would be of a second at least.
      expect(next).toMatchObject({ type: 'carrier', purpose: transport === 'websocket' ? 'doubt' : 'resume' })
      expect(next.at - online.at).toBeLessThan(500)
      if (transport !== 'websocket') {
        expect(next).toHaveProperty('proven')
        expect(carriers(entries.slice(0, last)).length).toBeLessThan(6)
      }
      expect(await messages(tab)).toEqual(numbered('server', 1, 100))
      expect(server.messages).toEqual(numbered('client', 1, 100))
      expect(await events(tab)).toEqual(['pageshow', 'open', 'offline', 'online'])
      expect([server.life, site.servers.length]).toEqual([[], 1])
    })

    test('hidden, and frozen until the server gives the connection up: goes on when it may', async () => {
      const heartbeat = 1000
      site = await Site.start({ heartbeat })
      const tab = await open(options)
      const server = await site.client(1)
      await tabs.open(site.elsewhere)
      await expect.poll(() => tab.run(() => document.visibilityState)).toBe('hidden')
      await tab.freeze(true)
      for (const text of numbered('server', 1, 5)) server.socket.send(text)
      await server.untilEvent('transport null')
      for (const text of numbered('server', 6, 10)) server.socket.send(text)
      await tab.freeze(false)
      await expect.poll(() => messages(tab)).toHaveLength(10)
      await tab.run(() => my.socket.send('client 1'))
      await server.untilMessages(1)
      expect(await messages(tab)).toEqual(numbered('server', 1, 10))
      expect(await events(tab)).toEqual(['pageshow', 'open', 'freeze', 'resume'])
      expect([server.life, site.servers.length]).toEqual([[], 1])
    })

    test('hidden: no false alarm, and every message comes', async () => {
      const heartbeat = 1000
      site = await Site.start({ heartbeat })
      const tab = await open(options)
      const server = await site.client(1)
      await tabs.open(site.elsewhere)
      await expect.poll(() => tab.run(() => document.visibilityState)).toBe('hidden')
      let beats = 0
      server.socket.on('pong', () => server.event(`heartbeat ${++beats}`))
      const clock = new OwnTime()
      onTestFinished(() => clock.stop())
      for (let i = 1; i <= 4; i++) {
        await server.untilEvent(`heartbeat ${i}`)
        server.socket.send(`server ${i}`)
        await expect.poll(() => messages(tab)).toHaveLength(i)
      }
      // A server that had no turn for half a heartbeat was silent for too long indeed: then the alarm is not false.
      if (clock.longestStall < heartbeat / 2) {
        expect(await signs(tab)).toEqual([])
        expect(carriers(await diary(tab)).length).toBe(1)
      }
      await tab.front()
      await expect.poll(() => tab.run(() => document.visibilityState)).toBe('visible')
      server.socket.send('server 5')
      await expect.poll(() => messages(tab)).toEqual(numbered('server', 1, 5))
      expect(await events(tab)).toEqual(['pageshow', 'open'])
      expect(server.life.filter((event) => !event.startsWith('heartbeat'))).toEqual([])
    })
  })

  test.each(['stream', 'sse'] as const)(
    'over %s: frozen while the request for a stream is on its way: its connection is given back before',
    async (transport) => {
      site = await Site.start({ heartbeat: never, patience: never })
      site.network.set({ delay: 500 })
      const tab = await tabs.open(site.page({ transports: [transport] }), () => {
        // The head of a request that is held says so in its second byte; an event stream is held.
        const { fetch, EventSource } = window
        window.fetch = (url, init) => {
          if ((init?.body as Uint8Array | undefined)?.[1] === 12) my.events.push('held')
          return fetch(url, init)
        }
        window.EventSource = class extends EventSource {
          constructor(url: string | URL, init?: EventSourceInit) {
            super(url, init)
            my.events.push('held')
          }
        }
      })
      await tabs.open('data:text/html,in front of it')
      await expect.poll(() => events(tab)).toContain('held')
      await tab.freeze(true)
      // What was on its way has arrived long before this page has.
      await tabs.open(site.elsewhere)
      await expect.poll(() => site.held).toBe(0)
      expect(await events(tab)).not.toContain('resume')
    },
  )

  test.each(transports)(
    'over %s, of everwire/reopen: the session ends while the browser is offline; another begins as soon as it is online',
    async (transport) => {
      site = await Site.start({ heartbeat: 1000 })
      // By the clock alone it would begin after hours.
      const hours = 8 * 60 * 60_000
      const reopen = { minDelay: hours, maxDelay: hours }
      const tab = await tabs.open(site.page({ transports: [transport], patience: 1000, reopen }, 'reopening'))
      await opened(tab)
      const server = await site.client(1)
      await tab.offline(true)
      await expect.poll(() => events(tab)).toContain('offline')
      server.socket.terminate()
      await expect.poll(async () => (await events(tab)).at(-1)).toMatch(/^close 1006/)
      expect(await tab.run(() => my.socket.status)).toBe('connecting')
      await tab.offline(false)
      const second = await site.client(2)
      second.socket.send('again')
      await expect.poll(() => messages(tab)).toEqual(['again'])
      expect((await events(tab)).map((event) => event.replace(/^(close 1006).*/, '$1'))).toEqual([
        'pageshow',
        'open',
        'offline',
        'close 1006',
        'online',
        'open',
      ])
      expect(await tab.run(() => my.socket.status)).toBe('open')
    },
  )

  test('behind 502s: all transports at once, then one at a time, ever more seldom', async () => {
    const outage = 30_000
    site = await Site.start({ patience: 2 * outage })
    const tab = await open({})
    const server = await site.client(1)
    let requests = 0
    site.network.on('request', (_connection, line) => {
      if (line.includes('/realtime')) requests++
    })
    site.network.set({ upgrade: 502, errorPages: 1 }).cut()
    await expect.poll(() => tab.run(() => my.socket.transport)).toBe(null)
    await tab.run(() => my.socket.send('from the outage'))
    await lasts(outage)
    expect(requests).toBeGreaterThan(6)
    expect(requests).toBeLessThanOrEqual(25)
    site.network.clear()
    await server.untilMessages(1)
    expect(server.messages).toEqual(['from the outage'])
    expect((await events(tab)).filter((event) => event !== 'pageshow')).toEqual(['open'])
  })

  describe('a second visit', () => {
    test('begins with what worked, and tries a WebSocket again later', async () => {
      site = await Site.start()
      site.network.set({ upgrade: 'swallow' })
      const tab = await open({})
      await expect
        .poll(async () => (await diary(tab)).filter(({ type }) => type === 'lesson'))
        .toEqual([expect.objectContaining({ about: 'rest', transport: 'websocket' })])
      await tab.reload()
      await opened(tab)
      const [first] = carriers(await diary(tab))
      expect(first).toMatchObject({ transport: 'stream', purpose: 'open', epoch: 1 })
      site.network.clear()
      await expect.poll(() => tab.run(() => my.socket.transport)).toBe('websocket')
      expect(carriers(await diary(tab)).at(-1)).toMatchObject({ transport: 'websocket', purpose: 'better' })
      expect((await events(tab)).filter((event) => event !== 'pageshow')).toEqual(['open'])
    })

    test('knows nothing of the first, if nothing is to be remembered', async () => {
      site = await Site.start()
      site.network.set({ upgrade: 'swallow' })
      const tab = await open({ remember: false })
      await expect
        .poll(async () => (await diary(tab)).filter(({ type }) => type === 'lesson'))
        .toHaveLength(1)
      expect(await tab.run(() => localStorage.length)).toBe(0)
      await tab.reload()
      await opened(tab)
      expect(carriers(await diary(tab))[0]).toMatchObject({ transport: 'websocket' })
      expect(await tab.run(() => localStorage.length)).toBe(0)
    })
  })

  test.each(transports)('in a frame that may keep nothing and has no origin: %s', async (transport) => {
    site = await Site.start({ origins: '*' })
    await open({ transports: [transport] }, 'framed')
    const server = await site.client(1)
    await server.until(() => server.socket.transport === transport)
    for (const text of numbered('server', 1, 3)) server.socket.send(text)
    // It echoes, once it has all.
    await server.untilMessages(3)
    expect(server.messages).toEqual(numbered('server', 1, 3))
  })
})
