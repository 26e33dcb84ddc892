/** A connection in memory, as the server sees it: what it writes is kept, what the client says is pushed. */
import { Duplex } from 'node:stream'

export class Line extends Duplex {
  readonly remoteAddress = '203.0.113.7'
  /** What the server has written and nobody has looked at yet. */
  written: Buffer[] = []
  /** The client reads nothing for now. */
  #stalled = false
  #unread: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
    // A client goes when the server has said its last.
    this.on('finish', () => this.hangUp())
    this.on('error', () => {})
  }

  /** Everything since it was last asked. */
  takeWritten(): Buffer {
    const { written } = this
    if (written.length === 0) return empty
    this.written = []
    return written.length === 1 ? (written[0] as Buffer) : Buffer.concat(written)
  }

  say(bytes: Uint8Array): void {
    if (!this.destroyed && !this.readableEnded && !this.#hungUp) this.push(bytes)
  }

  #hungUp = false

  /** The client says no more. */
  hangUp(): void {
    if (this.#hungUp) return
    this.#hungUp = true
    if (!this.destroyed) this.push(null)
  }

  get over(): boolean {
    return this.destroyed
  }

  /** The server's connection is at its end, or has said all. */
  get ended(): boolean {
    return this.destroyed || this.writableFinished
  }

  stall(): void {
    this.#stalled = true
  }

  /** The client reads again. */
  unstall(): void {
    this.#stalled = false
    const unread = this.#unread
    this.#unread = undefined
    unread?.()
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  override _read(): void {}

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: () => void): void {
    this.written.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)
    if (this.#stalled) this.#unread = done
    else done()
  }
}

const empty = Buffer.alloc(0)
