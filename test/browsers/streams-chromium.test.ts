// Many tabs over HTTP/2, where no WebSocket gets through. How many streams a connection may have at a time is the server's word,
// which no page is told. Every tab loads and gets its messages; and where there is room, no tab waits until it asks.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WebSocketOptions } from '../../client/browser.ts'
import { ensureBuilt } from '../../scripts/build.mjs'
import { startProxy } from '../support/proxies.ts'
import { selfSigned } from '../support/tls.ts'
import { needs } from '../support/tools.ts'
import { SecureSite, type SecureSiteOptions } from './secure-site.ts'
import type { My } from './site.ts'
import { launchForTabs, type Tab, Tabs } from './tabs.ts'

/** In the page. */
declare const my: My

const count = 12
const rounds = 5
/**
 * In milliseconds. A tab loads within three seconds here and has its messages within two; where exchanges are stuck, only the
 * end of one lets the next one go, and that takes half a minute or more.
 */
const stuck = 15_000
/** A tab that holds nothing asks once a second: half of its messages wait for longer than this. */
const asking = 250
const noMore = () => performance.setResourceTimingBufferSize(0)

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] as number

let browser: Browser
let tabs: Tabs
const sites: SecureSite[] = []

beforeAll(ensureBuilt)

afterEach(async () => {
  await tabs.close()
  for (const site of sites.splice(0)) await site.close()
})

async function start(options: SecureSiteOptions = {}): Promise<SecureSite> {
  const site = await SecureSite.start(options)
  sites.push(site)
  return site
}

/** Opens the tabs, each when the one before it is open. */
async function openAll(url: string, before?: () => void): Promise<Tab[]> {
  const all: Tab[] = []
  const loads: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    const tab = await tabs.open(url, before)
    await expect.poll(() => tab.run(() => my.events)).toContain('open')
    loads.push(Math.round(performance.now() - began))
    all.push(tab)
  }
  console.log(`${expect.getState().currentTestName}: the tabs loaded in ${loads.join(', ')} ms`)
  expect(Math.max(...loads)).toBeLessThan(stuck)
  return all
}

/** Says something to all tabs, again when all have it. Returns how long that took, for each tab. */
async function broadcast(site: SecureSite, all: readonly Tab[]): Promise<number[][]> {
  for (let round = 1; round <= rounds; round++) {
    site.broadcast()
    for (const tab of all) await expect.poll(() => tab.run(() => my.messages.length)).toBe(round)
  }
  const took = await Promise.all(all.map(delays))
  const medians = took.map(median).join(', ')
  console.log(
    `${expect.getState().currentTestName}: messages took ${medians} ms, at most ${Math.max(...took.flat())}`,
  )
  expect(Math.max(...took.flat())).toBeLessThan(stuck)
  for (const tab of all) expect(await tab.run(() => my.events)).toEqual(['pageshow', 'open'])
  return took
}

/** How long each message of a tab took: it says when it was sent. */
const delays = (tab: Tab): Promise<number[]> =>
  tab.run(() => my.messages.map((sent, i) => (my.cameAt[i] as number) - Number(sent)))

needs('chromium', 'streams of HTTP/2 in Chromium', () => {
  beforeAll(async () => {
    browser = await launchForTabs(['--ignore-certificate-errors'])
  })

  afterAll(() => browser?.close())

  beforeEach(async () => {
    tabs = await Tabs.of(browser)
  })

  describe.each(['stream', 'sse', 'polling'] as const)('over %s', (transport) => {
    const options: WebSocketOptions = { transports: ['websocket', transport] }

    test.each(transport === 'stream' ? [5, 10] : [5])('%i streams for twelve tabs', async (streams) => {
      const site = await start({ streams })
      const took = await broadcast(site, await openAll(site.page(options)))
      // As many as may hold something do: two streams are left.
      expect(took.filter((all) => median(all) < asking).length).toBeGreaterThanOrEqual(streams / 2 - 1)
    })

    test('one stream: what is held gives way', async () => {
      const site = await start({ streams: 1 })
      await converse(site, await tabs.open(site.page(options)))
    })
  })

  test('one stream, with every transport to choose from', async () => {
    const site = await start({ streams: 1 })
    await converse(site, await tabs.open(site.page({})))
  })

  test.each([
    ['no limit', undefined],
    ['no limit, and the page keeps no entries of what it loads', noMore],
  ])('pages of another origin: %s', async (_name, before) => {
    const site = await start()
    const server = await start({ origins: '*' })
    const all = await openAll(site.page({ transports: ['websocket', 'stream'] }, server), before)
    const took = await broadcast(server, all)
    const budget = await (all[0] as Tab).run(
      (origin) => Number.parseFloat(localStorage.getItem(`everwire ${origin} budget`) ?? '32'),
      server.origin,
    )
    // To a page the pause of a busy machine looks like a short exchange that waits for another one. Then it has fewer, but not four
    // as over HTTP/1.1.
    expect(budget).toBeGreaterThan(4)
    expect(took.filter((its) => median(its) < asking).length).toBeGreaterThanOrEqual(
      Math.min(count, budget - 1),
    )
  })

  test('over HTTP/1.1, where the page does not know it: six connections are found', async () => {
    const site = await start({ version: 'http/1.1' })
    await broadcast(site, await openAll(site.page({ transports: ['websocket', 'stream'] }), noMore))
  })

  /** The server answers each of many messages at once. */
  async function converse(site: SecureSite, tab: Tab): Promise<void> {
    const { socket } = await site.client(1)
    socket.on('message', (data) => socket.send(String(data)))
    await tab.run(() => {
      const timer = setInterval(() => {
        my.socket.send(String(Date.now()))
        if (++sent === 200) clearInterval(timer)
      }, 20)
      let sent = 0
    })
    await expect.poll(() => tab.run(() => my.messages.length)).toBe(200)
    const took = await delays(tab)
    console.log(`${expect.getState().currentTestName}: ${median(took)} ms, at most ${Math.max(...took)}`)
    expect(Math.max(...took)).toBeLessThan(stuck)
    expect(await tab.run(() => my.transports)).toEqual([])
  }
})

needs(['chromium', 'nginx'], 'streams of HTTP/2 behind nginx', () => {
  let folder: string

  beforeAll(async () => {
    browser = await launchForTabs(['--ignore-certificate-errors'])
    folder = mkdtempSync(join(tmpdir(), 'everwire-certificate-'))
    const { key, cert } = selfSigned()
    writeFileSync(join(folder, 'key'), key)
    writeFileSync(join(folder, 'cert'), cert)
  })

  beforeEach(async () => {
    tabs = await Tabs.of(browser)
  })

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await browser?.close()
  })

  test('which lets a connection have five streams: twelve tabs', async () => {
    const site = await start({ version: 'plain' })
    const config = `
      server {
        listen 127.0.0.1:PORT ssl http2;
        http2_max_concurrent_streams 5;
        ssl_certificate ${folder}/cert;
        ssl_certificate_key ${folder}/key;
        location / { proxy_pass http://127.0.0.1:TARGET; proxy_http_version 1.1; proxy_set_header Host $http_host; }
      }`
    const proxy = await startProxy({ program: 'nginx', config }, site.port)
    try {
      const url = site
        .page({ transports: ['websocket', 'stream'] })
        .replace(site.origin, `https://127.0.0.1:${proxy.port}`)
      await broadcast(site, await openAll(url))
    } finally {
      await proxy.stop()
    }
  })
})
