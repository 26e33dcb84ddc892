// What a load generator does: echoes with so many messages in flight, sessions that only stay, and publications.
import { randomBytes } from 'node:crypto'
import { pollingClients } from './polling-client.mjs'
import { WebSocketClient } from './websocket-client.mjs'

/** How many connections are opened at the same time. */
const openingTogether = 32

function makeClient({ library, transport, headers }) {
  return transport === 'polling' ? new pollingClients[library]({ headers }) : new WebSocketClient(library)
}

async function openAll(options) {
  const clients = Array.from({ length: options.connections }, () => makeClient(options))
  const left = [...clients]
  const openSome = async () => {
    for (let client = left.pop(); client; client = left.pop()) await client.open(options.port)
  }
  await Promise.all(Array.from({ length: openingTogether }, openSome))
  return clients
}

function closeAll(clients) {
  return Promise.all(clients.map((client) => client.close()))
}

/** Counts by the microsecond, up to half a second. */
class Latencies {
  #counts = new Uint32Array(500_000)
  #total = 0

  add(milliseconds, times) {
    this.#counts[Math.min(Math.round(milliseconds * 1000), this.#counts.length - 1)] += times
    this.#total += times
  }

  /** In microseconds. */
  quantile(share) {
    let left = this.#total * share
    return this.#counts.findIndex((count) => {
      left -= count
      return left <= 0
    })
  }
}

export class EchoLoad {
  #options
  #clients = []
  #latencies = new Latencies()
  #since = 0
  #messages = 0
  #traffic
  #inFlight = 0
  #wrong = 0
  #stopping = false
  #drained = () => {}

  constructor(options) {
    this.#options = options
  }

  async start() {
    const { size, inFlight } = this.#options
    // All different, or what compresses would be measured by its favourite.
    const texts = Array.from({ length: inFlight }, () => randomBytes(size).toString('base64').slice(0, size))
    this.#clients = await openAll(this.#options)
    for (const client of this.#clients) this.#drive(client, texts, inFlight)
  }

  #drive(client, texts, inFlight) {
    const sentAt = new Float64Array(inFlight).fill(performance.now())
    let next = 0
    let toCheck = inFlight
    client.check = (received) => {
      if (!texts.some((text) => received.includes(text))) this.#wrong++
      if (--toCheck === 0) client.check = undefined
    }
    client.onMessages = (count) => {
      const now = performance.now()
      for (let i = 0; i < count; i++) {
        this.#latencies.add(now - sentAt[next], 1)
        sentAt[next] = now
        next = next + 1 === inFlight ? 0 : next + 1
      }
      this.#messages += count
      if (!this.#stopping) return client.send(count)
      this.#inFlight -= count
      if (this.#inFlight <= 0) this.#drained()
    }
    client.prepare(texts)
    this.#inFlight += inFlight
    client.send(inFlight)
  }

  /** What happened since the last mark. */
  mark() {
    const now = performance.now()
    const traffic = this.#trafficSoFar()
    const before = this.#traffic ?? traffic
    const marked = {
      messages: this.#messages,
      seconds: (now - this.#since) / 1000,
      p50: this.#latencies.quantile(0.5),
      p99: this.#latencies.quantile(0.99),
      up: traffic.up - before.up,
      down: traffic.down - before.down,
      requests: traffic.requests - before.requests,
    }
    this.#latencies = new Latencies()
    this.#messages = 0
    this.#since = now
    this.#traffic = traffic
    return marked
  }

  #trafficSoFar() {
    const sum = { up: 0, down: 0, requests: 0 }
    for (const { traffic } of this.#clients) for (const key in traffic) sum[key] += traffic[key]
    return sum
  }

  /** Waits for what is still under way, and tells what did not come or came wrong. */
  async stop() {
    this.#stopping = true
    await new Promise((resolve) => {
      this.#drained = resolve
      setTimeout(resolve, 2_000)
    })
    await closeAll(this.#clients)
    return { lost: this.#inFlight, wrong: this.#wrong }
  }
}

export class IdleLoad {
  #options
  #clients = []

  constructor(options) {
    this.#options = options
  }

  async start() {
    this.#clients = await openAll(this.#options)
  }

  mark() {
    return { open: this.#clients.length }
  }

  async stop() {
    await closeAll(this.#clients)
    return { lost: 0, wrong: 0 }
  }
}

export class PublishLoad {
  #options
  #clients = []
  #messages = 0
  #missing = 0
  #since = 0
  #stopping = false
  #drained = () => {}

  constructor(options) {
    this.#options = options
  }

  async start() {
    this.#clients = await openAll(this.#options)
    for (const client of this.#clients) client.onMessages = (count) => this.#arrived(count)
    this.#ask()
  }

  /** The next publication begins when the last one is with everybody. */
  #arrived(count) {
    this.#messages += count
    this.#missing -= count
    if (this.#missing > 0) return
    if (this.#stopping) this.#drained()
    else this.#ask()
  }

  #ask() {
    this.#missing += this.#clients.length * this.#options.burst
    this.#clients[0].sendMessage(`go ${this.#options.burst}`)
  }

  mark() {
    const now = performance.now()
    const marked = { messages: this.#messages, seconds: (now - this.#since) / 1000 }
    this.#messages = 0
    this.#since = now
    return marked
  }

  async stop() {
    this.#stopping = true
    await new Promise((resolve) => {
      this.#drained = resolve
      setTimeout(resolve, 2_000)
    })
    await closeAll(this.#clients)
    return { lost: this.#missing, wrong: 0 }
  }
}
