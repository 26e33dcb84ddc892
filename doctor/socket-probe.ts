/** One WebSocket that is a probe: docs/PROTOCOL.md, section 8. It never throws; what it found is its result. */
import { ByteWriter } from '../shared/bytes.ts'
import {
  decodeControl,
  encodeControl,
  subprotocol,
  subprotocolWithHead,
  type Welcome,
} from '../shared/control.ts'
import { Ask, idSize, keySize, writeRequestHead } from '../shared/exchange.ts'
import { httpProbe, type Site } from './http-probe.ts'
import { whenOverdue } from './overdue.ts'
import type { ProbeSocket, SocketEnd } from './platform.ts'

export interface SocketAsk {
  /** How long it is to be silent, one time after the other, in milliseconds. */
  readonly silences: readonly number[]
  /** Whether the address is known to be a server's of ours: a stranger is not spoken to. */
  readonly isOurs: () => Promise<boolean>
}

export interface SocketResult {
  /** When the handshake was answered well. */
  opened: number | undefined
  /** When the server was first heard. */
  first: number | undefined
  welcome: Welcome | undefined
  /** The server does not answer probes: it took it for a session that it does not know. */
  unknown: boolean
  /** It said something that is not of ours. */
  foreign: boolean
  /** Times there and back. */
  readonly trips: number[]
  /** The longest silence that it outlived. */
  held: number
  /** How it ended before its time, and when. */
  end: SocketEnd | undefined
  endedAt: number
  /** When something last came. */
  heardAt: number
  /** It was there and did not answer any more. */
  fellSilent: boolean
  /** Though nothing came back, the server has heard something. */
  heardByServer: boolean
}

const maxTrips = 5
/** As long as a server holds one: the prober ends it. */
const life = 60_000

export async function socketProbe(site: Site, { silences, isOurs }: SocketAsk): Promise<SocketResult> {
  const result: SocketResult = {
    opened: undefined,
    first: undefined,
    welcome: undefined,
    unknown: false,
    foreign: false,
    trips: [],
    held: 0,
    end: undefined,
    endedAt: 0,
    heardAt: 0,
    fellSilent: false,
    heardByServer: false,
  }
  const id = crypto.getRandomValues(new Uint8Array(idSize))
  const begun = performance.now()
  const talk = new Conversation(site, offer(id))
  let pings = 0

  /** Whether a ping is answered; how long that took is noted. */
  const answers = async (): Promise<boolean> => {
    const payload = String(++pings)
    const sent = performance.now()
    talk.say(encodeControl({ kind: 'ping', payload }))
    const heard = await talk.next()
    const control = typeof heard === 'string' ? decodeControl(heard) : undefined
    if (control?.kind === 'pong' && control.payload === payload) {
      result.trips.push(performance.now() - sent)
      result.heardAt = performance.now() - begun
      return true
    }
    if (typeof heard === 'object') result.end = heard
    else if (heard === undefined) result.fellSilent = true
    return false
  }

  const converse = async (): Promise<void> => {
    const opened = await talk.next()
    if (typeof opened === 'object') result.end = opened
    if (opened !== true) return
    result.opened = performance.now() - begun
    const first = await talk.next()
    const control = typeof first === 'string' ? decodeControl(first) : undefined
    if (first !== undefined) result.first = performance.now() - begun
    if (typeof first === 'object') result.end = first
    else if (control?.kind === 'welcome') result.welcome = control
    else if (control?.kind === 'abort') result.unknown = true
    else if (first !== undefined) result.foreign = true
    else if (await isOurs()) {
      const late = await answers()
      const asked = late ? undefined : await httpProbe(site, { kind: 'short', id })
      result.heardByServer = (asked?.pings ?? 0) > 0
    }
    if (!result.welcome) return
    for (let i = 0; i < maxTrips; i++) if (!(await answers())) return
    for (const silence of silences) {
      const heard = await talk.nextWithin(silence)
      if (typeof heard === 'object') result.end = heard
      if (heard !== undefined || !(await answers())) return
      result.held = Math.max(result.held, silence)
    }
  }

  await converse()
  result.endedAt = performance.now() - begun
  talk.close()
  return result
}

/** What it offers: a head without a session. */
function offer(id: Uint8Array): string[] {
  const to = new ByteWriter()
  const none = { number: 0, offset: 0 }
  const key = new Uint8Array(keySize)
  const counts = { epoch: 1, serial: 0, quiet: 0, life }
  writeRequestHead(to, { ask: Ask.probe, id, key, ...counts, has: none, at: none })
  const text = btoa(String.fromCharCode(...to.whole()))
  const base64url = text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return [subprotocol, subprotocolWithHead + base64url]
}

type Heard = true | string | SocketEnd

/** What comes, one after the other: that it is open, texts, the end. */
class Conversation {
  readonly #socket: ProbeSocket | undefined
  readonly #heard: Heard[] = []
  #waiting: (() => void) | undefined
  readonly #site: Site

  constructor(site: Site, protocols: readonly string[]) {
    const { platform, url } = site
    this.#site = site
    try {
      this.#socket = platform.webSocket(url.replace(/^http/, 'ws'), protocols)
    } catch {
      const says =
        "the browser does not allow this page to open it: mixed content, or the page's content security policy"
      this.#take({ code: 1006, reason: '', hindrance: { cause: 'hidden', says } })
      return
    }
    this.#socket.onopen = () => this.#take(true)
    this.#socket.onmessage = (text) => this.#take(text)
    this.#socket.onend = (end) => this.#take(end)
  }

  /** The next thing that comes; undefined if it is overdue. */
  next(): Promise<Heard | undefined> {
    return this.#next((resolve) => whenOverdue(this.#site, this.#site, resolve))
  }

  /** What comes within so many milliseconds of silence, if anything does. */
  nextWithin(ms: number): Promise<Heard | undefined> {
    return this.#next((resolve) => {
      const timer = setTimeout(resolve, ms)
      return () => clearTimeout(timer)
    })
  }

  /** `limit` begins to wait for the end of patience, and returns how to call that off. */
  async #next(limit: (resolve: () => void) => () => void): Promise<Heard | undefined> {
    const { signal } = this.#site
    if (this.#heard.length === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const callOff = limit(resolve)
        this.#waiting = () => {
          callOff()
          resolve()
        }
        signal.addEventListener('abort', this.#waiting, { once: true })
      })
      if (this.#waiting) signal.removeEventListener('abort', this.#waiting)
    }
    return this.#heard.shift()
  }

  say(text: string): void {
    this.#socket?.send(text)
  }

  close(): void {
    this.#socket?.close()
  }

  #take(heard: Heard): void {
    this.#heard.push(heard)
    this.#waiting?.()
  }
}
