/**
 * A network between one client and one server: connections that can be cut or fall silent, and HTTP exchanges that can be lost,
 * repeated, delayed, answered by somebody else and cut at any byte.
 */
import type { NativeEventSource, PostInit } from '../../client/base/natives.ts'
import { Connection, Native } from './connection.ts'
import { Exchange, Response } from './exchange.ts'
import type { Home, Path } from './path.ts'
import type { PlainSignal } from './streams.ts'
import type { World } from './world.ts'

/** What the server does with a handshake or a request. */
export interface Listener {
  upgrade(connection: Connection, protocols: readonly string[]): void
  request(
    url: string,
    body: Uint8Array | undefined,
    responseTo: (request: { readonly socket: object }, home?: Home) => Response,
  ): void
}

export const fates = [
  'lose request',
  'lose answer',
  'cut answer',
  'repeat',
  'late request',
  'late answer',
  'error page',
  'portal',
  'redirect',
  'sign in',
  'answer replaced',
] as const
export type Fate = (typeof fates)[number]

/** More requests than that at one time are a loop. */
const mostAtOnce = 60

export class Network implements Path {
  readonly world: World
  server!: Listener
  #blackout = false
  /** The end of the latest blackout. */
  lightSince = 0
  /** WebSocket handshakes fail, as behind a proxy that does not know them. */
  noWebSockets = false
  /** … or are not allowed to begin, as from a page over TLS. */
  forbidsWebSockets = false
  /** No request gets further than to this. */
  httpFault: 'error page' | 'portal' | 'redirect' | 'sign in' | undefined
  /** The status of those whom the application does not let in any more. */
  refusal: 401 | 403 = 401
  /** Exchanges get these fates, one after the other … */
  readonly fates: Fate[] = []
  /** … and otherwise one of them with this probability. */
  roughness = 0
  /** Everything is so much slower, in ms. */
  slowness = 0
  /** Each connection carries so many bytes in a millisecond. */
  pace: number = Number.POSITIVE_INFINITY
  /** What a proxy keeps of streams until they end. */
  holdsBack: 'nothing' | 'all' | 'what follows' = 'nothing'
  /** Streamed answers are cut after so many ms; 0: never. */
  life = 0
  /** … and after so long a silence. */
  cutsSilence = 0
  /** Larger bodies are refused, with or without saying so; 0: none. */
  largestBody = 0
  /** The same, as long as this network lasts. */
  limit = 0
  saysTooLarge = true
  keepsAbandoned = false
  /** So many exchanges are under way at a time: the next one leaves when one of them is over. */
  #streams: number = Number.POSITIVE_INFINITY
  readonly #open: Set<Exchange> = new Set()
  readonly #waiting: (() => void)[] = []
  /** So many chunks are on their way before a server must wait. */
  readonly room: number
  readonly #latency: number
  readonly #jitter: number
  readonly #scale: number
  readonly #terminates: boolean
  readonly connections: Set<Connection> = new Set()
  readonly responses: Set<Response> = new Set()
  /** So long an exchange waited for its answer at most: the client expects no longer round trip. */
  longestTrip = 0
  /** Handshakes and requests that were begun. */
  asked = 0
  #at = 0
  #atOnce = 0

  constructor(world: World) {
    this.world = world
    const { random } = world
    this.#latency = random.between(1, 60)
    this.#jitter = random.between(0, 40)
    this.room = random.pick([1, 4, 1000])
    this.#scale = random.pick([1, 1, 300, 20_000])
    this.#terminates = random.chance(0.5)
  }

  /** Nothing gets through in either direction. */
  get blackout(): boolean {
    return this.#blackout
  }

