/** A connection with a WebSocket on it: ordered both ways, until it is cut or falls silent. */
import type { NativeSocket } from '../../client/base/natives.ts'
import { Emitter } from './emitter.ts'
import type { Arrived, Home, Path, ServerWebSocket } from './path.ts'

/** Node's streams want to be waited for from here on. */
const highWater = 16_384
/** So long the client's runtime waits for the answer to a goodbye. */
const closeTimeout = 10_000

/** Memory of its own: an ArrayBuffer. */
function copyOf({ buffer, byteOffset, length }: Buffer): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer
}

/** One direction. */
export class Pipe {
  /** What is put in never comes out. */
  silent = false
  bytes = 0
  /** When everything that was put in so far has left, … */
  free = 0
  /** … and when it has come out. */
  last = 0
}

/** What a connection says to the end that asked for it: a WebSocket of the client's runtime, or a server that passes it on. */
export interface Asker {
  readonly readyState: number
  /** Of the carrier that it is for. */
  readonly epoch: number
  opened(protocol: string): void
  hear(data: Buffer, binary: boolean): void
  heardClose(code: number): void
  gone(code: number, reason: string): void
  /** It can read an answer that is none of a WebSocket. */
  refused?(answer: string): void
  /** The other end has said its goodbye. */
  ended?(): void
}

/** What a server takes for the connection to another server, to which it passes a WebSocket on. */
export interface Onward {
  forward(arrived: Arrived): void
}

export class Connection<To extends Asker = Asker> {
  readonly up: Pipe = new Pipe()
  readonly down: Pipe = new Pipe()
  readonly network: Path
  readonly native: To
  readonly line: Line
  /** Where the server's end is. */
  home: Home | undefined
  /** Each byte on its way counts for so many: a line with room for little, without the messages that would fill a large one. */
  readonly scale: number
  cut = false

  constructor(network: Path, native: To, scale: number) {
    this.network = network
    this.native = native
    this.scale = scale
    this.line = new Line(this)
  }

  deliver(pipe: Pipe, action: () => void, bytes = 0): void {
    const { network } = this
    const { world } = network
    if (network.blackout) pipe.silent = true
    if (pipe.silent || this.cut) return
    pipe.free = Math.max(pipe.free, world.now) + Math.ceil(bytes / network.pace)
    pipe.last = Math.max(pipe.last, pipe.free + network.delay())
    world.after(pipe.last - world.now, () => {
      if (network.blackout) pipe.silent = true
      else if (pipe.silent || this.cut) return
      else if (pipe === this.up) this.enter(action)
      else action()
    })
  }

  /** Does something at the server's end. */
  enter(run: () => void): void {
    if (this.home) this.home.enter(run)
    else run()
  }

  /** The network, or an end, breaks it: what is under way is lost. An end to which nothing comes any more does not notice. */
  break(): void {
    if (this.cut) return
    this.cut = true
    const { network, native, line } = this
    const { world } = network
    network.connections.delete(this)
    if (!this.down.silent && !network.blackout)
      world.after(world.random.between(0, 50), () => native.gone(1006, ''))
    if (!this.up.silent && !network.blackout)
      world.after(world.random.between(0, 50), () => this.enter(() => line.gone()))
  }

  /** Both ends have said goodbye. */
  finish(): void {
    this.cut = true
    this.network.connections.delete(this)
  }
}

/** The client's end: a WebSocket as the runtime makes it. */
export class Native implements NativeSocket, Asker {
  binaryType = 'blob'
  protocol = ''
  readyState = 0
  onopen: NativeSocket['onopen'] = null
  onmessage: NativeSocket['onmessage'] = null
  onerror: NativeSocket['onerror'] = null
  onclose: NativeSocket['onclose'] = null
  connection: Connection | undefined
  /** Of the carrier that it is for. */
  epoch = 0
  /** Only where the runtime has one. */
  terminate: (() => void) | undefined

  constructor(terminates: boolean) {
    if (terminates)
      this.terminate = () => {
        this.readyState = 3
        this.connection?.break()
      }
  }

  get bufferedAmount(): number {
    const { connection } = this
    return connection ? connection.up.bytes * connection.scale : 0
  }

  opened(protocol: string): void {
    if (this.readyState > 0) return
    this.readyState = 1
    this.protocol = protocol
    this.onopen?.()
  }

  hear(data: Buffer, binary: boolean): void {
    const { network } = this.connection as Connection
    if (network.world.trace) network.world.log(`<= ${this.epoch} ${shown(data)}`)
    this.onmessage?.({ data: binary ? copyOf(data) : data.toString() })
  }

  heardClose(code: number): void {
    const { connection } = this
    if (!connection) return
    if (this.readyState < 2) this.#sayClose(1005)
    this.gone(code, '')
  }

  gone(code: number, reason: string): void {
    if (this.readyState === 3) return
    this.readyState = 3
    if (code === 1006) this.onerror?.({})
    this.onclose?.({ code, reason, wasClean: code !== 1006 })
  }

