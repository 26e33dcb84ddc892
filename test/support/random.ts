/** Seeded chance, and what it makes of bytes: whoever knows the seed can have the same again. */

/** mulberry32 */
export class Random {
  #state: number

  constructor(...seed: number[]) {
    this.#state = 0
    for (const one of seed) this.#state = Math.imul(this.#state ^ (one | 0), 0x9e3779b1) ^ (one | 0)
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T
  }

  /** True so many times in a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  bytes(limit: number): Buffer {
    const bytes = Buffer.allocUnsafe(this.below(limit))
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.below(256)
    return bytes
  }

  /** Something like it: bytes changed, left out, put in, doubled, cut off. */
  mutated(bytes: Uint8Array): Buffer {
    let all = Buffer.from(bytes)
    for (let i = this.below(4); i > 0 && all.length > 0; i--) {
      const at = this.below(all.length)
      const kind = this.below(5)
      if (kind === 0) all[at] = this.below(256)
      else if (kind === 1) all = Buffer.concat([all.subarray(0, at), all.subarray(at + 1 + this.below(4))])
      else if (kind === 2) all = Buffer.concat([all.subarray(0, at), this.bytes(6), all.subarray(at)])
      else if (kind === 3) all = Buffer.concat([all, all.subarray(at)])
      else all = all.subarray(0, at)
    }
    return all
  }
}
