/**
 * In the place of `node:net`, as far as servers of a cluster use it among themselves: connections to each other, with one exchange
 * of HTTP/1.1 on them after the other. What is written is read as a server would; its answer comes as text, in any pieces.
 */
import { createRequire } from 'node:module'
import { passedHeader } from '../../../cluster/passing/signature.ts'
import { Emitter } from '../emitter.ts'
import { type Reader, Response } from '../exchange.ts'
import { Request, Socket } from '../server-end.ts'
import { isThere, type Listening, type Machine, type Wire } from './wire.ts'

const nothing = Buffer.alloc(0)
/** So much of an answer waits for a reader that has paused; then its writer must wait. */
const highWater = 512
/** A connection that was kept ends just when it is used again, with this probability. */
const staleness = 0.02

interface Place {
  readonly host: string
  readonly port: number
}

interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** The end of the server that has connected. */
class InnerSocket extends Emitter {
  destroyed = false
  readonly #process: Machine
  readonly target: Listening | undefined
  readonly #wire: Wire
  #isConnected = false
  /** It has carried an exchange before. */
  #isReused = false
  #isPaused = false
  /** The network, or the other end, has ended it. What came before is still read. */
  #isLost = false
  /** What is not yet a whole request. */
  #written: Buffer = nothing
  /** What has come, and is not read yet. */
  #unread: Buffer = nothing
  #isReading = false
  #answer: Answer | undefined
  #idleTime = 0
  #idle: { run: (() => void) | undefined } | undefined

