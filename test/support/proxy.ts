/**
 * A TCP proxy in front of an HTTP server that does to connections what networks do to them, and nothing by chance. What
 * it does is switched while it runs, and counts for connections and requests from then on unless said otherwise.
 */
import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export interface Behavior {
  /**
   * WebSocket handshakes: let through, answered with this status, or `'swallow'`: taken in and never answered.
   * Default: let through.
   */
  upgrades: 'pass' | 'swallow' | number
  /** New connections: let through, refused (reset as soon as they come), or `'swallow'`: nothing ever comes back. */
  connections: 'pass' | 'swallow' | 'refuse'
  /** How long everything takes in each direction, in milliseconds. Also changes what is already open. */
  delay: number
  /** Whole answers only: each is kept until it is complete, as some proxies and virus scanners do. */
  buffer: boolean
}

export interface NetworkEvents {
  /** A connection came. */
  connection: [pipe: Pipe]
  /** A request begins, or a WebSocket handshake; what becomes of it is not decided yet. */
  request: [pipe: Pipe, line: string, upgrade: boolean]
  /** Bytes came and are about to be passed on; what cuts the connection now loses them. */
  data: [pipe: Pipe, direction: Direction, chunk: Buffer]
  /** A connection is over, whoever ended it. */
  end: [pipe: Pipe]
}

export interface Target {
  readonly host: string
  readonly port: number
}

export type Direction = 'to server' | 'to client'

const plain: Behavior = { upgrades: 'pass', connections: 'pass', delay: 0, buffer: false }

export class Network extends EventEmitter<NetworkEvents> {
  /** What is done now; assign to its members to switch. */
  readonly behavior: Behavior = { ...plain }
  /** Every connection that is open, oldest first. */
  readonly pipes: Set<Pipe> = new Set()
  /** Where connections go; a new one counts for new connections. */
  target: Target
  readonly #server: Server

  /** In front of `target`, once `listen` has been awaited. */
  constructor(target: Target) {
    super()
    this.target = target
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#connected(socket))
  }

  async listen(port = 0, host = '127.0.0.1'): Promise<this> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resets every connection, or those that `which` picks. Returns how many that were. */
  cut(which: (pipe: Pipe) => boolean = () => true): number {
    const chosen = [...this.pipes].filter(which)
    for (const pipe of chosen) pipe.cut()
    return chosen.length
  }

  /** From now on not a byte gets through any open connection, and nobody is told. */
  silence(which: (pipe: Pipe) => boolean = () => true): number {
    const chosen = [...this.pipes].filter(which)
    for (const pipe of chosen) pipe.silence()
    return chosen.length
  }

  /** As in the beginning; what is open stays as it is. */
  restore(): void {
    Object.assign(this.behavior, plain)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  #connected(socket: Socket): void {
    const { connections } = this.behavior
    if (connections === 'refuse') {
      socket.on('error', ignore)
      socket.resetAndDestroy()
      return
    }
    const target = connections === 'swallow' ? undefined : this.target
    const pipe = new Pipe(socket, target, this.behavior, {
      request: (line, upgrade) => this.emit('request', pipe, line, upgrade),
      data: (direction, chunk) => this.emit('data', pipe, direction, chunk),
      end: () => {
        this.pipes.delete(pipe)
        this.emit('end', pipe)
      },
    })
    this.pipes.add(pipe)
    this.emit('connection', pipe)
    pipe.start()
  }
}

interface Watcher {
  request(line: string, upgrade: boolean): void
  data(direction: Direction, chunk: Buffer): void
  end(): void
}

