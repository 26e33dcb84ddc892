// The carriers in a real page, each alone: what client/base/carrier.ts asks of them, over the browser's own WebSocket, fetch and EventSource.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Line } from '../support/line.ts'
import { bundleForPage } from './bundle.ts'
import type { PageClient } from './carrier-page.ts'
import type { Page } from './engine.ts'
import { addScript, inEachEngine } from './engines.ts'

declare const inPage: { PageClient: typeof PageClient }
declare global {
  var client: PageClient
}

const MiB = 1_048_576

inEachEngine('the carriers', (engine) => {
  let script: string
  let page: Page

  beforeAll(async () => {
    script = await bundleForPage('test/browsers/carrier-page.ts', 'inPage')
  })

  beforeEach(async () => {
    page = await engine().open()
  })

  afterEach(() => page?.close())

  describe.each([
    ['websocket', false],
    ['stream', true],
    ['sse', true],
    ['polling', true],
  ] as const)('%s', (transport, asksAgain) => {
    const events = (): Promise<string[]> => page.evaluate(() => client.events)
    const lengths = (): Promise<number[]> => page.evaluate(() => client.messages.map(({ length }) => length))
    const messages = (): Promise<string[]> => page.evaluate(() => client.messages)

    /** Any page of the server will do, if it lets scripts run: it refuses this one. */
    async function load(line: Line): Promise<void> {
      await page.goto(`${line.url.replace('ws', 'http')}?everwire=none`)
      await addScript(page, script)
      await page.evaluate(
        (name, url) => {
          globalThis.client = new inPage.PageClient(name, url)
        },
        transport,
        line.url,
      )
    }

    async function open(line: Line): Promise<void> {
      await load(line)
      await page.evaluate(() => void client.begin(false))
      await expect.poll(events).toContain('proven 1')
      await line.arrived(1)
    }

    test('is proven once, and carries all in order both ways', async () => {
      const line = await Line.lay()
      await open(line)
      expect(await events()).toEqual(['attach 1 attached', 'proven 1'])
      const [server] = line.servers
      const all = ['a', '', '\0', 'x'.repeat(MiB), 'z']
      for (const text of all) server?.socket.send(text)
      await page.evaluate((...texts) => client.send(...texts), ...all)
      await server?.untilMessages(all.length)
      await expect.poll(lengths).toEqual(all.map(({ length }) => length))
      expect(server?.messages.map(({ length }) => length)).toEqual(all.map(({ length }) => length))
    })

    test('says nothing after close()', async () => {
      const line = await Line.lay()
      await open(line)
      await page.evaluate(() => client.used?.carrier?.close())
      line.servers[0]?.socket.send('too late')
      line.network.cut()
      await page.evaluate(() => {
        client.used = undefined
        client.begin(false)
      })
      await expect.poll(events).toContain('proven 2')
      expect((await events()).filter((event) => event.startsWith('lost'))).toEqual([])
    })

    test('reports once that it was refused, and that nobody is there', async () => {
      const line = await Line.lay({ verifyClient: () => false })
      await load(line)
      await page.evaluate(() => void client.begin(false))
      await expect.poll(events).toHaveLength(1)
      line.network.set({ connections: 'refuse' })
      await page.evaluate(() => void client.begin(false))
      await expect.poll(events).toHaveLength(2)
      expect((await events()).map((event) => event.slice(0, 6))).toEqual(['lost 1', 'lost 2'])
    })

    test('cut in the middle of a message, nothing is lost', async () => {
      const line = await Line.lay()
      await open(line)
      let passed = 0
      const watch = (_connection: unknown, way: string, chunk: Buffer): void => {
        if (way === 'to server') passed += chunk.length
        if (passed < 200_000) return
        line.network.off('data', watch)
        line.network.cut()
      }
      line.network.on('data', watch)
      await page.evaluate((...texts) => client.send(...texts), 'before', 'x'.repeat(MiB), 'after')
      if (!asksAgain) {
        await expect.poll(async () => (await events()).some((event) => event.startsWith('lost 1'))).toBe(true)
        await page.evaluate(() => void client.begin(false))
      }
      await line.servers[0]?.untilMessages(3)
      expect(line.servers[0]?.messages.map(({ length }) => length)).toEqual([6, MiB, 5])
    })

    test('stands by without a stall, and takes over', async () => {
      const line = await Line.lay()
      await open(line)
      const [server] = line.servers
      server?.socket.send('one')
      await page.evaluate(() => void client.begin(true))
      server?.socket.send('two')
      await expect.poll(events).toContain('proven 2')
      await page.evaluate(() => client.send('up'))
      server?.socket.send('three')
      await expect.poll(messages).toEqual(['one', 'two', 'three'])
      await server?.untilMessages(1)
      await expect
        .poll(async () => (await events()).filter((event) => event.startsWith('lost 1')))
        .toHaveLength(1)
      expect(line.servers.length).toBe(1)
    })
  })
})