  send(data: string | Uint8Array): void {
    const { connection } = this
    if (!connection || this.readyState !== 1) return
    const { up } = connection
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data)
    const { world } = connection.network
    if (world.trace) world.log(`=> ${this.epoch} ${shown(bytes)}`)
    up.bytes += bytes.length
    connection.deliver(
      up,
      () => {
        up.bytes -= bytes.length
        connection.line.webSocket?.arrive({ kind: 'message', data: bytes, binary: typeof data !== 'string' })
      },
      bytes.length,
    )
  }

  close(): void {
    if (this.readyState > 1) return
    if (this.readyState === 0) {
      this.gone(1006, '')
      this.connection?.break()
      return
    }
    this.readyState = 2
    this.#sayClose(1005)
    // A server that passes it on may have nobody behind it any more: a browser does not wait for ever.
    const { connection } = this
    if (connection?.home) connection.network.world.after(closeTimeout, () => connection.break())
  }

  #sayClose(code: number): void {
    const { connection } = this
    if (!connection) return
    connection.deliver(connection.up, () => connection.line.webSocket?.arrive({ kind: 'close', code }))
  }
}

/** The server's end: what it takes for a connection of Node's. */
export class Line extends Emitter {
  readonly connection: Connection
  webSocket: ServerWebSocket | undefined
  destroyed = false
  isFinished = false
  writableEnded = false
  readonly readable = true
  readonly writableCorked = 0
  readonly remoteAddress = '203.0.113.7'
  bytesRead = 0
  #rest: Buffer | undefined
  #mayDrain = false

  constructor(connection: Connection) {
    super()
    this.connection = connection
  }

  get writable(): boolean {
    return !this.destroyed && !this.writableEnded
  }

  get writableLength(): number {
    return this.connection.down.bytes * this.connection.scale
  }

  get writableNeedDrain(): boolean {
    const needs = this.writableLength > highWater
    this.#mayDrain ||= needs
    return needs
  }

  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  isPaused(): boolean {
    return false
  }

  /** Frames as `ws` makes them, of a server: not masked, and never in fragments. */
  write(data: Buffer | string, written?: () => void): boolean {
    if (typeof data === 'string') {
      // The answer of another server, as it came: if it is no WebSocket's, an end follows.
      if (data.startsWith('HTTP/1.1 101'))
        this.open(/\r\nsec-websocket-protocol: (.*)\r\n/i.exec(data)?.[1] ?? '')
      return true
    }
    let bytes = this.#rest ? Buffer.concat([this.#rest, data]) : data
    this.#rest = undefined
    while (bytes.length > 0) {
      const short = bytes.length > 1 ? (bytes[1] as number) : 0
      const head = short === 127 ? 10 : short === 126 ? 4 : 2
      const size =
        bytes.length < head
          ? Number.POSITIVE_INFINITY
          : head === 2
            ? short
            : head === 4
              ? bytes.readUInt16BE(2)
              : bytes.readUInt32BE(6)
      if (bytes.length < head + size) {
        this.#rest = bytes
        break
      }
      this.say(bytes.subarray(head, head + size), bytes[0] === 0x82)
      bytes = bytes.subarray(head + size)
    }
    if (written) this.connection.network.world.nextTick(written)
    return true
  }

  say(data: Buffer, binary: boolean): void {
    const { connection } = this
    const { down, native } = connection
    down.bytes += data.length
    connection.deliver(
      down,
      () => {
        down.bytes -= data.length
        native.hear(data, binary)
        if (this.#mayDrain && !this.writableNeedDrain) {
          this.#mayDrain = false
          connection.enter(() => this.emit('drain'))
        }
      },
      data.length,
    )
  }

  open(protocol: string): void {
    const { connection } = this
    connection.deliver(connection.down, () => connection.native.opened(protocol))
  }

  sayClose(code: number): void {
    const { connection } = this
    connection.deliver(connection.down, () => connection.native.heardClose(code))
  }

  /** An answer to the handshake that is none of a WebSocket. */
  end(answer?: string): void {
    this.writableEnded = true
    const { connection } = this
    if (connection.native.refused && typeof answer === 'string') {
      const { network, native } = connection
      connection.finish()
      network.world.after(network.delay(), () => {
        if (!network.blackout && !connection.down.silent) native.refused?.(answer)
      })
    }
    connection.deliver(connection.down, () => connection.native.gone(1006, ''))
    this.emit('finish')
  }

  destroy(): void {
    if (!this.isFinished) this.connection.break()
    this.gone()
  }

  /** The client, or the network, has ended it. */
  gone(): void {
    this.webSocket?.gone(1006)
    this.over()
  }

  /** It has ended. */
  over(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }

  /** Its WebSocket has ended in order. */
  ended(): void {
    const { connection } = this
    if (connection.native.ended) connection.deliver(connection.down, () => connection.native.ended?.())
    this.over()
  }

  /** What was said still arrives; then nothing more. */
  finish(): void {
    const { connection } = this
    connection.deliver(connection.down, () => {
      connection.cut = true
      connection.network.connections.delete(connection)
      connection.native.gone(1006, '')
    })
    this.isFinished = true
    this.over()
  }

  /** What comes from the client goes on to another server. */
  pipe(to: Onward): void {
    this.webSocket = { arrive: (arrived) => to.forward(arrived), gone: () => {} }
  }
}

/** For whoever reads a trace. */
function shown(data: Buffer): string {
  return JSON.stringify(data.toString('latin1', 0, 60))
}
