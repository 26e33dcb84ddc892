/**
 * One end of a conversation in numbered messages, and its book-keeping: what was said, what was heard, and for how long
 * nothing was. It runs in pages too, so it knows nothing of Node.
 */

import { OwnTime } from '../support/own-time.ts'

/** Says it, or returns false if that was not possible. */
export type Say = (data: string | Uint8Array) => boolean

export interface TalkOptions {
  /** Milliseconds from one message to the next. Default: 30. */
  readonly every?: number
  /** How long a large one is; one in 25 is. Default: 200,000. */
  readonly large?: number
  /** Nothing but text, for those that carry nothing else. */
  readonly textOnly?: boolean
}

/** What one end knows when it is over. */
export interface Account {
  readonly said: number
  /** Could not be said, as there was no connection. */
  readonly refused: readonly number[]
  /** The numbers of what was heard, each once. */
  readonly heard: readonly number[]
  readonly repeated: number
  readonly disordered: number
  readonly damaged: number
  /** The longest time between two arrivals while the other end was talking, in milliseconds of its own time. */
  readonly longestGap: number
  /** When the longest gap ended, as `Date.now()` says. */
  readonly gapUntil: number
  /** When the first message came, in milliseconds of its own time. */
  readonly first: number | undefined
  /** What an application had to see: an error, a close, one more open. */
  readonly visible: readonly string[]
  readonly transports: readonly string[]
  /** What the last close said. */
  readonly closed: string | undefined
  /** The longest time for which this end had no turn, in milliseconds. */
  readonly stall: number
  /** The client's diary, an entry a line: what a failed run is to be explained by. */
  readonly diary: readonly string[]
}

/** An end of a conversation as its leader sees it, wherever it runs. */
export interface Party {
  /** Begins, or goes on after a pause. */
  start(): void | Promise<void>
  pause(): void | Promise<void>
  /** Says nothing more; a close is no surprise from now on. */
  finish(): void | Promise<void>
  /** Waits until so many messages of the other end have come in all, each counted once. */
  heard(count: number): Promise<void>
  /** Waits until that is what carries it, and it has carried something. */
  carriedBy(transport: string): Promise<void>
  /** Waits for a close. */
  ended(): Promise<void>
  account(): Account | Promise<Account>
}

const pattern = Array.from({ length: 400_000 }, (_, i) => i.toString(36).padStart(7, '.')).join(' ')
const encoder = new TextEncoder()
const patternBytes = encoder.encode(pattern)

