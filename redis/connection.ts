/** Keeps a link to Redis: when a link is lost, opens another one. */
import { randomBytes } from 'node:crypto'
import { Link, type LinkListener } from './link.ts'
import type { RedisClient, RedisSettings } from './options.ts'
import * as scripts from './scripts.ts'

/** Redis has sharded pub/sub from this version on. */
const leastVersion = 7

/** How long the values that nodes share live after the last node: a week. */
export const commonLife: number = 7 * 86_400_000

/** Pauses before attempts to connect again, in milliseconds. Each is shortened by up to a half, at random. */
const pauses = [100, 200, 400, 800, 1_000]

export interface ConnectionSettings extends RedisSettings {
  /** How often to look whether Redis answers, in milliseconds. For tests. */
  readonly heartbeat?: number | undefined
}

export interface ConnectionHost {
  /** Subscribes on a new link to all channels of the last one. The returned function is called when the new link is in use. */
  restore(link: Link): Promise<() => void>
  message(channel: string, message: Buffer): void
  moved(channel: string): void
  /** `'up'`, `'fresh'`: another link is in use. `'down'`: there is none. */
  changed(state: 'up' | 'down' | 'fresh', why?: Error): void
}

export class Connection {
  readonly #settings: ConnectionSettings
  readonly #markKey: (number: number) => string
  readonly #host: ConnectionHost
  #client: RedisClient | undefined
  #link: Link | undefined
  /** Changes with each `open` and `close`: a call that finds another number than at its beginning stops. */
  #life = 0
  /** Why there is no link. */
  #why = new Error('The engine is not open')
  /** The marks, by their keys: a mark that has changed shows that a server has lost its data. */
  readonly #marks = new Map<string, string>()
  /** A server has lost its data, and the host has not been told. */
  #isFresh = false
  #hasWarned = false
  #again: NodeJS.Timeout | undefined

  /** `markKey`: the keys for marks. */
  constructor(settings: ConnectionSettings, markKey: (number: number) => string, host: ConnectionHost) {
    this.#settings = settings
    this.#markKey = markKey
    this.#host = host
  }

  get link(): Link | undefined {
    return this.#link
  }

  /** The link; throws if there is none. */
  up(): Link {
    if (this.#link) return this.#link
    throw this.#why
  }

  async open(): Promise<void> {
    this.close()
    const life = this.#life
    try {
      this.#client ??= this.#settings.client ?? (await clientOf(this.#settings.url ?? ''))
      // The engine may have been closed while the package was loaded.
      if (this.#life !== life) throw new Error('The engine was closed')
      await this.#connect(true)
    } catch (error) {
      if (this.#life === life) this.close()
      throw error
    }
  }

  close(): void {
    this.#life++
    clearTimeout(this.#again)
    this.#link?.close()
    this.#link = undefined
    this.#why = new Error('The engine is not open')
    this.#marks.clear()
    this.#isFresh = false
  }

  /** Keeps the marks alive. If one was gone, a server has lost its data, and the link fails. */
  async keepMarks(link: Link): Promise<void> {
    await this.#mark(link)
    if (this.#isFresh) this.fail(link, new Error('It has lost what it had'))
  }

  /** Leaves a mark on each server, or finds the one that is there. */
  async #mark(link: Link): Promise<void> {
    const keys = new Set([...this.#marks.keys(), ...link.oneOfEach(this.#markKey)])
    for (const key of keys) {
      const mark = await common(link, key, 'mark', randomBytes(9).toString('base64url'))
      if (this.#marks.has(key) && this.#marks.get(key) !== mark) this.#isFresh = true
      this.#marks.set(key, mark)
    }
  }

  /** Ends this link and looks for another one. */
  fail(link: Link, error: Error): void {
    link.close()
    if (this.#link !== link) return
    this.#link = undefined
    this.#why = this.#away(error)
    this.#host.changed('down', this.#why)
    this.#reconnect(0)
  }

  async #connect(isFirst: boolean): Promise<void> {
    const { heartbeat } = this.#settings
    const life = this.#life
    const client = this.#client as RedisClient
    let link: Link | undefined
    let lost: Error | undefined
    const listener: LinkListener = {
      // A message that comes before the link is in use is dropped: those of topics are read from the history.
      message: (channel, message) => {
        if (link === this.#link) this.#host.message(channel, message)
      },
      moved: (channel) => this.#host.moved(channel),
      lost: (why) => {
        lost = why
        this.fail(link as Link, why)
      },
    }
    try {
      link = await Link.open({ client, heartbeat }, listener)
    } catch (error) {
      throw this.#away(error as Error)
    }
    try {
      if (isFirst) await this.#check(link)
      await this.#mark(link)
      const restored = await this.#host.restore(link)
      if (this.#life !== life) throw new Error('The engine was closed')
      if (lost) throw this.#away(lost)
      this.#link = link
      restored()
    } catch (error) {
      link.close()
      throw error
    }
    const state = this.#isFresh ? 'fresh' : 'up'
    this.#isFresh = false
    if (!isFirst) this.#host.changed(state)
  }

  async #check(link: Link): Promise<void> {
    const { version, policy } = await link.server()
    if (version && Number.parseInt(version, 10) < leastVersion)
      throw new Error(
        `Redis at ${this.#address()} has version ${version}: everwire needs ${leastVersion}.0 or later`,
      )
    if (policy && policy !== 'noeviction' && !this.#hasWarned) {
      this.#hasWarned = true
      process.emitWarning(
        `Redis has maxmemory-policy ${policy}, so it may drop sessions' owners and messages when its memory is full. Set maxmemory-policy noeviction`,
        { code: 'EVERWIRE_REDIS_EVICTS' },
      )
    }
  }

  #reconnect(attempt: number): void {
    const life = this.#life
    const pause = pauses[Math.min(attempt, pauses.length - 1)] as number
    this.#again = setTimeout(
      async () => {
        try {
          await this.#connect(false)
        } catch (error) {
          if (this.#life !== life) return
          this.#why = error as Error
          this.#reconnect(attempt + 1)
        }
      },
      pause * (0.5 + Math.random() / 2),
    )
  }

  #away(error: Error): Error {
    return new Error(`Redis at ${this.#address()} cannot be reached: ${error.message}`, { cause: error })
  }

  /** The address of Redis for messages, without user and password. */
  #address(): string {
    const { url, client } = this.#settings
    const options = (client as { options?: { socket?: { host?: string; port?: number; path?: string } } })
      ?.options
    const { host = 'localhost', port = 6379, path } = options?.socket ?? {}
    if (!url) return options ? (path ?? `${host}:${port}`) : 'the addresses of the given client'
    const { protocol, host: named, pathname } = new URL(url)
    return protocol === 'unix:' ? pathname : named
  }
}

/** The value that stands under this name in a hash of such values, or the proposal if there was none. */
export async function common(link: Link, key: string, name: string, proposal: string): Promise<string> {
  return String(await link.run(scripts.common, [key], [name, proposal, String(commonLife)]))
}

async function clientOf(url: string): Promise<RedisClient> {
  const { createClient } = await import('redis').catch((error: unknown) => {
    throw new Error('The package "redis" is not installed: npm install redis', { cause: error })
  })
  return createClient({ url })
}
