/** As much of Node's EventEmitter as connections and answers need, at the price of an array. */
type Listener = (...args: unknown[]) => void

export class Emitter {
  #listeners: { readonly event: string; readonly listener: Listener; readonly once: boolean }[] = []

  on(event: string, listener: Listener): this {
    this.#listeners.push({ event, listener, once: false })
    return this
  }

  once(event: string, listener: Listener): this {
    this.#listeners.push({ event, listener, once: true })
    return this
  }

  off(event: string, listener: Listener): this {
    this.#listeners = this.#listeners.filter((one) => one.event !== event || one.listener !== listener)
    return this
  }

  emit(event: string, ...args: unknown[]): boolean {
    const all = this.#listeners
    for (const one of all) {
      if (one.event !== event) continue
      if (one.once) this.#listeners = this.#listeners.filter((other) => other !== one)
      one.listener.apply(this, args)
    }
    return true
  }
}
