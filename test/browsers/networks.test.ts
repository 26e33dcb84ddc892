// What stands in the way of WebSockets, with a real page at the client's end: the same books, the same limits as in Node.
import { beforeAll, describe } from 'vitest'
import { type Client, type Contestant, everwire } from '../networks/contestant.ts'
import { path } from '../networks/follow.ts'
import { testNetwork } from '../networks/holds.ts'
import { inTheWay } from '../networks/list/in-the-way.ts'
import type { TalkOptions } from '../networks/talk.ts'
import { bundleForPage } from './bundle.ts'
import { addScript, inEachEngine } from './engines.ts'
import type { begin, PageEnd } from './network-page.ts'

declare const inPage: { begin: typeof begin }
declare global {
  var end: PageEnd
}

/** In each engine. That which stands in the way in Chromium alone is the same for all of them. */
const everywhere = ['open', 'nginx, buffering', 'WebSocket: 403', 'WebSocket: no answer', 'WebSocket: mute']

inEachEngine('both ends talk', (engine, engineName) => {
  let script: string

  beforeAll(async () => {
    script = await bundleForPage('test/browsers/network-page.ts', 'inPage')
  })

  /** One page after the other: to make one takes the machine for itself. */
  let turn: Promise<unknown> = Promise.resolve()

  function connect(port: number, options: TalkOptions): Promise<Client> {
    const mine = turn.then(() => open(port, options))
    turn = mine.catch(() => {})
    return mine
  }

  async function open(port: number, options: TalkOptions): Promise<Client> {
    const page = await engine().open()
    const url = `http://127.0.0.1:${port}${path}`
    // Any page of the server will do, if it lets scripts run: it refuses this one.
    await page.goto(new URL('/elsewhere', url).href)
    await addScript(page, script)
    await page.evaluate(
      (address, how) => {
        globalThis.end = inPage.begin(address, how)
      },
      url,
      options,
    )
    return {
      start: () => page.evaluate(() => end.talk.start()),
      pause: () => page.evaluate(() => end.talk.pause()),
      finish: () => page.evaluate(() => end.talk.finish()),
      heard: (count) => page.evaluate((wanted) => end.talk.heard(wanted), count),
      carriedBy: (transport) => page.evaluate((wanted) => end.talk.carriedBy(wanted), transport),
      ended: () => page.evaluate(() => end.talk.ended()),
      account: () => page.evaluate(() => end.talk.account()),
      close: () => page.evaluate(() => end.close()),
      drop: () => page.close(),
    }
  }

  const page: Contestant = { ...everwire, name: 'everwire in a page', connect }

  if (engineName === 'Chromium')
    describe.concurrent('beside each other', () => {
      for (const network of inTheWay) testNetwork(network, page)
    })
  // Here a WebSocket that hangs is in the way of those to other ports, or one page has to wait for the other.
  else for (const network of inTheWay) if (everywhere.includes(network.name)) testNetwork(network, page)
})
