/** The server's process: answers every message, speaks by itself, publishes to topics, and checks what it hears. */
import { createServer } from 'node:http'
import { type Socket, WebSocketServer } from '../../server/index.ts'
import { Bag, Chance, Pace } from './chance.ts'
import { Gates } from './gates.ts'
import { Ledger } from './ledger.ts'
import { answer, tellParent, type Use, use } from './processes.ts'
import type { Settings } from './settings.ts'
import { type Counts, Tally } from './tally.ts'
import { compose, type Kind, read, type Word } from './words.ts'

export interface ServerStatus {
  readonly counts: Counts
  /** Clients by what carries them now. */
  readonly carried: Readonly<Record<string, number>>
  readonly clients: number
  readonly connections: number
  readonly cuts: number
  readonly outages: number
}

const tickEvery = 100
/** One topic for so many sessions. */
const perTopic = 100

export function serve(settings: Settings): void {
  const { sessions, seed, rate, heartbeat } = settings
  const tally = new Tally(tellParent)
  const chance = new Chance(seed, 'server')
  const guests = new Bag<Guest>()
  const topics = Array.from({ length: Math.ceil(sessions / perTopic) }, (_, i) => ({
    name: `topic ${i}`,
    next: 1,
  }))
  const realtime = new WebSocketServer({
    noServer: true,
    heartbeat: heartbeat * 1000,
    maxClientsPerAddress: sessions * 2 + 1000,
  })
  const http = createServer((request, response) => {
    gates.asked(request, response)
    if (!realtime.handleRequest(request, response)) response.writeHead(404).end()
  })
  http.on('upgrade', (request, raw, head) => {
    gates.upgrading(request)
    realtime.handleUpgrade(request, raw, head, (socket) => realtime.emit('connection', socket, request))
  })
  const gates = new Gates(http, settings)

  realtime.on('connection', (socket) => {
    const topic = topics[chance.below(topics.length)] as Topic
    const guest = new Guest(socket, topic, tally, chance)
    guests.add(guest)
    socket.on('close', () => guests.delete(guest))
  })

  const own = new Pace()
  const published = new Pace()
  const ticking = setInterval(() => {
    gates.tick()
    for (let i = own.due(guests.size / (3 * rate)); i > 0; i--) guests.pick(chance)?.say('own')
    for (let i = published.due(topics.length / (5 * rate)); i > 0; i--) {
      const topic = topics[chance.below(topics.length)] as Topic
      const size = Math.floor(chance.between(0, 2000))
      const word: Word = { kind: 'topic', number: topic.next++, about: 0, size, binary: chance.hits(0.5) }
      tally.counts.sent += realtime.publish(topic.name, compose(word))
    }
  }, tickEvery)

  answer({
    open: (): Promise<number[]> => gates.open(),
    use: (): Promise<Use> => use(),
    status(): ServerStatus {
      const carried: Record<string, number> = {}
      for (const { transport } of realtime.clients)
        carried[`${transport}`] = (carried[`${transport}`] ?? 0) + 1
      const { cuts, outages, connections } = gates
      return { counts: tally.counts, carried, clients: realtime.clients.size, connections, cuts, outages }
    },
    /** From now on nothing is cut any more. */
    calm(): void {
      clearInterval(ticking)
      gates.calm()
    },
    close: (): Promise<void> => new Promise((resolve) => realtime.close(() => resolve())),
  })
}

interface Topic {
  readonly name: string
  next: number
}

/** One session, as the server's application has it. */
class Guest {
  readonly #socket: Socket
  readonly #topic: Topic
  readonly #tally: Tally
  readonly #chance: Chance
  readonly #heard = new Ledger()
  #next = 1
  /** The code that it was closed with from here. */
  #closing: number | undefined

  constructor(socket: Socket, topic: Topic, tally: Tally, chance: Chance) {
    this.#socket = socket
    this.#topic = topic
    this.#tally = tally
    this.#chance = chance
    tally.counts.opened++
    socket.subscribe(topic.name)
    this.say('start', topic.next)
    socket.on('message', (data, isBinary) => this.#take(read(data as Buffer, isBinary)))
    socket.on('close', (code, reason) => this.#ended(code, String(reason)))
    socket.on('error', () => {})
  }

  say(kind: Kind, about = 0, size: number = this.#chance.size()): void {
    if (this.#socket.readyState !== 1) return
    this.#tally.counts.sent++
    this.#socket.send(compose({ kind, number: this.#next++, about, size, binary: this.#chance.hits(0.5) }))
  }

  #take(word: Word | undefined): void {
    this.#tally.counts.received++
    if (!word) {
      this.#tally.fault({ kind: 'spoilt', count: 1, what: `after ${this.#heard.next - 1}` }, this.#who)
      return
    }
    this.#tally.fault(this.#heard.take(word.number), this.#who)
    if (word.kind === 'bye') this.#close(word.about)
    else this.say('answer', word.number, word.size)
  }

  /** Says with it how far both directions and the topic went. */
  #close(code: number): void {
    this.#closing = code
    this.#socket.close(code, `sent ${this.#next} got ${this.#heard.next} topic ${this.#topic.next}`)
  }

  #ended(code: number, reason: string): void {
    const { counts } = this.#tally
    const [, sent] = /^sent (\d+)$/.exec(reason) ?? []
    if (this.#closing !== undefined) {
      if (code === this.#closing) counts.ended++
      else this.#tally.unexpected(code, reason, this.#who)
    } else if (sent !== undefined) {
      counts.ended++
      this.#tally.fault(this.#heard.ended(Number(sent)), this.#who)
    } else if (this.#heard.next === 1) {
      // Its client was cut off before it heard that it was let in.
      counts.notOpened++
    } else this.#tally.unexpected(code, reason, this.#who)
  }

  readonly #who = (): unknown => ({ id: this.#socket.id, diary: this.#socket.diary })
}
