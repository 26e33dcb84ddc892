/** An HTTP request and its answer, as both ends and the network see it. */
import type { Answer } from '../../client/base/natives.ts'
import { Emitter } from './emitter.ts'
import type { Home, Path } from './path.ts'
import { Chunks, type PlainSignal } from './streams.ts'

/** One for all: to make one takes longer than a whole request. */
const failed = new TypeError('Failed to fetch')

/** Who reads an answer: a client, or a server that passes it on. */
export interface Reader {
  readonly over: boolean
  /** What is written to it must wait. */
  readonly isFull?: boolean
  /** Of the answers to a repeated request, the one that came first. */
  from: Response | undefined
  begin(status: number, statusText: string, headers: Headers): void
  chunk(bytes: Uint8Array): void
  end(): void
  fail(): void
}

type Headers = Readonly<Record<string, unknown>>
const noHeaders: Headers = {}

/** The client's end. */
export class Exchange implements Reader {
  readonly network: Path
  readonly name: string
  readonly answer: Promise<Answer>
  readonly #chunks: Chunks = new Chunks()
  #resolve!: (answer: Answer) => void
  #reject!: (error: Error) => void
  #begun = false
  readonly #since: number
  #isAnswered = false
  /** Nothing that comes is heard any more. */
  over = false
  onOver: () => void = () => {}
  /** Of the answers to a repeated request, the one that came first. */
  from: Response | undefined
  /** All of them. */
  readonly responses: Response[] = []

