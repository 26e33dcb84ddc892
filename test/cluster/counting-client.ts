// A client that counts: it sends one number after the other, and each answer is that number and the server's own.
import { type Transport, WebSocket } from '../../client/node.ts'

export class CountingClient {
  readonly socket: WebSocket
  /** Its own numbers, as they came back. */
  readonly echoed: number[] = []
  /** The server's numbers. */
  readonly counted: number[] = []
  readonly news: string[] = []
  readonly events: string[] = []
  /** The name of its session at the server. */
  session = ''
  /** When the session ended, on this process's clock. */
  closedAt = 0
  longestGap = 0
  /** How long it waits after an answer, in milliseconds. */
  readonly #every: number
  #sent = 0
  #lastAt = 0
  readonly #changed = new Set<() => void>()

  /** `inFlight`: so many numbers are on their way at a time. */
  constructor(url: string, transports: readonly Transport[] | undefined, every = 0, inFlight = 1) {
    this.#every = every
    const socket = new WebSocket(url, [], transports ? { transports } : {})
    this.socket = socket
    socket.addEventListener('open', () => {
      this.events.push('open')
      for (let i = 0; i < inFlight; i++) this.#say()
    })
    socket.addEventListener('close', ({ code, reason }) => {
      this.closedAt = performance.now()
      this.events.push(`close ${code} ${reason}`)
      this.#tell()
    })
    socket.addEventListener('message', ({ data }) => {
      if (data.startsWith('news')) this.news.push(data)
      else this.#answered(data)
      this.#tell()
    })
  }

  /** Resolves when this holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#changed.add(resolve))
  }

  /** Resolves when so many more answers have come. */
  hears(count: number): Promise<void> {
    const all = this.echoed.length + count
    return this.until(() => this.echoed.length >= all)
  }

  /** What is wrong with what came: nothing, if every number came once and in order. */
  get faults(): string[] {
    const faults: string[] = []
    for (const [name, numbers] of Object.entries({ echoed: this.echoed, counted: this.counted })) {
      const at = numbers.findIndex((number, i) => number !== i)
      if (at >= 0) faults.push(`${name}: ${numbers[at]} at ${at}`)
    }
    return faults
  }

  #answered(data: string): void {
    const [echoed = '', counted = '', session = ''] = data.split(' ')
    this.session = session
    this.echoed.push(Number(echoed))
    this.counted.push(Number(counted))
    const now = performance.now()
    if (this.#lastAt) this.longestGap = Math.max(this.longestGap, now - this.#lastAt)
    this.#lastAt = now
    if (this.#every > 0) setTimeout(() => this.#say(), this.#every)
    else this.#say()
  }

  #say(): void {
    this.socket.send(`${this.#sent++}`)
  }

  #tell(): void {
    for (const resolve of this.#changed) resolve()
    this.#changed.clear()
  }
}
