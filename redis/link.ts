/**
 * One life of the connections to Redis: from `open` to the first fault, after which the engine opens another link. A link knows what
 * kind of client it has: one server, a Redis Cluster, or Sentinel.
 */
import { TakesNothing } from '../cluster/base/engine.ts'
import { slotOf } from './keys.ts'
import type { RedisClient } from './options.ts'
import type { Script } from './scripts.ts'

/** What is used of clients of the package `redis`, which has no types that fit all three kinds. */
interface Commands {
  evalSha(sha: string, call: Call): Promise<unknown>
  eval(text: string, call: Call): Promise<unknown>
}

interface Client extends Commands {
  connect(): Promise<unknown>
  /** A client of Sentinel returns a promise. */
  destroy(): unknown
  duplicate(overrides?: object): Client
  on(event: string, listener: (...values: never[]) => void): unknown
  withTypeMapping(mapping: object): Commands
  ping(): Promise<unknown>
  hmGet(key: string, fields: string[]): Promise<unknown[]>
  type(key: string): Promise<unknown>
  info(section: string): Promise<unknown>
  configGet(name: string): Promise<unknown>
  sPublish(channel: string, message: Buffer): Promise<unknown>
  sSubscribe(channels: string | string[], listener: Listener, asBuffers: true): Promise<void>
  sUnsubscribe(channel: string, listener: Listener, asBuffers: true): Promise<void>
  readonly options?: { readonly socket?: object; readonly url?: string }
}

interface ClusterNode {
  readonly address: string
}

interface ClusterClient extends Client {
  readonly masters: readonly ClusterNode[]
  readonly slots: readonly ({ readonly master: ClusterNode } | undefined)[]
  nodeClient(node: ClusterNode): Promise<Client>
  readonly _options?: { readonly defaults?: { readonly socket?: object } }
}

interface Call {
  readonly keys: string[]
  readonly arguments: (string | Buffer)[]
}

type Listener = (message: Buffer, channel: Buffer) => void

export interface LinkListener {
  message(channel: string, message: Buffer): void
  /** The channel is on another node of the cluster now: it must be subscribed anew. */
  moved(channel: string): void
  /** The link is lost. Called once, and not after `close`. */
  lost(why: Error): void
}

/** How often each server is asked whether it is there, in milliseconds. If it does not answer for twice as long, the link is lost. */
const heartbeat = 1_000

/** A server that has not answered after this time is not there. */
const connectLimit = 5_000

/** The most channels in one command; in a Redis Cluster the most commands at a time, with one channel each. */
const channelsAtOnce = 200

/** Answers of a server that cannot serve this link: it has another role now, or is still loading its data. */
const wrongServer = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|UNBLOCKED|NOREPLICAS)\b/

/** Answers of a server that may take the command later: its memory or disk is full, a script runs for too long, or a slot is moving. */
const refusesNow = /^(OOM|MISCONF|BUSY|TRYAGAIN)\b/

/** The settings of our own clients: a call that cannot be sent fails at once, and a connection that is lost stays lost. */
const own = {
  disableOfflineQueue: true,
  keyPrefix: undefined,
  // A timer for each command is half of what a command costs this process, and `#look` does its work.
  commandOptions: { timeout: undefined },
  clientSideCache: undefined,
  emitInvalidate: undefined,
  pingInterval: undefined,
  readonly: false,
}

const ownSocket = { reconnectStrategy: false, socketTimeout: undefined }

export interface Source {
  readonly client: RedisClient
  /** How often to look, for tests. */
  readonly heartbeat?: number | undefined
}

export class Link {
  readonly #client: Client
  readonly #binary: Commands
  readonly #listener: LinkListener
  /** The clients that subscribe, by the address of their node; '' if there is but one. */
  readonly #subscribers = new Map<string, Promise<Client>>()
  readonly #opened = new Set<Client>()
  /** For how many looks a server has not answered. */
  readonly #silent = new Map<Client, number>()
  /** Scripts that are just being sent to Redis as a whole. */
  readonly #learning = new Map<Script, Promise<unknown>>()
  /** In a Redis Cluster: the address of the node where a channel is subscribed. */
  readonly #places = new Map<string, string>()
  readonly #heard: Listener
  #timer: NodeJS.Timeout | undefined
  #lost = false

  private constructor(client: Client, listener: LinkListener) {
    this.#client = client
    this.#listener = listener
    this.#heard = (message, channel) => {
      if (!this.#lost) this.#listener.message(channel.toString(), message)
    }
    // 36 is `$`, a string of bytes.
    this.#binary = client.withTypeMapping({ 36: Buffer })
    this.#watch(client)
  }

