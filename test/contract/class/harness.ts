/**
 * What the cases are written with. It runs in Node and in a page, so it uses nothing but what both have; a case is a
 * plain function that throws when it is not as it should be.
 */

export type WebSocketClass = typeof globalThis.WebSocket

/** A class under test, and where it runs. */
export interface Subject {
  readonly WebSocket: WebSocketClass
  /**
   * `native`: a browser's own class. `ws`: the class of that name. Both are references: where one of them does something
   * else than the standard says, the case names it. `everwire`: ours, on any transport.
   */
  readonly kind: 'everwire' | 'native' | 'ws'
  /** The test server, as ws:. */
  readonly url: string
  /** Where nobody listens. */
  readonly deadUrl: string
  /** What relative URLs are relative to; absent where there is nothing. */
  readonly base?: string
  /** What is given to the constructor as its third argument. */
  readonly options?: object
}

export interface Case {
  readonly name: string
  run(t: Run): Promise<void> | void
}

/** A message as the server saw it. */
export interface Seen {
  readonly kind: 'text' | 'binary'
  readonly size: number
  readonly hash: string
  /** The beginning: of text as it is, of binary in hexadecimal. */
  readonly start: string
}

/** A connection as the server saw it. */
export interface Report {
  readonly connections: number
  readonly protocol: string
  readonly offered: string
  readonly referrer: string
  readonly messages: Seen[]
  readonly code: number
  readonly reason: string
}

export interface Outcome {
  readonly error?: string
  /** Where the subject does something else than the standard says, and why that is so. */
  readonly differences: readonly string[]
}

interface Difference<T> {
  readonly value: T
  readonly why: string
}

/** What is written in place of a value that the subject does not promise either way. */
export const unspecified: unique symbol = Symbol('unspecified')

let names = 0

/** One run of one case. */
export class Run {
  readonly subject: Subject
  readonly differences: string[] = []
  readonly #clients: Client[] = []

  constructor(subject: Subject) {
    this.subject = subject
  }

  get WebSocket(): WebSocketClass {
    return this.subject.WebSocket
  }

  /** An address of the test server for one client alone, which does with it what the query says. */
  address(query: string): string {
    const name = `${Date.now().toString(36)}-${++names}-${Math.random().toString(36).slice(2)}`
    return `${this.subject.url}?name=${name}&${query}`
  }

  connect(query = 'echo', protocols?: string | string[]): Client {
    return this.open(this.address(query), protocols)
  }

  /** Asks the test server over HTTP about the client of that address, or to do something with it. */
  ask(address: string, path: string): Promise<Response> {
    const { host, searchParams } = new URL(address)
    return fetch(`http://${host}/${path}?name=${searchParams.get('name')}`)
  }

  open(url: string, protocols?: string | string[]): Client {
    const client = new Client(this.construct(url, protocols), url)
    this.#clients.push(client)
    return client
  }

  construct(url: string, protocols?: string | string[]): WebSocket {
    const { WebSocket: Class, options } = this.subject
    return new (Class as unknown as new (...args: unknown[]) => WebSocket)(url, protocols, options)
  }

  /** `standard`, except where a kind of class is known to do something else. */
  expected<T>(standard: T, others: { readonly [Kind in Subject['kind']]?: Difference<T> }): T {
    const other = others[this.subject.kind]
    if (!other) return standard
    this.differences.push(other.why)
    return other.value
  }

  equal(actual: unknown, expected: unknown, what = 'value'): void {
    if (expected === unspecified || same(actual, expected)) return
    throw new Error(`${what}: expected ${show(expected)}, got ${show(actual)}`)
  }

  /** The name of what is thrown. */
  throws(action: () => unknown, expected: string | typeof unspecified, what: string): void {
    let thrown = 'nothing'
    try {
      const made = action()
      // What should not have been made is not left to connect.
      if (made instanceof Object && 'close' in made) {
        const socket = made as WebSocket
        socket.onerror = () => {}
        socket.close()
      }
    } catch (error) {
      thrown = (error as Error).name
    }
    this.equal(thrown, expected, what)
  }

  /** Of a member, wherever in the chain of prototypes it stands. */
  descriptor(name: keyof WebSocket | symbol): PropertyDescriptor {
    const { prototype } = this.subject.WebSocket
    return Object.getOwnPropertyDescriptor(baseOf(prototype, name), name) ?? {}
  }

  async cleanUp(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()))
  }
}

/** A socket, and all that happens to it, in order. */
export class Client {
  readonly socket: WebSocket
  readonly url: string
  readonly log: string[] = []
  readonly messages: unknown[] = []
  readonly #waiting = new Set<() => void>()
  #closed: CloseEvent | undefined
  #looking = false
  #read = 0

  constructor(socket: WebSocket, url: string) {
    this.socket = socket
    this.url = url
    socket.binaryType = 'arraybuffer'
    for (const type of ['open', 'message', 'error', 'close'] as const) {
      socket.addEventListener(type, (event) => {
        this.log.push(type)
        if (type === 'message') this.messages.push((event as MessageEvent).data)
        if (type === 'close') this.#closed = event as CloseEvent
        this.#lookSoon()
      })
    }
  }

