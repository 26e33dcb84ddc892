/**
 * In the place of weak collections, for objects that can be written to: an entry is a private member of its key. With V8's own,
 * an entry of a dead young key keeps its value - and that a whole run of the simulation - until all memory is collected.
 */

/** A class whose constructor returns an object adds its private members to that object. */
class Returns {
  constructor(key: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return key
  }
}

interface Entries {
  put(key: object, value: unknown): void
  take(key: object): unknown
}

function makeEntries(): Entries {
  class Entry extends Returns {
    #value: unknown

    static put(key: object, value: unknown): void {
      if (!(#value in key)) new Entry(key)
      ;(key as Entry).#value = value
    }

    static take(key: object): unknown {
      return #value in key ? key.#value : undefined
    }
  }
  return Entry
}

export class PlainWeakMap {
  readonly #entries: Entries = makeEntries()

  get(key: object): unknown {
    return this.#entries.take(key)
  }

  has(key: object): boolean {
    return this.#entries.take(key) !== undefined
  }

  set(key: object, value: unknown): this {
    this.#entries.put(key, value)
    return this
  }

  delete(key: object): boolean {
    const had = this.has(key)
    if (had) this.#entries.put(key, undefined)
    return had
  }
}

export class PlainWeakSet {
  readonly #map = new PlainWeakMap()

  has(key: object): boolean {
    return this.#map.has(key)
  }

  add(key: object): this {
    this.#map.set(key, true)
    return this
  }

  delete(key: object): boolean {
    return this.#map.delete(key)
  }
}
