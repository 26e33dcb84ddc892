// Long-polling clients with the face of WebSocketClient: one request that waits for messages and one that brings them.
import { randomBytes } from 'node:crypto'
import { HttpClient } from './http-client.mjs'

class PollingClient {
  onMessages = () => {}
  check
  texts = ['']
  /** Messages that wait for the next POST. */
  waiting = 0
  posting = false
  closed = false

  constructor({ headers = 'bare' } = {}) {
    this.headers = headers
  }

  connect(port) {
    this.held = new HttpClient(port, this.headers)
    this.short = new HttpClient(port, this.headers)
  }

  get traffic() {
    const { held, short } = this
    return {
      up: held.bytesUp + short.bytesUp,
      down: held.bytesDown + short.bytesDown,
      requests: held.requests + short.requests,
    }
  }

  /** What `send` will send: as many of these as it is told. */
  prepare(texts) {
    this.texts = texts
  }

  send(count) {
    this.waiting += count
    this.flush()
  }

  flush(most = this.waiting) {
    if (this.posting || this.waiting === 0 || this.closed) return
    this.posting = true
    this.waiting -= most
    this.post(this.texts.slice(0, most))
  }

  arrived(messages) {
    if (messages > 0) this.onMessages(messages)
  }

  close() {
    this.closed = true
    this.held.close()
    this.short.close()
  }
}

/** As engine.io-client 6 does it: what is sent first goes at once and alone, the rest when that has been answered. */
class EngineIoPolling extends PollingClient {
  #path = '/engine.io/?EIO=4&transport=polling'
  #pongs = 0

  open(port) {
    this.connect(port)
    return new Promise((resolve) => {
      this.held.request('GET', this.#unique(), undefined, undefined, (body) => {
        this.#path += `&sid=${JSON.parse(body.toString().slice(1)).sid}`
        this.#poll()
        resolve()
      })
    })
  }

  send(count) {
    this.waiting += count
    this.flush(1)
  }

  post(texts) {
    const packets = [...Array(this.#pongs).fill('3'), ...texts.map((text) => `4${text}`)]
    this.#pongs = 0
    const body = Buffer.from(packets.join('\x1e'))
    this.short.request('POST', this.#unique(), 'text/plain;charset=UTF-8', body, () => {
      this.posting = false
      this.flush()
    })
  }

  #poll() {
    if (this.closed) return
    this.held.request('GET', this.#unique(), undefined, undefined, (body) => {
      let messages = 0
      for (const packet of body.toString().split('\x1e')) {
        if (packet[0] === '4') {
          messages++
          this.check?.(packet)
        } else if (packet === '2') this.#pongs++
        else throw new Error(`unexpected packet ${packet}`)
      }
      this.arrived(messages)
      this.#poll()
    })
  }

  /** Its query always ends with something that was never there before. */
  #unique() {
    return `${this.#path}&t=${randomBytes(4).toString('hex')}`
  }
}

/** docs/PROTOCOL.md, section 3. */
class EverwirePolling extends PollingClient {
  #codec
  #id = randomBytes(12)
  #key = randomBytes(16)
  #serials = { held: 0, short: 0 }
  #got = 0
  #early = new Map()
  /** The number of the last message sent, and of the last one that the server has. */
  #sent = 0
  #taken = 0
  #opened

  async open(port) {
    const [bytes, exchange] = await Promise.all([
      import('../../dist/shared/bytes.js'),
      import('../../dist/shared/exchange.js'),
    ])
    this.#codec = { ...bytes, ...exchange }
    this.connect(port)
    return new Promise((resolve) => {
      this.#opened = resolve
      // On the connection that is held afterwards, as a browser would; the other one opens with the first message.
      this.#exchange('short', this.held, this.#codec.Ask.open, [], () => {
        if (this.#opened) throw new Error('no welcome')
        this.#hold()
      })
    })
  }

  post(texts) {
    this.#exchange('short', this.short, 0, texts, () => {
      this.posting = false
      this.flush()
    })
  }

  #hold() {
    if (!this.closed) this.#exchange('held', this.held, this.#codec.Ask.hold, [], () => this.#hold())
  }

  #exchange(kind, connection, ask, texts, onAnswer) {
    const { ByteWriter, writeRequestHead, writeRecord } = this.#codec
    const to = new ByteWriter()
    writeRequestHead(to, {
      ask,
      id: this.#id,
      key: this.#key,
      epoch: 1,
      serial: ++this.#serials[kind],
      quiet: 0,
      life: 0,
      has: { number: this.#got, offset: 0 },
      at: { number: this.#sent, offset: 0 },
    })
    this.#sent += texts.length
    for (const text of texts) writeRecord(to, 'text', Buffer.from(text))
    connection.request('POST', '/?everwire=1', undefined, to.whole(), (body) => {
      this.#read(body)
      onAnswer()
    })
  }

  #read(body) {
    const { BodyReader, readAnswerHead } = this.#codec
    const reader = new BodyReader(readAnswerHead, body.length)
    const records = reader.push(body)
    const { head } = reader
    if (head?.status !== 0 || !reader.complete) throw new Error(`answer with status ${head?.status}`)
    this.#taken = Math.max(this.#taken, head.has.number)
    let { number } = head.at
    for (const { kind, payload } of records) {
      if (kind === 'welcome') {
        this.#opened?.()
        this.#opened = undefined
      } else if (kind === 'text') {
        number++
        this.check?.(payload.toString())
        // The two answers may overtake each other.
        if (number > this.#got) this.#early.set(number, true)
      } else if (kind !== 'ping') throw new Error(`unexpected record ${kind}`)
    }
    const before = this.#got
    while (this.#early.delete(this.#got + 1)) this.#got++
    this.arrived(this.#got - before)
  }
}

export const pollingClients = { 'engine.io': EngineIoPolling, everwire: EverwirePolling }