  constructor(process: Machine, { host, port }: Place) {
    super()
    this.#process = process
    const { grid, world } = process
    const target = grid.at(`${host}:${port}`)
    const wire = grid.wire(process, target?.process)
    this.target = target
    this.#wire = wire
    wire.ends.add(this)
    world.after(wire.delay() * 2, () => {
      // A machine without power says nothing.
      if (wire.blackout || target?.isDark) return
      process.enter(() => {
        if (this.destroyed || this.#isLost) return
        if (wire.refuses || !isThere(target)) {
          if (this.#written.length > 0) world.count('pass: refused')
          this.lost()
          return
        }
        this.#isConnected = true
        this.emit('connect')
        this.#send()
      })
    })
  }

  get isIdle(): boolean {
    return this.#isConnected && !this.#answer
  }

  // ---- for the server that has connected ----

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  setTimeout(ms: number): this {
    this.#idleTime = ms
    this.#touch()
    return this
  }

  write(data: string | Uint8Array): boolean {
    if (this.destroyed) return false
    this.#touch()
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data
    this.#written = Buffer.concat([this.#written, bytes])
    if (this.#isConnected) this.#send()
    return true
  }

  pause(): this {
    this.#isPaused = true
    return this
  }

  resume(): this {
    if (!this.#isPaused) return this
    this.#isPaused = false
    this.#process.world.count('pass: reads on')
    this.#read(0)
    return this
  }

  destroy(): this {
    if (this.destroyed) return this
    this.destroyed = true
    if (this.#idle) this.#idle.run = undefined
    this.#end()
    this.#process.nextTick(() => this.emit('close'))
    return this
  }

  #touch(): void {
    if (this.#idle) this.#idle.run = undefined
    if (this.#idleTime > 0 && !this.destroyed)
      this.#idle = this.#process.after(this.#idleTime, () => this.emit('timeout'))
  }

  // ---- a request, on its way ----

  #send(): void {
    const asked = readRequest(this.#written)
    if (!asked || this.destroyed) return
    const { world, grid } = this.#process
    const target = this.target
    const wire = this.#wire
    this.#written = nothing
    // It has ended before, and that is not heard yet: nobody will read this.
    if (this.#isLost) {
      world.count('pass: a kept connection ended')
      return
    }
    grid.passes(asked.headers[passedHeader])
    const isStale = this.#isReused && world.random.chance(staleness)
    this.#isReused = true
    const answer = new Answer(this, this.#process)
    this.#answer = answer
    wire.send(() => {
      if (target?.isDark) return
      if (isStale || wire.refuses || !isThere(target)) {
        world.count('pass: a kept connection ended')
        this.lost()
        return
      }
      if (answer.over) world.count('pass: arrives after it was given up')
      target.process.enter(() => this.#arrive(target, asked, answer))
    })
  }

  /** At the other server. */
  #arrive(target: Listening, { method, url, headers, body }: Asked, answer: Answer): void {
    if (!target.isListening) {
      this.lost()
      return
    }
    const wire = this.#wire
    const request = new Request(new Socket(), method, url, headers)
    request.rawBody = body
    const response = new Response(wire, answer, request, Number.POSITIVE_INFINITY, 0, target.process)
    wire.responses.add(response)
    answer.response = response
    if (answer.over) response.abandoned()
    target.request(request, response)
  }

  // ---- what comes back ----

  /** Its reader has paused, and enough waits for it. */
  get isFull(): boolean {
    return this.#isPaused && this.#unread.length >= highWater
  }

  come(bytes: Buffer): void {
    if (this.destroyed || this.#isLost) return
    this.#unread = Buffer.concat([this.#unread, bytes])
    this.#read(0)
  }

  /** The network, or the other end, has ended it. */
  lost(): void {
    if (this.destroyed || this.#isLost) return
    this.#isLost = true
    this.#end()
    // Between two exchanges, what is written before that is heard is lost.
    this.#read(this.#answer ? 0 : this.#wire.delay())
  }

  /** Nothing more is sent on it. */
  #end(): void {
    this.#wire.ends.delete(this)
    const answer = this.#answer
    this.#answer = undefined
    answer?.abandon()
  }

  /** The whole answer has come. */
  answered(isKept: boolean): void {
    this.#answer = undefined
    if (!isKept) this.lost()
  }

  /** Reads on, a little later. */
  #read(delay: number): void {
    if (this.#isReading) return
    this.#isReading = true
    const { world } = this.#process
    world.after(delay, () =>
      this.#process.enter(() => {
        this.#isReading = false
        if (!this.destroyed && !this.#isPaused) this.#readNext()
      }),
    )
  }

  #readNext(): void {
    const { random } = this.#process.world
    const all = this.#unread
    const { length } = all
    if (length > 0) {
      const size = random.chance(0.6) ? length : random.between(1, length)
      this.#unread = all.subarray(size)
      this.#touch()
      this.emit('data', all.subarray(0, size))
      this.#answer?.response?.relieved()
      if (this.#unread.length > 0 || this.#isLost) this.#read(random.between(0, 1))
    } else if (this.#isLost) {
      this.emit('error', new Error('ECONNRESET'))
      this.destroy()
    }
  }
}

/** Writes the answer of the other server as text. */
class Answer implements Reader {
  readonly #socket: InnerSocket
  readonly #process: Machine
  from: Response | undefined
  response: Response | undefined
  over = false
  #isBegun = false
  #isChunked = false

  constructor(socket: InnerSocket, process: Machine) {
    this.#socket = socket
    this.#process = process
  }

  get isFull(): boolean {
    return !this.over && this.#socket.isFull
  }

  get #isKept(): boolean {
    return this.from?.shouldKeepAlive !== false
  }

  begin(status: number, text: string, headers: Readonly<Record<string, unknown>>): void {
    if (this.#isBegun) return
    this.#isBegun = true
    const lines = [`HTTP/1.1 ${status} ${text}`]
    let isRefused = false
    this.#isChunked = status !== 204 && status !== 304
    for (const [name, value] of Object.entries(headers)) {
      for (const one of [value].flat()) lines.push(`${name}: ${one}`)
      if (/^content-length$/i.test(name)) this.#isChunked = false
      isRefused ||= name.toLowerCase() === passedHeader
    }
    if (this.#isChunked) lines.push('Transfer-Encoding: chunked')
    lines.push(`Connection: ${this.#isKept ? 'keep-alive' : 'close'}`)
    this.#process.grid.answered(status, isRefused)
    this.#socket.come(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
  }

  chunk(bytes: Uint8Array): void {
    if (!this.#isChunked) this.#socket.come(Buffer.from(bytes))
    else {
      const size = Buffer.from(`${bytes.length.toString(16)}\r\n`)
      this.#socket.come(Buffer.concat([size, bytes, Buffer.from('\r\n')]))
    }
  }

  end(): void {
    this.over = true
    if (this.#isChunked) this.#socket.come(Buffer.from('0\r\n\r\n'))
    this.#socket.answered(this.#isKept)
  }

  fail(): void {
    this.#socket.lost()
  }

  /** Nobody reads it any more. */
  abandon(): void {
    if (this.over) return
    this.over = true
    this.response?.abandoned()
  }
}

/** Undefined while it is not whole. */
function readRequest(bytes: Buffer): Asked | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const [method = '', url = '', version] = first.split(' ')
  if (version !== 'HTTP/1.1') throw new Error(`no request: ${first}`)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const [name = '', ...value] = line.split(': ')
    headers[name.toLowerCase()] = value.join(': ')
  }
  const body = bytes.subarray(end + 4)
  const length = Number(headers['content-length'] ?? 0)
  if (body.length > length) throw new Error('more than a request')
  return body.length < length ? undefined : { method, url, headers, body }
}

/** The module, for this process. */
export function innerNet(process: Machine): object {
  const real = createRequire(import.meta.url)('node:net') as object
  return { ...real, connect: (place: Place) => new InnerSocket(process, place) }
}
