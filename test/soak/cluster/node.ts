/** A server of the cluster: it answers every message, speaks by itself, and checks what it hears, from whichever server a session came. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { redisCluster } from '../../../redis/index.ts'
import { type Socket, WebSocketServer } from '../../../server/index.ts'
import { Bag, Chance, Pace } from '../chance.ts'
import { Ledger } from '../ledger.ts'
import { answer, tellParent } from '../processes.ts'
import { type Counts, Tally } from '../tally.ts'
import { compose, type Kind, read, type Word } from '../words.ts'
import { numberOf, type Settings, topicOf, topicsOf } from './settings.ts'

export interface NodeSettings {
  readonly settings: Settings
  /** Which start of a server this is; no two have the same. */
  readonly serial: number
  readonly redis: string
  /** 0: any free port. */
  readonly port: number
}

export interface NodeStatus {
  readonly counts: Counts
  readonly clients: number
  readonly passed: number
  readonly handedOver: number
  readonly received: number
  readonly gaps: number
}

/** What of a session moves to another server. */
interface Memory {
  /** The number of the server's next message. */
  next: number
  /** The number that the client's next message must have. */
  heard: number
}

export function serveNode({ settings, serial, redis, port }: NodeSettings): void {
  const { sessions, seed, rate, lease, heartbeat } = settings
  const tally = new Tally(tellParent)
  const chance = new Chance(seed, `node ${serial}`)
  const guests = new Bag<Guest>()
  const http = createServer((_, response) => void response.writeHead(404).end())
  let gaps = 0
  const realtime = new WebSocketServer({
    server: http,
    path: '/realtime',
    cluster: redisCluster({ url: redis, lease: lease * 1000, listen: { host: '127.0.0.1' } }),
    recover: true,
    heartbeat: heartbeat * 1000,
    maxClientsPerAddress: sessions * 3 + 1000,
  })
  realtime.on('connection', (socket) => {
    const guest = new Guest(socket, { serial, settings, tally, chance })
    guests.add(guest)
    guestOf.set(socket, guest)
    socket.on('close', () => guests.delete(guest))
  })
  const guestOf = new WeakMap<Socket, Guest>()
  realtime.on('gap', (topic) => {
    gaps++
    const told = topic === undefined ? realtime.clients : realtime.subscribers(topic)
    for (const socket of told) guestOf.get(socket)?.say('gap', topic === undefined ? 0 : numberOf(topic), 0)
  })

  const joined = new Promise((resolve) => realtime.once('cluster', resolve))
  const own = new Pace()
  const ticking = setInterval(() => {
    for (let i = own.due(guests.size / (3 * rate)); i > 0; i--) guests.pick(chance)?.say('own')
  }, 100)

  answer({
    async open(): Promise<number> {
      await joined
      await new Promise<void>((resolve) => void http.listen(port, '127.0.0.1', 4096, resolve))
      return (http.address() as AddressInfo).port
    },
    status(): NodeStatus {
      const { passed = 0, handedOver = 0, received = 0 } = realtime.stats().cluster ?? {}
      return { counts: tally.counts, clients: realtime.clients.size, passed, handedOver, received, gaps }
    },
    calm: (): void => clearInterval(ticking),
    /** As a deploy does. */
    async leave(): Promise<void> {
      clearInterval(ticking)
      await realtime.drain({ within: settings.drain * 1000 })
      http.close()
      await realtime.close({ within: 1000 })
    },
  })
}

interface Surroundings {
  readonly serial: number
  readonly settings: Settings
  readonly tally: Tally
  readonly chance: Chance
}

/** One session, as the application of the server that has it. */
class Guest {
  readonly #socket: Socket
  readonly #around: Surroundings
  readonly #memory: Memory
  readonly #heard: Ledger

  constructor(socket: Socket, around: Surroundings) {
    this.#socket = socket
    this.#around = around
    if (!socket.recovered) {
      socket.data = { next: 1, heard: 1 } satisfies Memory
      around.tally.counts.opened++
    }
    this.#memory = socket.data as unknown as Memory
    this.#heard = new Ledger(this.#memory.heard)
    socket.on('message', (data, isBinary) => this.#take(read(data as Buffer, isBinary)))
    socket.on('error', () => {})
    // The client knows by it whose its session is.
    this.say('start', around.serial, 0)
  }

  say(kind: Kind, about = 0, size: number = this.#around.chance.size()): void {
    if (this.#socket.readyState !== 1) return
    const { tally, chance } = this.#around
    tally.counts.sent++
    const number = this.#memory.next++
    this.#socket.send(compose({ kind, number, about, size, binary: chance.hits(0.5) }))
  }

  #take(word: Word | undefined): void {
    const { tally, settings } = this.#around
    tally.counts.received++
    if (!word) {
      tally.fault({ kind: 'spoilt', count: 1, what: `after ${this.#heard.next - 1}` }, this.#who)
      return
    }
    tally.fault(this.#heard.take(word.number), this.#who)
    this.#memory.heard = this.#heard.next
    if (word.kind === 'hi')
      for (const topic of topicsOf(word.about, settings)) this.#socket.subscribe(topicOf(topic))
    if (word.kind === 'bye') {
      tally.counts.ended++
      this.#socket.close(word.about, `sent ${this.#memory.next} got ${this.#memory.heard}`)
    } else this.say('answer', word.number, word.size)
  }

  readonly #who = (): unknown => ({ id: this.#socket.id, diary: this.#socket.diary })
}
