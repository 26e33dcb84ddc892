/**
 * `ws`'s WebSocket, which tells one handler what happens instead of any number of listeners: it is cheaper for each message,
 * and a list of listeners for each connection is memory.
 */
import * as ws from 'ws'

export interface WireHandler {
  received(data: Buffer, binary: boolean): void
  closed(code: number, reason: Buffer): void
  faulty(error: Error & { code?: string }): void
  pinged?(data: Buffer): void
  ponged?(data: Buffer): void
  /** The goodbye is about to be written: what was sent before it goes first. */
  leaving?(): void
}

export class Wire extends ws.WebSocket {
  handler: WireHandler | undefined

  /** Also called by `ws` itself, in the same turn in which the messages before the peer's goodbye were handed out. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === ws.WebSocket.OPEN) this.handler?.leaving?.()
    super.close(code, reason)
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { handler } = this
    if (handler === undefined) return event === 'error'
    switch (event) {
      case 'message':
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
    return true
  }
}
