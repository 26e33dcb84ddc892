/** One direction of a connection: everything on it is as late as the network makes it, and keeps its order. */
import type { Faults } from './faults.ts'

/** What all connections share in one direction. */
export interface Link {
  /** When it has sent what it was given, with the bandwidth that it has. */
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
  /** A chunk is lost and repeated. */
  lost(): void
  /** Whether there is too much under way to take more. */
  full(isFull: boolean): void
}

const shortestRetransmission = 200
const segment = 1460
const maxUnderWay = 4 * 1024 * 1024
// With little bandwidth, so that one connection does not have the link to itself for long.
const maxInLine = 64 * 1024

export class Wire {
  readonly #options: WireOptions
  #loads: Load[] = []
  #bytes = 0
  #full = false
  #timer: NodeJS.Timeout | undefined
  /** Nothing arrives before this: what was sent earlier, or the connection's own handshake. */
  #notBefore = 0

  constructor(options: WireOptions) {
    this.#options = options
  }

  /** Nothing gets on the wire before this time. */
  startAt(time: number): void {
    this.#notBefore = time + this.#options.faults.delay
  }

  /** Bytes arrive in one piece, unless the bandwidth cuts them. */
  sendBytes(chunk: Buffer, arrive: (chunk: Buffer) => void): void {
    const { bandwidth } = this.#options.faults
    // Pieces that take about 20 ms.
    const most = bandwidth === Number.POSITIVE_INFINITY ? chunk.length : Math.max(segment, bandwidth / 50)
    for (let from = 0; from < chunk.length; from += most) {
      const piece = chunk.length <= most ? chunk : chunk.subarray(from, from + most)
      this.send(piece.length, () => arrive(piece))
    }
  }

  /** Without bytes: an end, which is late as well, but never lost on its own. */
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

  /** Forgets what is under way. */
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
    // A timer may come a little early; half a millisecond is nearer to what was asked than one and a half.
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
