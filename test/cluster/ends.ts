// Engines that are opened and closed, and what they told.
import { onTestFinished } from 'vitest'
import type { Engine, Entries } from '../../cluster/base/engine.ts'
import { RedisEngine } from '../../redis/engine.ts'
import { type RedisOptions, settingsOf } from '../../redis/options.ts'

export function engineOf(options: RedisOptions, heartbeat?: number): RedisEngine {
  return new RedisEngine({ ...settingsOf(options, 'test'), heartbeat })
}

export interface Published {
  readonly topic: string
  readonly epoch: string
  readonly offset: number
  readonly text: string
}

/** An engine that is open, and the record of what it told. */
export class End {
  readonly engine: Engine
  readonly published: Published[] = []
  readonly told: string[] = []
  readonly states: string[] = []
  #waiting: (() => void)[] = []

  private constructor(engine: Engine) {
    this.engine = engine
  }

  /** Until the test is through. */
  static async open(engine: Engine): Promise<End> {
    const end = new End(engine)
    onTestFinished(() => engine.close())
    await engine.open({
      published: (topic, entries) => {
        end.published.push(...list(topic, entries))
        end.#look()
      },
      told: (data) => {
        end.told.push(Buffer.from(data).toString())
        end.#look()
      },
      connection: (state) => {
        end.states.push(state)
        end.#look()
      },
    })
    return end
  }

  texts(topic: string): string[] {
    return this.published.filter((one) => one.topic === topic).map(({ text }) => text)
  }

  /** Resolves when that is so. */
  until(look: () => boolean): Promise<void> {
    if (look()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        if (look()) resolve()
      })
    })
  }

  untilText(topic: string, text: string): Promise<void> {
    return this.until(() => this.texts(topic).includes(text))
  }

  /** Resolves when the latest state is one of these. */
  untilState(...states: string[]): Promise<void> {
    return this.until(() => states.includes(this.states.at(-1) ?? ''))
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

export function list(topic: string, { from, entries }: Entries): Published[] {
  return entries.map((entry, at) => ({
    topic,
    epoch: from.epoch,
    offset: from.offset + at,
    text: Buffer.from(entry).toString('latin1'),
  }))
}

/** What a publisher publishes: numbered, a batch at a time. */
export class Publisher {
  readonly #engine: Engine
  readonly #name: string
  #seq = 1

  constructor(engine: Engine, name: string) {
    this.#engine = engine
    this.#name = name
  }

  /** The call, which may be made again. */
  batch(topic: string, ...texts: string[]): () => Promise<void> {
    const entries = texts.map((text) => Buffer.from(text, 'latin1'))
    const batch = { publisher: this.#name, seq: this.#seq, entries }
    this.#seq += texts.length
    return () => this.#engine.publish(topic, batch)
  }

  publish(topic: string, ...texts: string[]): Promise<void> {
    return this.batch(topic, ...texts)()
  }
}
