/** A socket as a stream of Node's, with its back pressure: `ws`'s function of the same name, for its sockets and clients of ours. */
import { Duplex, type DuplexOptions } from 'node:stream'
import type { RawData } from './data.ts'

/** As much of a socket as a stream needs. */
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

export function createWebSocketStream(socket: StreamableSocket, options?: DuplexOptions): Duplex {
  /** The peer's fault has ended it, and the peer is being told. */
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
        // On HTTP what waits goes together: one by one each would need a round trip.
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
        // What still goes wrong is not swallowed.
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

  /** Nobody listens: it is thrown, as an error of any stream that destroys itself. */
  function failed(error: Error): void {
    duplex.off('error', failed)
    duplex.destroy()
    if (duplex.listenerCount('error') === 0) duplex.emit('error', error)
  }
  return duplex
}
