/** The options of everwire's Redis: an invalid one throws, and the message names it. */
import { type Check, checkObject, group, string } from '../server/admission/option-checks.ts'

/**
 * A client of the package `redis` (5 or later): from `createClient`, `createCluster` or `createSentinel`. It is copied, with its
 * options; nothing is sent over the client itself, and it is never closed.
 */
export interface RedisClient {
  /** Makes another client with the same options. */
  duplicate(): unknown
  /** Connects the client. Nothing calls this here: it tells a client from other objects. */
  connect(): Promise<unknown>
}

/** How much is kept of a topic, for servers that were disconnected for a moment. */
export interface RedisHistory {
  /** So many messages are kept of each topic. Default: 1,000. */
  readonly messages?: number | undefined
  /** They are kept for so many milliseconds. Default: 300,000, five minutes. */
  readonly age?: number | undefined
}

/** How to reach Redis, and what to keep there. */
export interface RedisOptions {
  /** Where Redis is, for example `redis://127.0.0.1:6379` or `rediss://user:password@host:6380`. Either this or `client`. */
  readonly url?: string | undefined
  /** A client of the package `redis` whose options are used. Either this or `url`. */
  readonly client?: RedisClient | undefined
  /** What all keys and channels begin with. Default: `'ew:'`. */
  readonly prefix?: string | undefined
  /** How much is kept of each topic. */
  readonly history?: RedisHistory | undefined
}

/** The options with their defaults. */
export interface RedisSettings {
  readonly url: string | undefined
  readonly client: RedisClient | undefined
  readonly prefix: string
  readonly messages: number
  readonly age: number
}

const protocols = ['redis:', 'rediss:', 'unix:']

const url: Check = (value, name) => {
  string(value, name)
  if (!URL.canParse(value as string) || !protocols.includes(new URL(value as string).protocol))
    throw new TypeError(`The option "${name}" must be a URL that begins with redis://, rediss:// or unix://`)
}

const client: Check = (value, name) => {
  const { duplicate, connect } = Object(value) as Record<string, unknown>
  if (typeof duplicate !== 'function' || typeof connect !== 'function')
    throw new TypeError(`The option "${name}" must be a client of the package "redis"`)
  if (typeof (value as { withTypeMapping?: unknown }).withTypeMapping !== 'function')
    throw new TypeError(`The option "${name}" must be a client of the package "redis", version 5 or later`)
}

const prefix: Check = (value, name) => {
  string(value, name)
  // They mark what lies together on one node of a Redis Cluster.
  if (/[{}]/.test(value as string)) throw new TypeError(`The option "${name}" must not contain { or }`)
}

const above: Check = (value, name) => {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new RangeError(`The option "${name}" must be a whole number of at least 1`)
}

const history: Check = group({ messages: above, age: above })

const checks: Readonly<Record<keyof RedisOptions, Check>> = { url, client, prefix, history }

/**
 * Checks the options, and returns them with their defaults. `what`: whose options they are, for the message. `others`: how options
 * are checked that stand among them.
 */
export function settingsOf(
  options: RedisOptions,
  what: string,
  others: Readonly<Record<string, Check>> = {},
): RedisSettings {
  checkObject(options, { ...checks, ...others }, what)
  const { url, client, prefix = 'ew:', history = {} } = options
  if ((url === undefined) === (client === undefined))
    throw new TypeError(`${what} needs one of the options "url" and "client"`)
  const { messages = 1_000, age = 300_000 } = history
  return { url, client, prefix, messages, age }
}
