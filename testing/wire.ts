/** One direction of a connection: delays all data as the network's faults say, and keeps its order. */
import type { Faults } from './faults.ts'

/** What all connections share in one direction. */
export interface Link {
  /** When the shared link will have sent all data that it has been given. */
  freeAt: number
}

interface Load {
  readonly due: number
  readonly bytes: number
  readonly arrive: () => void
}

export interface WireOptions {
  readonly faults: Readonly<Faults>
  readonly link: Link
  /** The next random number for this purpose. */
  draw(name: 'jitter' | 'loss'): number
  /** A chunk is lost and sent again. */
  lost(): void
  /** Tells whether too much data is on the way to take more. */
  full(isFull: boolean): void
}

const shortestRetransmission = 200
const segment = 1460
const maxUnderWay = 4 * 1024 * 1024
// Limit with little bandwidth, so that one connection does not occupy the link for long.
const maxInLine = 64 * 1024

export class Wire {
  readonly #options: WireOptions
  #loads: Load[] = []
  #bytes = 0
  #full = false
  #timer: NodeJS.Timeout | undefined
  /** No data arrives before this time: earlier data, or the connection's own handshake, comes first. */
  #notBefore = 0

  constructor(options: WireOptions) {
    this.#options = options
  }

  /** Sets the time before which no data is sent. */
  startAt(time: number): void {
    this.#notBefore = time + this.#options.faults.delay
  }

  /** Sends bytes. They arrive in one piece, unless the bandwidth cuts them. */
  sendBytes(chunk: Buffer, arrive: (chunk: Buffer) => void): void {
    const { bandwidth } = this.#options.faults
    // Pieces that take about 20 ms.
    const most = bandwidth === Number.POSITIVE_INFINITY ? chunk.length : Math.max(segment, bandwidth / 50)
    for (let from = 0; from < chunk.length; from += most) {
      const piece = chunk.length <= most ? chunk : chunk.subarray(from, from + most)
      this.send(piece.length, () => arrive(piece))
    }
  }

  /** Sends without bytes: an end, which is delayed too, but never lost by itself. */
  send(bytes: number, arrive: () => void): void {
    const now = performance.now()
    const due = this.#due(now, bytes)
    if (this.#loads.length === 0 && due <= now) {
      arrive()
      return
    }
    this.#loads.push({ due, bytes, arrive })
    this.#bytes += bytes
    if (this.#loads.length === 1) this.#wait(now)
    this.#lookIfFull()
  }

  /** Forgets all data on the way. */
  drop(): void {
    clearTimeout(this.#timer)
    this.#loads = []
    this.#bytes = 0
  }

  #due(now: number, bytes: number): number {
    const { faults, link } = this.#options
    let due = now + faults.delay
    if (faults.bandwidth !== Number.POSITIVE_INFINITY) {
      link.freeAt = Math.max(now, link.freeAt) + (1000 * bytes) / faults.bandwidth
      due = link.freeAt + faults.delay
    }
    if (faults.jitter > 0) due += this.#options.draw('jitter') * faults.jitter
    if (bytes > 0 && faults.loss > 0 && this.#options.draw('loss') < faults.loss) {
      due += Math.max(shortestRetransmission, 4 * faults.delay)
      this.#options.lost()
    }
    this.#notBefore = Math.max(this.#notBefore, due)
    return this.#notBefore
  }

  #wait(now: number): void {
    const [first] = this.#loads
    if (first) this.#timer = setTimeout(() => this.#deliver(), Math.max(0, first.due - now))
  }

  #deliver(): void {
    // A timer may fire a little early. Half a millisecond early is nearer to the request than one and a half late.
    const now = performance.now() + 0.5
    const loads = this.#loads
    let count = 0
    for (const { due, bytes, arrive } of loads) {
      if (due > now) break
      count++
      this.#bytes -= bytes
      arrive()
      if (this.#loads !== loads) return // dropped
    }
    loads.splice(0, count)
    this.#wait(performance.now())
    this.#lookIfFull()
  }

  #lookIfFull(): void {
    const most = this.#options.faults.bandwidth === Number.POSITIVE_INFINITY ? maxUnderWay : maxInLine
    const full = this.#bytes >= most
    if (full === this.#full) return
    this.#full = full
    this.#options.full(full)
  }
}
