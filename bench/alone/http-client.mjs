// An HTTP client that costs little and whose every byte is known: one kept-alive connection, one request at a time.
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** What goes with every request beside Host, Content-Type and Content-Length. */
export const headerSets = {
  /** What HTTP itself asks for, and no more. */
  bare: () => 'Connection: keep-alive\r\n',
  /** What Chromium sends from a page of the same origin, over plain HTTP. */
  browser: (method, origin) =>
    [
      'Connection: keep-alive',
      'sec-ch-ua-platform: "Linux"',
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
      'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
      'sec-ch-ua-mobile: ?0',
      'Accept: */*',
      ...(method === 'POST' ? [`Origin: ${origin}`] : []),
      'Sec-Fetch-Site: same-origin',
      'Sec-Fetch-Mode: cors',
      'Sec-Fetch-Dest: empty',
      `Referer: ${origin}/`,
      'Accept-Encoding: gzip, deflate, br, zstd',
      'Accept-Language: en-US,en;q=0.9',
      '',
    ].join('\r\n'),
}

export class HttpClient {
  requests = 0
  #port
  #heads = new Map()
  #headers
  #socket
  #onAnswer
  #rest
  #answer
  #closed = false

  constructor(port, headers) {
    this.#port = port
    this.#headers = headerSets[headers]
  }

  get bytesUp() {
    return this.#socket?.bytesWritten ?? 0
  }

  get bytesDown() {
    return this.#socket?.bytesRead ?? 0
  }

  /** Calls back with the body of the answer, a buffer. */
  request(method, path, contentType, body, onAnswer) {
    if (this.#onAnswer) throw new Error('one request at a time')
    this.#onAnswer = onAnswer
    this.requests++
    this.#connect()
    let head = `${method} ${path} HTTP/1.1\r\n${this.#common(method)}`
    if (contentType) head += `Content-Type: ${contentType}\r\n`
    if (body === undefined) this.#socket.write(`${head}\r\n`, 'latin1')
    else {
      const start = Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`, 'latin1')
      this.#socket.write(Buffer.concat([start, body]))
    }
  }

  close() {
    this.#closed = true
    this.#socket?.destroy()
  }

  #common(method) {
    let common = this.#heads.get(method)
    if (common === undefined) {
      const host = `127.0.0.1:${this.#port}`
      common = `Host: ${host}\r\n${this.#headers(method, `http://${host}`)}`
      this.#heads.set(method, common)
    }
    return common
  }

  #connect() {
    if (this.#socket) return
    this.#socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('error', (error) => {
      if (!this.#closed) throw error
    })
    this.#socket.on('close', () => {
      // Every peer keeps connections open; a new one a request would be another measurement.
      if (!this.#closed) throw new Error('the server closed the connection')
    })
  }

  #read(chunk) {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    this.#answer ??= readHead(bytes)
    const body = this.#answer && readBody(bytes, this.#answer)
    if (body === undefined) {
      this.#rest = bytes
      return
    }
    const { status, gzip } = this.#answer
    this.#answer = undefined
    if (status !== 200) throw new Error(`HTTP ${status}: ${body}`)
    const onAnswer = this.#onAnswer
    this.#onAnswer = undefined
    onAnswer(gzip ? gunzipSync(body) : body)
  }
}

function readHead(bytes) {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end).toLowerCase()
  const length = /\ncontent-length: *(\d+)/.exec(head)
  return {
    status: Number(head.slice(9, 12)),
    from: end + 4,
    length: length ? Number(length[1]) : undefined,
    gzip: head.includes('\ncontent-encoding: gzip'),
  }
}

/** The whole body, or undefined while some of it is missing. Without a length it comes in chunks. */
function readBody(bytes, { from, length }) {
  if (length !== undefined)
    return bytes.length < from + length ? undefined : bytes.subarray(from, from + length)
  const parts = []
  for (let at = from; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const next = line + 2 + size + 2
    if (bytes.length < next) return undefined
    if (size === 0) return Buffer.concat(parts)
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = next
  }
}
