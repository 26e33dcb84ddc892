/** Calls a function for many items, one after the other, spread over time: so that not all clients ask the next server at once. */

export class Spread<Item> {
  /** Resolves after the last item. */
  readonly done: Promise<void>
  readonly #items: readonly Item[]
  readonly #gap: number
  readonly #each: (item: Item) => void
  readonly #begun = performance.now()
  #next = 0
  #timer: NodeJS.Timeout | undefined
  #resolve: () => void = () => {}

  /** `gap`: the time between two, in milliseconds. The first one is at once. */
  constructor(items: readonly Item[], gap: number, each: (item: Item) => void) {
    this.#items = items
    this.#gap = gap
    this.#each = each
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#go()
  }

  /** The others are left alone. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #go(): void {
    const { length } = this.#items
    const due = this.#gap > 0 ? Math.floor((performance.now() - this.#begun) / this.#gap + 1) : length
    while (this.#next < Math.min(due, length)) this.#each(this.#items[this.#next++] as Item)
    if (this.#next < length) this.#timer = setTimeout(() => this.#go(), Math.max(1, this.#gap))
    else this.#resolve()
  }
}
