/**
 * The ways into the server, and what breaks them. Each gate is a port of its own: one that is down cuts all who came by it,
 * and lets nobody in. Beside that single connections are cut, at the worst moments there are.
 */
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Bag, Chance, Pace } from './chance.ts'
import type { Settings } from './settings.ts'

const gateCount = 16
/** Shorter than anybody's patience, with time to come back on a machine that has much else to do. */
const outage = [1000, 8000] as const

/** `request`: the next request or frame, before it is read. `answer`: after it was read. `written`: after it was answered. */
const moments = ['now', 'request', 'answer', 'written'] as const
type Moment = (typeof moments)[number]

export class Gates {
  readonly #http: Server
  readonly #chance: Chance
  readonly #settings: Settings
  readonly #raws = new Bag<Socket>()
  /** Those that carry a WebSocket: no parser takes what comes there before a listener sees it. */
  readonly #upgraded = new WeakSet<Socket>()
  readonly #marked = new WeakMap<Socket, Moment>()
  readonly #down = new Set<number>()
  readonly #cuts = new Pace()
  readonly #outages = new Pace()
  readonly #timers = new Set<NodeJS.Timeout>()
  cuts = 0
  outages = 0

  constructor(http: Server, settings: Settings) {
    this.#http = http
    this.#settings = settings
    this.#chance = new Chance(settings.seed, 'gates')
  }

  /** Opens them, and returns their ports. */
  async open(): Promise<number[]> {
    const ports: number[] = []
    for (let i = 0; i < gateCount; i++) {
      const gate = createServer({ noDelay: true }, (raw) => this.#come(raw, ports[i] as number))
      gate.listen(0, '127.0.0.1', 4096)
      await once(gate, 'listening')
      ports.push((gate.address() as AddressInfo).port)
    }
    return ports
  }

  get connections(): number {
    return this.#raws.size
  }

  /** Called several times a second. */
  tick(): void {
    for (let i = this.#cuts.due(this.#raws.size / this.#settings.cuts); i > 0; i--) this.#cutOne()
    for (let i = this.#outages.due(1 / this.#settings.outages); i > 0; i--) this.#goDown()
  }

  /** A request is about to be handled. */
  asked({ socket }: IncomingMessage, response: ServerResponse): void {
    const moment = this.#marked.get(socket)
    if (moment === undefined) return
    this.#marked.delete(socket)
    if (moment === 'request') this.#cut(socket)
    else if (moment === 'answer') setImmediate(() => this.#cut(socket))
    else response.once('finish', () => this.#cut(socket))
  }

  /** A WebSocket is about to be opened. */
  upgrading({ socket }: IncomingMessage): void {
    this.#upgraded.add(socket)
  }

  /** Everything gets through from now on. */
  calm(): void {
    this.#down.clear()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #come(raw: Socket, port: number): void {
    raw.on('error', () => {})
    if (this.#down.has(port)) {
      raw.resetAndDestroy()
      return
    }
    this.#raws.add(raw)
    raw.once('close', () => this.#raws.delete(raw))
    this.#http.emit('connection', raw)
  }

  #cutOne(): void {
    const raw = this.#raws.pick(this.#chance)
    if (!raw) return
    const moment = moments[this.#chance.below(moments.length)] as Moment
    if (moment === 'now') this.#cut(raw)
    else if (!this.#upgraded.has(raw)) this.#marked.set(raw, moment)
    // Not while it is being opened: nobody else would read what comes meanwhile.
    else if (raw.listenerCount('data') > 0) this.#cutAtFrame(raw, moment)
  }

  #cutAtFrame(raw: Socket, moment: Moment): void {
    if (moment === 'request') raw.prependOnceListener('data', () => this.#cut(raw))
    else raw.once('data', () => (moment === 'answer' ? this.#cut(raw) : setImmediate(() => this.#cut(raw))))
  }

  /** A reset throws away what is still on its way, both ways. */
  #cut(raw: Socket): void {
    if (raw.destroyed) return
    this.cuts++
    if (this.#chance.hits(0.5)) raw.destroy()
    else raw.resetAndDestroy()
  }

  #goDown(): void {
    const victim = this.#raws.pick(this.#chance)
    const port = victim?.localPort
    if (port === undefined || this.#down.has(port)) return
    this.outages++
    this.#down.add(port)
    for (const raw of [...this.#raws]) if (raw.localPort === port) this.#cut(raw)
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        this.#down.delete(port)
      },
      this.#chance.between(...outage),
    )
    this.#timers.add(timer)
  }
}
