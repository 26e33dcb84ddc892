// A peer that writes bytes of its own choice into a connection: neither `ws` nor a browser would send most of them.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** The head of a masked frame; its mask is zero, so that the payload goes as it is. */
export function frameHead(size: number, opcode = 2, last = true): Buffer {
  const head = Buffer.alloc(14)
  head[0] = (last ? 0x80 : 0) | opcode
  head[1] = 0xff
  head.writeBigUInt64BE(BigInt(size), 2)
  return head
}

export function frame(payload: string | Uint8Array, opcode = 2, last = true): Buffer {
  const bytes = Buffer.from(payload as Uint8Array)
  if (bytes.length > 125) return Buffer.concat([frameHead(bytes.length, opcode, last), bytes])
  return Buffer.concat([Buffer.from([(last ? 0x80 : 0) | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes])
}

export class Line {
  readonly socket: Socket
  sent = 0
  received = 0
  #latest = ''
  readonly #closed: Promise<void>

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', () => {})
    this.#closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    this.socket.on('data', (data) => {
      this.received += data.length
      this.#latest = data.toString('latin1')
    })
    onTestFinished(() => void this.socket.destroy())
  }

  /** Resolves when the operating system has it, or the connection has ended. */
  write(bytes: Uint8Array): Promise<void> {
    this.sent += bytes.length
    if (this.ended) return Promise.resolve()
    const written = new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()))
    return Promise.race([written, this.#closed])
  }

  /** What came last, when something has come; empty if the connection has ended. */
  async answer(): Promise<string> {
    await Promise.race([once(this.socket, 'data'), this.#closed]).catch(() => {})
    return this.ended ? '' : this.#latest
  }

  /** A WebSocket; `token`: the head of a session. `offered`: subprotocols of the application. `headers`: more lines. */
  async upgrade(token?: string, offered: readonly string[] = [], headers = ''): Promise<this> {
    const names = [...offered, ...(token === undefined ? [] : ['everwire.1', token])]
    const protocol = names.length === 0 ? '' : `Sec-WebSocket-Protocol: ${names.join(', ')}\r\n`
    const answer = this.answer()
    await this.write(
      Buffer.from(
        `GET /realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${protocol}${headers}` +
          'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      ),
    )
    await answer
    return this
  }

  /** A request whose body is an exchange. */
  post(body: Uint8Array): Promise<void> {
    const head = `POST /realtime?everwire=1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    return this.write(Buffer.concat([Buffer.from(head), body]))
  }

  /** Much of a message that never becomes whole; ends early where the server ends the connection. */
  async fill(bytes: number): Promise<void> {
    const part = Buffer.alloc(256 * 1024)
    await this.write(frameHead(90_000_000))
    for (let at = 0; at < bytes && !this.ended; at += part.length) await this.write(part)
  }

  get ended(): boolean {
    return this.socket.destroyed || this.socket.readableEnded
  }

  /** Resolves when it has ended. */
  end(): Promise<void> {
    return this.#closed
  }
}
