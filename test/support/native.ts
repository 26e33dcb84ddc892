// React Native's WebSocket and XMLHttpRequest, by their quirks, on those of Node.
import { request } from 'node:http'
import { WebSocket as Native } from 'ws'

/** Counts nothing, knows no Blobs, and its events are plain objects. */
export class NativeSocketOfTests {
  readonly bufferedAmount = undefined
  readyState = 0
  onopen: ((event: object) => void) | null = null
  onmessage: ((event: object) => void) | null = null
  onerror: ((event: object) => void) | null = null
  onclose: ((event: object) => void) | null = null
  readonly #native: Native
  #binaryType: string | undefined

  constructor(url: string, protocols: string[], options: { headers?: Record<string, string> }) {
    const known = Object.keys(options).filter((name) => name !== 'headers')
    if (known.length > 0) throw new Error(`Unrecognized WebSocket connection options ${known}`)
    const { host } = new URL(url)
    this.#native = new Native(url, protocols, { headers: { origin: `http://${host}`, ...options.headers } })
    this.#native.binaryType = 'arraybuffer'
    this.#native.on('open', () => {
      this.readyState = 1
      this.onopen?.({ type: 'open' })
    })
    this.#native.on('message', (data: ArrayBuffer, isBinary) => {
      this.onmessage?.({ type: 'message', data: isBinary ? data : Buffer.from(data).toString() })
    })
    this.#native.on('error', ({ message }) => {
      this.readyState = 3
      this.onerror?.({ type: 'error', message })
    })
    this.#native.on('close', (code, reason) => {
      this.readyState = 3
      this.onclose?.({ type: 'close', code, reason: String(reason) })
    })
  }

  set binaryType(type: string) {
    if (type !== 'arraybuffer') throw new Error('Native module BlobModule is required for blob support')
    this.#binaryType = type
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (this.readyState === 0) throw new Error('INVALID_STATE_ERR')
    if (typeof data !== 'string' && this.#binaryType !== 'arraybuffer')
      throw new Error('Unsupported data type')
    if (this.readyState === 1) this.#native.send(data)
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState < 2) this.#native.close(code, reason)
    this.readyState = 2
  }
}

/** Gives an answer when it is there as a whole, and on Android no body goes without a type. */
export class NativeXMLHttpRequest {
  responseType = ''
  withCredentials = true
  response: ArrayBuffer | undefined
  status = 0
  readonly statusText = undefined
  onload: (() => void) | null = null
  onerror: (() => void) | null = null
  onabort: (() => void) | null = null
  ontimeout: (() => void) | null = null
  #url = ''
  #abort: (() => void) | undefined
  readonly #headers: Record<string, string> = {}

  open(method: string, url: string): void {
    if (method !== 'POST') throw new Error(`Only POST here, not ${method}`)
    this.#url = url
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers[name.toLowerCase()] = value
  }

  send(body: Uint8Array): void {
    if (!this.#headers['content-type']) {
      queueMicrotask(() => this.onerror?.())
      return
    }
    const failed = (): void => {
      if (this.#abort) this.onerror?.()
      this.#abort = undefined
    }
    const asking = request(this.#url, { method: 'POST', headers: this.#headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', failed)
      answer.on('end', () => {
        if (!this.#abort) return
        this.#abort = undefined
        this.status = answer.statusCode ?? 0
        // A copy: a Buffer may be part of a pool.
        if (this.responseType === 'arraybuffer')
          this.response = new Uint8Array(Buffer.concat(chunks)).buffer as ArrayBuffer
        this.onload?.()
      })
    })
    asking.on('error', failed)
    asking.end(Buffer.from(body))
    this.#abort = () => asking.destroy()
  }

  abort(): void {
    const abort = this.#abort
    this.#abort = undefined
    if (!abort) return
    abort()
    this.onabort?.()
  }
}