/** One connection, and the one that was opened for it. */
export class Pipe {
  /** Whether a WebSocket handshake went to the server over it. */
  upgraded = false
  /** The first line of the request that was last begun on it. */
  request = ''
  /** Bytes that have been passed on. */
  readonly passed: Record<Direction, number> = { 'to server': 0, 'to client': 0 }
  readonly #client: Socket
  readonly #server: Socket | undefined
  readonly #behavior: Behavior
  readonly #watcher: Watcher
  readonly #answers = new AnswerBuffer()
  #state: 'open' | 'silent' | 'over' = 'open'
  /** What is late goes out in order, also when the delay is changed. */
  readonly #late: Record<Direction, Promise<void> | undefined> = {
    'to server': undefined,
    'to client': undefined,
  }

  constructor(client: Socket, target: Target | undefined, behavior: Behavior, watcher: Watcher) {
    this.#client = client
    this.#behavior = behavior
    this.#watcher = watcher
    if (target) this.#server = connect({ ...target, noDelay: true, allowHalfOpen: true })
  }

  get silent(): boolean {
    return this.#state === 'silent'
  }

  start(): void {
    for (const socket of [this.#client, this.#server]) {
      socket?.on('error', ignore)
      socket?.on('end', () => {
        if (this.#state === 'silent' || !this.#server) socket.destroy()
      })
      socket?.on('close', (failed) => {
        // An orderly end is passed on as such. Where nothing gets through, none shows that the other half has gone.
        if ((failed && this.#state === 'open') || this.#gone) this.cut()
      })
    }
    if (!this.#server) {
      this.#client.resume()
      return
    }
    this.#forward('to server', this.#client, this.#server)
    this.#forward('to client', this.#server, this.#client)
  }

  /** Resets both halves at once. What has not been passed on is lost. */
  cut(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    for (const socket of [this.#client, this.#server]) {
      if (socket && !socket.destroyed) socket.resetAndDestroy()
    }
    this.#watcher.end()
  }

  /** Not a byte gets through any more, not the end either. */
  silence(): void {
    if (this.#state !== 'open') return
    this.#state = 'silent'
    for (const socket of [this.#client, this.#server]) socket?.resume()
  }

  get #gone(): boolean {
    return this.#client.destroyed && (this.#server?.destroyed ?? true)
  }

  /** The client gets this, as if the server had said it, and the end. */
  answer(text: string): void {
    this.#state = 'silent'
    this.#client.end(text)
    this.#client.resume()
    this.#server?.destroy()
  }

  #forward(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#state !== 'open') return
      if (direction === 'to server' && !this.#admit(chunk)) return
      this.#watcher.data(direction, chunk)
      this.#afterDelay(direction, () => {
        if (this.#state !== 'open') return
        const parts = direction === 'to client' ? this.#ready(chunk) : [chunk]
        for (const part of parts) {
          this.passed[direction] += part.length
          if (to.write(part)) continue
          from.pause()
          to.once('drain', () => from.resume())
        }
      })
    })
    from.on('end', () => {
      this.#afterDelay(direction, () => {
        if (this.#state !== 'open') return
        const rest = direction === 'to client' ? this.#answers.rest() : undefined
        if (rest) to.write(rest)
        to.end()
      })
    })
  }

  /** Looks at what may be the beginning of a request. Returns false if it has been dealt with. */
  #admit(chunk: Buffer): boolean {
    if (this.upgraded) return true
    const head = chunk.toString('latin1', 0, Math.min(chunk.length, 4096))
    const line = /^([A-Z]+ \S+) HTTP\/1\.1\r\n/.exec(head)?.[1]
    if (line === undefined) return true
    this.request = line
    const upgrade = /\r\nupgrade: *websocket\r\n/i.test(head)
    this.#watcher.request(line, upgrade)
    if (this.#state !== 'open') return false
    if (!upgrade) return true
    const { upgrades } = this.#behavior
    if (upgrades === 'pass') {
      this.upgraded = true
      return true
    }
    if (upgrades === 'swallow') this.silence()
    else this.answer(`HTTP/1.1 ${upgrades} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    return false
  }

  #ready(chunk: Buffer): Buffer[] {
    if (this.upgraded || !this.#behavior.buffer) {
      const before = this.#answers.rest()
      return before ? [before, chunk] : [chunk]
    }
    return this.#answers.add(chunk)
  }

  #afterDelay(direction: Direction, run: () => void): void {
    const { delay } = this.#behavior
    const before = this.#late[direction]
    if (delay === 0 && before === undefined) {
      run()
      return
    }
    const due = performance.now() + delay
    const turn = (before ?? Promise.resolve()).then(
      () => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, due - performance.now()))),
    )
    const mine = turn.then(() => {
      if (this.#late[direction] === mine) this.#late[direction] = undefined
      run()
    })
    this.#late[direction] = mine
  }
}

/** Keeps answers until they are whole. */
class AnswerBuffer {
  #kept: Buffer = Buffer.alloc(0)

  /** Returns what may go on. */
  add(chunk: Buffer): Buffer[] {
    this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    const ready: Buffer[] = []
    for (let size = wholeAnswer(this.#kept); size > 0; size = wholeAnswer(this.#kept)) {
      ready.push(this.#kept.subarray(0, size))
      this.#kept = this.#kept.subarray(size)
    }
    return ready
  }

  rest(): Buffer | undefined {
    const rest = this.#kept
    this.#kept = Buffer.alloc(0)
    return rest.length > 0 ? rest : undefined
  }
}

const endOfHead = Buffer.from('\r\n\r\n')

/** The size of the first answer, if it is there as a whole; otherwise 0. */
function wholeAnswer(bytes: Buffer): number {
  const head = bytes.indexOf(endOfHead)
  if (head < 0) return 0
  const body = head + endOfHead.length
  const text = bytes.toString('latin1', 0, body)
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
  if (length !== undefined) {
    const size = body + Number(length)
    return bytes.length >= size ? size : 0
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(text)) return /^HTTP\/1\.1 (1|204|304)/.test(text) ? body : 0
  for (let at = body; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return 0
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    at = line + 2 + size + 2
    if (bytes.length < at) return 0
    if (size === 0) return at
  }
}

function ignore(): void {}
