// What an application does with its connections, in Node and in a page: echoes with so many messages in flight, at full speed or at a
// rate; and broadcasts. Every message is checked: it must be the very one that is due on its connection.

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** So many different messages; a message lost, repeated or out of order is one of the others. */
const different = 256
/** If no message comes for so long, one was lost. */
const stalled = 60_000
const broadcastSize = 256

/** Texts that do not compress, each other than the rest. */
export function randomTexts(size) {
  return Array.from({ length: different }, (_, i) => {
    let text = String(i).padStart(4, '0')
    for (let at = text.length; at < size; at++) text += alphabet[Math.floor(Math.random() * alphabet.length)]
    return text
  })
}

/** Texts as applications send them: JSON, each like the one before. */
export function jsonTexts(size) {
  return Array.from({ length: different }, (_, i) => {
    const rows = []
    for (let row = 0; JSON.stringify(rows).length < size; row++) {
      rows.push({
        id: i * 1000 + row,
        name: `sensor ${row % 7}`,
        value: ((i * 31 + row) % 997) / 10,
        unit: '°C',
        ok: row % 5 > 0,
      })
    }
    return JSON.stringify(rows)
  })
}

export function broadcastText(serial) {
  return `${serial} `.padEnd(broadcastSize, 'x')
}

export const roomText = 'x'.repeat(64)

/** Counts by the microsecond up to a tenth of a second, and by the millisecond beyond. */
class Latencies {
  static #fine = 100_000
  #counts = new Uint32Array(Latencies.#fine + stalled)
  #total = 0

  add(milliseconds) {
    const microseconds = Math.round(milliseconds * 1000)
    const fine = Latencies.#fine
    this.#counts[microseconds < fine ? microseconds : fine + Math.round(milliseconds)]++
    this.#total++
  }

  /** In microseconds. */
  quantile(share) {
    let left = this.#total * share
    const index = this.#counts.findIndex((count) => {
      left -= count
      return left <= 0
    })
    return index < Latencies.#fine ? index : (index - Latencies.#fine) * 1000
  }
}

export class Driver {
  #connections = []
  #library
  #client
  #texts = new Map()
  #broadcasts = []

  /** `library` is a contestant; `client` what it connects with. */
  constructor(library, client) {
    this.#library = library
    this.#client = client
  }

  /** Opens more connections, so many at a time, each to the address that `to` gives for its index. */
  async open(count, to, together = 32) {
    let next = this.#connections.length
    const end = next + count
    const openSome = async () => {
      while (next < end) await this.#openOne(to(next++))
    }
    await Promise.all(Array.from({ length: Math.min(together, count) }, openSome))
  }

