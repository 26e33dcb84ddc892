// The client in a page as bundlers make it of the package, with all names that can be short.
import { readFileSync, rmSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { WebSocketOptions } from '../../client/browser.ts'
import { bundlers, classAlone } from '../../scripts/bundlers.mjs'
import { Conversation, type Told } from '../support/conversation.ts'
import { makeProject } from '../support/project.ts'
import type { Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

/** In the page. */
declare function talk(options: WebSocketOptions): Promise<Told>
declare const everwire: { readonly WebSocket: { readonly name: string; readonly prototype: object } }

const root = fileURLToPath(new URL('../..', import.meta.url))
const talking = `
${readFileSync(`${root}/test/support/converse.mjs`)}
globalThis.talk = (options) => converse(everwire.WebSocket, '/realtime', options)
`

const scripts: Record<string, string> = {}

const pages: RequestListener = (request, response) => {
  const [, name = '', isScript] = /^\/(\w+)(\.js)?$/.exec(request.url ?? '') ?? []
  response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
  response.end(
    isScript
      ? scripts[name] + talking
      : `<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,"><script type="module" src="/${name}.js"></script>`,
  )
}

let project: string

beforeAll(async () => {
  project = await makeProject()
  for (const [name, bundle] of Object.entries(bundlers)) scripts[name] = await bundle(classAlone, project)
})

afterAll(() => rmSync(project, { recursive: true }))

inEachEngine('the client', (engine) => {
  describe.each(Object.keys(bundlers))('bundled by %s', (name) => {
    let conversation: Conversation
    let page: Page

    beforeEach(async () => {
      conversation = await Conversation.begin(pages)
      page = await engine().open()
      await page.goto(`${conversation.network.url}/${name}`)
    })

    afterEach(async () => {
      await page?.close()
      await conversation?.end()
    })

    test.each(['websocket', 'stream', 'sse', 'polling'] as const)('%s', async (transport) => {
      const told = await page.evaluate((options) => talk(options), { transports: [transport] })
      expect(told).toEqual(Conversation.over(transport))
      expect(conversation.ends).toEqual(['4321 bÿe'])
    })

    test('the class has its name, and no member that is not public', async () => {
      const [ours, members] = await page.evaluate(() => [
        everwire.WebSocket.name,
        Object.getOwnPropertyNames(everwire.WebSocket.prototype).filter(
          (member) => !(member in WebSocket.prototype),
        ),
      ])
      expect(ours).toBe('WebSocket')
      expect([...members].sort()).toEqual([
        'diary',
        'onstatuschange',
        'ontransportchange',
        'status',
        'transport',
      ])
    })
  })
})