  /** Connects. */
  static async open({ client, heartbeat: every = heartbeat }: Source, listener: LinkListener): Promise<Link> {
    const link = new Link(copy(client as unknown as Client), listener)
    let timer: NodeJS.Timeout | undefined
    try {
      await Promise.race([
        link.#connect(),
        new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error('It does not answer')), connectLimit)
        }),
      ])
    } catch (error) {
      link.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
    link.#timer = setInterval(() => void link.#look(), every)
    return link
  }

  async #connect(): Promise<void> {
    await this.#client.connect()
    if (!isCluster(this.#client)) await this.#subscriber('')
  }

  /** The version of Redis and its `maxmemory-policy`; empty where Redis does not tell. */
  async server(): Promise<{ version: string; policy: string }> {
    const client = isCluster(this.#client)
      ? await this.#client.nodeClient(this.#client.masters[0] as ClusterNode)
      : this.#client
    const [info, config] = await Promise.allSettled([
      client.info('server'),
      client.configGet('maxmemory-policy'),
    ])
    const version =
      info.status === 'fulfilled' ? /^redis_version:(\S+)/m.exec(String(info.value))?.[1] : undefined
    // Both may be forbidden: then nothing is known.
    const policy =
      config.status === 'fulfilled'
        ? (config.value as Record<string, unknown> | null)?.['maxmemory-policy']
        : undefined
    return { version: version ?? '', policy: typeof policy === 'string' ? policy : '' }
  }

  get isCluster(): boolean {
    return isCluster(this.#client)
  }

  /** For each server the first of the keys that lies on it. */
  oneOfEach(keyOf: (number: number) => string): string[] {
    const client = this.#client
    if (!isCluster(client)) return [keyOf(0)]
    const keys = new Map<string, string>()
    const masters = new Set<string>()
    // A master without slots has none, and a slot may have no master.
    for (const slot of client.slots) if (slot) masters.add(slot.master.address)
    for (let number = 0; keys.size < masters.size; number++) {
      const key = keyOf(number)
      const address = client.slots[slotOf(key)]?.master.address
      if (address !== undefined && !keys.has(address)) keys.set(address, key)
    }
    return [...keys.values()]
  }

  /** Runs a script. With `asBuffers` the answer's strings are bytes. */
  async run(
    script: Script,
    keys: string[],
    values: (string | Buffer)[],
    asBuffers = false,
  ): Promise<unknown> {
    const client = asBuffers ? this.#binary : this.#client
    const call: Call = { keys, arguments: values }
    try {
      return await client.evalSha(script.sha, call).catch((error: unknown) => {
        if (!isNew(error)) throw error
        return this.#learn(script, client, call)
      })
    } catch (error) {
      throw this.#wrong(error)
    }
  }

  /** Redis does not know the script. It is sent once, however many calls found that out. */
  async #learn(script: Script, client: Commands, call: Call): Promise<unknown> {
    const learning = this.#learning.get(script)
    if (!learning) {
      const first = client.eval(script.text, call)
      this.#learning.set(script, first)
      return first.finally(() => this.#learning.delete(script))
    }
    await learning.catch(() => {})
    return client.evalSha(script.sha, call).catch((error: unknown) => {
      // Another node of the Redis Cluster does not know the script yet.
      if (!isNew(error)) throw error
      return client.eval(script.text, call)
    })
  }

  /** The values of fields of a hash, or null. */
  async fields(key: string, names: string[]): Promise<unknown[]> {
    try {
      return await this.#client.hmGet(key, names)
    } catch (error) {
      throw this.#wrong(error)
    }
  }

  async tell(channel: string, message: Buffer): Promise<void> {
    try {
      await this.#client.sPublish(channel, message)
    } catch (error) {
      throw this.#wrong(error)
    }
  }

  /** Resolves when Redis has confirmed all. */
  async subscribe(channels: readonly string[]): Promise<void> {
    for (let at = 0; at < channels.length; at += channelsAtOnce) {
      const some = channels.slice(at, at + channelsAtOnce)
      if (isCluster(this.#client)) await Promise.all(some.map((channel) => this.#subscribeInCluster(channel)))
      else await (await this.#subscriber('')).sSubscribe(some, this.#heard, true)
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    const place = isCluster(this.#client) ? this.#places.get(channel) : ''
    this.#places.delete(channel)
    if (place === undefined) return
    await (await this.#subscriber(place)).sUnsubscribe(channel, this.#heard, true)
  }

  async #subscribeInCluster(channel: string): Promise<void> {
    const client = this.#client as ClusterClient
    for (let attempt = 1; ; attempt++) {
      const address = client.slots[slotOf(channel)]?.master.address ?? ''
      try {
        this.#places.set(channel, address)
        await (await this.#subscriber(address)).sSubscribe(channel, this.#heard, true)
        return
      } catch (error) {
        if (attempt === 5 || !(error as Error).message?.startsWith('MOVED')) throw this.#wrong(error)
        // With any command for the slot the client learns which node has the slot now.
        await client.type(channel)
      }
    }
  }

  #subscriber(address: string): Promise<Client> {
    const known = this.#subscribers.get(address)
    if (known) return known
    const made = this.#newSubscriber(address)
    this.#subscribers.set(address, made)
    made.catch((error) => this.#lose(error))
    return made
  }

  async #newSubscriber(address: string): Promise<Client> {
    let client: Client
    if (isCluster(this.#client)) {
      const node = this.#client.masters.find((one) => one.address === address)
      if (!node) throw new Error(`The cluster has no node ${address}`)
      client = copy(await this.#client.nodeClient(node))
    } else {
      client = copy(this.#client)
    }
    this.#watch(client)
    client.on('sharded-channel-moved', (channel: string) => {
      if (!this.#lost) this.#listener.moved(channel)
    })
    await client.connect()
    return client
  }

  #watch(client: Client): void {
    this.#opened.add(client)
    // A client of a Redis Cluster also emits `error` for faults that it survives, such as a node that does not answer when the
    // client looks for another one.
    const fault = isCluster(client) ? 'node-error' : 'error'
    client.on(fault, (error: Error) => this.#lose(error))
    if (fault !== 'error') client.on('error', () => {})
    client.on('topology-change', ({ type }: { readonly type: string }) => {
      if (type === 'MASTER_CHANGE') this.#lose(new Error('Another server is the master now'))
    })
  }

  /** Asks each server whether it is there. */
  async #look(): Promise<void> {
    // First read the answers that have come already: this process may have been busy.
    await new Promise((resolve) => setImmediate(resolve))
    try {
      for (const client of this.#opened) {
        if (!isCluster(client)) this.#ask(client)
        else for (const node of client.masters) this.#ask(await client.nodeClient(node))
      }
    } catch (error) {
      this.#lose(error as Error)
    }
  }

  #ask(client: Client): void {
    const silent = this.#silent.get(client)
    if (silent !== undefined) {
      if (silent === 2) this.#lose(new Error('It does not answer'))
      this.#silent.set(client, silent + 1)
      return
    }
    this.#silent.set(client, 1)
    client.ping().then(
      () => this.#silent.delete(client),
      (error) => this.#lose(error),
    )
  }

  #wrong(error: unknown): unknown {
    const { message = '' } = error as Partial<Error>
    if (wrongServer.test(message)) this.#lose(error as Error)
    return refusesNow.test(message) ? new TakesNothing(message, { cause: error }) : error
  }

  #lose(why: Error): void {
    // While the link opens, clients report faults that they survive; any other fault makes the call fail.
    if (this.#lost || this.#timer === undefined) return
    this.close()
    this.#listener.lost(why)
  }

  close(): void {
    this.#lost = true
    clearInterval(this.#timer)
    for (const client of this.#opened) {
      // This rejects connections that are being made, and commands that were sent.
      Promise.resolve()
        .then(() => client.destroy())
        .catch(() => {})
    }
  }
}

function isNew(error: unknown): boolean {
  return (error as Error).message?.startsWith('NOSCRIPT') === true
}

function isCluster(client: Client): client is ClusterClient {
  return typeof (client as Partial<ClusterClient>).nodeClient === 'function'
}

/** Another client with the same options, and ours where they matter. */
function copy(client: Client): Client {
  if (isCluster(client)) {
    const defaults = client._options?.defaults
    const socket = { ...defaults?.socket, ...ownSocket }
    return client.duplicate({ ...own, defaults: { ...defaults, ...own, socket }, useReplicas: false })
  }
  // A client of Sentinel does not show its options, and it keeps those of its nodes in another place.
  if (client.options === undefined) return client.duplicate({ commandOptions: own.commandOptions })
  return client.duplicate({ ...own, socket: { ...client.options.socket, ...ownSocket } })
}
