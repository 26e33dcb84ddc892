/** Everything random of a run: the same seed and the same name draw the same numbers. */
import { draw } from '../../testing/random.ts'
import { largest } from './words.ts'

export class Chance {
  readonly #seed: number
  readonly #name: string
  #drawn = 0

  constructor(seed: number, name: string) {
    this.#seed = seed
    this.#name = name
  }

  /** From 0 up to 1. */
  next(): number {
    return draw(this.#seed, this.#name, this.#drawn++)
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min)
  }

  /** A whole number from 0 up to `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  hits(rate: number): boolean {
    return this.next() < rate
  }

  /** How long a message is, in bytes: 49 of 50 are small. */
  size(): number {
    return Math.floor(this.hits(0.02) ? this.between(10 * 1024, largest) : this.between(0, 400))
  }
}

/** Things of which any may be picked, in no order. */
export class Bag<T> {
  readonly #items: T[] = []
  readonly #places = new Map<T, number>()

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    if (this.#places.has(item)) return
    this.#places.set(item, this.#items.length)
    this.#items.push(item)
  }

  delete(item: T): void {
    const place = this.#places.get(item)
    if (place === undefined) return
    this.#places.delete(item)
    const last = this.#items.pop() as T
    if (last === item) return
    this.#items[place] = last
    this.#places.set(last, place)
  }

  pick(chance: Chance): T | undefined {
    return this.#items[chance.below(this.#items.length)]
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]()
  }
}

/** How often something is due that happens so many times a second on average, asked at any time. */
export class Pace {
  #owed = 0
  #at = performance.now()

  due(perSecond: number): number {
    const now = performance.now()
    // After a stop of the process there is no storm of what was missed.
    this.#owed += (perSecond * Math.min(now - this.#at, 1000)) / 1000
    this.#at = now
    const whole = Math.floor(this.#owed)
    this.#owed -= whole
    return whole
  }
}
