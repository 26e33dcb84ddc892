/** How many clients this node has closed for each `disconnect` of a topic, for the node that asks. */
import type { After } from '../base/retries.ts'

/** A `disconnect` of a topic: who published it, under which number. */
export interface Closing {
  readonly topic: string
  readonly publisher: string
  readonly seq: number
}

/** The most closings that are remembered, and the most that are awaited. */
const most = 1_000

export class Closings {
  readonly #after: After
  readonly #patience: number
  readonly #counts = new Map<string, number>()
  readonly #awaited = new Map<string, (count: number | undefined) => void>()

  /** `patience`: how long `count` waits for a closing that has not happened yet. */
  constructor(after: After, patience: number) {
    this.#after = after
    this.#patience = patience
  }

  /** Notes how many clients this closing has closed here. */
  note(closing: Closing, count: number): void {
    const key = keyOf(closing)
    this.#counts.set(key, count)
    const [oldest] = this.#counts.keys()
    if (this.#counts.size > most) this.#counts.delete(oldest as string)
    this.#awaited.get(key)?.(count)
  }

  /** How many clients this closing has closed here; undefined if that is not known in time. */
  count(closing: Closing): Promise<number | undefined> | number {
    const key = keyOf(closing)
    const known = this.#counts.get(key)
    if (known !== undefined) return known
    return new Promise((resolve) => {
      if (this.#awaited.size >= most) {
        resolve(undefined)
        return
      }
      const before = this.#awaited.get(key)
      const done = (count: number | undefined): void => {
        cancel()
        this.#awaited.delete(key)
        before?.(count)
        resolve(count)
      }
      const cancel = this.#after(this.#patience, () => done(undefined))
      this.#awaited.set(key, done)
    })
  }
}

function keyOf({ topic, publisher, seq }: Closing): string {
  return `${publisher} ${seq} ${topic}`
}
