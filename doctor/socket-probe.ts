/** Opens one WebSocket as a probe: docs/PROTOCOL.md, section 8. It never throws; failures are part of the result. */
import { ByteWriter } from '../shared/bytes.ts'
import {
  Ask,
  idSize,
  keySize,
  subprotocol,
  subprotocolWithHead,
  writeRequestHead,
} from '../shared/exchange.ts'
import {
  type Control,
  controlText,
  readControl,
  readText,
  readWelcome,
  type Welcome,
} from '../shared/frame.ts'
import { httpProbe, type Site } from './http-probe.ts'
import { whenOverdue } from './overdue.ts'
import type { ProbeSocket, SocketEnd } from './platform.ts'

export interface SocketAsk {
  /** How long the WebSocket is to be silent, one time after the other, in milliseconds. */
  readonly silences: readonly number[]
  /** Whether the address is known to be an everwire server's: the probe sends nothing to other servers. */
  readonly isOurs: () => Promise<boolean>
}

export interface SocketResult {
  /** When the handshake was accepted, in milliseconds after the beginning. */
  opened: number | undefined
  /** When the server's first message arrived, in milliseconds after the beginning. */
  first: number | undefined
  welcome: Welcome | undefined
  /** Whether the server, which answers no probes, took this one for a session that it does not know. */
  unknown: boolean
  /** Whether the server sent something that is not everwire's protocol. */
  foreign: boolean
  /** The times of the round trips. */
  readonly trips: number[]
  /** The longest silence after which the WebSocket still worked. */
  held: number
  /** How the WebSocket ended, if it ended too early. `endedAt`: when it ended. */
  end: SocketEnd | undefined
  endedAt: number
  /** When the latest message arrived. */
  heardAt: number
  /** Whether the WebSocket was still open but a ping got no answer. */
  fellSilent: boolean
  /** Whether the server received a ping although the client received nothing. */
  heardByServer: boolean
}

const maxTrips = 5
/** The server holds a probe for at most this long. The probe ends earlier by itself. */
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

  /** Sends a ping. Returns whether it was answered, and notes the time of the round trip. */
  const answers = async (): Promise<boolean> => {
    const payload = String(++pings)
    const sent = performance.now()
    talk.say(controlText('ping', payload))
    const heard = await talk.next()
    const control = controlOf(heard)
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
    const control = controlOf(first)
    if (first !== undefined) result.first = performance.now() - begun
    if (typeof first === 'object') result.end = first
    else if (control?.kind === 'welcome') result.welcome = readWelcome(control.payload)
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

function controlOf(heard: Heard | undefined): Control | undefined {
  return typeof heard === 'string' ? readControl(readText(heard)) : undefined
}

/** The subprotocols to offer: a head without a session. */
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

/** The events of a WebSocket, one after the other: its opening, texts, its end. */
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

  /** The next event; undefined if it is overdue. */
  next(): Promise<Heard | undefined> {
    return this.#next((resolve) => whenOverdue(this.#site, this.#site, resolve))
  }

  /** The next event within `ms`; undefined if the WebSocket was silent for that long. */
  nextWithin(ms: number): Promise<Heard | undefined> {
    return this.#next((resolve) => {
      const timer = setTimeout(resolve, ms)
      return () => clearTimeout(timer)
    })
  }

  /** `limit` starts the time limit, and returns a function that cancels it. */
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
