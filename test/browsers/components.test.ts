// The hook and the composable of docs/REACT.md in a page, with React's StrictMode; and the examples that use them.
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../scripts/build.mjs'
import { type Socket, WebSocketServer } from '../../server/index.ts'
import { type Faults, type HostileNetwork, hostileNetwork } from '../../testing/index.ts'
import { startProgram } from '../support/program.ts'
import { Queue } from '../support/queue.ts'
import { closeOf, end } from '../support/serving.ts'
import { launchChromium, needs } from '../support/tools.ts'
import type { Components, Seen } from './components.ts'

/** In the page. */
declare const page: { readonly components: Components }
declare const made: number

const root = fileURLToPath(new URL('../..', import.meta.url))
const libraries = ['React', 'Vue'] as const
const networks: Readonly<Record<string, Partial<Faults>>> = {
  'over websocket': {},
  'where WebSockets are blocked': { upgrade: 403 },
}
const everybody = ['ada', 'bob', 'carol']
const first = Array.from({ length: 10 }, (_, i) => `${i}`)

const ofVue = Object.fromEntries(
  ['OPTIONS_API__', 'PROD_DEVTOOLS__', 'PROD_HYDRATION_MISMATCH_DETAILS__'].map((name) => [
    `__VUE_${name}`,
    'false',
  ]),
)

/** Counts the native WebSockets of a page. */
const counting = `
globalThis.made = 0
globalThis.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args)
    globalThis.made++
  }
}`

