/** Publishes to the topics of a cluster from a process without clients. */
import { checkClose } from '../server/messages/close-arguments.ts'
import { isBinary, type SendData, toBuffer, toText } from '../server/messages/data.ts'
import type { Engine } from './base/engine.ts'
import type { OutboxLimits } from './topics/outbox.ts'
import { after, ClusterTopics } from './topics/topics.ts'

/** The options of a publication. */
export interface PublishSettings {
  /** Whether the data are sent as a binary message. Default: as they are, text or bytes. */
  readonly binary?: boolean | undefined
  /** Topics whose subscribers get no copy. */
  readonly except?: string | readonly string[] | undefined
}

const shortestPause = 100
const longestPause = 2_000
const none = {}

/** Publishes to the topics of a cluster. What is published waits while the store cannot be reached. */
export class Publisher {
  readonly #engine: Engine
  readonly #topics: ClusterTopics
  #isOver = false
  #timer: NodeJS.Timeout | undefined
  #lastError: Error | undefined

  /** @internal */
  constructor(engine: Engine, name: string, limits: OutboxLimits) {
    this.#engine = engine
    const nothing = (): void => {}
    const host = { deliver: nothing, disconnect: () => 0, gap: nothing }
    this.#topics = new ClusterTopics({ engine, name, host, after, random: Math.random, ...limits })
    void this.#open(shortestPause)
  }

  /** Sends a message to the subscribers of the topic, on all servers. It waits while the store cannot be reached. */
  publish(topic: string, data: Exclude<SendData, Blob>, options: PublishSettings = {}): void {
    this.#add(topic, data, options)
  }

  /** Sends a message to all clients of all servers. */
  broadcast(data: Exclude<SendData, Blob>, options: PublishSettings = {}): void {
    this.#add(undefined, data, options)
  }

  /** Closes the subscribers of the topic, on all servers. */
  disconnect(topic: string, code?: number, reason: string | Buffer = ''): void {
    this.#refuseIfOver()
    checkClose(code, reason)
    this.#topics.disconnect(topic, code, String(reason), none)
  }

  /** Resolves when the store has everything that was published. */
  flushed(): Promise<void> {
    return this.#topics.published()
  }

  /** Why the store could not be reached the last time; undefined while it can. */
  get error(): Error | undefined {
    return this.#lastError
  }

  /** Waits until the store has everything that was published, at most so many milliseconds, and ends the connections. */
  async close(within = 5_000): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, within)
    })
    await Promise.race([this.flushed(), late])
    clearTimeout(timer)
    clearTimeout(this.#timer)
    this.#topics.close()
    await this.#engine.close().catch(() => {})
  }

  #add(
    topic: string | undefined,
    data: Exclude<SendData, Blob>,
    { binary, except = [] }: PublishSettings,
  ): void {
    this.#refuseIfOver()
    const topics = typeof except === 'string' ? [except] : except
    if (!Array.isArray(topics) || !topics.every((one) => typeof one === 'string'))
      throw new TypeError('The option "except" must be a topic, or a list of topics')
    const isBytes = binary ?? isBinary(data)
    this.#topics.publish(topic, isBytes ? toBuffer(data, false) : toText(data), isBytes, topics, none)
  }

  #refuseIfOver(): void {
    if (this.#isOver) throw new Error('The publisher is closed')
  }

  async #open(pause: number): Promise<void> {
    try {
      await this.#engine.open({
        published: () => {},
        told: () => {},
        connection: (state, why) => {
          this.#lastError = why
          this.#topics.connection(state)
        },
      })
      this.#lastError = undefined
      if (!this.#isOver) this.#topics.connection('up')
    } catch (error) {
      this.#lastError = error as Error
      if (this.#isOver) return
      this.#timer = setTimeout(
        () => {
          void this.#open(Math.min(longestPause, pause * 2))
        },
        pause * (0.5 + Math.random() / 2),
      )
    }
  }
}
