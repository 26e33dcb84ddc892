/**
 * `ws`'s WebSocket, which tells one handler what happens instead of any number of listeners: it is cheaper for each message,
 * and a list of listeners for each connection is memory.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import * as ws from 'ws'
import { rethrow } from './turn.ts'

/** As much of a message may have come before it is counted: a read of the operating system. */
const worthCounting = 64 * 1024

export interface WireHandler {
  received(data: Buffer, binary: boolean): void
  closed(code: number, reason: Buffer): void
  faulty(error: Error & { code?: string }): void
  pinged?(data: Buffer): void
  ponged?(data: Buffer): void
  /** The goodbye is about to be written: what was sent before it goes first. */
  leaving?(): void
  /** Much of a message has come, and not yet all. */
  growing(): void
}

export class Wire extends ws.WebSocket {
  handler: WireHandler | undefined
  #connection: Reading | undefined
  /** What had been read when the last message was whole. */
  #readBefore = 0

  /** What comes in is counted from now on. */
  watch(connection: Duplex): void {
    this.#connection = connection as Reading
    this.#connection[wireOf] = this
    connection.on('data', onData)
  }

  /** What has come of a message that is not whole yet. */
  get partialBytes(): number {
    const bytes = (this.#connection?.bytesRead ?? 0) - this.#readBefore
    return bytes > worthCounting ? bytes : 0
  }

  /** Also called by `ws` itself, in the same turn in which the messages before the peer's goodbye were handed out. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === ws.WebSocket.OPEN) this.handler?.leaving?.()
    super.close(code, reason)
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { handler } = this
    if (handler === undefined) return event === 'error'
    try {
      this.#tell(handler, event, args)
    } catch (error) {
      // It is the application's. `ws` reads nothing more of a connection after an exception that went through it.
      rethrow(error)
    }
    return true
  }

  #tell(handler: WireHandler, event: string | symbol, args: unknown[]): void {
    switch (event) {
      case 'message':
        this.#readBefore = this.#connection?.bytesRead ?? 0
        handler.received(args[0] as Buffer, args[1] as boolean)
        break
      case 'close':
        handler.closed(args[0] as number, args[1] as Buffer)
        break
      case 'error':
        handler.faulty(args[0] as Error)
        break
      case 'ping':
        handler.pinged?.(args[0] as Buffer)
        break
      case 'pong':
        handler.ponged?.(args[0] as Buffer)
    }
  }
}

const wireOf: unique symbol = Symbol('wire')
type Reading = Partial<Socket> & { [wireOf]?: Wire }

function onData(this: Duplex): void {
  const wire = (this as Reading)[wireOf]
  if (wire && wire.partialBytes > 0) wire.handler?.growing()
}
