// The code of docs/MONITORING.md that lets a page write what its socket decides, as it stands there: over each transport, and only
// where somebody wants to read it.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { WebSocketServer } from '../../server/index.ts'
import { hostileNetwork } from '../../testing/index.ts'
import { listen } from '../support/http.ts'
import { watch } from '../support/serving.ts'
import { inEachEngine } from './engines.ts'

const document = readFileSync(new URL('../../docs/MONITORING.md', import.meta.url), 'utf8')
const [, documented = ''] = /^```js page\n(.*?)^```/ms.exec(document) ?? []
const dist = fileURLToPath(new URL('../../dist', import.meta.url))
const imports = { everwire: '/dist/client/browser.js', 'everwire/doctor': '/dist/doctor/browser.js' }

const pageWith = (options: string): string => `<!doctype html><meta charset="utf-8"><title>A log</title>
<link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script>
<script>var lines = []; console.log = (line) => lines.push(line)</script>
<script type="module">${documented.replace("'/realtime'", `'/realtime', ${options}`)}</script>`

/** In the page. */
declare const lines: string[]

inEachEngine('the log of a page', (engine) => {
  beforeAll(ensureBuilt)

  test.each(['websocket', 'stream', 'sse', 'polling'])('over %s', async (transport) => {
    expect(documented).toContain("new WebSocket('/realtime')")
    const app = express()
    const realtime = new WebSocketServer({ noServer: true })
    const connections = watch(realtime)
    app.use('/realtime', realtime.middleware)
    app.use('/dist', express.static(dist))
    app.get('/', (_request, response) => {
      response.send(pageWith(JSON.stringify({ transports: [transport], remember: false })))
    })
    const network = await hostileNetwork(await listen(createServer(app)))
    onTestFinished(() => network.close())
    const page = await engine().open()
    onTestFinished(async () => void (await page.close()))

    await page.goto(network.url)
    const first = await connections.next()
    expect(await page.evaluate(() => lines)).toEqual([])
    first.socket.terminate()

    await page.evaluate(() => localStorage.setItem('debug', 'everwire'))
    await page.goto(network.url)
    const { socket } = await connections.next()
    const written = (): Promise<string> => page.evaluate(() => lines.join('\n'))
    await expect.poll(written).toMatch(`carrier 1, ${transport}: an answer came back after `)
    network.set({ connections: 'refuse' }).cut()
    await expect.poll(written).toMatch(/carrier \d+, \w+, to resume the session: begins/)
    network.set({ connections: 'pass' })
    socket.close(4000, 'enough')
    await expect.poll(written).toContain('the session is over: code 4000, "enough"')
    const all = (await written()).split('\n')
    expect(all[0]).toMatch(RegExp(`^[\\dT:.-]+Z carrier 1, ${transport}, to open the session: begins$`))
    expect(new Set(all).size).toBe(all.length)
  })
})