export class Talk implements Party {
  readonly #name: 'client' | 'server'
  readonly #options: Required<TalkOptions>
  #say: Say | undefined
  #timer: ReturnType<typeof setInterval> | undefined
  #opened = 0
  #over = false
  /** Both ends are silent, or about to be: what comes late or early says nothing of the network. */
  #paused = false
  #lastAt: number | undefined
  #highest = -1
  readonly #heard = new Set<number>()
  readonly #refused: number[] = []
  readonly #waiting = new Set<() => void>()
  /** What happened to the connections, if this end knows it. */
  diary: () => readonly object[] = () => []
  readonly #account = {
    said: 0,
    repeated: 0,
    disordered: 0,
    damaged: 0,
    longestGap: 0,
    gapUntil: 0,
    first: undefined as number | undefined,
    visible: [] as string[],
    transports: [] as string[],
    closed: undefined as string | undefined,
  }
  /** A machine that gives this end no turn is no bad network. */
  readonly #clock = new OwnTime()

  constructor(
    name: 'client' | 'server',
    { every = 30, large = 200_000, textOnly = false }: TalkOptions = {},
  ) {
    this.#name = name
    this.#options = { every, large, textOnly }
  }

  // ---- what the application is told ----

  /** The client begins at once; the server when it has heard the client, so that its first message is an answer. */
  opened(say: Say): void {
    if (this.#opened++ > 0) this.visible('opened again')
    this.#account.closed = undefined
    this.resumed(say)
    if (this.#name === 'client' && !this.#timer) this.start()
  }

  /** It goes on without a new beginning: something can be said. */
  resumed(say: Say): void {
    this.#say = say
  }

  message(data: string | Uint8Array): void {
    const { now } = this.#clock
    const account = this.#account
    if (this.#lastAt === undefined) account.first = now
    else if (!this.#paused) this.#gap(now - this.#lastAt)
    this.#lastAt = now
    const number = numberOf(data)
    const other = this.#name === 'client' ? 'server' : 'client'
    if (number < 0 || !same(data, messageOf(other, number, this.#options))) account.damaged++
    else if (this.#heard.has(number)) account.repeated++
    else {
      if (number < this.#highest) account.disordered++
      this.#highest = Math.max(this.#highest, number)
      this.#heard.add(number)
    }
    if (this.#name === 'server' && !this.#timer && !this.#over) this.start()
    this.#look()
  }

  /** Something that a plain connection on a good network would not have shown. */
  visible(what: string): void {
    if (!this.#over) this.#account.visible.push(what)
    this.#look()
  }

  /** The connection has gone, and the application has to notice. */
  gone(what: string): void {
    this.#say = undefined
    this.#account.closed = what
    this.visible(what)
  }

  transport(name: string | null): void {
    if (!this.#over) this.#account.transports.push(String(name))
    this.#look()
  }

  // ---- what whoever leads the conversation does ----

  start(): void {
    clearInterval(this.#timer)
    this.#paused = false
    // What comes from now on is compared with now, not with what came before a pause.
    if (this.#lastAt !== undefined) this.#lastAt = this.#clock.now
    this.#timer = setInterval(() => this.#next(), this.#options.every)
    this.#next()
  }

  pause(): void {
    this.#paused = true
    clearInterval(this.#timer)
  }

  finish(): void {
    this.#over = true
    clearInterval(this.#timer)
    // The other end has talked until now.
    this.#gap(this.#clock.now - (this.#lastAt ?? 0))
  }

  #gap(length: number): void {
    if (length <= this.#account.longestGap) return
    this.#account.longestGap = length
    this.#account.gapUntil = Date.now()
  }

  heard(count: number): Promise<void> {
    return this.#until(() => this.#heard.size >= count)
  }

  async carriedBy(transport: string): Promise<void> {
    await this.movedTo(transport)
    await this.heard(this.#heard.size + 1)
  }

  movedTo(transport: string): Promise<void> {
    return this.#until(() => this.#account.transports.at(-1) === transport)
  }

  ended(): Promise<void> {
    return this.#until(() => this.#account.closed !== undefined)
  }

  /** Nobody asks it any more. */
  forget(): void {
    clearInterval(this.#timer)
    this.#clock.stop()
  }

  account(): Account {
    const stall = this.#clock.longestStall
    const diary = this.diary().map((entry) => JSON.stringify(entry))
    return { ...this.#account, refused: this.#refused, heard: [...this.#heard], stall, diary }
  }

  /** Looked at after everything that happens here. */
  #until(look: () => boolean): Promise<void> {
    if (look()) return Promise.resolve()
    return new Promise((resolve) => {
      const again = (): void => {
        if (!look()) return
        this.#waiting.delete(again)
        resolve()
      }
      this.#waiting.add(again)
    })
  }

  #next(): void {
    const number = this.#account.said++
    if (!this.#say?.(messageOf(this.#name, number, this.#options))) this.#refused.push(number)
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }
}

/** Text and bytes, small and large, in turn. */
function messageOf(
  name: 'client' | 'server',
  number: number,
  { large, textOnly }: Required<TalkOptions>,
): string | Uint8Array {
  const head = `${name} ${number} λ`
  const size = number % 25 === 12 ? large : 20
  if (textOnly || number % 4 < 2) return head + pattern.slice(0, size)
  const start = encoder.encode(head)
  const bytes = new Uint8Array(start.length + size)
  bytes.set(start)
  bytes.set(patternBytes.subarray(0, size), start.length)
  return bytes
}

function numberOf(data: string | Uint8Array): number {
  const head = typeof data === 'string' ? data.slice(0, 40) : String.fromCharCode(...data.subarray(0, 40))
  return Number(/^\w+ (\d+) /.exec(head)?.[1] ?? -1)
}

function same(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
