/** `createWebSocketStream` of `ws` for sockets of the server and of the client: a Node stream with back pressure. */
import { Duplex, type DuplexOptions } from 'node:stream'
import type { RawData } from '../messages/data.ts'

/** The part of a socket that the stream uses. */
export interface StreamableSocket {
  readonly readyState: number
  readonly isPaused: boolean
  readonly bufferedAmount: number
  send(data: Buffer | string, callback: (error?: Error | null) => void): void
  close(): void
  terminate(): void
  pause(): void
  resume(): void
  on(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown
  once(event: 'open' | 'close', listener: () => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
}

const connecting = 0
const open = 1
const closed = 3

/**
 * Makes a Node stream of a socket of either end, with back pressure. Its `end()` closes the socket; destroying it
 * terminates the socket.
 */
export function createWebSocketStream(socket: StreamableSocket, options?: DuplexOptions): Duplex {
  /** Whether an error of the peer has ended the socket, which is now closing. */
  let ending = false
  let over = socket.readyState === closed

  const whenOpen = (run: () => void): void => {
    if (socket.readyState === connecting) socket.once('open', run)
    else run()
  }
  const duplex: Duplex = new Duplex({
    ...options,
    autoDestroy: false,
    emitClose: false,
    objectMode: false,
    writableObjectMode: false,
    read() {
      if (socket.isPaused) socket.resume()
    },
    write(chunk: Buffer | string, _encoding, done) {
      whenOpen(() => {
        let called = false
        const call = (error?: Error | null): void => {
          if (!called) done(error)
          called = true
        }
        socket.send(chunk, call)
        // Take the next chunk already: over HTTP all waiting chunks leave in one request, instead of one round trip each.
        const takes = socket.readyState === open && socket.bufferedAmount < duplex.writableHighWaterMark
        if (takes) call()
      })
    },
    final(done) {
      whenOpen(() => {
        if (over) done()
        else {
          socket.once('close', () => done())
          socket.close()
        }
      })
    },
    destroy(error, done) {
      const finish = (): void => {
        done(error)
        process.nextTick(() => duplex.emit('close'))
      }
      if (over) finish()
      else {
        // Report a later error too.
        socket.once('error', (fault) => {
          error = fault
        })
        socket.once('close', finish)
        if (!ending) socket.terminate()
      }
    },
  })

  socket.on('message', (data, isBinary) => {
    if (!duplex.push(!isBinary && duplex.readableObjectMode ? String(data) : data)) socket.pause()
  })
  socket.once('error', (error) => {
    if (duplex.destroyed) return
    ending = true
    duplex.destroy(error)
  })
  socket.once('close', () => {
    over = true
    if (!duplex.destroyed) duplex.push(null)
  })
  for (const event of ['end', 'finish']) {
    duplex.on(event, () => {
      if (duplex.readableEnded && duplex.writableFinished) duplex.destroy()
    })
  }
  duplex.on('error', failed)

  /** Nobody listens for the error: throw it, as for any stream that destroys itself. */
  function failed(error: Error): void {
    duplex.off('error', failed)
    duplex.destroy()
    if (duplex.listenerCount('error') === 0) duplex.emit('error', error)
  }
  return duplex
}
