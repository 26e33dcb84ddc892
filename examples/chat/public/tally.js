// Counts numbered messages: each number of a series has to arrive once and in order. Both ends count with this.

const remembered = 1000

export class Tally {
  received = 0
  missing = 0
  repeated = 0
  disordered = 0
  #series = new Map()

  /** Continues a series: its next message has the number `next`. */
  expect(name, next) {
    this.#series.set(name, { next, received: 0, gaps: new Set() })
  }

  receivedOf(name) {
    return this.#series.get(name)?.received ?? 0
  }

  take(name, number) {
    if (!this.#series.has(name)) this.expect(name, 1)
    const series = this.#series.get(name)
    this.received++
    series.received++
    if (number >= series.next) {
      this.missing += number - series.next
      for (let lost = series.next; lost < number && series.gaps.size < remembered; lost++)
        series.gaps.add(lost)
      series.next = number + 1
    } else if (series.gaps.delete(number)) {
      this.missing--
      this.disordered++
    } else {
      this.repeated++
    }
  }
}
