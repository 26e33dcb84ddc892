// The class suite in real pages: on our client as a page loads it, over each transport alone and over all, and on the
// browser's own class, to a `ws` server and to ours.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import type * as Contract from '../contract/class-contract.ts'
import { caseNames, type Outcome, type Subject } from '../contract/class-contract.ts'
import { type ClassServer, freeAddress, startClassServer } from '../contract/class-server.ts'
import { Tally } from '../contract/tally.ts'
import type { Page } from './engine.ts'
import { inEachEngine } from './engines.ts'

/** What the page has beside what every page has. */
declare const contract: typeof Contract
declare const everwire: { readonly WebSocket: Subject['WebSocket'] }
declare const troubles: string[]

const root = fileURLToPath(new URL('../..', import.meta.url))
const html = `<!doctype html><meta charset="utf-8"><title>Class suite</title><link rel="icon" href="data:,">
<script>
const troubles = []
addEventListener('error', ({ message }) => troubles.push(message))
addEventListener('unhandledrejection', ({ reason }) => troubles.push(String(reason)))
</script><script src="/everwire.js"></script><script src="/contract.js"></script>`

interface Row {
  readonly name: string
  readonly kind: 'everwire' | 'native'
  readonly server: 'everwire' | 'ws'
  readonly transports?: readonly string[]
}

async function bundleContract(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['test/contract/class-contract.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'contract',
    target: 'es2022',
  })
  return outputFiles[0]?.text ?? ''
}

inEachEngine('the class suite', (engine, engineName) => {
  let script: string
  const tally = new Tally()

  const pages = (app: Express): void => {
    app.get('/page', (_request, response) => void response.type('html').send(html))
    app.get('/contract.js', (_request, response) => void response.type('js').send(script))
    app.get('/everwire.js', (_request, response) => {
      response.type('js').send(readFileSync(`${root}/dist/everwire.js`))
    })
  }

  beforeAll(async () => {
    await ensureBuilt()
    script = await bundleContract()
  })

  afterAll(() => tally.print())

  const ours = { kind: 'everwire', server: 'everwire' } as const

  describe.each<Row>([
    { ...ours, name: 'everwire over websocket', transports: ['websocket'] },
    { ...ours, name: 'everwire over stream', transports: ['stream'] },
    { ...ours, name: 'everwire over sse', transports: ['sse'] },
    { ...ours, name: 'everwire over polling', transports: ['polling'] },
    { ...ours, name: 'everwire over all' },
    { name: "the browser's own class, to ws", kind: 'native', server: 'ws' },
    { name: "the browser's own class, to everwire's server", kind: 'native', server: 'everwire' },
  ])('$name', ({ name, kind, server: serverKind, transports }) => {
    let server: ClassServer
    let deadUrl: string
    let page: Page

    beforeAll(async () => {
      server = await startClassServer(serverKind, pages)
      deadUrl = await freeAddress()
      page = await engine().open()
      await page.goto(`${server.origin}/page`)
    })

    afterAll(async () => {
      const found = await page?.evaluate(() => troubles)
      await page?.close()
      await server?.close()
      expect(found).toEqual([])
    })

    test.each(caseNames)('%s', async (caseName) => {
      const given = { kind, url: server.url, deadUrl, ...(transports && { options: { transports } }) }
      const outcome: Outcome = await page.evaluate(
        (oneName, subject) =>
          contract.runNamed(oneName, {
            ...subject,
            base: document.baseURI,
            WebSocket: subject.kind === 'native' ? WebSocket : everwire.WebSocket,
          }),
        caseName,
        given,
      )
      tally.count(`${name}, in ${engineName}`, outcome)
      expect(outcome.error).toBe(undefined)
    })
  })
})