  /** A task later: a browser runs microtasks between two listeners, and whoever waits should find all of them called. */
  #lookSoon(): void {
    if (this.#looking) return
    this.#looking = true
    setTimeout(() => {
      this.#looking = false
      for (const look of this.#waiting) look()
    })
  }

  /** Waits until that is so; it is looked at after events. */
  async until<T>(look: () => T | undefined | false, what = 'that'): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const again = (): void => {
        const found = look()
        if (found === undefined || found === false) {
          if (!this.#closed) return
          reject(
            new Error(`closed with ${this.#closed.code} '${this.#closed.reason}' while waiting for ${what}`),
          )
        } else resolve(found)
        this.#waiting.delete(again)
      }
      this.#waiting.add(again)
      again()
    })
  }

  async opened(): Promise<void> {
    await this.until(() => this.socket.readyState > 0 && this.log.includes('open'), 'open')
  }

  async closed(): Promise<{ code: number; reason: string; wasClean: boolean }> {
    const { code, reason, wasClean } = await this.until(() => this.#closed)
    return { code, reason, wasClean }
  }

  /** The next message that has not been asked for yet. */
  async next(): Promise<unknown> {
    const index = this.#read++
    await this.until(() => this.messages.length > index, `message ${index + 1}`)
    return this.messages[index]
  }

  async count(number: number): Promise<unknown[]> {
    await this.until(() => this.messages.length >= number, `message ${number}`)
    return this.messages
  }

  /** What the server saw of it; by default when it is over. */
  async report(when: 'closed' | 'now' = 'closed'): Promise<Report> {
    const url = new URL(this.url)
    const query = `name=${url.searchParams.get('name')}${when === 'now' ? '&now' : ''}`
    const answer = await fetch(`http://${url.host}/report?${query}`)
    return (await answer.json()) as Report
  }

  /** Closes it and waits for that, so that the next case has the network for itself. */
  async end(): Promise<void> {
    if (this.socket.readyState < 2) this.socket.close()
    await this.closed()
  }
}

export async function runCase(test: Case, subject: Subject, limit = 100_000): Promise<Outcome> {
  const run = new Run(subject)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not through after ${limit} ms`)), limit)
  })
  const { differences } = run
  try {
    await Promise.race([(async () => test.run(run))(), late])
    await Promise.race([run.cleanUp(), late])
    return { differences }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error), differences }
  } finally {
    clearTimeout(timer)
  }
}

// ---- values ----

/** Waits until that is so, looking again in every turn; for what no event tells. */
export async function eventually(look: () => boolean): Promise<void> {
  while (!look()) await new Promise((resolve) => setTimeout(resolve))
}

export function bytesOf(data: unknown): Uint8Array<ArrayBuffer> {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  throw new Error(`not an ArrayBuffer: ${show(data)}`)
}

/** Where in the chain of prototypes that stands. */
export function baseOf(owner: object, name: string | symbol): object {
  let base: object | null = owner
  while (base && !Object.hasOwn(base, name)) base = Object.getPrototypeOf(base)
  return base ?? owner
}

/** The globals of another realm: of a frame, or of a context of Node, which has no Blob. */
export function elsewhere(): { readonly Uint8Array: typeof Uint8Array; readonly Blob?: typeof Blob } {
  if (globalThis.document) {
    const frame = document.body.appendChild(document.createElement('iframe'))
    return frame.contentWindow as Window & typeof globalThis
  }
  const { process } = globalThis as unknown as { process: { getBuiltinModule(name: string): Vm } }
  return process.getBuiltinModule('node:vm').runInNewContext('({ Uint8Array })')
}

interface Vm {
  runInNewContext(code: string): ReturnType<typeof elsewhere>
}

/** Bytes without a pattern that a carrier could cut at, the same each time. */
export function noise(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  let state = size + 1
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const letters = 'aλ語🚀"'
const bytesOfLetters = 11

/** Text of `size` bytes: code points of one to four bytes, so that it can be cut within any of them. */
export function prose(size: number): string {
  return letters.repeat(size / bytesOfLetters) + 'x'.repeat(size % bytesOfLetters)
}

export async function hash(data: unknown): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : bytesOf(data)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  // A loop takes a tenth of the time of `every`: some are of 16 MiB.
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return a.length === b.length
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof ArrayBuffer || b instanceof ArrayBuffer) {
    return a instanceof ArrayBuffer && b instanceof ArrayBuffer && sameBytes(bytesOf(a), bytesOf(b))
  }
  const keys = Object.keys(a)
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => same((a as Dictionary)[key], (b as Dictionary)[key]))
  )
}

type Dictionary = Record<string, unknown>

function show(value: unknown): string {
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${show([...new Uint8Array(value).subarray(0, 32)])}`
  const text =
    typeof value === 'object'
      ? JSON.stringify(value)
      : typeof value === 'string'
        ? JSON.stringify(value)
        : String(value)
  return text && text.length > 300 ? `${text.slice(0, 300)} (${text.length} characters)` : text
}