test("the document's code is the examples' code", () => {
  const document = readFileSync(join(root, 'docs/REACT.md'), 'utf8')
  const files = [...document.matchAll(/\[(examples\/[^\]]+\.\w+)\][^\n]*\n\n```\w+\n(.*?)^```/gms)]
  expect(files).toHaveLength(document.split(/^```\w/m).length - 1)
  for (const [, file = '', code] of files) {
    const whole = readFileSync(join(root, file), 'utf8')
    if (file.endsWith('useSocket.ts')) expect(code, file).toBe(whole)
    else expect(whole, file).toContain(code)
  }
})

needs('chromium', 'components', () => {
  let browser: Browser

  beforeAll(async () => {
    await ensureBuilt()
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  async function openPage(url: string, errors: string[]): Promise<Page> {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const opened = await context.newPage()
    opened.setDefaultTimeout(0)
    opened.on('pageerror', (error) => errors.push(String(error)))
    opened.on('console', (message) => {
      const ofNetwork = /^(Failed to load resource|WebSocket connection to)/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !ofNetwork) errors.push(message.text())
    })
    await opened.goto(url)
    return opened
  }

  describe.each(libraries)('of %s', (library) => {
    let script: string

    beforeAll(async () => {
      const { outputFiles } = await build({
        absWorkingDir: root,
        entryPoints: [`test/browsers/components-${library.toLowerCase()}.ts`],
        alias: { 'everwire/reopen': './client/reopen.ts' },
        // React's StrictMode does nothing in production.
        define: { 'process.env.NODE_ENV': '"development"', ...ofVue },
        bundle: true,
        write: false,
        format: 'iife',
        globalName: 'page',
      })
      script = outputFiles[0]?.text ?? ''
    })

    describe.each(Object.entries(networks))('%s', (_name, faults) => {
      let network: HostileNetwork
      let realtime: WebSocketServer
      let connections: Queue<Socket>
      let came: number
      let errors: string[]

      beforeEach(async () => {
        const server = createServer((request, response) => {
          const isScript = request.url === '/page.js'
          response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html; charset=utf-8')
          response.end(
            isScript
              ? script
              : `<!doctype html><title>A page</title><link rel="icon" href="data:,"><div id="app"></div>
                 <script>${counting}</script><script src="/page.js"></script>`,
          )
        })
        realtime = new WebSocketServer({ server, path: '/realtime' })
        connections = new Queue()
        came = 0
        errors = []
        realtime.on('connection', (socket) => {
          came++
          // What comes first would be lost on a component that listens too late.
          for (const text of first) socket.send(text)
          connections.push(socket)
        })
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        network = await hostileNetwork((server.address() as AddressInfo).port, faults)
        onTestFinished(async () => {
          await end(realtime)
          await network.close()
          server.close()
          server.closeAllConnections()
        })
      })

      afterEach(() => expect(errors).toEqual([]))

      async function components() {
        const opened = await openPage(network.url, errors)
        const seen = (name: string): Promise<Seen> =>
          opened.evaluate((name) => page.components.seen(name), name)
        return {
          seen,
          /** Until these are mounted and all others are not. */
          async show(names: string[], url?: string): Promise<void> {
            await opened.evaluate(([names, url]) => page.components.show(names, url), [names, url] as const)
            for (const name of everybody)
              await expect.poll(async () => (await seen(name)).isMounted).toBe(names.includes(name))
          },
          statuses: () => opened.evaluate(() => page.components.statuses()),
          made: () => opened.evaluate(() => made),
          heard: (name: string, messages: readonly string[]) =>
            expect.poll(async () => (await seen(name)).messages).toEqual(messages),
        }
      }

      test('share one session from the first mount to the last unmount, and hear all in order', async () => {
        const { show, seen, statuses, heard, made } = await components()
        await show(['ada', 'bob'])
        const socket = await connections.next()
        for (const name of ['ada', 'bob']) await heard(name, first)
        expect(await statuses()).toEqual(['open', 'open'])
        if (library === 'React') expect((await seen('ada')).mounts).toBe(2)

        network.cut()
        for (const text of ['a', 'b', 'c']) socket.send(text)
        for (const name of ['ada', 'bob']) await heard(name, [...first, 'a', 'b', 'c'])
        // On a busy machine the stream may be faster after the cut; then the client returns to a WebSocket.
        if (!faults.upgrade) await expect.poll(made).toBe(2)
        await show(['bob'])
        expect(await statuses()).toEqual(['open'])
        socket.send('d')
        await heard('bob', [...first, 'a', 'b', 'c', 'd'])
        await heard('ada', [...first, 'a', 'b', 'c'])
        expect([came, realtime.clients.size]).toEqual([1, 1])

        const closed = closeOf(socket)
        await show([])
        expect((await closed).code).toBe(1005)
        await show(['carol'])
        await connections.next()
        await heard('carol', first)
        expect(await seen('carol')).toMatchObject({ opens: 1, closes: [] })
        expect([came, realtime.clients.size]).toEqual([2, 1])
      })

      test('keep the session when one page of the application replaces another', async () => {
        const { show, heard, made } = await components()
        await show(['ada'])
        const socket = await connections.next()
        await heard('ada', first)
        await show(['bob'])
        socket.send('still here')
        await heard('bob', ['still here'])
        expect([came, realtime.clients.size]).toEqual([1, 1])
        if (!faults.upgrade) expect(await made()).toBe(1)
      })

      test('show when the session ends, when another begins, and when there will be none', async () => {
        const { show, seen, statuses, heard } = await components()
        await show(['ada'])
        const socket = await connections.next()
        await heard('ada', first)
        socket.close(1012, 'restart')
        const next = await connections.next()
        await heard('ada', [...first, ...first])
        expect(await statuses()).toEqual(['open'])
        next.close(4001, 'signed out')
        await expect.poll(statuses).toEqual(['closed'])
        const shown = ['connecting', 'open', 'connecting', 'open', 'closed']
        expect(await seen('ada')).toMatchObject({ opens: 2, closes: [1012, 4001], statuses: shown })
      })

      test('with another URL: leave the old session and begin one there', async () => {
        const { show, statuses, heard } = await components()
        await show(['ada'])
        const socket = await connections.next()
        await heard('ada', first)
        const closed = closeOf(socket)
        await show(['ada'], '/realtime?room=2')
        await connections.next()
        await heard('ada', [...first, ...first])
        expect((await closed).code).toBe(1005)
        expect(await statuses()).toEqual(['open'])
        expect([came, realtime.clients.size]).toEqual([2, 1])
      })
    })

    test('the example, as it stands: two pages in one room', async () => {
      const folder = copyOf(`examples/${library.toLowerCase()}`)
      const bin = relative(root, join(folder, 'node_modules/vite/bin/vite.js'))
      const program = await startProgram(bin, {}, [], [folder, '--port', '0', '--configLoader', 'native'])
      onTestFinished(() => program.stop())
      const errors: string[] = []
      const ada = await openPage(program.url, errors)
      const inRoom = (opened: Page) => opened.locator('li').allTextContents()
      await ada.locator('[role=status]', { hasText: 'open' }).waitFor()
      // StrictMode makes no second session: one came in.
      await expect.poll(() => inRoom(ada)).toEqual(['somebody came in'])
      const bob = await openPage(program.url, errors)
      await expect.poll(() => inRoom(ada)).toEqual(['somebody came in', 'somebody came in'])
      for (const text of ['hello', 'are you there?']) {
        await ada.getByLabel('Message').fill(text)
        await ada.getByRole('button', { name: 'Send' }).click()
      }
      await expect.poll(() => inRoom(bob)).toEqual(['somebody came in', 'hello', 'are you there?'])
      expect(errors).toEqual([])
    })
  })
})

/** A folder with the example, and with the packages that its package.json names installed. */
function copyOf(example: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'everwire-example-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(root, example), folder, {
    recursive: true,
    filter: (path) => !path.endsWith('node_modules'),
  })
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    const place = join(folder, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(name === 'everwire' ? root : join(root, 'node_modules', name), place, 'junction')
  }
  return folder
}
