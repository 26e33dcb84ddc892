/** Sends one HTTP exchange as a probe: docs/PROTOCOL.md, section 8. It never throws; failures are part of the result. */
import { ByteWriter } from '../shared/bytes.ts'
import {
  type AnswerHead,
  Ask,
  BodyReader,
  idSize,
  keySize,
  mark,
  probeMark,
  readAnswerHead,
  Status,
  writeRecord,
  writeRequestHead,
} from '../shared/exchange.ts'
import { readWelcome, type Welcome } from '../shared/frame.ts'
import { maxRecord } from '../shared/limits.ts'
import { decodeText, encodeText } from '../shared/text.ts'
import type { WakingClock } from './fair-clock.ts'
import { foreignAnswer, maxForeign, noAnswer } from './hindrance.ts'
import { whenOverdue } from './overdue.ts'
import { inTime, type Lateness, Pieces } from './pieces.ts'
import type { Platform, ProbeAnswer, ProbeReader } from './platform.ts'
import type { Hindrance } from './report.ts'
import type { Witness } from './witness.ts'

/** What all probes of one examination share. */
export interface Site {
  readonly platform: Platform
  /** The application's address, with `http:` or `https:`. */
  readonly url: string
  /** How long an immediate answer may take, in milliseconds. */
  readonly timeout: number
  readonly clock: WakingClock
  /** Without a witness, an overdue answer is given up at once. */
  readonly witness: Witness | undefined
  readonly signal: AbortSignal
}

export interface HttpAsk {
  readonly kind: 'short' | 'held' | 'stream' | 'sse'
  /** How long the server is to hold the answer, in milliseconds. */
  readonly time?: number
  /** The approximate size of the body, in bytes. */
  readonly size?: number
  /** The id of a WebSocket's probe. The answer then says how many pings came over that WebSocket. */
  readonly id?: Uint8Array
}

export interface HttpResult {
  /** The size of the request's body. */
  readonly size: number
  /** Whether an answer in everwire's protocol came. */
  ours: boolean
  /** Whether the server, which answers no probes, took this one for a session that it does not know. */
  unknown: boolean
  welcome: Welcome | undefined
  /** Whether the answer returned the payload of the ping. */
  echoed: boolean
  /** How many pings the server received over the WebSocket with the probe's id. */
  pings: number
  /** When the first byte of the answer came, in milliseconds after the request. */
  first: number
  /** When the exchange was over, in milliseconds after the request. */
  took: number
  /** When the latest byte of the answer came, in milliseconds after the request. */
  heardAt: number
  /** How late the first piece of a stream came. `late`: how late the latest of all pieces came. */
  firstLate: Lateness
  late: Lateness
  /** Whether short exchanges were answered while no byte of this answer came. */
  passedOver: boolean
  /** Whether the answer ended and was complete. */
  whole: boolean
  /** Why the exchange failed, if it failed. */
  hindrance: Hindrance | undefined
}

const echo = 'everwire doctor'
const none = { number: 0, offset: 0 }

export async function httpProbe(site: Site, ask: HttpAsk): Promise<HttpResult> {
  const { platform, timeout, witness } = site
  const { kind, time = 0 } = ask
  const body = kind === 'sse' ? undefined : bodyOf(ask)
  const result: HttpResult = {
    size: body?.length ?? 0,
    ours: false,
    unknown: false,
    welcome: undefined,
    echoed: false,
    pings: 0,
    first: 0,
    took: 0,
    heardAt: 0,
    firstLate: inTime,
    late: inTime,
    passedOver: false,
    whole: false,
    hindrance: undefined,
  }
  const begun = performance.now()
  const patience = time + timeout
  const limit = new AbortController()
  const callOff = whenOverdue(site, { hold: time, timeout }, () => limit.abort())
  const isStream = kind === 'stream' || kind === 'sse'
  const pieces = witness && isStream ? new Pieces(witness, begun) : undefined
  try {
    const url = withMark(site.url, kind === 'sse' ? `${probeMark}${time}` : '1')
    const signal = AbortSignal.any([limit.signal, site.signal])
    const request = body ? { signal, body } : { signal, accept: 'text/event-stream' }
    await read(await platform.ask(url, request), kind === 'sse', { begun, pieces }, result)
  } catch (error) {
    result.hindrance ??= limit.signal.aborted ? noAnswer(patience) : platform.whyFailed(error)
  }
  callOff()
  // Abort: an answer that is not read to its end would keep its connection.
  limit.abort()
  const ended = performance.now()
  result.took = ended - begun
  if (kind === 'short' && result.ours) witness?.note(begun, ended)
  if (pieces) {
    pieces.end()
    const { first, any } = pieces.lateness(time, result.whole ? result.took : undefined)
    result.firstLate = first
    result.late = any
    result.passedOver = !result.ours && (witness?.answeredWithin(begun, ended) ?? false)
  }
  return result
}