  #openOne(to) {
    return new Promise((resolve, reject) => {
      const connection = {
        link: undefined,
        closing: false,
        sent: 0,
        due: 0,
        heard: 0,
        onMessage: unexpected,
        onEnd: reject,
      }
      connection.link = this.#library.connect(this.#client, to, {
        opened: () => {
          this.#connections.push(connection)
          connection.onEnd = unexpectedEnd
          resolve()
        },
        message: (text) => connection.onMessage(text),
        closed: (why) => {
          if (!connection.closing) connection.onEnd(new Error(`the connection ended: ${why}`))
        },
      })
    })
  }

  close() {
    for (const connection of this.#connections) {
      connection.closing = true
      connection.link.close()
    }
    this.#connections = []
  }

  #textsOf({ size, json }) {
    const key = `${size} ${json}`
    if (!this.#texts.has(key)) this.#texts.set(key, json ? jsonTexts(size) : randomTexts(size))
    return this.#texts.get(key)
  }

  /**
   * Echoes for `ms`, for longer if that was not yet `least` messages, and until the last one is back. With `perSecond` not as fast as it
   * goes, but at that rate for all together.
   */
  echo({ size = 64, json = false, inFlight = 1, ms, least = 0, connections = Infinity, perSecond }) {
    const texts = this.#textsOf({ size, json })
    const used = this.#connections.slice(0, connections)
    const room = perSecond ? different : inFlight
    const latencies = new Latencies()
    let messages = 0
    let flying = 0
    const from = performance.now()
    const end = from + ms

    return this.#until(used, (done, failed) => {
      const send = (connection, now) => {
        connection.sentAt[connection.sent % room] = now
        connection.link.send(texts[connection.sent++ % different])
        flying++
      }
      const finish = (now) =>
        done({
          messages,
          seconds: (now - from) / 1000,
          perSecond: (messages / (now - from)) * 1000,
          p50: latencies.quantile(0.5),
          p99: latencies.quantile(0.99),
        })
      for (const connection of used) {
        connection.sent = connection.due = 0
        connection.sentAt = new Float64Array(room)
        connection.onMessage = (text) => {
          const now = performance.now()
          if (text !== texts[connection.due % different])
            return failed(new Error(wrong(text, texts, connection.due)))
          latencies.add(now - connection.sentAt[connection.due++ % room])
          messages++
          flying--
          if (!perSecond && (now < end || messages < least)) send(connection, now)
          else if (flying === 0 && now >= end) finish(now)
        }
        if (!perSecond) for (let i = 0; i < inFlight; i++) send(connection, from)
      }
      if (!perSecond) return () => messages
      let begun = 0
      const clock = setInterval(() => {
        const now = performance.now()
        if (now >= end) {
          clearInterval(clock)
          if (flying === 0) finish(now)
          return
        }
        for (const due = ((now - from) / 1000) * perSecond; begun < due; begun++) {
          const connection = used[begun % used.length]
          if (connection.sent - connection.due < room) send(connection, now)
        }
      }, 5)
      return () => messages
    })
  }

  /**
   * Asks for `burst` broadcasts in one turn, again and again for `ms` and `least` deliveries; each begins when the last is with
   * everybody.
   */
  broadcast({ burst, ms, least = 0 }) {
    const all = this.#connections
    const from = performance.now()
    let messages = 0
    let missing = 0
    return this.#until(all, (done, failed) => {
      const ask = () => {
        missing = all.length * burst
        all[0].link.send(`go ${burst}`)
      }
      for (const connection of all) {
        connection.onMessage = (text) => {
          if (text !== this.#broadcastDue(connection))
            return failed(new Error(`a broadcast came twice, late or not at all: ${text.slice(0, 20)}`))
          messages++
          if (--missing > 0) return
          const now = performance.now()
          if (now < from + ms || messages < least) ask()
          else done({ messages, seconds: (now - from) / 1000, perSecond: (messages / (now - from)) * 1000 })
        }
      }
      ask()
      return () => messages
    })
  }

  /** The same for everybody, so it is made once. */
  #broadcastDue(connection) {
    const serial = connection.heard++
    if (serial === this.#broadcasts.length) this.#broadcasts.push(broadcastText(serial))
    return this.#broadcasts[serial]
  }

  /** Asks for a message to each of `burst` rooms, again and again for `ms` and `least` messages. */
  rooms({ burst, ms, least = 0 }) {
    const from = performance.now()
    let messages = 0
    let missing = 0
    return this.#until(this.#connections, (done, failed) => {
      const ask = () => {
        missing = burst
        this.#connections[0].link.send(`go ${burst}`)
      }
      for (const connection of this.#connections) {
        connection.onMessage = (text) => {
          if (text !== roomText) return failed(new Error(`not what was published: ${text.slice(0, 20)}`))
          messages++
          if (--missing > 0) return
          const now = performance.now()
          if (now < from + ms || messages < least) ask()
          else done({ messages, seconds: (now - from) / 1000 })
        }
      }
      ask()
      return () => messages
    })
  }

  /** Runs what ends by itself; a connection that ends, or a message that does not come, ends it with an error. `start` returns how many came. */
  async #until(connections, start) {
    let watch
    try {
      return await new Promise((resolve, reject) => {
        for (const connection of connections) connection.onEnd = reject
        const count = start(resolve, reject)
        let before = 0
        watch = setInterval(() => {
          if (count() === before) reject(new Error(`no message for ${stalled / 1000} s, after ${before}`))
          before = count()
        }, stalled)
      })
    } finally {
      clearInterval(watch)
      for (const connection of connections) {
        connection.onMessage = unexpected
        connection.onEnd = unexpectedEnd
      }
    }
  }
}

function unexpected(text) {
  throw new Error(`a message that nobody waited for: ${text.slice(0, 20)}`)
}

function unexpectedEnd(error) {
  throw error
}

function wrong(text, texts, due) {
  const came = texts.indexOf(text)
  return came < 0
    ? `not a message that was sent: ${text.slice(0, 20)}`
    : `message ${came} came, ${due % different} was due`
}
