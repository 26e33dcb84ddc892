// How scenarios are run: in full or in short, and in rounds in which the contenders take turns.
import { Pair } from './whole/pair.mjs'

export class Runner {
  #quick

  constructor({ quick, rounds, profile }) {
    this.#quick = quick
    this.rounds = rounds
    this.profile = profile
  }

  /** How much of something to do: in full, or in a short run. */
  amount(full, quick) {
    return this.#quick ? quick : full
  }

  /** Runs `once` for every contender in turn, each round beginning with another one; what it throws is a fault of that row. */
  async interleave(table, contenders, once, count = this.rounds) {
    for (let round = 0; round < count; round++) {
      for (let i = 0; i < contenders.length; i++) {
        const contender = contenders[(round + i) % contenders.length]
        try {
          const figures = await once(contender, round)
          if (figures) table.add(contender.row, figures)
        } catch (error) {
          table.fault(contender.row, reason(error))
        }
      }
    }
  }

  /** Starts server and clients of each contender, runs `work` with them and ends them. `prepare` gets each pair ready. */
  async withPairs({ contenders, role, options, prepare, table }, work) {
    const pairs = new Map()
    try {
      for (const contender of contenders) {
        try {
          const pair = await Pair.start(contender, role, { ...options, profile: this.profile })
          pairs.set(contender.row, pair)
          await prepare(pair, contender)
        } catch (error) {
          table.fault(contender.row, reason(error))
          await pairs.get(contender.row)?.stop()
          pairs.delete(contender.row)
        }
      }
      const ready = contenders.filter(({ row }) => pairs.has(row))
      return await work(ready, ({ row }) => pairs.get(row))
    } finally {
      await Promise.all([...pairs.values()].map((pair) => pair.stop()))
    }
  }
}

/** In one line. */
export function reason(error) {
  return String(error?.message ?? error).split('\n')[0]
}
