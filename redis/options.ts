/** The options of everwire's Redis: an invalid one throws, and the message names it. */

import type { NodeSettings } from '../cluster/node.ts'
import { isAddress } from '../cluster/passing/lines.ts'
import type { OutboxLimits } from '../cluster/topics/outbox.ts'
import { defaultLimits } from '../cluster/topics/topics.ts'
import { boolean, type Check, checkObject, group, port, string } from '../server/admission/option-checks.ts'

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
  /** How many messages are kept of each topic. Default: 1,000. */
  readonly messages?: number | undefined
  /** For how many milliseconds they are kept. Default: 300,000, five minutes. */
  readonly age?: number | undefined
}

/** How to reach Redis, and what to keep there. */
export interface RedisOptions {
  /** Where Redis is, for example `redis://127.0.0.1:6379` or `rediss://user:password@host:6380`. Either this or `client`. */
  readonly url?: string | undefined
  /** A client of the package `redis` whose options are used. Either this or `url`. */
  readonly client?: RedisClient | undefined
  /** What the names of all keys and channels begin with. Default: `'ew:'`. */
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
  // Braces mark the hash tag of a key.
  if (/[{}]/.test(value as string)) throw new TypeError(`The option "${name}" must not contain { or }`)
}

const above: Check = (value, name) => {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new RangeError(`The option "${name}" must be a whole number of at least 1`)
}

const history: Check = group({ messages: above, age: above })

const checks: Readonly<Record<keyof RedisOptions, Check>> = { url, client, prefix, history }

/** The options of `redisCluster`. */
export interface RedisClusterOptions extends RedisOptions {
  /**
   * What the name of this server begins with, for load balancers: clients say the name in the URL of their exchanges,
   * `everwire=1.<name>-…`. At most 32 letters, digits, `-` and `_`. Default: the name is all chance.
   */
  readonly name?: string | undefined
  /**
   * Where this server listens for requests that other servers pass on. Default: the machine's first address that is not loopback, and
   * any free port. False: nowhere; the others reach it through Redis.
   */
  readonly listen?: RedisListen | false | undefined
  /**
   * Whether what servers pass on goes through Redis if they cannot connect to each other, which costs Redis all bytes of these
   * clients. Default: true.
   */
  readonly relay?: boolean | undefined
  /** The `host:port` at which other servers reach this one, if it is not the address where this server listens. */
  readonly address?: string | undefined
  /** The secret by which servers prove to each other that they belong together. Default: a random one, which they share through Redis. */
  readonly secret?: string | undefined
  /**
   * After so many milliseconds without a word from a server, the others take it for dead. The clients of a server that was killed are
   * told then. Default: 1,800.
   */
  readonly lease?: number | undefined
  /** What happens if Redis cannot be reached at the start: 'wait' tries again, 'fail' emits `error`. Default: 'wait'. */
  readonly atStart?: 'wait' | 'fail' | undefined
  /** How much may wait to be published while Redis cannot be reached. */
  readonly waiting?: RedisWaiting | undefined
}

/** Where a server listens for the others. */
export interface RedisListen {
  /** The address. Default: the machine's first address that is not loopback. */
  readonly host?: string | undefined
  /** The port. Default: any free one. */
  readonly port?: number | undefined
}

/** How much may wait to be published. If it is more, the oldest are dropped, and `gap` tells of it. */
export interface RedisWaiting {
  /** How many publications. Default: 10,000. */
  readonly messages?: number | undefined
  /** How many bytes. Default: 16 MiB. */
  readonly bytes?: number | undefined
}

/** The options of `redisPublisher`. */
export interface RedisPublisherOptions extends RedisOptions {
  /** How much may wait to be published while Redis cannot be reached. */
  readonly waiting?: RedisWaiting | undefined
}

const atStart: Check = (value, name) => {
  if (value !== 'wait' && value !== 'fail')
    throw new TypeError(`The option "${name}" must be 'wait' or 'fail'`)
}

const address: Check = (value, name) => {
  string(value, name)
  if (!isAddress(value as string))
    throw new TypeError(`The option "${name}" must be a host and a port, for example "10.0.0.5:7000"`)
}

const name: Check = (value, option) => {
  if (typeof value !== 'string' || !/^[\w-]{1,32}$/.test(value))
    throw new TypeError(`The option "${option}" must be 1 to 32 letters, digits, - or _`)
}

const secret: Check = (value, name) => {
  string(value, name)
  if ((value as string).length < shortestSecret)
    throw new RangeError(`The option "${name}" must have at least ${shortestSecret} characters`)
}

const lease: Check = (value, name) => {
  above(value, name)
  if ((value as number) < shortestLease)
    throw new RangeError(`The option "${name}" must be at least ${shortestLease}`)
}

const shortestSecret = 16
const shortestLease = 300
const defaultLease = 1_800
const waiting: Check = group({ messages: above, bytes: above })

/** Checks the options of `redisCluster`. */
export function nodeSettingsOf(options: RedisClusterOptions): {
  readonly redis: RedisSettings
  readonly node: NodeSettings
} {
  const redis = settingsOf(options, 'redisCluster()', {
    name,
    listen: (value, name) => value === false || group({ host: string, port })(value, name),
    relay: boolean,
    address,
    secret,
    lease,
    atStart,
    waiting,
  })
  if (options.listen === false && options.relay === false)
    throw new TypeError(
      'The option "relay" must not be false with "listen" false: nobody could reach this server',
    )
  return {
    redis,
    node: {
      name: options.name,
      listen: options.listen ?? {},
      relay: options.relay ?? true,
      address: options.address,
      secret: options.secret,
      lease: options.lease ?? defaultLease,
      atStart: options.atStart ?? 'wait',
      ...limitsOf(options),
    },
  }
}

/** Checks the options of `redisPublisher`. */
export function publisherSettingsOf(options: RedisPublisherOptions): {
  readonly redis: RedisSettings
  readonly limits: OutboxLimits
} {
  const redis = settingsOf(options, 'redisPublisher()', { waiting })
  return { redis, limits: limitsOf(options) }
}

function limitsOf({ waiting = {} }: { readonly waiting?: RedisWaiting | undefined }): OutboxLimits {
  return {
    maxWaiting: waiting.bytes ?? defaultLimits.maxWaiting,
    maxWaitingEntries: waiting.messages ?? defaultLimits.maxWaitingEntries,
  }
}

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