  set blackout(dark: boolean) {
    if (this.#blackout && !dark) this.lightSince = this.world.now
    this.#blackout = dark
  }

  answered(after: number): void {
    this.longestTrip = Math.max(this.longestTrip, after)
  }

  set streams(most: number) {
    this.#streams = most
    this.#leave()
  }

  /** Whole again. */
  heal(): void {
    this.streams = Number.POSITIVE_INFINITY
    this.blackout = this.noWebSockets = this.forbidsWebSockets = this.keepsAbandoned = false
    this.httpFault = undefined
    this.fates.length = 0
    this.roughness = this.slowness = this.life = this.cutsSilence = 0
    this.pace = Number.POSITIVE_INFINITY
    this.largestBody = this.limit
    this.saysTooLarge = true
    this.holdsBack = 'nothing'
  }

  delay(): number {
    return this.#latency + this.slowness + this.world.random.between(0, this.#jitter)
  }

  connect(protocols: readonly string[]): Native {
    const { world } = this
    if (this.forbidsWebSockets) throw new Error('mixed content')
    const native = new Native(this.#terminates)
    this.#limit()
    if (world.trace) world.log('-> handshake')
    world.after(this.delay() * 2, () => {
      if (this.blackout || native.readyState > 0) return
      if (this.noWebSockets) {
        native.gone(1006, '')
        return
      }
      const connection = new Connection(this, native, this.#scale)
      native.connection = connection
      this.connections.add(connection)
      this.server.upgrade(connection, protocols)
    })
    return native
  }

  post(url: string, { body, signal }: PostInit): Exchange {
    const exchange = new Exchange(this, signal as PlainSignal | undefined, `${this.asked + 1}`)
    this.#send(exchange, url, body)
    return exchange
  }

  eventSource(url: string): NativeEventSource {
    const source: NativeEventSource = { onmessage: null, onerror: null, close: () => exchange.fail() }
    const exchange = new Exchange(this, undefined, `${this.asked + 1}`)
    this.#send(exchange, url, undefined)
    void this.#readEvents(exchange, source)
    return source
  }

  async #readEvents(exchange: Exchange, source: NativeEventSource): Promise<void> {
    let text = ''
    try {
      const { status, body } = await exchange.answer
      const reader = body?.getReader()
      while (status === 200 && reader) {
        const { value } = await reader.read()
        if (value === undefined) break
        text += Buffer.from(value as Uint8Array).toString('latin1')
        const events = text.split('\n\n')
        text = events.pop() as string
        for (const event of events) source.onmessage?.({ data: event.slice('data: '.length) })
      }
    } catch {
      // Cut, or closed here.
    }
    source.onerror?.()
  }

  #limit(): void {
    const { world } = this
    this.asked++
    if (world.now !== this.#at) this.#atOnce = 0
    this.#at = world.now
    if (++this.#atOnce === mostAtOnce) world.fail(`${mostAtOnce} requests at one time`)
  }

  #send(exchange: Exchange, url: string, body: Uint8Array | undefined): void {
    this.#limit()
    if (this.#atOnce >= mostAtOnce) return
    this.#waiting.push(() => {
      if (exchange.over) return
      this.#open.add(exchange)
      exchange.onOver = () => {
        this.#open.delete(exchange)
        this.#leave()
      }
      this.#begin(exchange, url, body)
    })
    this.#leave()
  }

  /** Those that wait leave, one after the other, as far as they may. */
  #leave(): void {
    while (this.#open.size < this.#streams && this.#waiting.length > 0) this.#waiting.shift()?.()
  }

  #begin(exchange: Exchange, url: string, body: Uint8Array | undefined): void {
    const { world } = this
    const { random } = world
    const fate = this.fates.shift() ?? (random.chance(this.roughness) ? random.pick(fates) : undefined)
    if (fate) world.count(`exchange: ${fate}`)
    if (world.trace) world.log(`-> ${this.asked} ${body ? said(body) : url} ${fate ?? ''}`)
    if (this.#stopped(exchange, body, this.httpFault ?? fate)) return
    const left =
      fate === 'lose answer' ? 0 : fate === 'cut answer' ? random.between(1, 300) : Number.POSITIVE_INFINITY
    const lateness = fate === 'late answer' ? random.between(100, 2500) : 0
    this.#arrive(exchange, url, body, fate === 'late request' ? random.between(100, 4000) : 0, left, lateness)
    // A middlebox says the same again; whichever answer comes first is the one.
    if (fate === 'repeat') this.#arrive(exchange, url, body, random.between(0, 300), left, lateness)
    if (fate === 'answer replaced')
      world.after(this.delay() * 2 + random.between(0, 300), () =>
        this.#refuse(exchange, 504, 'Gateway Timeout'),
      )
  }

  /** Whether it does not get as far as to the server. */
  #stopped(exchange: Exchange, body: Uint8Array | undefined, fate: Fate | undefined): boolean {
    const { world } = this
    const then = (run: () => void): true => {
      world.after(this.delay() * 2, run)
      return true
    }
    if (fate === 'lose request')
      return world.random.chance(0.5) ? then(() => this.blackout || exchange.fail()) : true
    if (fate === 'portal') return then(() => this.#refuse(exchange, 200, 'OK'))
    if (fate === 'redirect') return then(() => this.#refuse(exchange, 0, ''))
    if (fate === 'error page')
      return then(() => this.#refuse(exchange, world.random.pick([404, 500, 502, 503]), 'No'))
    if (fate === 'sign in') return then(() => this.#refuse(exchange, this.refusal, 'Sign in'))
    if (this.largestBody === 0 || (body?.length ?? 0) <= this.largestBody) return false
    world.count('exchange: too large')
    const says = this.saysTooLarge
    return then(() => (says ? this.#refuse(exchange, 413, 'Payload Too Large') : exchange.fail()))
  }

  #refuse(exchange: Exchange, status: number, text: string): void {
    if (!this.blackout) exchange.refuse(status, text, status === 0 ? '' : '<html>Sign in</html>')
  }

  #arrive(
    exchange: Exchange,
    url: string,
    body: Uint8Array | undefined,
    late: number,
    left: number,
    lateness: number,
  ): void {
    this.world.after(this.delay() + late, () => {
      if (this.blackout) return
      this.server.request(url, body && Buffer.from(body), (request, home) => {
        const response = new Response(this, exchange, request, left, lateness, home)
        this.responses.add(response)
        // Its client may have left already, or the network will cut it.
        exchange.responses.push(response)
        if (exchange.over) response.abandoned()
        if (left === 0) this.world.after(0, () => response.cut())
        return response
      })
    })
  }
}

/** The head of a request, for whoever reads a trace. */
function said(body: Uint8Array): string {
  let at = 30
  const number = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = body[at++] ?? 0
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
  }
  const all = Array.from({ length: 8 }, number)
  return `ask ${body[1]} epoch ${all[0]} serial ${all[1]} has ${all[4]}.${all[5]} at ${all[6]}.${all[7]}, ${body.length} bytes`
}
