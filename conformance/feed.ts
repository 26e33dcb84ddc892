/** What came from the server, in order, and who waits for more of it. */
import { Deviation } from './verdict.ts'

export class Feed<Item> {
  readonly #limit: number
  readonly #show: (item: Item) => string
  readonly #unread: Item[] = []
  /** How many came in all. */
  count = 0
  #end: string | undefined
  #waiting: (() => void)[] = []

  constructor(limit: number, show: (item: Item) => string) {
    this.#limit = limit
    this.#show = show
  }

  push(item: Item): void {
    this.count++
    this.#unread.push(item)
    this.#look()
  }

  end(why: string): void {
    this.#end ??= why
    this.#look()
  }

  /** What came and was not picked yet. */
  get unread(): readonly Item[] {
    return this.#unread
  }

  /** Waits for the first item that fits, and takes it out. */
  async pick<Picked extends Item>(
    expected: string,
    fits: (item: Item) => item is Picked,
    limit?: number,
  ): Promise<Picked>
  async pick(expected: string, fits: (item: Item) => boolean, limit?: number): Promise<Item>
  async pick(expected: string, fits: (item: Item) => boolean, limit: number = this.#limit): Promise<Item> {
    const found = (): number => this.#unread.findIndex(fits)
    await this.#until(() => found() >= 0 || this.#end !== undefined, limit)
    const at = found()
    const [item] = at < 0 ? [] : this.#unread.splice(at, 1)
    if (item === undefined) throw new Deviation(expected, this.#summary(limit))
    return item
  }

  /** Waits until nothing more can come. */
  async ended(expected: string, limit: number = this.#limit): Promise<string> {
    await this.#until(() => this.#end !== undefined, limit)
    if (this.#end === undefined) throw new Deviation(expected, this.#summary(limit))
    return this.#end
  }

  #summary(limit: number): string {
    const seen = this.#unread.map(this.#show)
    const many = seen.length > 6 ? [...seen.slice(0, 6), `${seen.length - 6} more`] : seen
    const end = this.#end ?? `nothing else within ${limit / 1000} s`
    return [...many, end].join(', ')
  }

  #until(done: () => boolean, limit: number): Promise<void> {
    if (done()) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.#waiting = this.#waiting.filter((one) => one !== look)
        resolve()
      }
      const look = (): void => {
        if (done()) finish()
      }
      const timer = setTimeout(finish, limit)
      this.#waiting.push(look)
    })
  }

  #look(): void {
    for (const look of [...this.#waiting]) look()
  }
}
