/**
 * Connections to other nodes, each of which carries one exchange after the other. Node's own client makes a dozen objects for each
 * exchange, which is most of the cost of passing an exchange on. This client understands only what the listener of a node answers.
 */
import { connect as connectTo } from 'node:net'
import type { Duplex } from 'node:stream'

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[]>>
}

/** Who waits for an answer. After `done` or `failed` nothing more is called. */
export interface Asker {
  head(head: AnswerHead): void
  /** Takes a part of the body. Returns false to be given no more until `resume`. `isLast`: `done` follows. */
  body(piece: Buffer, isLast: boolean): boolean
  done(): void
  /** The connection has ended before the answer had. */
  failed(): void
}

/** A connection that was not used for this long is closed. The listener keeps it for longer. */
const idleTime = 30_000
/** A node that does not even take the connection within this time is unreachable. */
const connectTime = 1_000
const maxIdle = 256
const maxHead = 64 * 1024
const nothing = Buffer.alloc(0)

/** What a line needs of a connection: one of `node:net`, or a tunnel. */
export interface Connection extends Duplex {
  setTimeout(time: number): unknown
  ref(): unknown
  unref(): unknown
}

/** Makes a connection to a node. `to`: its address, or for a tunnel its name. */
export type Connect = (to: string) => Connection

/** The connections to all nodes, by address. */
export class Lines {
  readonly #connect: Connect
  readonly #idle = new Map<string, Line[]>()
  #isOver = false

  constructor(connect: Connect = directly) {
    this.#connect = connect
  }

  /** A connection that is free, or a new one. */
  take(address: string): Line {
    return this.#idle.get(address)?.pop() ?? this.make(address)
  }

  /** A new connection. */
  make(address: string): Line {
    return new Line(this.#connect(address), {
      free: (line) => {
        const idle = this.#idle.get(address) ?? []
        this.#idle.set(address, idle)
        if (this.#isOver || idle.length >= maxIdle) line.destroy()
        else idle.push(line)
      },
      gone: (line) => {
        const idle = this.#idle.get(address)
        const at = idle?.indexOf(line) ?? -1
        if (at >= 0) idle?.splice(at, 1)
        if (idle?.length === 0) this.#idle.delete(address)
      },
    })
  }

