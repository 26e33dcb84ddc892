/** One session, as its client has it: it speaks, checks what it hears, and ends in one of two ways. */
import { type Transport, WebSocket } from '../../client/node.ts'
import type { Chance } from './chance.ts'
import { Ledger } from './ledger.ts'
import { planted } from './plant.ts'
import type { Settings } from './settings.ts'
import type { Tally } from './tally.ts'
import { compose, type Kind, read, type Word } from './words.ts'

export interface Surroundings {
  readonly url: string
  readonly transports: readonly Transport[]
  readonly chance: Chance
  readonly tally: Tally
  readonly settings: Settings
  ended(): void
}

/** `mine`: this end closed. `theirs`: it asked the server to. */
interface Ending {
  readonly by: 'mine' | 'theirs'
  readonly code: number
  readonly reason: string
}

export class Talker {
  readonly #around: Surroundings
  readonly #socket: WebSocket
  readonly #heard = new Ledger()
  readonly #answered = new Ledger()
  #topic: Ledger | undefined
  #next = 1
  #opened = false
  #connected = true
  #ending: Ending | undefined
  #speaking: NodeJS.Timeout | undefined
  #living: NodeJS.Timeout | undefined

  constructor(around: Surroundings) {
    this.#around = around
    const { url, transports, chance, settings } = around
    // What one session learns about a network that is cut at random would mislead the others.
    const socket = new WebSocket(url, { transports, remember: false })
    this.#socket = socket
    const take = planted(settings.plant, (word) => this.#take(word))
    socket.on('open', () => this.#begin())
    socket.on('message', (data, isBinary) => take(read(data as Buffer, isBinary)))
    socket.on('transportchange', (transport) => this.#moved(transport))
    socket.on('close', (code, reason) => this.#ended(code, String(reason)))
    socket.on('error', () => {})
    const [min, max] = settings.life
    // Even over the logarithm: many live for a short time, some for long.
    const seconds = min * (max / min) ** chance.next()
    this.#living = setTimeout(() => this.#end(), seconds * 1000)
  }

  /** The end of the run: it ends so that both directions can be compared. */
  finish(): void {
    if (this.#ending) return
    if (this.#opened) this.#askForEnd()
    else this.#socket.close()
  }

  #begin(): void {
    this.#opened = true
    this.#around.tally.counts.opened++
    this.#say('hi')
    this.#speakLater()
  }

  #speakLater(): void {
    const { chance, settings } = this.#around
    this.#speaking = setTimeout(
      () => {
        this.#say('say', 0, chance.size())
        // Sometimes several in one turn.
        if (chance.hits(0.1)) for (let i = chance.below(5); i > 0; i--) this.#say('say')
        this.#speakLater()
      },
      settings.rate * 1000 * chance.between(0.5, 1.9),
    )
  }

  #say(kind: Kind, about = 0, size = 20): void {
    const { chance, tally } = this.#around
    tally.counts.sent++
    this.#socket.send(compose({ kind, number: this.#next++, about, size, binary: chance.hits(0.5) }))
  }

  #take(word: Word | undefined): void {
    const { tally } = this.#around
    // What the server still says while this end closes is told to nobody.
    tally.counts.received++
    if (!word) {
      tally.fault({ kind: 'spoilt', count: 1, what: `after ${this.#heard.next - 1}` }, this.#who)
      return
    }
    const { kind, number, about } = word
    if (kind === 'topic') {
      if (this.#topic) tally.fault(this.#topic.take(number), this.#who)
      else tally.fault({ kind: 'disorder', count: 1, what: 'a topic before its start' }, this.#who)
      return
    }
    tally.fault(this.#heard.take(number), this.#who)
    if (kind === 'start') this.#topic ??= new Ledger(about)
    else if (kind === 'answer') tally.fault(this.#answered.take(about), this.#who)
  }

  #moved(transport: Transport | null): void {
    if (transport !== null && !this.#connected) this.#around.tally.counts.resumed++
    this.#connected = transport !== null
  }

  #end(): void {
    if (this.#ending) return
    if (!this.#opened) this.#socket.close()
    else if (this.#around.chance.hits(0.5)) this.#askForEnd()
    else {
      const code = this.#around.chance.hits(0.3) ? 1000 : 3000 + this.#around.chance.below(2000)
      const reason = `sent ${this.#next}`
      this.#ending = { by: 'mine', code, reason }
      clearTimeout(this.#speaking)
      this.#socket.close(code, reason)
    }
  }

  #askForEnd(): void {
    const { chance } = this.#around
    const code = chance.hits(0.3) ? 1000 + chance.below(2) : 3000 + chance.below(2000)
    clearTimeout(this.#speaking)
    this.#say('bye', code)
    this.#ending = { by: 'theirs', code, reason: '' }
  }

  #ended(code: number, reason: string): void {
    clearTimeout(this.#speaking)
    clearTimeout(this.#living)
    const { tally, ended } = this.#around
    const ending = this.#ending
    if (!this.#opened) tally.counts.notOpened++
    else if (ending?.code !== code || (ending.by === 'mine' && ending.reason !== reason))
      tally.unexpected(code, reason, this.#who)
    else {
      tally.counts.ended++
      if (ending.by === 'theirs') this.#compare(reason)
    }
    ended()
  }

  /** The server says how far it went: all of that must have come. */
  #compare(reason: string): void {
    const { tally } = this.#around
    const [, sent, got, topic] = (/^sent (\d+) got (\d+) topic (\d+)$/.exec(reason) ?? []).map(Number)
    if (sent === undefined || got === undefined || topic === undefined) {
      tally.unexpected(0, reason, this.#who)
      return
    }
    tally.fault(this.#heard.ended(sent), this.#who)
    if (got < this.#next)
      tally.fault({ kind: 'lost', count: this.#next - got, what: `the server got ${got - 1}` }, this.#who)
    // The last one, which asks for the end, is not answered.
    tally.fault(this.#answered.ended(this.#next - 1), this.#who)
    tally.fault(this.#topic?.ended(topic), this.#who)
  }

  readonly #who = (): unknown => ({ transports: this.#around.transports, diary: this.#socket.diary })
}
