/** One WebSocket carrier of a rule. `ws` brings the frames; what they mean is read here. */
import { WebSocket } from 'ws'
import { Feed } from './feed.ts'
import type { Setting } from './setting.ts'
import { Deviation, expect, show } from './verdict.ts'
import { type KindName, kinds, nameOf } from './wire.ts'

export interface Control {
  readonly kind: number
  readonly payload: string
}

export type Said = { readonly text: string } | { readonly binary: Buffer } | Control

export interface Welcome {
  readonly got: number
  readonly start?: number
  readonly protocol: string
  readonly heartbeat: number
  readonly patience: number
  readonly maxBody: number
}

export class Carrier {
  readonly #socket: WebSocket
  readonly #said: Feed<Said>
  readonly #opened: Feed<string>
  readonly #closed: Feed<{ code: number; reason: string }>
  #pings = 0

  constructor(setting: Setting, protocols: readonly string[]) {
    this.#said = new Feed(setting.timeout, showSaid)
    this.#opened = new Feed(setting.timeout, (what) => what)
    this.#closed = new Feed(setting.timeout, ({ code }) => `closed with ${code}`)
    const options = { perMessageDeflate: false, headers: setting.headers }
    this.#socket = new WebSocket(setting.socketAddress, [...protocols], options)
    this.#socket.on('open', () => this.#opened.push('open'))
    this.#socket.on('unexpected-response', (request, response) => {
      response.setEncoding('utf8')
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('close', () => {
        this.#opened.end(`status ${response.statusCode} with ${show(text)}`)
        request.destroy()
      })
    })
    this.#socket.on('error', (error) => this.#opened.end(`an error: ${error.message}`))
    this.#socket.on('message', (data, isBinary) => this.#heard(data as Buffer, isBinary))
    this.#socket.on('close', (code, reason) => {
      this.#closed.push({ code, reason: String(reason) })
      this.#said.end(`the end of the WebSocket with ${code}`)
      this.#opened.end(`the end of the WebSocket with ${code}`)
    })
    setting.afterwards(() => this.cut())
  }

  /** Waits until the handshake has succeeded; returns the subprotocol. */
  async opened(): Promise<string> {
    await this.#opened.pick('a WebSocket that opens', () => true)
    return this.#socket.protocol
  }

  /** Waits until the handshake has failed; says how. */
  async refused(): Promise<string> {
    const how = await this.#opened.ended('a handshake that is refused')
    if (this.#opened.count > 0) throw new Deviation('a handshake that is refused', 'a WebSocket that opens')
    return how
  }

  // ---- saying ----

  text(text: string): this {
    this.#socket.send(text.startsWith('\0') ? `\0${text}` : text)
    return this
  }

  /** A text frame with these bytes, whatever they are. */
  rawText(data: string | Uint8Array): this {
    this.#socket.send(data, { binary: false })
    return this
  }

  binary(data: Uint8Array): this {
    this.#socket.send(data, { binary: true })
    return this
  }

  control(kind: KindName | number, payload: string | number = ''): this {
    const number = typeof kind === 'number' ? kind : kinds[kind]
    this.#socket.send(`\0${String.fromCharCode(number)}${payload}`)
    return this
  }

  // ---- hearing ----

  /** The first message of all, which must be a welcome. */
  async welcome(): Promise<Welcome> {
    const first = await this.#said.pick('a welcome', () => true)
    expect(isControl(first) && first.kind === kinds.welcome, 'a welcome, first of all', showSaid(first))
    return readWelcome(first.payload)
  }

  /** The next message of the application; controls before it wait. */
  async message(): Promise<string | Buffer> {
    const isMessage = (said: Said): boolean => !isControl(said)
    const said = await this.#said.pick('a message', isMessage)
    return 'text' in said ? said.text : (said as { binary: Buffer }).binary
  }

  async messages(count: number): Promise<(string | Buffer)[]> {
    const all: (string | Buffer)[] = []
    while (all.length < count) all.push(await this.message())
    return all
  }

  /** The payload of the next control of a kind; what else came waits. */
  async next(name: KindName, payload?: string): Promise<string> {
    const fits = (said: Said): said is Control =>
      isControl(said) && said.kind === kinds[name] && (payload === undefined || said.payload === payload)
    const expected = payload === undefined ? `a control ${name}` : `a control ${name} ${show(payload)}`
    return (await this.#said.pick(expected, fits)).payload
  }

  /** Waits until the server has read all that was said: a ping comes back. */
  async settled(): Promise<void> {
    const mark = `settled ${++this.#pings}`
    this.control('ping', mark)
    await this.next('pong', mark)
  }

  /** Waits for an acknowledgement of so many messages. */
  async acknowledged(number: number): Promise<void> {
    const fits = (said: Said): boolean =>
      isControl(said) && said.kind === kinds.ack && Number(said.payload) >= number
    await this.#said.pick(`an acknowledgement of ${number}`, fits)
  }

  /** The payload of a control of a kind that came and waits. */
  seen(name: KindName): string | undefined {
    return this.#said.unread.filter(isControl).find(({ kind }) => kind === kinds[name])?.payload
  }

  /** Expects that nothing came but controls that a server may say at any time. */
  quiet(expected: string): void {
    const free: readonly number[] = [kinds.ping, kinds.pong, kinds.ack, kinds.pause]
    const more = this.#said.unread.filter((said) => !isControl(said) || !free.includes(said.kind))
    expect(more.length === 0, expected, more.map(showSaid).join(', '))
  }

  /** Waits for the end of the WebSocket. */
  async closed(): Promise<{ code: number; reason: string }> {
    return this.#closed.pick('the end of the WebSocket', () => true)
  }

  /** Expects that the server says the session is over with this code, and then closes. */
  async aborted(code: number | readonly number[]): Promise<void> {
    const allowed = [code].flat()
    const payload = await this.next('abort')
    expect(allowed.includes(Number(payload.slice(0, 4))), `an abort ${allowed.join(' or ')}`, show(payload))
    await this.closed()
  }

  /** Expects that the server ends the session with this code, by a close or by an abort. */
  async failed(code: number | readonly number[]): Promise<void> {
    const allowed = [code].flat()
    const fits = (said: Said): boolean =>
      isControl(said) &&
      (said.kind === kinds.close || said.kind === kinds.abort) &&
      allowed.includes(Number(said.payload.slice(0, 4)))
    await this.#said.pick(`a close or an abort with ${allowed.join(' or ')}`, fits)
  }

  cut(): void {
    this.#socket.terminate()
  }

  #heard(data: Buffer, isBinary: boolean): void {
    const text = data.toString()
    if (isBinary) this.#said.push({ binary: data })
    else if (!text.startsWith('\0')) this.#said.push({ text })
    else if (text[1] === '\0') this.#said.push({ text: text.slice(1) })
    else this.#said.push({ kind: text.charCodeAt(1), payload: text.slice(2) })
  }
}

function isControl(said: Said): said is Control {
  return 'kind' in said
}

function showSaid(said: Said): string {
  if (isControl(said)) return `${nameOf(said.kind)} ${show(said.payload)}`
  return 'text' in said ? `text ${show(said.text)}` : `binary ${show(said.binary)}`
}

export function readWelcome(payload: string): Welcome {
  let read: Partial<Welcome>
  try {
    read = JSON.parse(payload)
  } catch {
    throw new Deviation('a welcome in JSON', show(payload))
  }
  for (const name of ['got', 'heartbeat', 'patience', 'maxBody'] as const)
    expect(Number.isSafeInteger(read[name]), `a welcome with a number \`${name}\``, show(payload))
  expect(typeof read.protocol === 'string', 'a welcome with a text `protocol`', show(payload))
  return read as Welcome
}
