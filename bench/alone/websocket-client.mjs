// A WebSocket client that costs next to nothing, so that a server is measured and not its client: frames are made
// once, messages that are due at the same time are written together, and what arrives is counted, not decoded.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'

const maskKey = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** A whole masked frame; opcode 1 is text. */
export function clientFrame(payload, opcode = 1) {
  const bytes = Buffer.from(payload)
  const head =
    bytes.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | bytes.length])
      : Buffer.from([0x80 | opcode, 0x80 | 126, bytes.length >> 8, bytes.length & 0xff])
  if (bytes.length > 0xffff) throw new RangeError('the benchmark has no messages this large')
  for (let i = 0; i < bytes.length; i++) bytes[i] ^= maskKey[i & 3]
  return Buffer.concat([head, maskKey, bytes])
}

/** Kinds of docs/PROTOCOL.md, section 2. */
const [close, ping, pong, welcome, ack] = [3, 4, 5, 7, 11]

function control(kind, payload) {
  return `\0${String.fromCharCode(kind)}${payload}`
}

/** How the messages of each library stand in WebSocket messages, and what must be said before the first. */
export const dialects = {
  ws: () => ({ path: '/', wrap: (text) => text, isMessage: () => true }),

  /** The subprotocol of docs/PROTOCOL.md, section 2. */
  everwire: () => {
    let got = 0
    let acknowledged = 0
    return {
      path: '/',
      // A request head: E1, open, id, key, epoch 1, serial 0, quiet 0, life 0, has (0, 0), at (0, 0).
      protocols: [
        'everwire.1',
        `everwire.1.${Buffer.concat([Buffer.from([0xe1, 1]), randomBytes(28), Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])]).toString('base64url')}`,
      ],
      wrap: (text) => text,
      isMessage: (bytes, at) => bytes[at] !== 0,
      control(client, text) {
        const kind = text.charCodeAt(1)
        if (kind === welcome) client.opened()
        else if (kind === ping) client.sendText(control(pong, text.slice(2)))
        // Numbered like a message, and so acknowledged.
        else if (kind === close) client.sendText(control(ack, got + 1))
        else if (kind !== ack && kind !== pong) throw new Error(`unexpected control ${kind}`)
      },
      // Or the server would keep the session for its patience.
      close(client) {
        client.sendText(control(close, '1000,'))
      },
      // An acknowledgement after 64 messages or 128 KiB.
      received(client, messages, bytes) {
        got += messages
        if (got - acknowledged < Math.min(64, Math.ceil((128 * 1024 * messages) / bytes))) return
        acknowledged = got
        client.sendText(control(ack, got))
      },
    }
  },

  'socket.io': () => ({
    path: '/socket.io/?EIO=4&transport=websocket',
    wrap: (text) => `42["m","${text}"]`,
    isMessage: (bytes, at) => bytes[at] === 0x34 && bytes[at + 1] === 0x32,
    control(client, text) {
      if (text[0] === '0') client.sendText('40')
      else if (text.startsWith('40')) client.opened()
      else if (text === '2') client.sendText('3')
      else throw new Error(`unexpected packet ${text}`)
    },
  }),

  sockjs: () => ({
    path: `/sockjs/000/${randomBytes(6).toString('hex')}/websocket`,
    wrap: (text) => `["${text}"]`,
    isMessage: (bytes, at) => bytes[at] === 0x61,
    control(client, text) {
      if (text === 'o') client.opened()
      else if (text !== 'h') throw new Error(`unexpected frame ${text}`)
    },
  }),
}

export class WebSocketClient {
  /** Called with how many messages a read has brought. */
  onMessages = () => {}
  /** Called with the text of each of the first messages only, so that a wrong echo is seen. */
  check
  #socket
  #dialect
  #rest
  #upgraded = false
  #closing = false
  #settle
  #batch = Buffer.alloc(0)
  /** Where each frame of the batch ends. */
  #ends = []

  constructor(name) {
    this.#dialect = dialects[name]()
  }

  /** Resolves when messages can be sent. */
  open(port) {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      const { path, protocols } = this.#dialect
      this.#socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
        const lines = [
          `GET ${path} HTTP/1.1`,
          `Host: 127.0.0.1:${port}`,
          'Connection: Upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
        ]
        if (protocols) lines.push(`Sec-WebSocket-Protocol: ${protocols.join(', ')}`)
        this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
      })
      this.#socket.on('data', (chunk) => this.#read(chunk))
      this.#socket.on('error', (error) => this.#fail(error))
      this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    })
  }

  opened() {
    this.#settle?.resolve()
    this.#settle = undefined
  }

  /** What `send` will send: as many of these as it is told. */
  prepare(texts) {
    const frames = texts.map((text) => clientFrame(this.#dialect.wrap(text)))
    this.#batch = Buffer.concat(frames)
    this.#ends = [0]
    for (const frame of frames) this.#ends.push(this.#ends.at(-1) + frame.length)
  }

  send(count) {
    this.#socket.write(this.#batch.subarray(0, this.#ends[count]))
  }

  sendText(text) {
    this.#socket.write(clientFrame(text))
  }

  /** Sends one message of the application. */
  sendMessage(text) {
    this.sendText(this.#dialect.wrap(text))
  }

  /** Resolves when the server has ended it, where that is how it goes. */
  async close() {
    const { close } = this.#dialect
    this.onMessages = () => {}
    this.#closing = true
    if (close) {
      const closed = once(this.#socket, 'close', { signal: AbortSignal.timeout(2_000) })
      close(this)
      await closed.catch(() => {})
    }
    this.#socket.destroy()
  }

  #fail(error) {
    if (this.#closing) return
    if (!this.#settle) throw error
    this.#settle.reject(error)
    this.#settle = undefined
  }

  #read(chunk) {
    let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#rest = bytes
        return
      }
      const head = bytes.toString('latin1', 0, end)
      if (!head.startsWith('HTTP/1.1 101')) return this.#fail(new Error(head))
      this.#upgraded = true
      if (!this.#dialect.control) this.opened()
      bytes = bytes.subarray(end + 4)
    }
    this.#readFrames(bytes)
  }

  #readFrames(bytes) {
    const { isMessage } = this.#dialect
    let at = 0
    let messages = 0
    let size = 0
    while (at + 2 <= bytes.length) {
      let length = bytes[at + 1]
      let from = at + 2
      if (length === 126) {
        length = (bytes[at + 2] << 8) | bytes[at + 3]
        from += 2
      } else if (length === 127) {
        if (at + 10 > bytes.length) break
        length = bytes.readUIntBE(at + 4, 6)
        from += 8
      }
      if (from + length > bytes.length) break
      const opcode = bytes[at] & 0x0f
      if (opcode > 2) this.#readOwn(opcode, bytes.subarray(from, from + length))
      else if (isMessage(bytes, from)) {
        messages++
        size += length
        this.check?.(bytes.toString('utf8', from, from + length))
      } else this.#dialect.control(this, bytes.toString('utf8', from, from + length))
      at = from + length
    }
    if (at < bytes.length) this.#rest = at === 0 ? bytes : bytes.subarray(at)
    if (messages === 0) return
    this.#dialect.received?.(this, messages, size)
    this.onMessages(messages)
  }

  #readOwn(opcode, payload) {
    if (opcode === 9) this.#socket.write(clientFrame(payload, 10))
    else if (opcode === 8 && this.#closing) this.#socket.end()
    else if (opcode === 8)
      throw new Error(`closed with ${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`)
  }
}
