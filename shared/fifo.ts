/** A queue whose steps cost the same however long it is: a peer decides how long some of them get. */

/** Most queues are empty most of the time, and share this. */
const none: never[] = []

export class Fifo<T> {
  #items: (T | undefined)[] = none
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  push(item: T): void {
    if (this.#items === none) this.#items = [item]
    else this.#items.push(item)
  }

  /** Counted from the oldest, which is 0. */
  at(index: number): T | undefined {
    return this.#items[this.#first + index]
  }

  shift(): T | undefined {
    const item = this.at(0)
    if (this.length) this.#items[this.#first++] = undefined
    // Half of the places are empty: move the other half. So an item costs one move on average.
    if (this.#first * 2 > this.#items.length) {
      this.#items = this.length ? this.#items.slice(this.#first) : none
      this.#first = 0
    }
    return item
  }
}
