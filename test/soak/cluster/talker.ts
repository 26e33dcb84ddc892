/** One session on a cluster, as its client has it: it speaks, checks what it hears, and knows whose it is. */
import { type Transport, WebSocket } from '../../../client/node.ts'
import type { Chance } from '../chance.ts'
import { Ledger } from '../ledger.ts'
import { planted } from '../plant.ts'
import type { Tally } from '../tally.ts'
import { compose, type Kind, read, type Word } from '../words.ts'
import { type Settings, topicsOf } from './settings.ts'

export interface Surroundings {
  readonly url: string
  readonly place: number
  readonly transport: Transport
  readonly chance: Chance
  readonly tally: Tally
  readonly settings: Settings
  /** The servers that were killed, or stood still for longer than their lease. */
  readonly doomed: ReadonlySet<number>
  /** The session has gone with its server. */
  taken(): void
  ended(): void
}

interface Topic {
  ledger: Ledger | undefined
  /** The application was told that messages are missing before the next one. */
  gap: boolean
}

export class ClusterTalker {
  readonly #around: Surroundings
  readonly #socket: WebSocket
  readonly #heard = new Ledger()
  readonly #answered = new Ledger()
  readonly #topics = new Map<number, Topic>()
  #next = 1
  /** The servers that had the session, one after the other. */
  readonly #owners: number[] = []
  #opened = false
  #last: readonly number[] | undefined
  /** The code that it asked to be closed with. */
  #ending: number | undefined
  #speaking: NodeJS.Timeout | undefined
  #heardAt = performance.now()
  longestGap = 0

  constructor(around: Surroundings) {
    this.#around = around
    const { url, transport, settings, place } = around
    for (const topic of topicsOf(place, settings)) this.#topics.set(topic, { ledger: undefined, gap: false })
    const socket = new WebSocket(url, { transports: [transport], remember: false })
    this.#socket = socket
    const take = planted(settings.plant === 'drop' ? 'drop' : undefined, (word) => this.#take(word))
    socket.on('open', () => this.#begin())
    socket.on('message', (data, isBinary) => take(read(data as Buffer, isBinary)))
    socket.on('close', (code, reason) => this.#ended(code, String(reason)))
    socket.on('error', () => {})
  }

  get isOpen(): boolean {
    return this.#opened
  }

  /** The server that has the session, as far as it has said so. */
  get owner(): number | undefined {
    return this.#owners.at(-1)
  }

  /** Ends when it has heard the last message of each of its topics, so that both directions are known to be whole. */
  finish(last: readonly number[]): void {
    clearTimeout(this.#speaking)
    this.#last = last
    this.#endIfWhole()
  }

  /** What it still waits for. */
  get missing(): unknown {
    const topics = [...this.#topics].map(
      ([topic, { ledger }]) => `${topic}: ${ledger?.next} of ${this.#last?.[topic]}`,
    )
    return { ...(this.#who() as object), topics, ending: this.#ending }
  }

  #begin(): void {
    this.#opened = true
    this.#around.tally.counts.opened++
    this.#say('hi', this.#around.place)
    this.#speakLater()
  }

  #speakLater(): void {
    const { chance, settings } = this.#around
    this.#speaking = setTimeout(
      () => {
        this.#say('say', 0, chance.size())
        this.#speakLater()
      },
      settings.rate * 1000 * chance.between(0.5, 1.5),
    )
  }

  #say(kind: Kind, about = 0, size = 20): void {
    const { chance, tally } = this.#around
    tally.counts.sent++
    this.#socket.send(compose({ kind, number: this.#next++, about, size, binary: chance.hits(0.5) }))
  }

  #take(word: Word | undefined): void {
    const { tally } = this.#around
    tally.counts.received++
    const now = performance.now()
    this.longestGap = Math.max(this.longestGap, now - this.#heardAt)
    this.#heardAt = now
    if (!word) {
      tally.fault({ kind: 'spoilt', count: 1, what: `after ${this.#heard.next - 1}` }, this.#who)
      return
    }
    const { kind, number, about } = word
    if (kind === 'topic') {
      this.#takeTopic(about, number)
      return
    }
    tally.fault(this.#heard.take(number), this.#who)
    if (kind === 'start') this.#owners.push(about)
    else if (kind === 'answer') tally.fault(this.#answered.take(about), this.#who)
    else if (kind === 'gap')
      for (const [topic, state] of this.#topics) if (about === 0 || about === topic) state.gap = true
  }

  #takeTopic(topic: number, number: number): void {
    const { tally } = this.#around
    const state = this.#topics.get(topic)
    if (!state) {
      tally.fault(
        { kind: 'spoilt', count: 1, what: `topic ${topic}, to which it is not subscribed` },
        this.#who,
      )
      return
    }
    // A gap is before a message, not behind it, and nothing comes twice because of it.
    if (!state.ledger || (state.gap && number > state.ledger.next)) state.ledger = new Ledger(number)
    state.gap = false
    tally.fault(state.ledger.take(number), () => ({ topic, ...(this.#who() as object) }))
    this.#endIfWhole()
  }

  #endIfWhole(): void {
    if (!this.#last || this.#ending !== undefined) return
    if (!this.#opened) {
      this.#ending = 1000
      this.#socket.close(1000)
      return
    }
    for (const [topic, { ledger }] of this.#topics)
      if (ledger?.next !== (this.#last[topic] as number) + 1) return
    this.#ending = 4000
    this.#say('bye', this.#ending)
  }

  #ended(code: number, reason: string): void {
    clearTimeout(this.#speaking)
    const { tally, doomed, taken, ended } = this.#around
    const { owner } = this
    // One that was being opened does not know whose it is.
    const isDoomed = owner === undefined ? doomed.size > 0 : doomed.has(owner)
    if (this.#ending === code && this.#opened) {
      tally.counts.ended++
      this.#compare(reason)
    } else if (!this.#opened && this.#ending !== undefined) tally.counts.notOpened++
    else if (code === 1006 && isDoomed) taken()
    else tally.unexpected(code, reason, this.#who)
    ended()
  }

  /** The server says how far it went: all of that must have come. */
  #compare(reason: string): void {
    const { tally } = this.#around
    const [, sent = 0, got = 0] = (/^sent (\d+) got (\d+)$/.exec(reason) ?? []).map(Number)
    if (sent === 0) tally.unexpected(0, reason, this.#who)
    else {
      tally.fault(this.#heard.ended(sent), this.#who)
      if (got !== this.#next)
        tally.fault(
          { kind: 'lost', count: Math.abs(this.#next - got), what: `the server got ${got - 1}` },
          this.#who,
        )
      // The last one, which asks for the end, is not answered.
      tally.fault(this.#answered.ended(this.#next - 1), this.#who)
    }
  }

  readonly #who = (): unknown => ({
    transport: this.#around.transport,
    owners: this.#owners,
    diary: this.#socket.diary,
  })
}