  constructor(network: Path, signal: PlainSignal | undefined, name: string) {
    this.network = network
    this.name = name
    this.#since = network.world.now
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal) signal.heard = () => this.fail()
  }

  begin(status: number, statusText: string, headers: Headers = noHeaders): void {
    if (this.over || this.#begun) return
    this.#begun = true
    const later = headers['Retry-After'] ?? headers['retry-after']
    const answer = { status, statusText, body: this.#chunks }
    // The only one that a client looks at.
    this.#resolve(later === undefined ? answer : { ...answer, headers: { get: () => `${later}` } })
  }

  chunk(bytes: Uint8Array): void {
    const { world } = this.network
    if (world.trace)
      world.log(`<- ${this.name} ${Buffer.from(bytes.subarray(0, 24)).toString('hex')} ${bytes.length}`)
    if (this.over) return
    if (!this.#isAnswered) this.network.answered?.(world.now - this.#since)
    this.#isAnswered = true
    this.#chunks.give(bytes)
  }

  end(): void {
    if (this.over) return
    this.over = true
    this.network.world.log(`<- ${this.name} end`)
    this.onOver()
    this.#chunks.end()
  }

  fail(): void {
    if (this.over) return
    this.over = true
    this.network.world.log(`<- ${this.name} failed`)
    if (this.#begun) this.#chunks.fail(failed)
    else this.#reject(failed)
    for (const response of this.responses) response.abandoned()
    this.onOver()
  }

  /** Somebody on the way answers in the server's place. */
  refuse(status: number, statusText: string, body: string): void {
    this.begin(status, statusText)
    if (body !== '') this.chunk(Buffer.from(body))
    this.end()
  }
}

/** The server's end: what it takes for Node's response. */
export class Response extends Emitter {
  readonly req: { readonly socket: object }
  readonly socket: object
  readonly network: Path
  readonly #exchange: Reader
  /** Where it is written. */
  readonly home: Home | undefined
  #headers = noHeaders
  headersSent = false
  destroyed = false
  writableEnded = false
  writableFinished = false
  readonly writableLength = 0
  statusCode = 200
  /** Its connection is for others after it. */
  shouldKeepAlive = true
  #isStream = false
  #last: number
  #inFlight = 0
  #mayDrain = false
  #silent = false
  /** Bytes after which the network cuts it. */
  #left: number
  /** What a proxy keeps until the end. */
  #kept: (() => void)[] | undefined
  #passes = 0
  #quietTimer: { run: unknown } | undefined

  constructor(
    network: Path,
    exchange: Reader,
    req: { readonly socket: object },
    left: number,
    late: number,
    home?: Home,
  ) {
    super()
    this.network = network
    this.#exchange = exchange
    this.req = req
    this.socket = req.socket
    this.#left = left
    this.home = home
    this.#last = network.world.now + late
  }

  get isStream(): boolean {
    return this.#isStream && !this.writableEnded && !this.destroyed
  }

  get writableNeedDrain(): boolean {
    const needs = this.#inFlight > this.network.room || this.#exchange.isFull === true
    this.#mayDrain ||= needs
    return needs
  }

  setHeader(): void {}
  appendHeader(): void {}
  removeHeader(): void {}

  writeHead(status: number, headers: Headers): void {
    this.headersSent = true
    this.statusCode = status
    this.#headers = headers
    this.#isStream = (headers['Content-Length'] ?? headers['content-length']) === undefined
    if (!this.#isStream) return
    const { network } = this
    if (network.holdsBack !== 'nothing') {
      this.#kept = []
      this.#passes = network.holdsBack === 'what follows' ? 1 : 0
    }
    if (network.life > 0) network.world.after(network.life, () => this.cut())
  }

  write(data: Uint8Array | string, encoding: BufferEncoding = 'utf8'): boolean {
    const { network } = this
    const { random } = network.world
    const bytes = typeof data === 'string' ? Buffer.from(data, encoding) : data
    for (let at = 0; at < bytes.length && this.#left > 0; ) {
      const size = random.chance(0.7) ? bytes.length - at : random.between(1, bytes.length - at)
      const end = at + Math.min(size, this.#left)
      // A copy: the server may use its memory again.
      const chunk = new Uint8Array(end - at)
      chunk.set(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
      this.#left -= end - at
      at = end
      this.#inFlight++
      this.#pass(() =>
        this.#deliver((to) => {
          to.begin(this.statusCode, '', this.#headers)
          to.chunk(chunk)
        }),
      )
    }
    if (this.#left <= 0) this.cut(random.chance(0.3))
    else if (network.cutsSilence > 0) this.#watchSilence()
    return !this.writableNeedDrain
  }

  end(data?: Uint8Array | string, encoding?: BufferEncoding): void {
    if (data !== undefined && data.length > 0) this.write(data, encoding)
    if (this.writableEnded || this.destroyed) return
    this.writableEnded = true
    for (const pass of this.#kept ?? []) pass()
    this.#kept = undefined
    this.#deliver((to) => {
      to.begin(this.statusCode, '', this.#headers)
      to.end()
    })
    this.network.world.nextTick(() => {
      this.writableFinished = true
      this.#close()
    })
  }

  /** The server gives it up. */
  destroy(): void {
    this.cut()
  }

  /**
   * By the network or the server: the client sees a failure - or, where a proxy is careless, an end that comes too soon -, the
   * server that it is closed.
   */
  cut(carelessly = false): void {
    if (this.writableEnded || this.destroyed) return
    this.#deliver((to) => {
      if (!carelessly) to.fail()
      else {
        to.begin(this.statusCode, '', this.#headers)
        to.end()
      }
    })
    this.destroyed = true
    this.network.world.after(0, () => this.#close())
  }

  /** Nothing of it arrives any more, and nobody is told. */
  silence(): void {
    this.#silent = true
    this.network.responses.delete(this)
  }

  /** The client does not want it any more; the server hears of that. */
  abandoned(): void {
    const { network } = this
    if (this.writableEnded || this.destroyed || network.blackout || network.keepsAbandoned) return
    network.world.after(network.delay(), () => {
      if (this.writableEnded || this.destroyed || network.blackout) return
      this.destroyed = true
      this.#close()
    })
  }

  #close(): void {
    this.destroyed = true
    this.network.responses.delete(this)
    this.#tell('close')
  }

  #tell(event: string): void {
    if (this.home) this.home.enter(() => this.emit(event))
    else this.emit(event)
  }

  #pass(run: () => void): void {
    if (this.#kept && this.#passes-- <= 0) this.#kept.push(run)
    else run()
  }

  #watchSilence(): void {
    const { network } = this
    if (this.#quietTimer) this.#quietTimer.run = undefined
    this.#quietTimer = network.world.after(network.cutsSilence, () => this.cut())
  }

  #deliver(action: (to: Reader) => void): void {
    const { network } = this
    const { world } = network
    this.#last = Math.max(this.#last, world.now + network.delay())
    world.after(this.#last - world.now, () => {
      // What follows a gap is not heard either.
      if (network.blackout) this.#silent = true
      if (this.#silent) return
      if (this.#inFlight > 0) this.#inFlight--
      const exchange = this.#exchange
      exchange.from ??= this
      if (exchange.from === this && !exchange.over) action(exchange)
      else this.abandoned()
      this.relieved()
    })
  }

  /** Something has left it. */
  relieved(): void {
    if (!this.#mayDrain || this.writableNeedDrain || this.destroyed) return
    this.#mayDrain = false
    this.#tell('drain')
  }
}
