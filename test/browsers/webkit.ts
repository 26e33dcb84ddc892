// WebKitGTK, driven as https://www.w3.org/TR/webdriver2/ says: its browser shows itself on a screen that nobody sees.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { findTool } from '../../scripts/tools.mjs'
import { freePort } from '../support/proxies.ts'
import { type Engine, evaluateBy, type Page } from './engine.ts'

export async function launchWebKit(): Promise<Engine> {
  const undo: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const home = await mkdtemp(join(tmpdir(), 'everwire-webkit-'))
    undo.push(() => rm(home, { recursive: true, force: true, maxRetries: 10 }))
    const screen = start('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1000x24', '-nolisten', 'tcp'], {})
    undo.push(() => end(screen))
    const gone = once(screen, 'exit').then(() => Promise.reject(new Error('Xvfb ended')))
    const [display] = await Promise.race([once(screen.stdio[3] as Readable, 'data'), gone])
    gone.catch(() => {})
    const port = await freePort()
    const driver = start('WebKitWebDriver', [`--port=${port}`, '--host=127.0.0.1'], {
      DISPLAY: `:${String(display).trim()}`,
      HOME: home,
      XDG_CACHE_HOME: home,
      XDG_CONFIG_HOME: home,
      XDG_DATA_HOME: home,
      XDG_RUNTIME_DIR: home,
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
      NO_AT_BRIDGE: '1',
      // No sandbox for root, and no graphics card.
      WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
      WEBKIT_DISABLE_COMPOSITING_MODE: '1',
      LIBGL_ALWAYS_SOFTWARE: '1',
    })
    undo.push(() => end(driver))
    await listening(driver, `http://127.0.0.1:${port}`)
    const session = await Session.begin(`http://127.0.0.1:${port}`)
    undo.push(() => session.end())
    return { open: () => session.open(), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The one session that such a driver has. It does one thing at a time. */
class Session {
  readonly #address: string
  /** There from the beginning and never closed: without a window it does nothing, not even open one. */
  readonly #first: string
  #window: string
  #last: Promise<unknown> = Promise.resolve()

  private constructor(address: string, window: string) {
    this.#address = address
    this.#first = this.#window = window
  }

  static async begin(driver: string): Promise<Session> {
    const capabilities = { alwaysMatch: { acceptInsecureCerts: true, timeouts: { script: 120_000 } } }
    const { sessionId } = await call<{ sessionId: string }>('POST', `${driver}/session`, { capabilities })
    const address = `${driver}/session/${sessionId}`
    return new Session(address, await call('GET', `${address}/window`))
  }

  end(): Promise<unknown> {
    return this.#inTurn(() => call('DELETE', this.#address))
  }

  async open(): Promise<Page> {
    const opened = await this.#within(this.#first, 'POST', 'window/new', { type: 'window' })
    const { handle } = opened as { handle: string }
    return {
      goto: (url) => this.#within(handle, 'POST', 'url', { url }),
      evaluate: evaluateBy(async (expression) => {
        // What is undefined would come back as null.
        const script = `return Promise.resolve(${expression}).then((value) => ({ value }))`
        const answer = await this.#within(handle, 'POST', 'execute/sync', { script, args: [] })
        return (answer as { value: unknown }).value
      }),
      close: () => this.#within(handle, 'DELETE', 'window'),
    }
  }

  #within(handle: string, method: string, path: string, body?: object): Promise<unknown> {
    return this.#inTurn(async () => {
      if (this.#window !== handle) await call('POST', `${this.#address}/window`, { handle })
      this.#window = handle
      return call(method, `${this.#address}/${path}`, body)
    })
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(run)
    this.#last = mine.catch(() => {})
    return mine
  }
}

/** Nothing tells that it listens but its answer. */
async function listening(driver: ChildProcess, url: string): Promise<void> {
  const listens = (): Promise<boolean> =>
    call('GET', `${url}/status`).then(
      () => true,
      () => false,
    )
  while (!(await listens())) {
    if (driver.exitCode !== null || driver.signalCode !== null) throw new Error('WebKitWebDriver has ended')
    await setTimeout(20)
  }
}

async function call<T>(method: string, url: string, body?: object): Promise<T> {
  const answer = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) })
  const { value } = (await answer.json()) as { value: T & { error?: string; message?: string } }
  if (!answer.ok) throw new Error(`${value.error}: ${value.message}`)
  return value
}

function start(tool: Parameters<typeof findTool>[0], args: string[], env: NodeJS.ProcessEnv): ChildProcess {
  const path = findTool(tool)
  if (!path) throw new Error(`There is no ${tool}: put the tests that use it inside needs().`)
  return spawn(path, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}
