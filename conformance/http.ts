/** One HTTP request of a rule, and its answer as it comes. */
import { type ClientRequest, type IncomingHttpHeaders, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { Feed } from './feed.ts'
import type { Setting } from './setting.ts'
import { Deviation, equal, expect, show } from './verdict.ts'
import { type AnswerHead, AnswerReader, kinds, nameOf, type WireRecord } from './wire.ts'

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** The answer is an event stream: its events' data, each base64, make the body. */
  readonly events?: boolean
}

/** A whole answer of the protocol. */
export interface Answer {
  readonly head: AnswerHead
  readonly records: readonly WireRecord[]
  readonly body: Buffer
  readonly headers: IncomingHttpHeaders
}

type Part = { readonly head: AnswerHead } | WireRecord

export class Answering {
  readonly #request: ClientRequest
  readonly #parts: Feed<Part>
  readonly #start: Feed<{ status: number; headers: IncomingHttpHeaders }>
  readonly #reader = new AnswerReader()
  readonly #chunks: Buffer[] = []
  #status = 0
  #headers: IncomingHttpHeaders = {}

  constructor(setting: Setting, url: URL, { method = 'POST', headers = {}, body, events = false }: Ask) {
    this.#parts = new Feed(setting.timeout, showPart)
    this.#start = new Feed(setting.timeout, ({ status }) => `status ${status}`)
    const make = url.protocol === 'https:' ? overHttps : overHttp
    const length = body ? { 'Content-Length': String(body.length) } : {}
    // A connection for each request: one that the server has just closed would fail for no fault of the server.
    const options = { method, agent: false, headers: { ...length, ...setting.headers, ...headers } }
    this.#request = make(url, options, (answer) => {
      this.#status = answer.statusCode ?? 0
      this.#headers = answer.headers
      this.#start.push({ status: this.#status, headers: this.#headers })
      const decode = events ? eventData() : (chunk: Buffer): Uint8Array[] => [chunk]
      answer.on('data', (chunk: Buffer) => {
        this.#chunks.push(chunk)
        if (this.#status === 200) for (const bytes of decode(chunk)) this.#read(bytes)
      })
      answer.on('end', () => this.#end('the end of the answer'))
      answer.on('error', (error) => this.#end(`a cut answer (${error.message})`))
      answer.on('close', () => this.#end('a cut answer'))
    })
    this.#request.on('error', (error) => this.#end(`no answer (${error.message})`))
    this.#request.on('upgrade', (_, socket) => {
      socket.destroy()
      this.#end('an upgrade to WebSocket')
    })
    this.#request.end(body)
    setting.afterwards(() => this.cut())
  }

  /** The status and the headers, when they are there. */
  async begun(): Promise<{ status: number; headers: IncomingHttpHeaders }> {
    const start = await this.#start.pick('an answer', () => true)
    this.#start.push(start)
    return start
  }

  /** Waits for the end, whatever the answer is. */
  async ended(): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
    await this.#parts.ended('an answer that ends')
    return { ...(await this.begun()), text: Buffer.concat(this.#chunks).toString() }
  }

  async head(limit?: number): Promise<AnswerHead> {
    const isHead = (part: Part): part is { head: AnswerHead } => 'head' in part
    return (await this.#parts.pick('the head of an answer', isHead, limit)).head
  }

  /** The next record of a kind; those of other kinds wait. */
  record(name: keyof typeof kinds, limit?: number): Promise<WireRecord> {
    const fits = (part: Part): part is WireRecord => 'kind' in part && part.kind === kinds[name]
    return this.#parts.pick(`a record ${name}`, fits, limit)
  }

  /** Records that came and that nobody asked for. */
  get unread(): readonly WireRecord[] {
    return this.#parts.unread.filter((part): part is WireRecord => 'kind' in part)
  }

  /** The end of an answer that ends as it should; returns all of it. */
  async whole(limit?: number): Promise<Answer> {
    const end = await this.#parts.ended('an answer that ends', limit)
    const body = Buffer.concat(this.#chunks)
    const { head, records } = this.#reader
    if (this.#status !== 200 || !head) {
      const came = this.#status === 0 ? end : `status ${this.#status} with ${show(body.toString())}`
      throw new Deviation('an answer of the protocol', came)
    }
    equal(end, 'the end of the answer', 'the end')
    equal(this.#reader.unfinished, 0, 'bytes behind the last record')
    return { head, records, body, headers: this.#headers }
  }

  cut(): void {
    this.#request.destroy()
  }

  #read(bytes: Uint8Array): void {
    const had = this.#reader.head
    const before = this.#reader.records.length
    const wrong = this.#reader.push(bytes)
    if (wrong) this.#end(wrong)
    if (!had && this.#reader.head) this.#parts.push({ head: this.#reader.head })
    for (const one of this.#reader.records.slice(before)) this.#parts.push(one)
  }

  #end(why: string): void {
    this.#parts.end(why)
    this.#start.end(why)
  }
}

/** The data of events, each of which is base64. */
function eventData(): (chunk: Buffer) => Uint8Array[] {
  let rest = ''
  return (chunk) => {
    const events = (rest + chunk.toString()).replaceAll('\r\n', '\n').split('\n\n')
    rest = events.pop() ?? ''
    return events.flatMap((event) => {
      const data = event.split('\n').filter((line) => line.startsWith('data:'))
      return data.length > 0 ? [Buffer.from(data.map((line) => line.slice(5).trim()).join(''), 'base64')] : []
    })
  }
}

function showPart(part: Part): string {
  if ('head' in part) return `a head ${show(part.head)}`
  return `${nameOf(part.kind)} ${show(part.kind === kinds.binary ? part.data : Buffer.from(part.data).toString())}`
}

/** Expects a refusal with this status. */
export async function refused(answering: Answering, wanted: number | readonly number[]): Promise<string> {
  const { status, text } = await answering.ended()
  const allowed = [wanted].flat()
  expect(allowed.includes(status), `status ${allowed.join(' or ')}`, `status ${status} with ${show(text)}`)
  return text
}

/** The event stream at this address. */
export function eventStream(setting: Setting, url: URL): Answering {
  return new Answering(setting, url, { method: 'GET', events: true })
}
