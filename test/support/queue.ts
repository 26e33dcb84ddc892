/** What has come, to be waited for one after the other. */
export class Queue<T> {
  readonly #items: T[] = []
  #waiting: ((item: T) => void)[] = []

  push(item: T): void {
    const first = this.#waiting.shift()
    if (first) first(item)
    else this.#items.push(item)
  }

  next(): Promise<T> {
    const [item] = this.#items
    if (this.#items.length > 0) {
      this.#items.shift()
      return Promise.resolve(item as T)
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** How many have come that nobody has taken. */
  get size(): number {
    return this.#items.length
  }
}
