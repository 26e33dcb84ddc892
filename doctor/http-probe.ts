/** One HTTP exchange that is a probe: docs/PROTOCOL.md, section 8. It never throws; what it found is its result. */
import { ByteWriter } from '../shared/bytes.ts'
import { readWelcome, type Welcome } from '../shared/control.ts'
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
import { maxRecord } from '../shared/limits.ts'
import { decodeText, encodeText } from '../shared/text.ts'
import type { WakingClock } from './fair-clock.ts'
import { foreignAnswer, maxForeign, noAnswer } from './hindrance.ts'
import { whenOverdue } from './overdue.ts'
import { inTime, type Lateness, Pieces } from './pieces.ts'
import type { Platform } from './platform.ts'
import type { Hindrance } from './report.ts'
import type { Witness } from './witness.ts'

/** Where it goes, and how. */
export interface Site {
  readonly platform: Platform
  /** The application's address, with `http:` or `https:`. */
  readonly url: string
  /** How long what should come at once may take, in milliseconds. */
  readonly timeout: number
  readonly clock: WakingClock
  /** Without it, what is overdue is given up. */
  readonly witness: Witness | undefined
  readonly signal: AbortSignal
}

export interface HttpAsk {
  readonly kind: 'short' | 'held' | 'stream' | 'sse'
  /** How long it is to be held, in milliseconds. */
  readonly time?: number
  /** About how many bytes the body is to have. */
  readonly size?: number
  /** That of a WebSocket's probe: the answer then says how much came over it. */
  readonly id?: Uint8Array
}

export interface HttpResult {
  /** The size of the request's body. */
  readonly size: number
  /** An answer of everwire's came. */
  ours: boolean
  /** The server does not answer probes: it took it for a session that it does not know. */
  unknown: boolean
  welcome: Welcome | undefined
  /** What was sent came back. */
  echoed: boolean
  /** How many pings came over the WebSocket of that id. */
  pings: number
  /** When the first of it came. */
  first: number
  /** When it was over. */
  took: number
  /** When the latest of it came. */
  heardAt: number
  /** How late the first piece of a stream came, and the latest of all. */
  firstLate: Lateness
  late: Lateness
  /** Whether short exchanges were answered while nothing of it came. */
  passedOver: boolean
  /** It ended, and nothing of it was missing. */
  whole: boolean
  /** What stood in the way, if something did. */
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
    // The client follows none either: what a redirect leads to is somebody else.
    const init: RequestInit = {
      redirect: 'manual',
      signal: AbortSignal.any([limit.signal, site.signal]),
      ...(body ? { method: 'POST', body } : { headers: { Accept: 'text/event-stream' } }),
    }
    await read(await platform.fetch(url, init), kind === 'sse', { begun, pieces }, result)
  } catch (error) {
    result.hindrance ??= limit.signal.aborted ? noAnswer(patience) : platform.whyFailed(error)
  }
  callOff()
  // An answer that is not read to its end holds its connection.
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

/** A plain GET, as a browser's address bar makes it: what stands at this address? */
export async function plainGet(site: Site): Promise<Hindrance> {
  const limit = new AbortController()
  const callOff = whenOverdue(site, site, () => limit.abort())
  const signal = AbortSignal.any([limit.signal, site.signal])
  try {
    const response = await site.platform.fetch(site.url, { signal, redirect: 'manual' })
    return foreign(response, await beginning(response))
  } catch (error) {
    return site.platform.whyFailed(error)
  } finally {
    callOff()
  }
}

/** The application's address with everwire's mark in its query. */
function withMark(url: string, value: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}everwire=${value}`
}

interface Timing {
  readonly begun: number
  readonly pieces: Pieces | undefined
}

async function read(
  response: Response,
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
  const chunks = (response.body as ReadableStream<Uint8Array>).getReader()
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
  // The head of the record that fills it up takes up to four bytes.
  const left = size - to.size - 4
  if (left > 0) writeRecord(to, 'binary', filling(left))
  return to.whole()
}

/** Bytes that no proxy makes smaller. */
function filling(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  // More at once is refused.
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return bytes
}

/** The bytes that the data of events stand for, event by event. */
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

function foreign({ type, status, statusText, headers, url }: Response, body: string): Hindrance {
  if (type === 'opaqueredirect')
    return { cause: 'redirect', says: 'a redirect; a browser does not say where to' }
  return foreignAnswer({ status, statusText, url, body, header: (name) => headers.get(name) })
}

/** As much of a stranger's answer as is looked at. */
async function beginning(
  response: Response,
  chunks: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader(),
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
    // What has come is enough.
  }
  return text.slice(0, maxForeign)
}
