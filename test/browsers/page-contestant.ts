// everwire in a page, for the networks of test/networks: the same books and the same limits as in Node.
import { type Client, type Contestant, everwire } from '../networks/contestant.ts'
import { path } from '../networks/follow.ts'
import type { TalkOptions } from '../networks/talk.ts'
import { bundleForPage } from './bundle.ts'
import type { Engine } from './engine.ts'
import { addScript } from './engines.ts'
import type { begin, PageEnd } from './network-page.ts'

declare const inPage: { begin: typeof begin }
declare global {
  var end: PageEnd
}

/** `pageOf`: the address of a page that lets scripts run, for a server at this address. */
export function everwireInPages(
  engine: () => Engine,
  pageOf: (url: string) => string,
  base: Contestant = everwire,
): Contestant {
  let script: Promise<string> | undefined
  /** One page after the other: to make one takes the machine for itself. */
  let turn: Promise<unknown> = Promise.resolve()

  function connect(port: number, options: TalkOptions): Promise<Client> {
    const mine = turn.then(() => open(port, options))
    turn = mine.catch(() => {})
    return mine
  }

  async function open(port: number, options: TalkOptions): Promise<Client> {
    script ??= bundleForPage('test/browsers/network-page.ts', 'inPage')
    const page = await engine().open()
    const url = `http://127.0.0.1:${port}${path}`
    await page.goto(pageOf(url))
    await addScript(page, await script)
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

  return { ...base, name: 'everwire in a page', connect }
}