  close(): void {
    this.#isOver = true
    for (const line of [...this.#idle.values()].flat()) line.destroy()
  }
}

interface LineHost {
  free(line: Line): void
  gone(line: Line): void
}

export class Line {
  readonly #socket: Connection
  readonly #host: LineHost
  #asker: Asker | undefined
  /** The part of an answer that comes next. */
  #next: 'nothing' | 'head' | 'body' | 'size' | 'chunk' | 'end of chunk' | 'trailer' = 'nothing'
  /** Bytes of the body, or of the chunk. */
  #left = 0
  #unread: Buffer = nothing
  #isKept = true
  /** The asker takes no more until it calls `resume`. */
  #isHeld = false
  /** The line has carried an exchange before. */
  isReused = false
  /** The other node has taken the connection. */
  wasConnected = false

  constructor(socket: Connection, host: LineHost) {
    this.#host = host
    this.#socket = socket
    const timer = setTimeout(() => socket.destroy(), connectTime)
    timer.unref()
    socket.once('connect', () => {
      this.wasConnected = true
      clearTimeout(timer)
      socket.setTimeout(idleTime)
    })
    socket.on('error', ignore)
    socket.on('timeout', () => {
      if (!this.#asker) socket.destroy()
    })
    socket.on('data', (data) => this.#read(data))
    // A tunnel would stay open in the other direction; no answer comes any more.
    socket.once('end', () => socket.destroy())
    socket.once('close', () => {
      clearTimeout(timer)
      host.gone(this)
      const asker = this.#asker
      this.#asker = undefined
      asker?.failed()
    })
  }

  /** Sends a request, whose head ends with an empty line. */
  ask(head: string, body: Uint8Array, asker: Asker): void {
    this.#asker = asker
    this.#next = 'head'
    const socket = this.#socket
    socket.ref()
    if (body.length === 0) socket.write(head, 'latin1')
    else {
      const bytes = Buffer.allocUnsafe(head.length + body.length)
      bytes.write(head, 'latin1')
      bytes.set(body, head.length)
      socket.write(bytes)
    }
  }

  resume(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#socket.resume()
    const unread = this.#unread
    this.#unread = nothing
    this.#read(unread)
  }

  /** The asker is told nothing more. */
  drop(): void {
    this.#asker = undefined
    this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #read(data: Buffer): void {
    const bytes = this.#unread.length > 0 ? Buffer.concat([this.#unread, data]) : data
    this.#unread = nothing
    let at = 0
    while (at < bytes.length && !this.#socket.destroyed) {
      if (this.#isHeld) {
        this.#unread = bytes.subarray(at)
        return
      }
      const taken = this.#take(bytes, at)
      if (taken < 0) {
        this.#socket.destroy()
        return
      }
      if (taken === 0) {
        this.#unread = bytes.subarray(at)
        if (this.#unread.length > maxHead) this.#socket.destroy()
        return
      }
      at += taken
    }
  }

  /** Takes the next part. Returns how many bytes it has: 0 if it is not whole yet, below 0 if it cannot be understood. */
  #take(bytes: Buffer, from: number): number {
    const next = this.#next
    if (next === 'head') return this.#takeHead(bytes, from)
    if (next === 'body' || next === 'chunk') return this.#takeBody(bytes, from)
    // Bytes of an answer for which nobody has asked.
    if (next === 'nothing') return -1
    const end = bytes.indexOf('\r\n', from)
    if (end < 0) return 0
    const line = bytes.toString('latin1', from, end)
    if (next === 'size') {
      const [size = ''] = /^[\da-f]{1,8}(?=$|;)/i.exec(line) ?? []
      if (size === '') return -1
      this.#left = Number.parseInt(size, 16)
      this.#next = this.#left === 0 ? 'trailer' : 'chunk'
    } else if (next === 'end of chunk') {
      if (line !== '') return -1
      this.#next = 'size'
    } else if (line === '') this.#done()
    return end + 2 - from
  }

  #takeHead(bytes: Buffer, from: number): number {
    const end = bytes.indexOf('\r\n\r\n', from)
    if (end < 0) return 0
    const head = readHead(bytes.toString('latin1', from, end))
    if (!head) return -1
    const { status, headers } = head
    const taken = end + 4 - from
    if (status < 200) return taken
    this.#isKept = headers.connection !== 'close'
    const length = headers['content-length']
    this.#left = Number(length ?? 0)
    // Node's parser answers so when a request's head is too long for it, and closes the connection.
    const isTooLong = status === 431 && length === undefined
    const isEmpty = status === 204 || status === 304 || length === '0' || isTooLong
    const isChunked = headers['transfer-encoding'] !== undefined
    this.#next = isChunked ? 'size' : 'body'
    // Only the end of the connection would end this answer, and that may also be the end of the node.
    if (!isChunked && !isEmpty && !(this.#left > 0)) return -1
    this.#asker?.head(head)
    if (isEmpty) this.#done()
    return taken
  }

  #takeBody(bytes: Buffer, from: number): number {
    const piece = bytes.subarray(from, Math.min(bytes.length, from + this.#left))
    this.#left -= piece.length
    const isWhole = this.#left === 0
    const isLast = isWhole && this.#next === 'body'
    if (isWhole) this.#next = 'end of chunk'
    const takesMore = this.#asker?.body(piece, isLast)
    if (isLast) this.#done()
    else if (takesMore === false) {
      this.#isHeld = true
      this.#socket.pause()
    }
    return piece.length
  }

  #done(): void {
    // The asker has dropped the line meanwhile: the line must not be used again.
    if (this.#socket.destroyed) return
    const asker = this.#asker
    this.#asker = undefined
    this.#next = 'nothing'
    this.isReused = true
    this.#socket.unref()
    if (this.#isKept) this.#host.free(this)
    else this.#socket.destroy()
    asker?.done()
  }
}

function readHead(text: string): AnswerHead | undefined {
  const lines = text.split('\r\n')
  const [, status] = /^HTTP\/1\.1 (\d{3})( |$)/.exec(lines[0] as string) ?? []
  if (status === undefined) return undefined
  const headers: Record<string, string | string[]> = {}
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] as string
    const colon = line.indexOf(':')
    if (colon <= 0) return undefined
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return { status: Number(status), headers }
}

function directly(address: string): Connection {
  return connectTo({ ...placeOf(address), noDelay: true })
}

/** Whether it is a host and a port to which one may connect. */
export function isAddress(address: string): boolean {
  const [, port] = /^(?:\[[\da-f:.]+\]|[^\s:/[\]]+):(\d{1,5})$/i.exec(address) ?? []
  return port !== undefined && Number(port) < 65_536
}

/** The host and port of a node's address. */
export function placeOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

function ignore(): void {}
