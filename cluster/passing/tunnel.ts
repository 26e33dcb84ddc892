/** One connection between two nodes through the store, which `node:http` takes for a network connection. */
import { Duplex } from 'node:stream'

export interface TunnelHost {
  /** Sends as soon as there is room; `sent` is called when it is on its way. */
  send(tunnel: Tunnel, bytes: Buffer, sent: () => void): void
  /** This many bytes were read. */
  read(tunnel: Tunnel, bytes: number): void
  end(tunnel: Tunnel): void
  /** The tunnel is destroyed here. */
  over(tunnel: Tunnel): void
}

/** The most bytes that are on their way or wait to be read, in each direction. */
export const tunnelWindow: number = 256 * 1024
/** After this many bytes the other node is told that they were read. */
const worthTelling: number = tunnelWindow / 4
/** The most bytes of one frame. */
const largest = 64 * 1024

type Done = (error?: Error | null) => void

export class Tunnel extends Duplex {
  readonly node: string
  readonly id: string
  /** Whether the other node has not taken it yet, as Node's connections have it. */
  connecting: boolean
  /** After how many milliseconds without a byte `timeout` is emitted; 0: never. */
  timeout = 0
  readonly #host: TunnelHost
  /** How many bytes the other node still takes. */
  #credit = tunnelWindow
  #writing: { readonly chunks: Buffer[]; readonly done: Done } | undefined
  #inbox: Buffer[] = []
  #isEnded = false
  #wantsMore = false
  /** Bytes that came and were not read; bytes that were read and not told. */
  #unread = 0
  #untold = 0
  #idle: NodeJS.Timeout | undefined

  constructor(host: TunnelHost, node: string, id: string, connecting: boolean) {
    super({ allowHalfOpen: true })
    this.#host = host
    this.node = node
    this.id = id
    this.connecting = connecting
  }

  // ---- what the other node says ----

  taken(): void {
    if (!this.connecting) return
    this.connecting = false
    this.emit('connect')
  }

  /** Bytes have come. More than the window allows is a fault of the other node. */
  came(bytes: Buffer): void {
    this.#unread += bytes.length
    if (this.#unread > tunnelWindow) {
      this.destroy(new Error('The other node sends more than it may'))
      return
    }
    this.#idle?.refresh()
    if (bytes.length > 0) this.#inbox.push(bytes)
    this.#give()
  }

  ended(): void {
    this.#isEnded = true
    this.#give()
  }

  mayMore(bytes: number): void {
    this.#credit += bytes
    this.#sendNext()
  }

  // ---- what Node asks ----

  override _read(): void {
    this.#wantsMore = true
    this.#give()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#writing = { chunks: [chunk], done }
    this.#sendNext()
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#writing = { chunks: [Buffer.concat(chunks.map(({ chunk }) => chunk))], done }
    this.#sendNext()
  }

  override _final(done: Done): void {
    this.#host.end(this)
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#idle)
    this.#inbox = []
    this.#writing = undefined
    this.#host.over(this)
    done(error)
  }

  /** As `setTimeout` of Node's connections: `http` uses it for those that are kept. */
  setTimeout(time: number, listener?: () => void): this {
    this.timeout = time
    clearTimeout(this.#idle)
    this.#idle = undefined
    if (listener) this.off('timeout', listener)
    if (time === 0 || this.destroyed) return this
    if (listener) this.once('timeout', listener)
    this.#idle = setTimeout(() => this.emit('timeout'), time).unref()
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  /** A tunnel never keeps the process. */
  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  #give(): void {
    while (this.#wantsMore && this.#inbox.length > 0) {
      const next = this.#inbox.shift() as Buffer
      this.#unread -= next.length
      this.#untold += next.length
      this.#wantsMore = this.push(next)
    }
    if (this.#wantsMore && this.#isEnded) {
      this.#wantsMore = false
      this.push(null)
    }
    if (this.#untold < worthTelling || this.destroyed) return
    this.#host.read(this, this.#untold)
    this.#untold = 0
  }

  /** Sends as much of the present write as the other node takes, a frame at a time. */
  #sendNext(): void {
    const { chunks, done } = this.#writing ?? {}
    const chunk = chunks?.[0]
    if (!chunks || !chunk) return
    const size = Math.min(chunk.length, this.#credit, largest)
    if (size === 0 && chunk.length > 0) return
    this.#credit -= size
    this.#idle?.refresh()
    if (size === chunk.length) chunks.shift()
    else chunks[0] = chunk.subarray(size)
    const isLast = chunks.length === 0
    if (isLast) this.#writing = undefined
    this.#host.send(this, chunk.subarray(0, size), () => {
      if (isLast) done?.()
      else this.#sendNext()
    })
  }
}
