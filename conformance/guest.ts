/** A client of a rule: its id and key, and what it has said and heard over HTTP. It does only what a rule tells it. */
import { type Answer, Answering } from './http.ts'
import type { Setting } from './setting.ts'
import { Carrier, readWelcome, type Welcome } from './socket.ts'
import { Deviation, equal, expect, show } from './verdict.ts'
import {
  kinds,
  type Position,
  type RequestHead,
  record,
  type WireRecord,
  writeBody,
  writeHead,
} from './wire.ts'

export interface Message {
  readonly kind: number
  readonly data: Buffer
}

type Head = Partial<RequestHead>

export class Guest {
  readonly id: Uint8Array
  readonly key: Uint8Array
  readonly #setting: Setting
  epoch = 1
  #serials = { short: 0, held: 0 }
  /** How many messages it has said over HTTP. */
  said = 0
  /** What it has of the server's messages. */
  has: Position = [0, 0]
  readonly messages: Message[] = []
  /** The longest record that it has had. */
  longest = 0
  #part: Buffer[] = []

  constructor(setting: Setting, id: Uint8Array, key: Uint8Array) {
    this.#setting = setting
    this.id = id
    this.key = key
  }

  /** Somebody who knows the id and not the key. */
  thief(): Guest {
    return new Guest(this.#setting, this.id, Buffer.alloc(16, 7))
  }

  newEpoch(): this {
    this.epoch++
    this.#serials = { short: 0, held: 0 }
    return this
  }

  // ---- WebSocket ----

  /** Dials a WebSocket; nothing is known of it yet. */
  dial(head: Head = {}, protocols: readonly string[] = []): Carrier {
    const { id, key, epoch } = this
    const bytes = writeHead({ id, key, epoch, ...head })
    return new Carrier(this.#setting, [
      ...protocols,
      'everwire.1',
      `everwire.1.${bytes.toString('base64url')}`,
    ])
  }

  /** Opens a session over WebSocket. */
  async open(): Promise<Carrier & { readonly welcomed: Welcome }> {
    const carrier = this.dial({ ask: ['open'] })
    await carrier.opened()
    return Object.assign(carrier, { welcomed: await carrier.welcome() })
  }

  /** Resumes over WebSocket in a new epoch. */
  async resume(head: Head = {}): Promise<Carrier & { readonly welcomed: Welcome }> {
    const carrier = this.newEpoch().dial(head)
    await carrier.opened()
    return Object.assign(carrier, { welcomed: await carrier.welcome() })
  }

  // ---- HTTP ----

  /** Any exchange: what `head` does not say is as for the next one of its kind. */
  ask(
    head: Head = {},
    records: readonly WireRecord[] = [],
    headers: Readonly<Record<string, string>> = {},
  ): Answering {
    const kind = head.ask?.includes('hold') ? 'held' : 'short'
    const { id, key, epoch, has, said } = this
    const serial = head.serial ?? ++this.#serials[kind]
    const body = writeBody({ id, key, epoch, has, at: [said, 0], ...head, serial }, records)
    return this.raw(body, headers)
  }

  raw(body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Answering {
    return new Answering(this.#setting, this.#setting.address('1'), { body, headers })
  }

  /** Opens a session over HTTP. */
  async openHttp(head: Head = {}): Promise<Welcome> {
    const answer = await this.ask({ ask: ['open'], ...head }, [hello()]).whole()
    return welcomeOf(answer)
  }

  /** An exchange whose messages are taken. */
  async exchange(head: Head, records: readonly WireRecord[] = []): Promise<Answer> {
    const answer = await this.ask(head, records).whole()
    this.take(answer)
    return answer
  }

  /** Says messages in a short exchange. */
  async say(...records: WireRecord[]): Promise<Answer> {
    const answer = await this.exchange({}, records)
    this.said += records.filter(({ kind, more }) => kind <= kinds.close && !more).length
    return answer
  }

  /** Polls until so many messages have come in all. */
  async receive(count: number): Promise<readonly Message[]> {
    const before = Date.now()
    while (this.messages.length < count) {
      if (Date.now() - before > this.#setting.timeout)
        throw new Deviation(
          `${count} messages`,
          `${this.messages.length} within ${this.#setting.timeout / 1000} s`,
        )
      await this.exchange({ ask: ['hold'], quiet: 500 })
    }
    return this.messages.slice(0, count)
  }

  take({ head, records }: { head: Answer['head']; records: readonly WireRecord[] }): void {
    equal(head.status, 0, 'the status of the answer')
    this.takeFrom(head.at, records)
  }

  /** Numbered records that begin after this place. */
  takeFrom(at: Position, records: readonly WireRecord[]): void {
    let [number, offset] = at
    for (const { kind, data, more } of records) {
      if (kind > kinds.close) continue
      this.longest = Math.max(this.longest, data.length)
      const [haveNumber, haveOffset] = this.has
      const from = number < haveNumber ? data.length : number === haveNumber ? haveOffset - offset : -1
      expect(
        from >= 0,
        `records that begin at ${show(this.has)}`,
        `records that begin at ${show([number, offset])}`,
      )
      const isNew = number === haveNumber
      if (isNew) {
        if (from < data.length) this.#part.push(Buffer.from(data.subarray(from)))
        this.has = [haveNumber, Math.max(haveOffset, offset + data.length)]
      }
      offset += data.length
      if (more) continue
      if (isNew) {
        this.messages.push({ kind, data: Buffer.concat(this.#part) })
        this.#part = []
        this.has = [number + 1, 0]
      }
      number++
      offset = 0
    }
  }

  /** Expects that the session is not known, or not any more. */
  async unknown(): Promise<void> {
    const { head, records } = await this.newEpoch().ask().whole()
    equal(head.status, 2, 'the status for a session that is over')
    equal(records.length, 0, 'records behind status 2')
  }

  /** Expects that the session lives and has so many of the messages. */
  async lives(got: number): Promise<void> {
    const { head } = await this.newEpoch().ask().whole()
    equal(head.status, 0, 'the status for a session that lives')
    equal(head.has, [got, 0], 'what the server has')
  }
}

export function hello(...protocols: string[]): WireRecord {
  return record('hello', JSON.stringify({ protocols }))
}

export function welcomeOf({ head, records }: Answer): Welcome {
  equal(head.status, 0, 'the status of the answer')
  const [first] = records
  expect(first?.kind === kinds.welcome, 'a welcome as the first record', show(records))
  return readWelcome(Buffer.from(first.data).toString())
}

/** Expects that the session has failed with this code, by a close or by an abort. */
export function failedWith(code: number, { records }: Answer): void {
  const ends = records.filter(({ kind }) => kind === kinds.close || kind === kinds.abort)
  const said = ends.map(({ data }) => Buffer.from(data).toString())
  expect(
    said.some((one) => one.startsWith(`${code},`)),
    `a close or an abort with ${code}`,
    said,
  )
}

/** A message as text: most messages of the rules are. */
export function text({ kind, data }: Message): string {
  return kind === kinds.text ? data.toString() : show({ kind, data })
}