/** Sends a plain GET, as a browser's address bar does, to learn what is at this address. */
export async function plainGet(site: Site): Promise<Hindrance> {
  const limit = new AbortController()
  const callOff = whenOverdue(site, site, () => limit.abort())
  const signal = AbortSignal.any([limit.signal, site.signal])
  try {
    const response = await site.platform.ask(site.url, { signal })
    return foreign(response, await beginning(response))
  } catch (error) {
    return site.platform.whyFailed(error)
  } finally {
    callOff()
  }
}

/** Adds everwire's mark to the query of the application's address. */
function withMark(url: string, value: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}everwire=${value}`
}

interface Timing {
  readonly begun: number
  readonly pieces: Pieces | undefined
}

async function read(
  response: ProbeAnswer,
  events: boolean,
  { begun, pieces }: Timing,
  result: HttpResult,
): Promise<void> {
  const type = response.headers.get('content-type') ?? ''
  if (response.status !== 200 || (events && !type.startsWith('text/event-stream'))) {
    result.hindrance ??= foreign(response, await beginning(response))
    return
  }
  const reader = new BodyReader<AnswerHead>(readAnswerHead, maxRecord)
  const chunks = (response.body as NonNullable<ProbeAnswer['body']>).getReader()
  const decode = events ? eventDecoder() : (chunk: Uint8Array) => chunk
  for (let { value, done } = await chunks.read(); !done; { value, done } = await chunks.read()) {
    const bytes = decode(value as Uint8Array)
    if (bytes.length === 0) continue
    const at = performance.now() - begun
    if (!result.ours && bytes[0] !== mark) {
      result.hindrance ??= foreign(response, await beginning(response, chunks, value))
      return
    }
    if (!result.ours) {
      result.first = at
      pieces?.came(0, at)
    }
    result.ours = true
    result.heardAt = at
    for (const { kind, payload } of reader.push(bytes)) {
      const text = decodeText(payload) ?? ''
      if (kind === 'welcome') result.welcome = readWelcome(text)
      else if (kind === 'pong') result.echoed = text === echo
      else if (kind === 'ping') pieces?.came(Number(text), at)
    }
  }
  result.unknown = reader.head?.status === Status.unknown
  result.pings = reader.head?.has.number ?? 0
  result.whole = reader.complete
  if (result.ours) result.hindrance = undefined
  else result.hindrance ??= foreign(response, '')
}

function bodyOf({ kind, time = 0, size = 0, id }: HttpAsk): Uint8Array<ArrayBuffer> {
  const hold = kind === 'short' ? 0 : kind === 'stream' ? Ask.hold | Ask.stream : Ask.hold
  const to = new ByteWriter(size + 128)
  writeRequestHead(to, {
    ask: Ask.probe | hold,
    id: id ?? crypto.getRandomValues(new Uint8Array(idSize)),
    key: new Uint8Array(keySize),
    epoch: 1,
    serial: 1,
    quiet: 0,
    life: time,
    has: none,
    at: none,
  })
  writeRecord(to, 'ping', encodeText(echo))
  // The head of the filling record takes up to four bytes.
  const left = size - to.size - 4
  if (left > 0) writeRecord(to, 'binary', filling(left))
  return to.whole()
}

/** Random bytes, which no proxy can compress. */
function filling(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  // getRandomValues() refuses more bytes at once.
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return bytes
}

/** Decodes an event stream: the bytes that stand as base64 in the data of its events. */
function eventDecoder(): (chunk: Uint8Array) => Uint8Array {
  const decoder = new TextDecoder()
  let rest = ''
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    const data = lines.flatMap((line) => (line.startsWith('data:') ? [line.slice(5).trim()] : []))
    return Uint8Array.from(data.map(atob).join(''), (character) => character.charCodeAt(0))
  }
}

function foreign({ type, status, statusText, headers, url }: ProbeAnswer, body: string): Hindrance {
  if (type === 'opaqueredirect')
    return { cause: 'redirect', says: 'a redirect; a browser does not say where to' }
  return foreignAnswer({ status, statusText, url, body, header: (name) => headers.get(name) })
}

/** Reads the beginning of a foreign answer. */
async function beginning(
  response: ProbeAnswer,
  chunks: ProbeReader | undefined = response.body?.getReader(),
  first?: Uint8Array,
): Promise<string> {
  const decoder = new TextDecoder()
  let text = first ? decoder.decode(first, { stream: true }) : ''
  try {
    while (chunks && text.length < maxForeign) {
      const { value, done } = await chunks.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
    }
  } catch {
    // The part that has arrived is enough.
  }
  return text.slice(0, maxForeign)
}
